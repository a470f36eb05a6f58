import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct InitializerTests {
  /// A weight of 96·3·3·24 = 20736 values: fan in 216, fan out 864.
  static let shape: Shape = [96, 3, 3, 24]

  struct Row: Sendable {
    let initializer: any Initializer
    let deviation: Double
    let bound: Double?
  }

  static let rows = [
    Row(initializer: KaimingNormal(), deviation: (2.0 / 216).squareRoot(), bound: nil),
    Row(initializer: .residual, deviation: (2.0 / 864).squareRoot(), bound: nil),
    Row(
      initializer: KaimingUniform(), deviation: (2.0 / 216).squareRoot(),
      bound: (6.0 / 216).squareRoot()),
    Row(
      initializer: .standard, deviation: (1.0 / 648).squareRoot(), bound: (1.0 / 216).squareRoot()),
    Row(
      initializer: KaimingNormal(gain: .leakyReLU(slope: 0.2)),
      deviation: (2 / 1.04 / 216).squareRoot(), bound: nil),
    Row(initializer: XavierNormal(), deviation: (2.0 / 1080).squareRoot(), bound: nil),
    Row(
      initializer: XavierUniform(gain: .tanh), deviation: 5 / 3 * (2.0 / 1080).squareRoot(),
      bound: 5 / 3 * (6.0 / 1080).squareRoot()),
  ]

  @Test(arguments: rows.indices)
  func moments(_ index: Int) {
    let row = Self.rows[index]
    var source = RandomSource(seed: 20)
    let values = row.initializer.tensor(Self.shape, using: &source).elements.map(Double.init)
    let n = Double(values.count)
    let mean = values.reduce(0, +) / n
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    // Five standard errors: of the mean σ/√n, of the deviation σ/√(2n) at most.
    #expect(abs(mean) <= 5 * row.deviation / n.squareRoot())
    #expect(abs(variance.squareRoot() / row.deviation - 1) <= 5 / (2 * n).squareRoot())
    let largest = values.map(abs).max()!
    if let bound = row.bound {
      #expect(largest <= bound)
      #expect(largest >= 0.999 * bound)
    } else {
      #expect(largest >= 3.5 * row.deviation)
    }
  }

  @Test func gains() {
    #expect(Gain.linear.value == 1)
    #expect(Gain.relu.value == 2.0.squareRoot())
    #expect(Gain.tanh.value == 5.0 / 3)
    #expect(Gain.leakyReLU(slope: 1).value == 1)
    #expect(Gain.leakyReLU().value == (2 / 1.0001).squareRoot())
  }

  @Test func fans() {
    #expect(Fan.input.count(of: Self.shape) == 216)
    #expect(Fan.output.count(of: Self.shape) == 864)
    #expect(Fan.input.count(of: [7, 5]) == 5)
    #expect(Fan.output.count(of: [7, 5]) == 7)
  }

  @Test func theSeedDecides() {
    func weights(_ seed: UInt64) -> [String: Tensor] {
      var source = RandomSource(seed: seed)
      return DigitsResNet(blocksPerStage: 1, using: &source).weights
    }
    #expect(weights(3) == weights(3))
    #expect(weights(3)["conv1.weight"] != weights(4)["conv1.weight"])
  }

  @Test func layersUseTheirInitializer() {
    var source = RandomSource(seed: 1)
    let constant = ConstantInitializer(0.5)
    let conv = Conv2d(2, 3, kernel: 3, initializer: constant, using: &source)
    #expect(conv.weight.value == Tensor(repeating: 0.5, shape: [3, 3, 3, 2]))
    let linear = Linear(16, 400, initializer: constant, using: &source)
    #expect(linear.weight.value == Tensor(repeating: 0.5, shape: [400, 16]))
    let bias = linear.bias!.value.elements.map(abs).max()!
    #expect(bias <= 0.25 && bias >= 0.24)
    let norm = BatchNorm(2)
    #expect(norm.scale?.value.elements == [1, 1] && norm.shift?.value.elements == [0, 0])
    #expect(norm.runningMean?.value.elements == [0, 0])
    #expect(norm.runningVariance?.value.elements == [1, 1])
  }
}
