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
    /// an input with positions. Of branches that meet it is the larger.
    public var receptiveField: ReceptiveField?
    /// Whether the result has positions of its own: where it has none, as behind global pooling, the
    /// field has no jump.
    public var hasPositions: Bool
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
      let field = fields.follow(node)
      rows.append(
        Row(
          path: node.label, operation: node.primitive.name,
          outputShape: shapes[node.outputs[0].index],
          parameters: node.inputs.reduce(0) { $0 + (unused.removeValue(forKey: $1) ?? 0) },
          multiplyAdds: count, receptiveField: field?.field,
          hasPositions: field?.hasPositions ?? false))
    }
    self.rows = rows
    multiplyAdds = total
  }
}

extension Primitive {
  /// The multiply-adds for operands of these shapes; nil where they are 2⁶³ or more.
  fileprivate func multiplyAdds(_ inputs: [Shape]) -> Int? {
    switch self {
    case .convolution(let geometry, _), .convolutionInputGradient(let geometry),
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
  struct Entry {
    var field: ReceptiveField
    /// Whether the value has positions, and not one vector for each sample.
    var hasPositions = true
  }

  private let shapes: [Shape]
  private var entries: [ValueID: Entry] = [:]

  init(_ graph: Graph, _ shapes: [Shape]) {
    self.shapes = shapes
    for input in graph.inputs {
      let axisCount = shapes[input.value.index].rank - 2
      if (1...3).contains(axisCount) {
        entries[input.value] = Entry(field: ReceptiveField(axisCount: axisCount))
      }
    }
  }

  /// Takes a node's operands to its results.
  mutating func follow(_ node: Node) -> Entry? {
    let entry = result(node)
    for output in node.outputs { entries[output] = entry }
    return entry
  }

  private func result(_ node: Node) -> Entry? {
    let operands = node.inputs.compactMap { entries[$0] }
    guard let first = operands.first else { return nil }
    switch node.primitive {
    case .convolution(let geometry, let epilogue):
      let convolved = first.through(geometry)
      return epilogue.hasResidual ? convolved.joined(with: operands.dropFirst()) : convolved
    case .pooling(let geometry): return first.through(geometry)
    default:
      let joined = first.joined(with: operands.dropFirst())
      return joined.reduced(
        from: shapes[node.inputs[0].index], to: shapes[node.outputs[0].index])
    }
  }
}

extension FieldTable.Entry {
  fileprivate func through(_ geometry: some SpatialGeometry) -> Self {
    geometry.axes.count == field.axes.count ? Self(field: field.through(geometry)) : self
  }

  /// The larger of the fields of operands; one has positions if any does.
  fileprivate func joined(with others: ArraySlice<Self>) -> Self {
    others.reduce(self) { result, other in
      guard other.field.axes.count == result.field.axes.count else { return result }
      return Self(
        field: result.field.joined(with: other.field),
        hasPositions: result.hasPositions || other.hasPositions)
    }
  }

  /// Of something that makes vectors from positions, as global pooling and flattening do: all of them.
  fileprivate func reduced(from input: Shape, to output: Shape) -> Self {
    guard hasPositions, output.rank <= 2, input.rank == field.axes.count + 2 else { return self }
    return Self(
      field: field.throughAll(Array(input.extents.dropFirst().dropLast())), hasPositions: false)
  }
}
