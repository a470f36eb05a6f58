import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A recurrent cell unrolled over the steps of a sequence.
@Suite struct RecurrentTests {
  private struct Net: Sendable {
    let cell: RNNCell
    let head: Linear

    init(hidden: Int, bias: Bool = true) {
      var source = RandomSource(seed: 11)
      cell = RNNCell(2, hidden, bias: bias, using: &source)
      head = Linear(hidden, 2, using: &source)
    }

    /// Inputs `x0`, `x1`, …, each N×2; output `y`.
    func traced(steps: Int, batch: Extent, labelled: Bool) throws -> Graph {
      let trace = Trace(model: self, mode: .training)
      var state: Variable?
      for step in 0..<steps {
        state = cell(trace.input("x\(step)", ValueType([batch, 2])), state)
      }
      let y = head(state!)
      trace.output("y", y)
      if labelled {
        let labels = trace.input("labels", ValueType(.int64, [batch]))
        trace.output("loss", y.crossEntropy(labels: labels))
      }
      return try trace.finish()
    }
  }

  @Test(arguments: [true, false])
  func gradientsThroughTime(bias: Bool) throws {
    let graph = try Net(hidden: 3, bias: bias).traced(steps: 4, batch: 2, labelled: false)
    #expect(graph.weights.count == (bias ? 6 : 4))
    var source = TensorSource(seed: 12)
    var inputs: [String: ReferenceValue] = [:]
    for input in graph.inputs {
      inputs[input.name] = .real(DoubleTensor(widening: source.normal([2, 2])))
    }
    try expectGradients(
      in: graph, withRespectTo: graph.weights.map(\.name) + graph.inputs.map(\.name),
      inputs: inputs, seed: 13)
  }

  @Test func itRemembersTheFirstStep() throws {
    // The label is the sign of the first step's first number; five steps of noise follow.
    let (steps, batch) = (6, 64)
    let graph = try Net(hidden: 8).traced(steps: steps, batch: .batch, labelled: true)
    let training = try graph.fused().graph.differentiated()
    var shapes: [String: Shape] = ["labels": [batch]]
    for step in 0..<steps { shapes["x\(step)"] = [batch, 2] }
    let plan = try Plan(
      training, inputShapes: shapes, options: PlanOptions(weights: .variable))
    let workspace = plan.makeWorkspace()
    var source = TensorSource(seed: 14)
    var losses: [Float] = []
    for iteration in 0..<400 {
      for step in 0..<steps {
        let x = source.normal([batch, 2], deviation: step == 0 ? 1 : 0.2)
        try workspace.setInput("x\(step)", .float32(x))
        guard step == 0 else { continue }
        let labels = IndexTensor(uninitialized: [batch]) { out in
          for n in out.indices { out[n] = x[flat: 2 * n] > 0 ? 1 : 0 }
        }
        try workspace.setInput("labels", .int64(labels))
      }
      try plan.run(workspace)
      losses.append(try workspace.output("loss").floats(at: "loss")[flat: 0])
      for name in training.weights.map(\.name) {
        var weight = try workspace.weight(name)
        let gradient = try workspace.output(Graph.gradientName(name)).floats(at: name)
        for i in 0..<weight.count { weight[flat: i] -= 0.3 * gradient[flat: i] }
        try workspace.setWeight(name, weight)
      }
      if iteration == 0 { #expect(losses[0] > 0.5) }
    }
    let last = losses.suffix(20).reduce(0, +) / 20
    #expect(last < 0.25, "loss \(losses[0]) to \(last)")
  }

  @Test func sizesAreChecked() throws {
    let net = Net(hidden: 3)
    let trace = Trace(model: net, mode: .inference)
    trace.output("y", net.cell(trace.input("x", ValueType([.batch, 5]))))
    let error = #expect(throws: KeelError.self) { try trace.finish() }
    #expect(error?.kind == .shape && error?.place == "cell")
    let other = Trace(model: net, mode: .inference)
    let x = other.input("x", ValueType([.batch, 2]))
    other.output("y", net.cell(x, other.input("h", ValueType([1, 3]))))
    let state = #expect(throws: KeelError.self) { try other.finish() }
    #expect(state?.kind == .shape && state?.found == "float32 1×3")
  }
}
