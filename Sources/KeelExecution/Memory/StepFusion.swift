internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// The steps of a graph, before memory is laid out: its nodes but those whose results are constant, and those
/// that another's kernel does along the way.
///
/// A normalization by constant statistics, with a ReLU or without, whose result one pointwise convolution
/// alone reads, is done by that convolution on the rows of each task, while they are in a cache.
internal struct StepFusion {
  private let graph: Graph
  private let constants: ConstantResults
  private let consumerCounts: [Int]
  /// The position of the node that makes each value.
  private let producers: [ValueID: Int]

  private init(_ graph: Graph, constants: ConstantResults) {
    self.graph = graph
    self.constants = constants
    consumerCounts = graph.consumerCounts()
    var producers: [ValueID: Int] = [:]
    for (position, node) in graph.nodes.enumerated() {
      for value in node.outputs { producers[value] = position }
    }
    self.producers = producers
  }

  static func steps(_ graph: Graph, constants: ConstantResults) -> [PlanStep] {
    let fusion = StepFusion(graph, constants: constants)
    let prologues = fusion.prologues()
    let absorbed = Set(prologues.values)
    return graph.nodes.indices.compactMap { position in
      if constants.nodes.contains(position) || absorbed.contains(position) { return nil }
      return PlanStep(
        position: position, node: graph.nodes[position],
        prologue: prologues[position].map { graph.nodes[$0] })
    }
  }

  /// The node that each node does on the rows it reads, by positions.
  private func prologues() -> [Int: Int] {
    var result: [Int: Int] = [:]
    for (position, node) in graph.nodes.enumerated() where !constants.nodes.contains(position) {
      guard case .convolution(let geometry, _) = node.primitive,
        ConvolutionKernel.mapsInput(geometry), consumerCounts[node.inputs[0].index] == 1,
        let producer = producers[node.inputs[0]], isConstantMap(graph.nodes[producer])
      else { continue }
      result[position] = producer
    }
    return result
  }

  /// Whether a node is one map of channels that no run changes.
  private func isConstantMap(_ node: Node) -> Bool {
    guard case .normalization(let normalization) = node.primitive else { return false }
    return normalization.statistics == .given && normalization.partition.rows == .all
      && normalization.recovery.extent == .channels && !normalization.epilogue.hasResidual
      && constants.tensors[node.inputs[0].index] == nil
      && node.inputs.dropFirst().allSatisfy { constants.tensors[$0.index] != nil }
  }
}
