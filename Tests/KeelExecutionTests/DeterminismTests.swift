import KeelExecution
import KeelGraph
import KeelKernels
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// Class determinism: the number of threads changes no bit.
@Suite struct DeterminismTests {
  /// A residual network on images large enough for every pass to be worth several threads.
  private func graph() throws -> (graph: Graph, inputs: [String: TensorValue]) {
    var source = RandomSource(seed: 41)
    let model = DigitsResNet(
      widths: [24, 40], blocksPerStage: 1, classes: 10, inputChannels: 3, using: &source)
    let graph = try Graph.trainingGraph(of: model, input: [.batch, 32, 32, 3])
    return (graph, try graph.randomInputs(seed: 42, batch: 48))
  }

  @Test func trainingGraph() throws {
    let (graph, inputs) = try graph()
    for isFused in [false, true] {
      let training = try (isFused ? graph.fused().graph : graph).differentiated()
      let first = try Interpreter(training, parallelism: .serial).run(inputs)
      #expect(first.outputs.count > 20 && first.updates.count == 18)
      for threads in [1, 2, 3] {
        let plan = try Plan(
          training, inputShapes: inputs.mapValues(\.shape),
          options: PlanOptions(threads: threads, weights: .variable))
        let workspace = plan.makeWorkspace()
        for (name, value) in inputs { try workspace.setInput(name, value) }
        try plan.run(workspace)
        for (name, value) in first.outputs {
          #expect(
            try workspace.output(name).bits == value.bits, "\(name), \(threads) threads")
        }
        for (name, value) in first.updates {
          #expect(
            TensorValue.float32(try workspace.weight(name)).bits
              == TensorValue.float32(value).bits, "update of \(name), \(threads) threads")
        }
      }
    }
  }

  @Test func foldedGraph() throws {
    let (graph, inputs) = try graph()
    let folded = try graph.inferenceForm().folded().graph
    let shapes = inputs.mapValues(\.shape)
    for exact in [false, true] {
      let first =
        exact
        ? try Interpreter(folded, parallelism: .serial).run(inputs).outputs
        : try Plan(folded, inputShapes: shapes, options: PlanOptions(threads: 1))(inputs)
      for threads in [1, 2, 3] {
        let plan = try Plan(
          folded, inputShapes: shapes, options: PlanOptions(threads: threads, exact: exact))
        expectSameBits(try plan(inputs), first, "\(threads) threads, exact: \(exact)")
      }
    }
  }
}
