import Foundation
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// Class golden: fans, gains, deviations and bounds against PyTorch; class identity: what the rest is for.
@Suite struct InitializerFigureTests {
  struct Figures: Decodable, Sendable {
    struct Fans: Decodable, Sendable {
      let shape: [Int]
      let `in`: Int
      let out: Int
      let kaimingNormal: Double
      let kaimingNormalOut: Double
      let kaimingUniform: Double
      let standard: Double
      let xavierNormal: Double
      let xavierUniform: Double
    }
    let gains: [String: Double]
    let fans: [Fans]
    let truncated: [String: Double]
  }
  static let figures = try! JSONDecoder().decode(
    Figures.self, from: KeelTestSupport.Figures.data("training.json"))

  @Test func gains() throws {
    let gains: [String: Gain] = [
      "linear": .linear, "conv2d": .linear, "sigmoid": .linear, "tanh": .tanh, "relu": .relu,
      "leaky_relu": .leakyReLU(), "leaky_relu 0.2": .leakyReLU(slope: 0.2), "selu": .selu,
    ]
    #expect(Set(gains.keys) == Set(Self.figures.gains.keys))
    for (name, value) in Self.figures.gains {
      #expect(abs(try #require(gains[name]).value - value) <= 1e-12, "\(name)")
    }
  }

  @Test(arguments: figures.fans.indices)
  func fans(index: Int) {
    let figure = Self.figures.fans[index]
    // Channels last: Cout×kH×kW×(Cin/G).
    let shape = Shape([figure.shape[0]] + figure.shape.dropFirst(2) + [figure.shape[1]])
    #expect(Fan.input.count(of: shape) == figure.in)
    #expect(Fan.output.count(of: shape) == figure.out)
    expectClose(
      [
        KaimingNormal().deviation(of: shape), KaimingNormal(fan: .output).deviation(of: shape),
        KaimingUniform().bound(of: shape), KaimingUniform.standard.bound(of: shape),
        XavierNormal().deviation(of: shape), XavierUniform(gain: .tanh).bound(of: shape),
      ],
      [
        figure.kaimingNormal, figure.kaimingNormalOut, figure.kaimingUniform, figure.standard,
        figure.xavierNormal, figure.xavierUniform,
      ], within: 1e-12, "\(shape)")
  }

  @Test func truncatedNormal() throws {
    var source = RandomSource(seed: 31)
    for (initializer, mean, deviation) in [
      (
        TruncatedNormal(mean: 0.5, deviation: 2, from: -1, to: 2),
        Self.figures.truncated["mean"]!, Self.figures.truncated["deviation"]!
      ),
      (TruncatedNormal(), 0, 0.8796256610342398),
      // Far out, where drawing normal numbers would not end: φ(a)/(1 − Φ(a)) for a = 5.
      (TruncatedNormal(from: 5, to: 12), 5.186504, 0.1796),
    ] {
      let values = initializer.tensor([200_000], using: &source).elements.map(Double.init)
      let average = values.reduce(0, +) / Double(values.count)
      let square = values.reduce(0) { $0 + ($1 - average) * ($1 - average) } / Double(values.count)
      #expect(values.allSatisfy { $0 >= initializer.low && $0 <= initializer.high })
      #expect(abs(average - mean) <= 0.01)
      #expect(abs(square.squareRoot() - deviation) <= 0.005)
    }
  }

  @Test(arguments: [[8, 3, 3, 4], [40, 30], [20, 20], [1, 7], [7, 1]] as [Shape])
  func orthogonal(shape: Shape) {
    var source = RandomSource(seed: 32)
    let weight = Orthogonal(gain: .relu).tensor(shape, using: &source).elements.map(Double.init)
    let (rows, columns) = (shape[0], shape.elementCount / shape[0])
    let isWide = rows <= columns
    func vector(_ i: Int) -> [Double] {
      (0..<max(rows, columns)).map { weight[isWide ? i * columns + $0 : $0 * columns + i] }
    }
    for i in 0..<min(rows, columns) {
      for j in 0...i {
        let product = zip(vector(i), vector(j)).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(product - (i == j ? 2 : 0)) <= 1e-6)
      }
    }
  }

  @Test func identity() {
    var source = RandomSource(seed: 33)
    #expect(Identity().tensor([2, 3], using: &source).elements == [1, 0, 0, 0, 1, 0])
    let weight = Identity(groups: 2).tensor([4, 3, 2, 3], using: &source)
    for o in 0..<4 {
      for h in 0..<3 {
        for w in 0..<2 {
          for i in 0..<3 {
            #expect(weight[o, h, w, i] == (h == 1 && w == 1 && i == o % 2 ? 1 : 0))
          }
        }
      }
    }
  }
}
