internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// The steps of a graph, before memory is laid out: its nodes but those whose results are constant, and those
/// that another's kernel does along the way.
///
/// A normalization by constant statistics, with a ReLU or without, whose result one pointwise convolution
/// alone reads, is done by that convolution on the rows of each task, while they are in a cache. Pixels that are moved
/// (padded by reflection, resized to the nearest, sliced) and concatenated for one convolution alone are read where
/// they were. The maxima of 2×2 pixels of a result that Winograd's filtering makes are taken while these are in
/// registers.
internal struct StepFusion {
  private let graph: Graph
  private let constants: ConstantResults
  private let shapes: [Shape]
  private let consumerCounts: [Int]
  /// The positions of the poolings that read each value.
  private let poolings: [ValueID: [Int]]
  /// The position of the node that makes each value.
  private let producers: [ValueID: Int]

  private init(_ graph: Graph, constants: ConstantResults, shapes: [Shape]) {
    self.graph = graph
    self.constants = constants
    self.shapes = shapes
    consumerCounts = graph.consumerCounts()
    var producers: [ValueID: Int] = [:]
    var poolings: [ValueID: [Int]] = [:]
    for (position, node) in graph.nodes.enumerated() {
      for value in node.outputs { producers[value] = position }
      if case .pooling = node.primitive { poolings[node.inputs[0], default: []].append(position) }
    }
    self.producers = producers
    self.poolings = poolings
  }

  /// - Parameter algorithm: that of the convolution with a constant weight at a position.
  static func steps(
    _ graph: Graph, constants: ConstantResults, shapes: [Shape],
    algorithm: (_ position: Int, _ geometry: ConvolutionGeometry, _ batch: Int) ->
      ConvolutionAlgorithm
  ) -> [PlanStep] {
    let fusion = StepFusion(graph, constants: constants, shapes: shapes)
    var absorbed: Set<Int> = []
    var steps: [Int: PlanStep] = [:]
    for (position, node) in graph.nodes.enumerated() where !constants.nodes.contains(position) {
      var step = PlanStep(position: position, node: node)
      if case .convolution(let geometry, _) = node.primitive {
        if let prologue = fusion.prologue(of: node, geometry) {
          absorbed.insert(prologue)
          step.prologue = graph.nodes[prologue]
        } else if constants.tensors[node.inputs[1].index] != nil {
          let batch = shapes[node.outputs[0].index][0]
          let algorithm = algorithm(position, geometry, batch)
          let source = fusion.source(of: node, geometry, algorithm)
          absorbed.formUnion(source.nodes)
          step.parts = source.parts
          if let pooling = fusion.pooling(of: node, geometry, algorithm) {
            absorbed.insert(pooling)
            step.pooling = graph.nodes[pooling]
            step.keepsResult = fusion.consumerCounts[node.outputs[0].index] > 1
          }
        }
      }
      steps[position] = step
    }
    return graph.nodes.indices.compactMap { absorbed.contains($0) ? nil : steps[$0] }
  }

  /// The node that makes a value for one other alone, at each run.
  private func soleProducer(of value: ValueID) -> Int? {
    guard consumerCounts[value.index] == 1, let position = producers[value],
      !constants.nodes.contains(position)
    else { return nil }
    return position
  }

  // MARK: Maps of channels

  /// The node that a convolution does on the rows it reads.
  private func prologue(of node: Node, _ geometry: ConvolutionGeometry) -> Int? {
    guard ConvolutionKernel.mapsInput(geometry), let producer = soleProducer(of: node.inputs[0]),
      isConstantMap(graph.nodes[producer])
    else { return nil }
    return producer
  }

  /// Whether a node is one map of channels that no run changes.
  private func isConstantMap(_ node: Node) -> Bool {
    guard case .normalization(let normalization) = node.primitive else { return false }
    return normalization.statistics == .given && normalization.partition.rows == .all
      && normalization.recovery.extent == .channels && !normalization.epilogue.hasResidual
      && constants.tensors[node.inputs[0].index] == nil
      && node.inputs.dropFirst().allSatisfy { constants.tensors[$0.index] != nil }
  }

  // MARK: Pooling

  /// The pooling that a convolution does along the way.
  private func pooling(
    of node: Node, _ geometry: ConvolutionGeometry, _ algorithm: ConvolutionAlgorithm
  ) -> Int? {
    guard case .convolution(_, let epilogue) = node.primitive,
      algorithm.serves(geometry, ConvolutionDemands(pools: true)),
      EpilogueOperands(activation: epilogue.activation).lateActivation == nil,
      let positions = poolings[node.outputs[0]], positions.count == 1,
      case .pooling(let pooling) = graph.nodes[positions[0]].primitive,
      pooling.isMaximumOfSquares
    else { return nil }
    return positions[0]
  }

  // MARK: Moved and concatenated pixels

  /// What a convolution's input is made of, and the nodes that make it of that; nothing where it is read as it is.
  private func source(
    of node: Node, _ geometry: ConvolutionGeometry, _ algorithm: ConvolutionAlgorithm
  ) -> (parts: [PlanStep.Part], nodes: [Int]) {
    guard algorithm.readsThrough(geometry) else { return ([], []) }
    var (parts, nodes) = ([moved(node.inputs[0], by: [])], [Int]())
    nodes += parts[0].nodes
    if let position = soleProducer(of: parts[0].part.value),
      case .concatenation(let axis) = graph.nodes[position].primitive,
      axis == shapes[parts[0].part.value.index].rank - 1,
      algorithm.readsThrough(geometry, parts: graph.nodes[position].inputs.count)
    {
      let later = parts[0].part.movements
      parts = graph.nodes[position].inputs.map { moved($0, by: later) }
      nodes += [position] + parts.flatMap(\.nodes)
    }
    return nodes.isEmpty ? ([], []) : (parts.map(\.part), nodes)
  }

  /// A value that nodes move, followed back through those that move it before, as far as these only move pixels.
  private func moved(
    _ value: ValueID, by later: [Node]
  ) -> (part: PlanStep.Part, nodes: [Int]) {
    var (value, movements, nodes) = (value, later, [Int]())
    while let position = soleProducer(of: value), case .movement = graph.nodes[position].primitive {
      let node = graph.nodes[position]
      let all = [node] + movements
      guard PixelMap(all.movements, of: shapes[node.inputs[0].index]) != nil else { break }
      (value, movements) = (node.inputs[0], all)
      nodes.append(position)
    }
    return (PlanStep.Part(value: value, movements: movements), nodes)
  }
}

extension PoolingGeometry {
  /// Whether it takes the maxima of 2×2 pixels each, and leaves an odd last row or column out.
  fileprivate var isMaximumOfSquares: Bool {
    kind == .maximum && axes.count == 2
      && axes.allSatisfy { axis in
        guard let window = axis.window else { return false }
        return axis.roundedUp == 0 && window.window == 2 && window.stride == 2
          && window.dilation == 1 && window.paddingBefore == 0 && window.paddingAfter == 0
      }
  }
}

extension [Node] {
  /// The movements that the nodes are.
  internal var movements: [Movement] {
    compactMap { if case .movement(let movement) = $0.primitive { movement } else { nil } }
  }
}
