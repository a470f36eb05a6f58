import Keel

/// How long each step of a plan takes.
struct LayerTiming: Encodable {
  struct Layer: Encodable {
    let operation: String
    let layer: String
    /// Where there are several.
    let algorithm: String?
    let medianMs: Double
  }

  let layers: [Layer]

  /// Times the steps of runs from the first to the last, one clock reading between two of them.
  /// - Parameter runs: so many runs count; one before them does not.
  init(_ plan: Plan, _ workspace: Workspace, runs: Int) throws {
    let clock = ContinuousClock()
    var times = [[Double]](repeating: [], count: plan.stepCount)
    for run in 0...runs {
      var last = clock.now
      for step in 0..<plan.stepCount {
        try plan.runStep(step, workspace)
        let now = clock.now
        if run > 0 { times[step].append((now - last).seconds) }
        last = now
      }
    }
    layers = (0..<plan.stepCount).map { step in
      let node = plan.stepNode(step)
      return Layer(
        operation: plan.stepOperation(step), layer: node.label, algorithm: plan.stepAlgorithm(step),
        medianMs: median(times[step]) * 1000)
    }
  }

  /// A table with each step's share of the whole.
  var lines: [String] {
    var table = TextTable([
      ("layer", .left), ("operation", .left), ("algorithm", .left), ("ms", .right), ("%", .right),
    ])
    let whole = layers.reduce(0) { $0 + $1.medianMs }
    for layer in layers {
      table.append([
        layer.layer, layer.operation, layer.algorithm ?? "", milliseconds(layer.medianMs),
        fixed(100 * layer.medianMs / whole, 1),
      ])
    }
    return table.lines
  }
}
