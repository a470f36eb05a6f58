import KeelTensor

/// What a graph is made of: for each operation its output's shape, parameters, multiply-adds and receptive
/// field, and the sums.
///
/// Multiply-adds are those of matrix products: convolutions (padding counted), transposed convolutions,
/// linear layers and the gradients of all three; biases, norms, activations and pooling count nothing. That
/// is half of what PyTorch's `FlopCounterMode` counts.
public struct GraphSummary: Hashable, Sendable {
  /// One operation.
  public struct Row: Hashable, Sendable {
    /// The path of the layer that it comes from, or where it stands.
    public var path: String
    /// The operation's name.
    public var operation: String
    /// The shape of its first result.
    public var outputShape: Shape
    /// The trainable values that it is the first to use.
    public var parameters: Int
    /// The multiply-adds of a run.
    public var multiplyAdds: Int
    /// The part of the input that a position of the result sees; nil where the result does not depend on
    /// an input with positions. Of branches that meet it is the larger; behind global pooling and
    /// flattening it is what all positions see, and the jump is 0.
    public var receptiveField: ReceptiveField?
  }

  /// The operations in the order in which they run, without those that only update running statistics.
  public let rows: [Row]
  /// The trainable values of the graph.
  public let parameters: Int
  /// The values that training does not change by gradients: running statistics.
  public let stateCount: Int
  /// The multiply-adds of a run.
  public let multiplyAdds: Int

  /// Sums up a graph.
  /// - Parameter inputShapes: the shape of every input, which gives open extents their values.
  /// - Throws: `KeelError` for shapes that do not fit, of kind `argument` for 2⁶³ multiply-adds and more.
  public init(_ graph: Graph, inputShapes: [String: Shape]) throws(KeelError) {
    let symbols = try graph.bindSymbols(inputShapes: inputShapes)
    var shapes: [Shape] = []
    for type in graph.types { shapes.append(try type.shape(binding: symbols)) }
    var fields = FieldTable(graph, shapes)
    var unused: [ValueID: Int] = [:]
    for weight in graph.weights where weight.role == .trainable {
      unused[weight.value] = weight.tensor.count
    }
    parameters = unused.values.reduce(0, +)
    stateCount = graph.weights.reduce(0) { $0 + ($1.role == .state ? $1.tensor.count : 0) }
    var rows: [Row] = []
    var total = 0
    for node in graph.nodes {
      if case .runningStatistics = node.primitive { continue }
      let count = node.primitive.multiplyAdds(node.inputs.map { shapes[$0.index] })
      let (sum, overflows) = total.addingReportingOverflow(count ?? 0)
      guard let count, !overflows else {
        throw KeelError(
          .argument, at: node.label, expected: "fewer than 2⁶³ multiply-adds", found: "more")
      }
      total = sum
      rows.append(
        Row(
          path: node.label, operation: node.primitive.name,
          outputShape: shapes[node.outputs[0].index],
          parameters: node.inputs.reduce(0) { $0 + (unused.removeValue(forKey: $1) ?? 0) },
          multiplyAdds: count, receptiveField: fields.follow(node)))
    }
    self.rows = rows
    multiplyAdds = total
  }
}

extension Primitive {
  /// The multiply-adds for operands of these shapes; nil where they are 2⁶³ or more.
  fileprivate func multiplyAdds(_ inputs: [Shape]) -> Int? {
    switch self {
    case .convolution(let geometry, _), .convolutionWithMoments(let geometry, _),
      .transposedConvolution(let geometry, _),
      .convolutionWeightGradient(let geometry):
      Self.product([
        inputs[0][0], geometry.outputChannels, geometry.outputPositions, geometry.reductionLength,
      ])
    case .linear, .linearInputGradient:
      Self.product(inputs[0].extents.dropLast() + inputs[1].extents)
    case .linearWeightGradient: Self.product(inputs[0].extents + [inputs[1].channelCount])
    default: 0
    }
  }

  private static func product(_ factors: [Int]) -> Int? {
    var result = 1
    for factor in factors {
      let (product, overflows) = result.multipliedReportingOverflow(by: factor)
      if overflows { return nil }
      result = product
    }
    return result
  }
}

/// The receptive field of each value so far.
private struct FieldTable {
  private let shapes: [Shape]
  private var fields: [ValueID: ReceptiveField] = [:]

  init(_ graph: Graph, _ shapes: [Shape]) {
    self.shapes = shapes
    for input in graph.inputs {
      let axisCount = shapes[input.value.index].rank - 2
      if (1...3).contains(axisCount) { fields[input.value] = ReceptiveField(axisCount: axisCount) }
    }
  }

  /// Takes a node's operands to its results.
  mutating func follow(_ node: Node) -> ReceptiveField? {
    let field = result(node)
    for output in node.outputs { fields[output] = field }
    return field
  }

  private func result(_ node: Node) -> ReceptiveField? {
    var operands = node.inputs.compactMap { fields[$0] }
    guard let x = operands.first else { return nil }
    switch node.primitive {
    case .convolution(let geometry, _), .convolutionWithMoments(let geometry, _):
      operands[0] = x.through(geometry)
    case .transposedConvolution(let geometry, _): operands[0] = x.throughTransposed(geometry)
    case .pooling(let geometry), .maxPoolingWithIndices(let geometry):
      guard let pooled = x.through(geometry) else { return nil }
      operands[0] = pooled
    case .movement(let movement):
      let extents = shapes[node.inputs[0].index].extents
      guard extents.count == x.axes.count + 2 else { return nil }
      operands[0] = x.moved(
        Array(movement.axes.dropFirst().dropLast()), extents: Array(extents.dropFirst().dropLast()))
    case .reduction(let reduction):
      let spatial = Set(1...x.axes.count)
      operands[0] = spatial.isSubset(of: reduction.axes) ? throughAll(x, node) : x
    case .reshape, .transpose:
      let (before, after) = (shapes[node.inputs[0].index], shapes[node.outputs[0].index])
      if after.rank <= 2 { return throughAll(x, node) }
      // Axes that change places or meaning have no field that could be told.
      return before == after ? x : nil
    default: break
    }
    return operands.dropFirst().reduce(operands[0]) { field, other in
      other.axes.count == field.axes.count ? field.joined(with: other) : field
    }
  }

  /// Of what is made from all positions of a node's first operand, as by flattening it.
  private func throughAll(_ field: ReceptiveField, _ node: Node) -> ReceptiveField {
    let input = shapes[node.inputs[0].index]
    guard input.rank == field.axes.count + 2 else { return field }
    return field.throughAll(Array(input.extents.dropFirst().dropLast()))
  }
}
