import KeelGraph
import KeelTensor

/// A parameter of one value everywhere.
internal func filled(
  _ value: Float, _ extents: [Int], role: Graph.Weight.Role = .trainable
) -> Parameter {
  Parameter(shape: Shape(extents), role: role) { Tensor(repeating: value, shape: $0) }
}

/// The running statistics of a norm as it records them.
internal struct RunningStatistics {
  let mean: Parameter
  let variance: Parameter
  /// The batches behind each cell of a plain average.
  let batchCount: Parameter?
  let average: RunningAverage

  /// The running statistics of parameters that a norm may not have.
  init?(_ mean: Parameter?, _ variance: Parameter?, _ batchCount: Parameter?, momentum: Float?) {
    guard let mean, let variance else { return nil }
    self.mean = mean
    self.variance = variance
    self.batchCount = batchCount
    average = momentum.map(RunningAverage.momentum) ?? .cumulative
  }

  /// Has them follow tables of moments, one after another.
  func follow(_ tables: [Variable], at place: String) {
    let parameters = [mean, variance] + [batchCount].compactMap { $0 }
    guard let trace = tables.first?.trace else { return }
    var values = parameters.map { trace.latest($0) }
    for moments in tables {
      values = trace.apply(.runningStatistics(average), [moments] + values, label: place)
    }
    for (parameter, value) in zip(parameters, values) { trace.update(parameter, value) }
  }
}

/// A scale and shift that come from outside a norm.
internal struct OutsideRecovery {
  let scale: Variable
  let shift: Variable

  /// What they belong to: samples, for N×C, or every element, for the shape of x.
  /// - Throws: `KeelError` for other extents.
  func extent(
    for x: Variable, at place: String
  ) throws(KeelError) -> Normalization.Recovery.Extent {
    guard let type = x.type, let given = scale.type, let other = shift.type else {
      return .samples
    }
    let perSample = ValueType([type.extents[0], type.extents.last!])
    try x.trace.check(
      given == other && (given == perSample || given == type), .shape, at: place,
      expected: "scale and shift both \(perSample) or both \(type)",
      found: "\(given) and \(other)")
    return given == perSample ? .samples : .positions
  }
}

extension Trace {
  /// The variable of a parameter that a layer may not have.
  internal func variable(_ parameter: Parameter?) -> Variable? { parameter.map { variable($0) } }

  /// The path of the layer that holds the first of some parameters that it may have.
  internal func place(of parameters: [Parameter?], kind: String) -> String {
    parameters.lazy.compactMap { $0 }.first.map { place(of: $0, kind: kind) }
      ?? "\(kind) after \(lastLayer)"
  }

  /// A check of what a layer was made with or is called with.
  /// - Throws: `KeelError`.
  internal func check(
    _ condition: Bool, _ kind: KeelError.Kind = .argument, at place: String, expected: String,
    found: @autoclosure () -> String
  ) throws(KeelError) {
    guard condition else { throw KeelError(kind, at: place, expected: expected, found: found()) }
  }

  /// Records by a closure; keeps its error and gives nothing where it throws.
  internal func recording(_ body: () throws(KeelError) -> Variable) -> Variable {
    do { return try body() } catch {
      fail(error)
      return nothing()
    }
  }
}

extension Variable {
  /// Checks the channels, which are the last axis.
  /// - Throws: `KeelError`.
  internal func checkChannels(_ channels: Int, at place: String) throws(KeelError) {
    try trace.check(
      channels >= 1, at: place, expected: "channels at least 1", found: "\(channels)")
    if let type, type.channelCount != channels {
      throw KeelError(
        .shape, at: place, expected: "an input of \(channels) channels", found: "\(type)")
    }
  }

  /// Moments whose cells of a count of 1 or less, which have no unbiased variance, are without elements.
  internal func withoutSingles() -> Variable {
    guard type != nil else { return self }
    let count = sliced(axis: 0, from: MomentsLayout.count, count: 1)
    let less = count * ((count - 1).relu().sign() - 1)
    return self + less.padded([0: (before: 0, after: MomentsLayout.rows - 1)])
  }
}

/// Checks the momentum of a norm; nil is the plain average.
/// - Throws: `KeelError`.
internal func checkMomentum(_ momentum: Float?, at place: String) throws(KeelError) {
  if let momentum { try RunningAverage.momentum(momentum).validate(at: place) }
}
