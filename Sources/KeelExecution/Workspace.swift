internal import KeelGraph
public import KeelTensor

/// Memory for one run of a plan at a time: inputs, outputs, everything between, and the weights of a
/// training plan.
///
/// Not Sendable on purpose: each thread that runs a plan has a workspace of its own.
public final class Workspace {
  internal let plan: Plan
  private let memory: UnsafeMutableRawPointer
  private let byteCount: Int
  internal let operands: [Operands]
  /// Seeds that have not been given yet: dropout without one would drop the same elements every time.
  internal private(set) var missingSeeds: Set<String>

  internal init(_ plan: Plan) {
    self.plan = plan
    missingSeeds = plan.graph.seedNames
    byteCount = max(plan.workspaceByteCount, 64)
    let memory = LargeMemory.allocateZeroed(byteCount)
    self.memory = memory
    operands = plan.steps.map { step in
      Operands(
        inputs: step.inputs.map { plan.address($0, memory) },
        outputs: step.outputs.map { plan.address($0, memory) },
        scratch: (memory + step.scratchOffset).assumingMemoryBound(to: Float.self))
    }
    if plan.options.weights == .variable {
      for weight in plan.graph.weights { copy(weight.tensor, to: plan.weights[weight.name]!) }
    }
  }

  deinit { LargeMemory.free(memory, byteCount) }

  /// Copies an input in.
  /// - Throws: `KeelError` for an unknown name, another element type or another shape.
  public func setInput(_ name: String, _ value: TensorValue) throws(KeelError) {
    let port = try find(name, plan.inputs, "input")
    guard value.elementType == port.type, value.shape == port.shape else {
      throw KeelError(
        .shape, at: "input \(name)", expected: "\(port.type.rawValue) \(port.shape)",
        found: "\(value.elementType.rawValue) \(value.shape)")
    }
    switch value {
    case .float32(let tensor): copy(tensor, to: port)
    case .int64(let tensor): copy(tensor, to: port)
    case .bool(let tensor): copy(tensor, to: port)
    }
    missingSeeds.remove(name)
  }

  /// Calls a closure with a Float input's memory, to be filled without a copy.
  /// - Throws: `KeelError` for an unknown name or another element type, and what the closure throws.
  public func withInput<R>(
    _ name: String, _ body: (inout MutableSpan<Float>) throws -> R
  ) throws -> R {
    try withFloats(try find(name, plan.inputs, "input"), name, body)
  }

  /// Copies the one Float input in.
  /// - Throws: `KeelError` for a graph with other inputs, or a span of another count.
  internal func setOnlyInput(_ x: Span<Float>) throws(KeelError) {
    let memory = try only(plan.inputs, "input", count: x.count)
    x.withUnsafeBufferPointer { memory.baseAddress!.update(from: $0.baseAddress!, count: $0.count) }
  }

  /// Copies the one Float output out.
  /// - Throws: `KeelError` for a graph with other outputs, or a span of another count.
  internal func copyOnlyOutput(into y: inout MutableSpan<Float>) throws(KeelError) {
    let memory = try only(plan.outputs, "output", count: y.count)
    y.withUnsafeMutableBufferPointer {
      $0.baseAddress!.update(from: memory.baseAddress!, count: memory.count)
    }
  }

  private func only(
    _ ports: [String: Plan.Port], _ kind: String, count: Int
  ) throws(KeelError) -> UnsafeMutableBufferPointer<Float> {
    guard ports.count == 1, let port = ports.first, port.value.type == .float32 else {
      throw KeelError(
        .graph, at: "\(kind)s", expected: "one of float32", found: "\(ports.keys.sorted())")
    }
    let memory = floats(port.value)
    guard memory.count == count else {
      throw KeelError(
        .shape, at: "\(kind) \(port.key)",
        expected: "\(memory.count) elements, \(port.value.shape)", found: "\(count)")
    }
    return memory
  }

  /// An output, copied out.
  /// - Throws: `KeelError` for an unknown name.
  public func output(_ name: String) throws(KeelError) -> TensorValue {
    tensor(try find(name, plan.outputs, "output"))
  }

  /// Calls a closure with a Float output's memory.
  /// - Throws: `KeelError` for an unknown name or another element type, and what the closure throws.
  public func withOutput<R>(_ name: String, _ body: (Span<Float>) throws -> R) throws -> R {
    try withFloats(try find(name, plan.outputs, "output"), name) { try body($0.span) }
  }

  /// A weight's present contents.
  /// - Throws: `KeelError` for an unknown name, or a plan with constant weights.
  public func weight(_ name: String) throws(KeelError) -> Tensor {
    try tensor(try findWeight(name)).floats(at: "weight \(name)")
  }

  /// Gives a weight of a training plan other contents.
  /// - Throws: `KeelError` for an unknown name, another shape, or a plan with constant weights.
  public func setWeight(_ name: String, _ tensor: Tensor) throws(KeelError) {
    let port = try findWeight(name)
    guard tensor.shape == port.shape else {
      throw KeelError(
        .shape, at: "weight \(name)", expected: "\(port.shape)", found: "\(tensor.shape)")
    }
    copy(tensor, to: port)
  }

  /// Every weight's present contents; none for a plan with constant weights.
  public var weights: [String: Tensor] {
    var result: [String: Tensor] = [:]
    for (name, port) in plan.weights {
      if case .float32(let tensor) = tensor(port) { result[name] = tensor }
    }
    return result
  }

  /// The memory of a weight and of an output of the same shape (its gradient), for optimizers.
  package func weightMemory(_ name: String) throws(KeelError) -> UnsafeMutableBufferPointer<Float> {
    floats(try find(name, plan.weights, "weight"))
  }

  /// The memory of an output, for optimizers.
  package func outputMemory(_ name: String) throws(KeelError) -> UnsafeMutableBufferPointer<Float> {
    floats(try find(name, plan.outputs, "output"))
  }

  internal func applyUpdates() {
    for (weight, value) in plan.updates {
      plan.address(weight.place, memory).copyMemory(
        from: plan.address(value.place, memory), byteCount: weight.byteCount)
    }
  }

  private func find(
    _ name: String, _ ports: [String: Plan.Port], _ kind: String
  ) throws(KeelError) -> Plan.Port {
    guard let port = ports[name] else {
      throw KeelError(
        .graph, at: "\(kind) \(name)", expected: "one of \(ports.keys.sorted())", found: name)
    }
    return port
  }

  private func findWeight(_ name: String) throws(KeelError) -> Plan.Port {
    guard plan.options.weights == .variable else {
      throw KeelError(
        .graph, at: "weight \(name)", expected: "a plan with variable weights",
        found: "constant weights")
    }
    return try find(name, plan.weights, "weight")
  }

  private func floats(_ port: Plan.Port) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(
      start: plan.address(port.place, memory).assumingMemoryBound(to: Float.self),
      count: port.shape.elementCount)
  }

  private func withFloats<R>(
    _ port: Plan.Port, _ name: String, _ body: (inout MutableSpan<Float>) throws -> R
  ) throws -> R {
    guard port.type == .float32 else {
      throw KeelError(.shape, at: name, expected: "float32 elements", found: port.type.rawValue)
    }
    let buffer = floats(port)
    var span = buffer.mutableSpan
    defer { withExtendedLifetime(self) {} }
    return try body(&span)
  }

  private func copy<Element: ArrayElement>(_ tensor: DenseArray<Element>, to port: Plan.Port) {
    withExtendedLifetime(tensor) {
      plan.address(port.place, memory).copyMemory(
        from: tensor.unsafeBase, byteCount: port.byteCount)
    }
  }

  private func tensor(_ port: Plan.Port) -> TensorValue {
    func read<Element: ArrayElement>(_ type: Element.Type) -> DenseArray<Element> {
      DenseArray(uninitialized: port.shape) {
        UnsafeMutableRawPointer($0.baseAddress!).copyMemory(
          from: plan.address(port.place, memory), byteCount: port.byteCount)
      }
    }
    return switch port.type {
    case .float32: .float32(read(Float.self))
    case .int64: .int64(read(Int64.self))
    case .bool: .bool(read(Bool.self))
    }
  }
}

extension Plan {
  /// The address of a place. Tensors of the plan are only read.
  internal func address(
    _ place: Place, _ memory: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    switch place {
    case .workspace(let offset): memory + offset
    case .constant(let index): UnsafeMutableRawPointer(constants[index].unsafeBase)
    case .packed: memory
    }
  }
}
