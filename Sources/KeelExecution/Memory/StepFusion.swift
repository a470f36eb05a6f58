internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// The steps of a graph, before memory is laid out: its nodes but those whose results are constant, and those
/// that another's kernel does along the way.
///
/// A normalization by constant statistics, with a ReLU or without, whose result one pointwise convolution
/// alone reads, is done by that convolution on the rows of each task, while they are in a cache. Pixels that are moved
/// (padded by reflection, resized to the nearest, sliced) and concatenated for one convolution alone are read where
/// they were. The moments of a result that one normalization alone reads are gathered from its tiles. The maxima of 2×2 pixels of a result that Winograd's filtering makes are taken while these are in
/// registers.
internal struct StepFusion {
  private let graph: Graph
  private let constants: ConstantResults
  private let shapes: [Shape]
  private let consumerCounts: [Int]
  /// The positions of the nodes that take each value as their first operand.
  private let readers: [ValueID: [Int]]
  /// The position of the node that makes each value.
  private let producers: [ValueID: Int]

  private init(_ graph: Graph, constants: ConstantResults, shapes: [Shape]) {
    self.graph = graph
    self.constants = constants
    self.shapes = shapes
    consumerCounts = graph.consumerCounts()
    var producers: [ValueID: Int] = [:]
    var readers: [ValueID: [Int]] = [:]
    for (position, node) in graph.nodes.enumerated() {
      for value in node.outputs { producers[value] = position }
      if let first = node.inputs.first { readers[first, default: []].append(position) }
    }
    self.producers = producers
    self.readers = readers
  }

  /// - Parameters:
  ///   - exact: whether results are to be those of the operations one by one, bit by bit; moments that are gathered
  ///     from tiles are rounded in another order.
  ///   - algorithm: that of the convolution with a constant weight at a position.
  static func steps(
    _ graph: Graph, constants: ConstantResults, shapes: [Shape], exact: Bool,
    algorithm: (_ position: Int, _ geometry: ConvolutionGeometry, _ batch: Int) ->
      ConvolutionAlgorithm
  ) -> [PlanStep] {
    let fusion = StepFusion(graph, constants: constants, shapes: shapes)
    var absorbed: Set<Int> = []
    // Normalizations whose moments somebody else makes.
    var changed: [Int: Node] = [:]
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
          } else if !exact, let norm = fusion.normalization(of: node, geometry, algorithm) {
            step.moments = norm.moments
            changed[norm.position] = norm.given
          }
        }
      }
      steps[position] = step
    }
    return graph.nodes.indices.compactMap { position in
      if absorbed.contains(position) { return nil }
      return changed[position].map { PlanStep(position: position, node: $0) } ?? steps[position]
    }
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
      let readers = readers[node.outputs[0]]
    else { return nil }
    let poolings = readers.filter {
      if case .pooling(let pooling) = graph.nodes[$0].primitive {
        pooling.isMaximumOfSquares
      } else {
        false
      }
    }
    return poolings.count == 1 ? poolings[0] : nil
  }

  // MARK: Moments

  /// The normalization that takes its statistics from a convolution's result, which nobody else reads.
  private func normalization(
    of node: Node, _ geometry: ConvolutionGeometry, _ algorithm: ConvolutionAlgorithm
  ) -> (position: Int, given: Node, moments: PlanStep.Moments)? {
    guard algorithm.serves(geometry, ConvolutionDemands(gathersMoments: true)),
      consumerCounts[node.outputs[0].index] == 1, let position = readers[node.outputs[0]]?.first,
      case .normalization(let normalization) = graph.nodes[position].primitive,
      normalization.statistics == .current,
      normalization.partition.rows == .sample || normalization.partition == .batch,
      // Of one value the kernel that makes the statistics says what is wrong.
      geometry.outputPositions > 1,
      let given = try? normalization.replacing(
        statistics: .moments, place: graph.nodes[position].label)
    else { return nil }
    let reader = graph.nodes[position]
    var inputs = reader.inputs
    inputs.insert(reader.outputs[1], at: NormalizationOperands(given).moments!)
    return (
      position,
      Node(
        primitive: .normalization(given), inputs: inputs, outputs: [reader.outputs[0]],
        label: reader.label),
      PlanStep.Moments(value: reader.outputs[1], partition: normalization.partition)
    )
  }

  // MARK: Moved and concatenated pixels

  /// What a convolution's input is made of, and the nodes that make it of that; nothing where it is read as it is.
  private func source(
    of node: Node, _ geometry: ConvolutionGeometry, _ algorithm: ConvolutionAlgorithm
  ) -> (parts: [PlanStep.Part], nodes: [Int]) {
    guard algorithm.readsThrough(geometry) else { return ([], []) }
    let whole = moved(node.inputs[0], by: [])
    guard let position = soleProducer(of: whole.part.value),
      case .concatenation(let axis) = graph.nodes[position].primitive,
      axis == shapes[whole.part.value.index].rank - 1,
      algorithm.readsThrough(geometry, parts: graph.nodes[position].inputs.count)
    else { return whole.nodes.isEmpty ? ([], []) : ([whole.part], whole.nodes) }
    let parts = graph.nodes[position].inputs.map { moved($0, by: whole.part.movements) }
    return (parts.map(\.part), whole.nodes + [position] + parts.flatMap(\.nodes))
  }

  /// A value that nodes move, followed back through those that move it before, as far as these only move pixels.
  private func moved(
    _ value: ValueID, by later: [Node]
  ) -> (part: PlanStep.Part, nodes: [Int]) {
    var (value, movements, nodes) = (value, later, [Int]())
    while let position = soleProducer(of: value), case .movement = graph.nodes[position].primitive {
      let node = graph.nodes[position]
      let all = [node] + movements
      let source = shapes[node.inputs[0].index]
      // A small part of a value is copied, so that the rest need not be kept.
      guard PixelMap(all.movements, of: source) != nil,
        4 * shapes[value.index].elementCount >= source.elementCount
      else { break }
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
