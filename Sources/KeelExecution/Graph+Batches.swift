public import KeelGraph
public import KeelTensor

extension Graph {
  /// Runs the graph on any number of samples, a batch at a time, and joins one output.
  ///
  /// A sample's result is the same for every batch size up to rounding, not bit for bit: kernels choose
  /// the order of their sums by the batch.
  ///
  /// - Parameters:
  ///   - samples: N×…; the graph's one input gets them in batches.
  ///   - output: the name of an output whose first extent is the batch.
  ///   - batchSize: the samples of a run; the last may have fewer.
  /// - Throws: `KeelError` for a graph of several inputs, no sample, or shapes that do not fit.
  public func run(
    inBatches samples: Tensor, output: String = "y", batchSize: Int = 64,
    options: PlanOptions = PlanOptions()
  ) throws(KeelError) -> Tensor {
    guard inputs.count == 1, samples.shape.rank >= 1, samples.shape[0] >= 1, batchSize >= 1 else {
      throw KeelError(
        .shape, at: "run in batches",
        expected: "one input, a sample and a batch size of at least 1",
        found: "\(inputs.count) inputs, samples \(samples.shape), batch size \(batchSize)")
    }
    let total = samples.shape[0]
    let sampleCount = samples.count / total
    var rows: [Float] = []
    var rowShape: [Int] = []
    var plans: [Int: (plan: Plan, workspace: Workspace)] = [:]
    for first in stride(from: 0, to: total, by: batchSize) {
      let count = min(batchSize, total - first)
      let shape = Shape([count] + samples.shape.extents.dropFirst())
      if plans[count] == nil {
        let plan = try Plan(self, inputShapes: [inputs[0].name: shape], options: options)
        plans[count] = (plan, plan.makeWorkspace())
      }
      let (plan, workspace) = plans[count]!
      let batch = samples.withSpan { from in
        Tensor(uninitialized: shape) { to in
          for i in to.indices { to[i] = from[first * sampleCount + i] }
        }
      }
      try workspace.setInput(inputs[0].name, .float32(batch))
      try plan.run(workspace)
      let result = try workspace.output(output).floats(at: "output \(output)")
      guard result.shape.rank >= 1, result.shape[0] == count else {
        throw KeelError(
          .shape, at: "output \(output)", expected: "a first extent of \(count), the batch",
          found: "\(result.shape)")
      }
      rowShape = Array(result.shape.extents.dropFirst())
      rows += result.elements
    }
    return try Tensor(rows, shape: Shape([total] + rowShape))
  }
}
