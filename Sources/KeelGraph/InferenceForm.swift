import KeelTensor

/// A graph on the way to its inference form: moments that running statistics follow give way to those.
internal struct InferenceForm {
  var editor: GraphEditor
  private let graph: Graph
  /// The running mean and variance by each table of moments on the way to them.
  private var running: [ValueID: (mean: ValueID, variance: ValueID)] = [:]
  private var producers: [ValueID: Int] = [:]

  init(_ graph: Graph) {
    self.graph = graph
    editor = GraphEditor(graph)
    for (i, node) in graph.nodes.enumerated() {
      for output in node.outputs { producers[output] = i }
    }
    for node in graph.nodes {
      guard case .runningStatistics = node.primitive else { continue }
      follow(node.inputs[0], (stored(node.inputs[1], 0), stored(node.inputs[2], 1)))
    }
  }

  /// The weight behind running statistics that several nodes update one after another.
  private func stored(_ value: ValueID, _ result: Int) -> ValueID {
    var value = value
    while let i = producers[value], case .runningStatistics = graph.nodes[i].primitive {
      value = graph.nodes[i].inputs[1 + result]
    }
    return value
  }

  /// Notes every table from the one that running statistics take back to the norms and moments that it is
  /// made from.
  private mutating func follow(_ value: ValueID, _ statistics: (mean: ValueID, variance: ValueID)) {
    guard running[value] == nil else { return }
    running[value] = statistics
    guard let i = producers[value] else { return }
    switch graph.nodes[i].primitive {
    case .normalization, .moments: break
    default: for input in graph.nodes[i].inputs { follow(input, statistics) }
    }
  }

  mutating func useRunningStatistics() throws(KeelError) {
    editor.updates = []
    keepState()
    for (i, node) in graph.nodes.enumerated() {
      switch node.primitive {
      case .runningComoments(_, let hasCovariance):
        replaceComoments(of: node, hasCovariance: hasCovariance, at: i)
      case .movingAverage: replace(node.inputs[0], by: weight(behind: node.inputs[1]))
      default: break
      }
    }
    for (i, node) in graph.nodes.enumerated() {
      switch node.primitive {
      case .normalization(let normalization): try replaceStatistics(of: normalization, at: i)
      case .mixedMoments: replaceOperands(at: i)
      default: break
      }
    }
  }

  /// Has what takes the new value of a weight take the weight.
  private mutating func keepState() {
    var weights: [ValueID: ValueID] = [:]
    for update in graph.updates {
      weights[update.value] = graph.weight(named: update.weight)!.value
    }
    for i in editor.nodes.indices {
      editor.nodes[i]!.inputs = editor.nodes[i]!.inputs.map { weights[$0] ?? $0 }
    }
    editor.outputs = editor.outputs.map {
      .init(name: $0.name, value: weights[$0.value] ?? $0.value)
    }
  }

  /// The weight that an average starts from, several nodes before where several update it.
  private func weight(behind value: ValueID) -> ValueID {
    var value = value
    while let i = producers[value] {
      let node = graph.nodes[i]
      switch node.primitive {
      case .movingAverage: value = node.inputs[1]
      case .runningComoments: value = node.inputs[1 + node.outputs.firstIndex(of: value)!]
      default: return value
      }
    }
    return value
  }

  /// Has everything that takes a value take another one, but for what makes averages of it.
  private mutating func replace(_ value: ValueID, by other: ValueID) {
    for i in editor.nodes.indices {
      guard let node = editor.nodes[i] else { continue }
      switch node.primitive {
      case .movingAverage, .runningComoments: continue
      default: editor.nodes[i]!.inputs = node.inputs.map { $0 == value ? other : $0 }
      }
    }
    editor.outputs = editor.outputs.map {
      .init(name: $0.name, value: $0.value == value ? other : $0.value)
    }
  }

  /// Puts running means and covariances, as co-moments, in the place of a batch's. Without a covariance the
  /// products are 0: the matrix made from them is an average, too.
  private mutating func replaceComoments(of node: Node, hasCovariance: Bool, at i: Int) {
    let mean = weight(behind: node.inputs[1])
    let channels = editor.type(of: mean).extents[0]
    let rows = editor.type(of: node.inputs[0]).extents[0].fixedValue!
    let size = (rows - ComomentsLayout.products) / 2
    func append(_ primitive: Primitive, _ inputs: [ValueID], _ rows: Int) -> ValueID {
      let output = editor.addValue(ValueType([.fixed(rows), channels]))
      editor.nodes.append(
        Node(primitive: primitive, inputs: inputs, outputs: [output], label: node.label))
      return output
    }
    func constant(_ value: Float, _ rows: Int) -> ValueID {
      append(.fill(value, [.fixed(rows), channels]), [], rows)
    }
    let count = ComomentsLayout.countOfGiven
    let products =
      hasCovariance
      ? append(
        .arithmetic(.multiply), [weight(behind: node.inputs[2]), constant(count, size)], size)
      : constant(0, size)
    let parts = [
      constant(count, 1), append(.reshape([.fixed(1), channels]), [mean], 1), constant(0, 1),
      products, constant(0, size),
    ]
    replace(node.inputs[0], by: append(.concatenation(axis: 0), parts, rows))
  }

  private mutating func replaceStatistics(of normalization: Normalization, at i: Int)
    throws(KeelError)
  {
    let node = editor.nodes[i]!
    let at = NormalizationOperands(normalization)
    let moments: ValueID
    switch normalization.statistics {
    case .current: moments = node.outputs[1]
    case .moments: moments = node.inputs[at.moments!]
    case .given: return
    }
    guard let statistics = running[moments] else { return }
    // Running statistics of other cells than the norm's are those of all samples together.
    let cells = editor.type(of: statistics.mean).extents
    let isSame = cells == Array(editor.type(of: moments).extents.dropFirst())
    let partition =
      isSame
      ? normalization.partition
      : Partition(rows: .all, channels: normalization.partition.channels)
    let given = try Normalization(
      partition: partition, statistics: .given, operation: normalization.operation,
      recovery: normalization.recovery, epilogue: normalization.epilogue, place: node.label)
    var inputs = node.inputs
    if let index = at.moments { inputs.remove(at: index) }
    if let index = at.labels, !partition.hasLabels { inputs.remove(at: index) }
    inputs.insert(
      contentsOf: [statistics.mean, statistics.variance],
      at: NormalizationOperands(given).mean!)
    editor.nodes[i] = Node(
      primitive: .normalization(given), inputs: inputs, outputs: [node.outputs[0]],
      label: node.label)
  }

  /// Puts running statistics, as moments, in place of the tables of a mixture that they follow. A mixture
  /// that running statistics themselves are made from goes with them.
  private mutating func replaceOperands(at i: Int) {
    guard running[graph.nodes[i].outputs[0]] == nil else { return }
    for (k, operand) in graph.nodes[i].inputs.enumerated() {
      guard let statistics = running[operand] else { continue }
      editor.nodes[i]!.inputs[k] = table(statistics, label: graph.nodes[i].label)
    }
  }

  private mutating func table(
    _ statistics: (mean: ValueID, variance: ValueID), label: String
  ) -> ValueID {
    let row = ValueType([1] + editor.type(of: statistics.mean).extents)
    func append(_ primitive: Primitive, _ inputs: [ValueID], _ type: ValueType) -> ValueID {
      let output = editor.addValue(type)
      editor.nodes.append(
        Node(primitive: primitive, inputs: inputs, outputs: [output], label: label))
      return output
    }
    let rows = [
      append(.fill(1, row.extents), [], row), append(.reshape(row.extents), [statistics.mean], row),
      append(.fill(0, row.extents), [], row),
      append(.reshape(row.extents), [statistics.variance], row),
    ]
    return append(
      .concatenation(axis: 0), rows,
      ValueType([.fixed(MomentsLayout.rows)] + row.extents.dropFirst()))
  }
}
