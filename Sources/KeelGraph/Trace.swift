import KeelTensor

/// Records what layers do to variables as a graph.
///
/// Tracing is symbolic: nothing is computed. The first error (a shape that does not fit, a size below
/// its minimum) is kept with the layer's path and thrown by `finish()`, so that layers can be called
/// like functions.
public final class Trace {
  /// What the graph is for.
  public enum Mode: Hashable, Sendable {
    /// Batch norms use the statistics of the batch and update the running ones; there is dropout.
    case training
    /// Batch norms use the running statistics; there is no dropout.
    case inference
  }

  /// What the graph is for.
  public let mode: Mode
  private var builder = GraphBuilder()
  private var failure: KeelError?
  private let paths: [ObjectIdentifier: String]
  private var values: [ObjectIdentifier: ValueID] = [:]
  private var names: [ObjectIdentifier: String] = [:]
  private var updates: [ObjectIdentifier: Variable] = [:]
  private var updated: [ObjectIdentifier] = []
  private var lastLabel = "the input"
  private var seedVariable: Variable?
  private var streamCount = 0

  /// Starts a trace.
  /// - Parameter model: what holds the parameters; their places in it give their paths.
  public init(model: Any, mode: Mode) {
    self.mode = mode
    paths = Dictionary(
      ParameterNaming.parameters(of: model).map { (ObjectIdentifier($0.parameter), $0.path) },
      uniquingKeysWith: { first, _ in first })
  }

  /// A variable that the caller gives at each run.
  public func input(_ name: String, _ type: ValueType) -> Variable {
    for extent in type.extents {
      if let size = extent.fixedValue, size < 1 {
        fail(
          KeelError(
            .shape, at: "input \(name)", expected: "extents of at least 1", found: "\(type)"))
      }
    }
    return Variable(trace: self, value: builder.input(name, type))
  }

  /// The seed of all that is random in a run: the input `Graph.seedName`, an int64 scalar, made when it is
  /// first asked for.
  public func seed() -> Variable {
    if let seedVariable { return seedVariable }
    let variable = input(Graph.seedName, ValueType(.int64, []))
    seedVariable = variable
    return variable
  }

  /// A number that no other random operation of this trace has.
  public func nextStream() -> Int {
    defer { streamCount += 1 }
    return streamCount
  }

  /// The variable that stands for a parameter.
  public func variable(_ parameter: Parameter) -> Variable {
    let key = ObjectIdentifier(parameter)
    if let value = values[key] { return Variable(trace: self, value: value) }
    let path = path(of: parameter) ?? "parameter \(values.count)"
    if let failure = parameter.failure {
      fail(KeelError(failure.kind, at: path, expected: failure.expected, found: failure.found))
    }
    let value = builder.weight(path, parameter.value, role: parameter.role)
    values[key] = value
    names[key] = path
    return Variable(trace: self, value: value)
  }

  /// Records with a variable in place of a parameter: its weight as something else makes it, such as a
  /// spectral norm.
  /// - Returns: what the closure returns.
  public func substituting<Result>(
    _ variable: Variable, for parameter: Parameter, _ body: () -> Result
  ) -> Result {
    let key = ObjectIdentifier(parameter)
    let own = values[key]
    values[key] = variable.value ?? own
    defer { values[key] = own }
    return body()
  }

  /// A parameter's path in the model, or nil where the model does not hold it.
  public func path(of parameter: Parameter) -> String? { paths[ObjectIdentifier(parameter)] }

  /// The path of the layer that holds a parameter.
  public func layerPath(of parameter: Parameter) -> String {
    guard let path = path(of: parameter) else { return "layer" }
    return path.split(separator: ".").dropLast().joined(separator: ".")
  }

  /// Records an operation.
  /// - Parameter label: the layer's path; without one, the last labelled layer is named.
  /// - Returns: the results, empty variables after an error.
  public func apply(_ primitive: Primitive, _ inputs: [Variable], label: String? = nil)
    -> [Variable]
  {
    let place = label ?? "\(primitive.name) after \(lastLabel)"
    if let label { lastLabel = label }
    if inputs.contains(where: { $0.trace !== self }) {
      fail(KeelError(.graph, at: place, expected: "variables of one trace", found: "of two"))
    }
    let values = inputs.compactMap(\.value)
    if failure == nil, values.count == inputs.count {
      do {
        return try builder.append(primitive, values, label: place).map {
          Variable(trace: self, value: $0)
        }
      } catch { fail(error) }
    }
    return (0..<primitive.resultCount).map { _ in Variable(trace: self, value: nil) }
  }

  /// Names a variable that each run gives back.
  public func output(_ name: String, _ variable: Variable) {
    guard variable.trace === self else {
      fail(
        KeelError(
          .graph, at: "output \(name)", expected: "a variable of this trace", found: "of another"))
      return
    }
    if let value = variable.value { builder.output(name, value) }
  }

  /// Gives a parameter a new value after each run; the last one that is recorded counts.
  public func update(_ parameter: Parameter, _ variable: Variable) {
    guard variable.value != nil else { return }
    _ = self.variable(parameter)
    let key = ObjectIdentifier(parameter)
    if updates[key] == nil { updated.append(key) }
    updates[key] = variable
  }

  /// The value that a parameter gets after a run as far as it is recorded, or the parameter itself: what a
  /// layer that is used twice in a run updates further.
  public func latest(_ parameter: Parameter) -> Variable {
    updates[ObjectIdentifier(parameter)] ?? variable(parameter)
  }

  /// Keeps an error, unless one is kept already.
  public func fail(_ error: KeelError) {
    if failure == nil { failure = error }
  }

  /// A variable of no value, which every operation passes on: what layers return after `fail`.
  public func nothing() -> Variable { Variable(trace: self, value: nil) }

  /// The path of the layer that was applied last, for the messages of layers without parameters.
  public var lastLayer: String { lastLabel }

  internal func type(of value: ValueID) -> ValueType { builder.graph.type(of: value) }

  /// The graph of everything recorded.
  /// - Throws: the first `KeelError` that a layer met, or what `GraphBuilder.finish()` throws.
  public func finish() throws(KeelError) -> Graph {
    if let failure { throw failure }
    var builder = builder
    for key in updated { builder.update(names[key]!, updates[key]!.value!) }
    return try builder.finish()
  }
}
