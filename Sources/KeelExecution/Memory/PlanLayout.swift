internal import KeelGraph
internal import KeelKernels
internal import KeelTensor

/// Lays out a plan's memory: inputs, then weights of a training plan, then the arena, in which steps have scratch
/// memory where values leave them room.
internal struct PlanLayout {
  let graph: Graph
  let options: PlanOptions
  let shapes: [Shape]
  /// The values between steps alone.
  let arena: ArenaLayout
  /// The bytes of a workspace.
  private(set) var byteCount: Int
  private(set) var constants: [Tensor] = []
  private let steps: [PlanStep]
  private let storage: StorageAssignment
  private var offsetOfPiece: [Int: Int]
  /// The values of the arena, and where that starts.
  private let pieces: [(piece: Int, buffer: ArenaLayout.Buffer)]
  private let arenaOffset: Int
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
    let steps = StepFusion.steps(
      graph, constants: constantResults, shapes: shapes, exact: options.exact
    ) { position, geometry, batch in
      sharing?.algorithm(at: position, geometry, exact: options.exact)
        ?? .choice(for: geometry, batch: batch, exact: options.exact)
    }
    self.steps = steps
    let storage = StorageAssignment(
      graph, steps: steps, shapes: shapes, constants: Set(constantResults.tensors.keys))
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
    var pieces: [(piece: Int, buffer: ArenaLayout.Buffer)] = []
    for step in steps {
      for output in step.outputs {
        let piece = storage.piece[output.index]
        guard piece == output.index, !storage.isExternal[piece] else { continue }
        let buffer = ArenaLayout.Buffer(
          byteCount: shapes[piece].elementCount * graph.types[piece].elementType.byteCount,
          firstStep: storage.firstStep[piece], lastStep: storage.lastStep[piece])
        pieces.append((piece, buffer))
      }
    }
    self.pieces = pieces
    arena = ArenaLayout(pieces.map(\.buffer))
    offsetOfPiece = offsets
    arenaOffset = end
    byteCount = end + arena.byteCount
    try options.check(workspace: byteCount, weights: 0)
  }

  /// Finds places for the values and for the scratch memory of steps, by the steps' numbers.
  /// - Returns: where each step's scratch memory starts.
  private mutating func placeAll(scratch: [Int: Int]) -> [Int: Int] {
    let numbers = scratch.keys.sorted()
    let together = ArenaLayout(
      pieces.map(\.buffer)
        + numbers.map {
          ArenaLayout.Buffer(byteCount: scratch[$0]!, firstStep: $0, lastStep: $0)
        })
    // The largest first is not always the least: then scratch memory comes after the values.
    let after = arena.byteCount + ArenaLayout.aligned(scratch.values.max() ?? 0)
    let isTogether = together.byteCount <= after
    let offsets =
      isTogether ? together.offsets : arena.offsets + numbers.map { _ in arena.byteCount }
    for (index, piece) in pieces.enumerated() {
      offsetOfPiece[piece.piece] = arenaOffset + offsets[index]
    }
    byteCount = arenaOffset + min(together.byteCount, after)
    var result: [Int: Int] = [:]
    for (number, offset) in zip(numbers, offsets.dropFirst(pieces.count)) {
      result[number] = arenaOffset + offset
    }
    return result
  }

  /// Prepares the kernels of all steps but concatenations whose operands are all in their places, then packs
  /// their weights. Constants are the graph's tensors, shared and not copied; what kernels pack is theirs, or
  /// that of a plan for other shapes.
  mutating func makeSteps() throws(KeelError) -> [Plan.Step] {
    var kernels: [(index: Int, kernel: any PreparedKernel)] = []
    var selection = AlgorithmSelection(options)
    for (index, step) in steps.enumerated() where !storage.slices.isDone(index) {
      let kernel = try request(index, algorithm: try algorithm(of: step, &selection)).prepare()
      kernels.append((index, kernel))
    }
    try selection.finish()
    var scratch: [Int: Int] = [:]
    for (index, kernel) in kernels where kernel.scratchCount > 0 {
      scratch[index] = kernel.scratchCount * MemoryLayout<Float>.size
    }
    let places = placeAll(scratch: scratch)
    var made = kernels.map { index, kernel in
      Plan.Step(
        position: steps[index].position, node: steps[index].node,
        operation: steps[index].operation, kernel: kernel,
        inputs: steps[index].inputs.enumerated().map { operand, value in
          kernel.packedCount > 0 && operand == 1 ? .packed : place(value)
        },
        outputs: steps[index].outputs.map { place($0) }, scratchOffset: places[index] ?? 0)
    }
    let floats = made.reduce(0) { $0 + (shared($1) == nil ? $1.kernel.packedCount : 0) }
    try options.check(
      workspace: byteCount, weights: floats * MemoryLayout<Float>.size)
    for i in made.indices where made[i].kernel.packedCount > 0 {
      if let packed = shared(made[i]) {
        made[i].kernel.packed = packed
      } else {
        made[i].kernel.pack(constants(of: made[i].node), options.parallelism)
      }
    }
    return made
  }

  private func request(_ index: Int, algorithm: ConvolutionAlgorithm?) -> KernelRequest {
    let step = steps[index]
    return KernelRequest(
      node: step.node, inputs: step.inputs.map { shapes[$0.index] },
      outputs: step.outputs.map { shapes[$0.index] },
      elementType: graph.type(of: step.outputs[0]).elementType,
      operandType: step.inputs.first.map { graph.type(of: $0).elementType } ?? .float32,
      constants: constants(of: step.node),
      prologue: step.prologue.map { Prologue($0, constants: constants(of: $0)) },
      inputParts: parts(of: step), pooledResult: step.pooledResult,
      gatheredPartition: step.moments?.partition,
      inputStrides: step.inputs.map(storage.slices.stride),
      outputStrides: step.outputs.map(storage.slices.stride),
      copiedOperands: storage.slices.copied[index], parallelism: options.parallelism,
      algorithm: algorithm)
  }

  /// The parts of a convolution's input, where it is read through.
  private func parts(of step: PlanStep) -> [InputPart]? {
    guard !step.parts.isEmpty else { return nil }
    return step.parts.map { part in
      let shape = shapes[part.value.index]
      return InputPart(
        channels: shape.channelCount, stride: storage.slices.stride(of: part.value),
        map: part.movements.isEmpty ? nil : PixelMap(part.movements.movements, of: shape))
    }
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
    of step: PlanStep, _ selection: inout AlgorithmSelection
  ) throws(KeelError) -> ConvolutionAlgorithm? {
    // What maps its input does so by one algorithm.
    guard case .convolution(let geometry, _) = step.node.primitive, step.prologue == nil,
      let weight = constantResults.tensors[step.node.inputs[1].index]
    else { return nil }
    let demands = ConvolutionDemands(
      parts: step.parts.count, pools: step.pooling != nil, gathersMoments: step.moments != nil)
    if let algorithm = sharing?.algorithm(
      at: step.position, geometry, exact: options.exact), algorithm.serves(geometry, demands)
    {
      return algorithm
    }
    return try selection.algorithm(
      for: geometry, batch: shapes[step.inputs[0].index][0], weight: weight,
      demands)
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
    if let offset = offsetOfPiece[piece] {
      let slice = storage.slices.slices[value.index]?.offset ?? 0
      return .workspace(offset + slice * MemoryLayout<Float>.size)
    }
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
