public import KeelGraph
public import KeelKernels
public import KeelTensor

/// How a plan is made.
public struct PlanOptions: Sendable {
  /// What becomes of a graph's weights.
  public enum Weights: Hashable, Sendable {
    /// They never change: they are packed once and shared by all workspaces. Updates are left out.
    case constant
    /// Each workspace has its own, which an optimizer and the graph's updates change: for training.
    case variable
  }

  /// The threads that runs use.
  public var parallelism: Parallelism
  /// What becomes of the weights.
  public var weights: Weights
  /// Whether results are those of an interpreter, bit by bit. Where not, constant weights may be multiplied by
  /// Winograd's filtering, which is faster and rounds more (see `ConvolutionAlgorithm`), and the statistics of a norm
  /// may be summed tile by tile in the convolution before it.
  public var exact: Bool
  /// How algorithms are chosen.
  public var choice: AlgorithmChoice
  /// The most bytes that a plan's packed weights and one workspace may take together; nil for the memory of the
  /// machine, or of the process's cgroup.
  public var memoryLimit: Int?

  /// Makes options; nil threads are `ThreadCount.automatic`.
  public init(
    threads: Int? = nil, weights: Weights = .constant, exact: Bool = false,
    choice: AlgorithmChoice = .estimated, memoryLimit: Int? = nil
  ) {
    parallelism = Parallelism(threads: threads)
    self.weights = weights
    self.exact = exact
    self.choice = choice
    self.memoryLimit = memoryLimit
  }
}

/// A graph made ready to run for fixed shapes: kernels chosen, weights packed, memory laid out.
///
/// A plan never changes and can be run from many threads at once, each with a workspace of its own. A run
/// allocates nothing, and its results are bitwise the same for any number of threads.
public struct Plan: Sendable {
  internal struct Step: Sendable {
    /// The node's place among the graph's.
    let position: Int
    let node: Node
    /// The operations that the kernel does.
    let operation: String
    var kernel: any PreparedKernel
    let inputs: [Place]
    let outputs: [Place]
    /// The bytes of a workspace before the step's scratch memory.
    let scratchOffset: Int
  }

  /// Where a value is.
  internal enum Place: Hashable, Sendable {
    /// So many bytes into a workspace.
    case workspace(Int)
    /// A tensor of the plan.
    case constant(Int)
    /// In the kernel, packed: no run reads it where it was.
    case packed
  }

  /// A value that the caller sees.
  internal struct Port: Sendable {
    let type: ElementType
    let shape: Shape
    let place: Place

    var byteCount: Int { shape.elementCount * type.byteCount }
  }

  /// What the plan was made from, without what leads to no result, and without the contents of constant weights: what
  /// runs need of those is packed.
  public let graph: Graph
  /// How it was made.
  public let options: PlanOptions
  internal let steps: [Step]
  internal let inputs: [String: Port]
  internal let outputs: [String: Port]
  internal let weights: [String: Port]
  internal let updates: [(weight: Port, value: Port)]
  package let constants: [Tensor]
  internal let workspaceByteCount: Int
  private let identity = Identity()

  /// What tells plans apart.
  private final class Identity: Sendable {}

  /// The bytes of memory for values between operations.
  public let arenaByteCount: Int
  /// The bytes of a workspace: inputs, weights of a training plan, arena and scratch.
  public var byteCount: Int { workspaceByteCount }

  /// Makes a plan.
  /// - Parameters:
  ///   - graph: what to run; fold it first where batch norms are to vanish.
  ///   - inputShapes: the shape of every input, which gives open extents their values.
  ///   - sharing: a plan of the same graph for other shapes, such as another batch, whose packed weights are used again,
  ///     so that they are in memory once. Algorithms are then those of that plan, where `options.exact` allows them:
  ///     make the first for the shapes that matter most.
  /// - Throws: `KeelError` for shapes that do not fit, an empty batch, one value per channel in training; of kind
  ///   `memory` for a plan beyond its limit, before it takes that memory; of kind `file` where measured choices
  ///   cannot be kept.
  public init(
    _ graph: Graph, inputShapes: [String: Shape], options: PlanOptions = PlanOptions(),
    sharing: Plan? = nil
  ) throws(KeelError) {
    var editor = GraphEditor(graph)
    if options.weights == .constant { editor.updates = [] } else { editor.keepChangingWeights() }
    let graph = try editor.finish()
    var layout = try PlanLayout(
      graph, inputShapes: inputShapes, options: options, sharing: sharing)
    self.graph = options.weights == .constant ? graph.droppingWeights() : graph
    self.options = options
    steps = try layout.makeSteps()
    inputs = layout.ports(graph.inputs.map { ($0.name, $0.value) })
    outputs = layout.ports(graph.outputs.map { ($0.name, $0.value) })
    let weights = layout.ports(self.graph.weights.map { ($0.name, $0.value) })
    self.weights = weights
    updates = graph.updates.map { (weights[$0.weight]!, layout.port($0.value)) }
    constants = layout.constants
    arenaByteCount = layout.arena.byteCount
    workspaceByteCount = layout.byteCount
  }

  /// Memory for one run at a time. A training plan's workspace starts with the graph's weights.
  public func makeWorkspace() -> Workspace { Workspace(self) }

  /// The bytes of packed weights, those that are shared with other plans among them.
  public var weightByteCount: Int {
    steps.reduce(0) { $0 + $1.kernel.packedCount * MemoryLayout<Float>.size }
  }

  /// The bytes of packed weights that this plan and another have in common.
  package func sharedWeightBytes(with other: Plan) -> Int {
    let theirs = Set(other.steps.compactMap { $0.kernel.packed?.unsafeBase })
    return steps.compactMap(\.kernel.packed).filter { theirs.contains($0.unsafeBase) }
      .reduce(0) { $0 + $1.count * MemoryLayout<Float>.size }
  }

  /// Runs the graph on a workspace's inputs.
  /// - Parameter isCancelled: asked before each operation; a run that is cancelled makes no update, leaves its outputs
  ///   undefined, and its workspace is good for the next.
  /// - Throws: `KeelError` of kind `cancelled`; of kind `graph` where dropout has got no seed yet; of kind `value` for operands
  ///   that an operation cannot take, such as a label out of range; the workspace's outputs are then
  ///   undefined, and no update is made.
  /// - Precondition: the workspace is this plan's.
  public func run(
    _ workspace: Workspace, isCancelled: (() -> Bool)? = nil
  ) throws(KeelError) {
    precondition(
      workspace.plan.identity === identity,
      "workspace: expected one that this plan made, found another plan's")
    if let name = workspace.missingSeeds.min() {
      throw KeelError(
        .graph, at: "input \(name)", expected: "a seed, which dropout draws from", found: "none")
    }
    for index in steps.indices {
      if let isCancelled, isCancelled() {
        throw KeelError(
          .cancelled, at: stepName(index), expected: "a run to its end", found: "a request to stop")
      }
      try runStep(index, workspace)
    }
    workspace.applyUpdates()
  }

  /// Runs one step, for those who time them.
  package func runStep(_ index: Int, _ workspace: Workspace) throws(KeelError) {
    try steps[index].kernel.run(workspace.operands[index], options.parallelism)
  }

  /// The operation and layer of a step.
  package func stepName(_ index: Int) -> String {
    "\(stepNode(index).primitive.name) \(stepNode(index).label)"
  }

  /// The node whose kernel a step runs.
  package func stepNode(_ index: Int) -> Node { steps[index].node }

  /// The operations that a step does, those that its kernel takes along among them.
  package func stepOperation(_ index: Int) -> String { steps[index].operation }

  /// How a step computes, where there are several ways.
  package func stepAlgorithm(_ index: Int) -> String? { steps[index].kernel.algorithm }

  /// The number of steps.
  public var stepCount: Int { steps.count }

  /// Runs a graph of one Float input and one Float output, from and into the caller's memory. Allocates nothing.
  /// - Parameters:
  ///   - x: the input's elements.
  ///   - y: becomes the output's.
  /// - Throws: as `run`, and `KeelError` for a graph with other inputs or outputs, or spans of another count.
  public func run(
    _ x: Span<Float>, into y: inout MutableSpan<Float>, workspace: Workspace,
    isCancelled: (() -> Bool)? = nil
  ) throws(KeelError) {
    try workspace.setOnlyInput(x)
    try run(workspace, isCancelled: isCancelled)
    try workspace.copyOnlyOutput(into: &y)
  }

  /// The step of a node, where it is one.
  internal func step(at position: Int) -> Step? { steps.first { $0.position == position } }

  /// The algorithm of the convolution at a position, where it serves a geometry, and is exact if it must be.
  internal func algorithm(
    at position: Int, _ geometry: ConvolutionGeometry, exact: Bool
  ) -> ConvolutionAlgorithm? {
    step(at: position)?.kernel.algorithm.flatMap(ConvolutionAlgorithm.init(rawValue:))
      .flatMap { $0.serves(geometry) && ($0.isExact || !exact) ? $0 : nil }
  }

  /// Runs the graph once, with a workspace made for the call; keep a workspace where that matters.
  /// - Throws: as `run`, and `KeelError` for inputs that are missing or do not fit.
  public func callAsFunction(_ inputs: [String: TensorValue]) throws(KeelError) -> [String:
    TensorValue]
  {
    let workspace = makeWorkspace()
    for name in inputs.keys.sorted() { try workspace.setInput(name, inputs[name]!) }
    for name in self.inputs.keys.sorted() where inputs[name] == nil {
      throw KeelError(
        .graph, at: "input \(name)", expected: "a value of shape \(self.inputs[name]!.shape)",
        found: "none")
    }
    try run(workspace)
    var results: [String: TensorValue] = [:]
    for name in outputs.keys { results[name] = try workspace.output(name) }
    return results
  }
}

extension ElementType {
  /// The bytes of an element.
  internal var byteCount: Int {
    switch self {
    case .float32: MemoryLayout<Float>.size
    case .int64: MemoryLayout<Int64>.size
    case .bool: MemoryLayout<Bool>.size
    }
  }
}
