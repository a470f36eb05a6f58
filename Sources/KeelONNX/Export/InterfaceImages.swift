import KeelGraph
import KeelTensor

/// Which values of a graph are images, N×…×C: what an operation that counts on channels in the last place takes or
/// makes, and what operations that leave every axis in its place join with such a value.
struct InterfaceImages {
  /// Each value's neighbour on the way to the one that stands for its class.
  private var parents: [Int]
  private var images: Set<Int> = []

  init(_ graph: Graph) {
    parents = Array(graph.types.indices)
    var marked: [ValueID] = []
    for node in graph.nodes {
      let inPlace = Self.inPlace(node, graph)
      for value in inPlace.dropFirst() { join(value, inPlace[0]) }
      if Self.takesChannels(node, graph) { marked.append(node.outputs[0]) }
      if Self.takesChannels(node, graph), let x = node.inputs.first { marked.append(x) }
    }
    for value in marked where graph.type(of: value).rank >= 3 { images.insert(root(value.index)) }
  }

  func contains(_ value: ValueID) -> Bool { images.contains(root(value.index)) }

  private func root(_ index: Int) -> Int {
    var index = index
    while parents[index] != index { index = parents[index] }
    return index
  }

  private mutating func join(_ a: ValueID, _ b: ValueID) {
    let (a, b) = (root(a.index), root(b.index))
    parents[max(a, b)] = min(a, b)
  }

  /// Whether the operation fixes channels in the last place of its first operand and result.
  private static func takesChannels(_ node: Node, _ graph: Graph) -> Bool {
    switch node.primitive {
    case .convolution(let geometry, _), .convolutionWithMoments(let geometry, _):
      // One tap along one axis is a linear map of rows, which may be of any kind.
      !(geometry.axes.count == 1 && geometry.isPointwise)
    case .transposedConvolution, .pooling, .maxPoolingWithIndices, .blockMap: true
    case .normalization(let normalization): normalization.partition.channels != .all
    default: false
    }
  }

  /// The operands and results of which each axis is the same.
  private static func inPlace(_ node: Node, _ graph: Graph) -> [ValueID] {
    let result = node.outputs[0]
    func like(_ values: [ValueID]) -> [ValueID] {
      values.filter { graph.type(of: $0).rank == graph.type(of: result).rank }
    }
    switch node.primitive {
    case .convolution(_, let epilogue), .convolutionWithMoments(_, let epilogue),
      .transposedConvolution(_, let epilogue):
      return [result] + (epilogue.hasResidual ? [node.inputs.last!] : [])
    case .normalization(let normalization):
      let residual = NormalizationOperands(normalization).residual.map { [node.inputs[$0]] }
      return [result, node.inputs[0]] + (residual ?? [])
    case .maxPoolingWithIndices: return node.outputs
    case .blockMap, .activation, .elementwise, .movement, .softmax, .logSoftmax, .detachment,
      .parametricReLU:
      return [result, node.inputs[0]]
    case .choice: return [result] + node.inputs.dropFirst()
    case .arithmetic, .concatenation, .expand: return [result] + like(node.inputs)
    case .reduction(let reduction):
      return reduction.keepsAxes ? [result, node.inputs[0]] : [result]
    default: return [result]
    }
  }
}
