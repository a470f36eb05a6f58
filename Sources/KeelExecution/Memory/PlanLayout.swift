internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Lays out a plan's memory: inputs, then weights of a training plan, then the arena, then scratch.
internal struct PlanLayout {
  let graph: Graph
  let options: PlanOptions
  let shapes: [Shape]
  let arena: ArenaLayout
  let scratchOffset: Int
  private(set) var scratchByteCount = 0
  private(set) var constants: [Tensor] = []
  private let storage: StorageAssignment
  private let offsetOfPiece: [Int: Int]
  private var constantOfPiece: [Int: Int] = [:]
  private let constantResults: ConstantResults
  /// A plan of the same graph for other shapes, whose packed weights are used again.
  private let sharing: Plan?

  init(
    _ graph: Graph, inputShapes: [String: Shape], options: PlanOptions, sharing: Plan? = nil
  ) throws(KeelError) {
    self.graph = graph
    self.sharing = sharing
    self.options = options
    let symbols = try graph.bindSymbols(inputShapes: inputShapes)
    var shapes: [Shape] = []
    for type in graph.types { shapes.append(try type.shape(binding: symbols)) }
    self.shapes = shapes
    // A training plan's weights are in the workspace, and nothing is constant.
    let constantResults =
      options.weights == .variable
      ? ConstantResults() : try ConstantResults(graph, shapes: shapes, options: options)
    self.constantResults = constantResults
    let storage = StorageAssignment(
      graph, shapes: shapes, constants: Set(constantResults.tensors.keys))
    self.storage = storage
    var offsets: [Int: Int] = [:]
    var end = 0
    func place(_ value: ValueID) {
      offsets[value.index] = end
      end += ArenaLayout.aligned(
        shapes[value.index].elementCount * graph.type(of: value).elementType.byteCount)
    }
    for input in graph.inputs { place(input.value) }
    if options.weights == .variable {
      for weight in graph.weights { place(weight.value) }
    }
    var pieces: [Int] = []
    for node in graph.nodes {
      for output in node.outputs {
        let piece = storage.piece[output.index]
        if piece == output.index, !storage.isExternal[piece] { pieces.append(piece) }
      }
    }
    arena = ArenaLayout(
      pieces.map {
        ArenaLayout.Buffer(
          byteCount: shapes[$0].elementCount * graph.types[$0].elementType.byteCount,
          firstStep: storage.firstStep[$0], lastStep: storage.lastStep[$0])
      })
    for (piece, offset) in zip(pieces, arena.offsets) { offsets[piece] = end + offset }
    offsetOfPiece = offsets
    scratchOffset = end + arena.byteCount
    try options.check(workspace: scratchOffset, weights: 0)
  }

  /// Prepares the kernels of all nodes but those whose results are constant, then packs their weights. Constants are
  /// the graph's tensors, shared and not copied; what kernels pack is theirs, or that of a plan for other shapes.
  mutating func makeSteps() throws(KeelError) -> [Plan.Step] {
    var steps: [Plan.Step] = []
    var selection = AlgorithmSelection(options)
    for (position, node) in graph.nodes.enumerated()
    where !constantResults.nodes.contains(position) {
      let kernel = try KernelRequest(
        node: node, inputs: node.inputs.map { shapes[$0.index] },
        outputs: node.outputs.map { shapes[$0.index] },
        elementType: graph.type(of: node.outputs[0]).elementType,
        operandType: node.inputs.first.map { graph.type(of: $0).elementType } ?? .float32,
        constants: constants(of: node), parallelism: options.parallelism,
        algorithm: try algorithm(of: node, at: position, &selection)
      ).prepare()
      scratchByteCount = max(scratchByteCount, kernel.scratchCount * MemoryLayout<Float>.size)
      steps.append(
        Plan.Step(
          position: position, node: node, kernel: kernel, inputs: node.inputs.map { place($0) },
          outputs: node.outputs.map { place($0) }))
    }
    try selection.finish()
    let floats = steps.reduce(0) { $0 + (shared($1) == nil ? $1.kernel.packedCount : 0) }
    try options.check(
      workspace: scratchOffset + scratchByteCount, weights: floats * MemoryLayout<Float>.size)
    for i in steps.indices where steps[i].kernel.packedCount > 0 {
      if let packed = shared(steps[i]) {
        steps[i].kernel.packed = packed
      } else {
        steps[i].kernel.pack(constants(of: steps[i].node), options.parallelism)
      }
    }
    return steps
  }

  /// A node's operands that never change, by position.
  private func constants(of node: Node) -> [Int: Tensor] {
    var constants: [Int: Tensor] = [:]
    for (i, input) in node.inputs.enumerated() {
      constants[i] = constantResults.tensors[input.index]
    }
    return constants
  }

  /// The algorithm of a convolution whose weight never changes: of another it is not worth transforming. That of the
  /// plan whose weights are shared, where there is one.
  private func algorithm(
    of node: Node, at position: Int, _ selection: inout AlgorithmSelection
  ) throws(KeelError) -> ConvolutionAlgorithm? {
    guard case .convolution(let geometry, _) = node.primitive,
      let weight = constantResults.tensors[node.inputs[1].index]
    else { return nil }
    if let name = sharing?.step(at: position)?.kernel.algorithm,
      let algorithm = ConvolutionAlgorithm(rawValue: name), algorithm.serves(geometry)
    {
      return algorithm
    }
    return try selection.algorithm(
      for: geometry, batch: shapes[node.inputs[0].index][0], weight: weight)
  }

  /// The packed weight of the same step of the plan whose weights are shared.
  private func shared(_ step: Plan.Step) -> Tensor? {
    guard let other = sharing?.step(at: step.position)?.kernel,
      other.algorithm == step.kernel.algorithm, other.packedCount == step.kernel.packedCount
    else { return nil }
    return other.packed
  }

  mutating func place(_ value: ValueID) -> Plan.Place {
    let piece = storage.piece[value.index]
    if let offset = offsetOfPiece[piece] { return .workspace(offset) }
    if let index = constantOfPiece[piece] { return .constant(index) }
    guard let tensor = constantResults.tensors[piece] else {
      preconditionFailure("value \(value.index) has no place")
    }
    constants.append(tensor)
    constantOfPiece[piece] = constants.count - 1
    return .constant(constants.count - 1)
  }

  mutating func port(_ value: ValueID) -> Plan.Port {
    Plan.Port(
      type: graph.type(of: value).elementType, shape: shapes[value.index], place: place(value))
  }

  mutating func ports(_ values: [(name: String, value: ValueID)]) -> [String: Plan.Port] {
    var result: [String: Plan.Port] = [:]
    for (name, value) in values { result[name] = port(value) }
    return result
  }
}
