import KeelGraph
import KeelTensor

extension Layer {
  /// The contents of every parameter, running statistics included, by path.
  public var weights: [String: Tensor] {
    Dictionary(uniqueKeysWithValues: parameters.map { ($0.path, $0.parameter.value) })
  }

  /// Gives every parameter a new value by path: all of them, or none where something does not fit.
  ///
  /// - Throws: one `KeelError` that lists the paths that are missing, unexpected or of another shape,
  ///   each list by its first five; of kind `shape` where only shapes differ, otherwise of kind
  ///   `argument`. The failure of a parameter that was made from wrong sizes.
  public func load(_ weights: [String: Tensor]) throws(KeelError) {
    let parameters = parameters
    var problems = WeightProblems(parameterCount: parameters.count)
    for (path, parameter) in parameters {
      if let failure = parameter.failure {
        throw KeelError(failure.kind, at: path, expected: failure.expected, found: failure.found)
      }
      if let tensor = weights[path] {
        if tensor.shape != parameter.shape {
          problems.misshapen.append("\(path) \(tensor.shape) for \(parameter.shape)")
        }
      } else {
        problems.missing.append(path)
      }
    }
    let known = Set(parameters.map(\.path))
    problems.unexpected = weights.keys.filter { !known.contains($0) }.sorted()
    if let error = problems.error { throw error }
    for (path, parameter) in parameters { parameter.value = weights[path]! }
  }
}

/// What keeps a set of tensors from being loaded.
internal struct WeightProblems {
  let parameterCount: Int
  var missing: [String] = []
  var unexpected: [String] = []
  var misshapen: [String] = []

  /// All of it as one error, nil where there is nothing.
  var error: KeelError? {
    let lists = [("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen)]
      .filter { !$0.1.isEmpty }
      .map { "\($0.0) \($0.1.count): \(first(of: $0.1))" }
    guard !lists.isEmpty else { return nil }
    let onlyShapes = missing.isEmpty && unexpected.isEmpty
    return KeelError(
      onlyShapes ? .shape : .argument, at: "weights of the model",
      expected: "a tensor of the right shape for each of \(parameterCount) parameters",
      found: lists.joined(separator: "; "))
  }

  private func first(of names: [String]) -> String {
    let shown = names.prefix(5).joined(separator: ", ")
    return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
  }
}
