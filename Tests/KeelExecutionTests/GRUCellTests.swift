import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A gated recurrent cell over a sequence.
@Suite struct GRUCellTests {
  private struct Net: Sendable {
    let cell: GRUCell

    init(bias: Bool = true) {
      var source = RandomSource(seed: 21)
      cell = GRUCell(2, 3, bias: bias, using: &source)
    }

    /// Input `x` N×L×2; output `y`, the last state.
    func traced(length: Int) throws -> Graph {
      let trace = Trace(model: self, mode: .training)
      let states = trace.input("x", ValueType([2, .fixed(length), 2])).unrolled { cell($0, $1) }
      trace.output("y", states.last!)
      return try trace.finish()
    }
  }

  @Test(arguments: [true, false])
  func gradientsThroughTime(bias: Bool) throws {
    let graph = try Net(bias: bias).traced(length: 3)
    #expect(graph.weights.count == (bias ? 4 : 2))
    var source = TensorSource(seed: 22)
    try expectGradients(
      in: graph, withRespectTo: graph.weights.map(\.name) + ["x"],
      inputs: ["x": .real(DoubleTensor(widening: source.normal([2, 3, 2])))], seed: 23)
  }

  /// Every step by the formula, in Double.
  @Test func equalsItsFormula() throws {
    let net = Net()
    let graph = try net.traced(length: 4)
    var source = TensorSource(seed: 24)
    let x = source.normal([2, 4, 2])
    let y = try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(widening: x))]).outputs["y"]!
    func value(_ parameter: Parameter, _ index: Int) -> Double {
      Double(parameter.value[flat: index])
    }
    for n in 0..<2 {
      var h = [0.0, 0, 0]
      for step in 0..<4 {
        func gate(_ weight: Parameter, _ bias: Parameter, _ row: Int, _ v: [Double]) -> Double {
          v.indices.reduce(value(bias, row)) { $0 + value(weight, row * v.count + $1) * v[$1] }
        }
        let input = [Double(x[flat: (n * 4 + step) * 2]), Double(x[flat: (n * 4 + step) * 2 + 1])]
        h = (0..<3).map { i in
          func i_(_ row: Int) -> Double { gate(net.cell.weightIH, net.cell.biasIH!, row, input) }
          func h_(_ row: Int) -> Double { gate(net.cell.weightHH, net.cell.biasHH!, row, h) }
          let r = 1 / (1 + exponential(-(i_(i) + h_(i))))
          let z = 1 / (1 + exponential(-(i_(3 + i) + h_(3 + i))))
          let e = exponential(2 * (i_(6 + i) + r * h_(6 + i)))
          let proposed = (e - 1) / (e + 1)
          return (1 - z) * proposed + z * h[i]
        }
      }
      for i in 0..<3 { #expect(abs(y[flat: n * 3 + i] - h[i]) <= 1e-12) }
    }
  }

  /// e^x by its series: the tests of this target link no mathematics.
  private func exponential(_ x: Double) -> Double {
    let small = x / 64
    var (sum, term) = (1.0, 1.0)
    for k in 1...18 {
      term *= small / Double(k)
      sum += term
    }
    for _ in 0..<6 { sum *= sum }
    return sum
  }

  /// An open length cannot be unrolled.
  @Test func unknownLength() throws {
    let net = Net()
    let trace = Trace(model: net, mode: .training)
    let x = trace.input("x", ValueType([2, .symbol("length"), 2]))
    #expect(x.unrolled { net.cell($0, $1) }.isEmpty)
    let error = #expect(throws: KeelError.self) { _ = try trace.finish() }
    #expect(
      error?.description
        == "shape error at sequence after the input: expected N×L×C of known L, C, "
        + "found float32 2×length×2")
  }
}
