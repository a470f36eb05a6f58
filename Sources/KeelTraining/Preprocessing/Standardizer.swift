internal import KeelKernels
public import KeelTensor

/// Centres data, or gives it mean 0 and deviation 1, per channel: y = (x − mean)/deviation.
///
/// Fitting takes the moments of each channel over all rows, batch after batch if the data does not fit into
/// memory: batches are merged exactly, so that the result is that of all rows together, whatever their order.
/// A channel that is constant is centred and not divided.
///
/// Numerics: as batch norm, with the population variance and the mean subtracted before anything else.
public struct Standardizer: Sendable, Hashable {
  /// What is done to a channel.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// y = x − mean.
    case center
    /// y = (x − mean)/deviation.
    case standardize
  }

  /// What is done to a channel.
  public let kind: Kind
  /// The moments of each channel over what has been fitted.
  public private(set) var moments: [Moments] = []

  /// Makes one that has seen nothing.
  public init(_ kind: Kind = .standardize) { self.kind = kind }

  /// Makes one from the rows of a tensor.
  /// - Throws: `KeelError` as `fit` does.
  public init(_ kind: Kind = .standardize, fitting x: Tensor) throws(KeelError) {
    self.init(kind)
    try fit(x)
  }

  /// The mean of each channel.
  public var means: [Double] { moments.map(\.mean) }
  /// What each channel is divided by.
  public var divisors: [Double] {
    moments.map { moments in
      let deviation = moments.variance.squareRoot()
      return kind == .center || deviation == 0 ? 1 : deviation
    }
  }

  /// Adds the rows of a tensor to what has been fitted.
  /// - Parameter x: at least one row; channels last, as many as before.
  /// - Throws: `KeelError` of kind `shape` for other tensors; of kind `value` where a channel holds NaN or
  ///   infinity, which leaves what has been fitted as it was.
  public mutating func fit(_ x: Tensor) throws(KeelError) {
    let channels = x.shape.channelCount
    guard x.shape.rank >= 2, x.count > 0, moments.isEmpty || moments.count == channels else {
      let expected = moments.isEmpty ? "channels" : "\(moments.count) channels"
      throw KeelError(
        .shape, at: "standardizer: fit", expected: "rows of \(expected), at least one",
        found: "\(x.shape)")
    }
    let kernel = MomentsKernel(.batch, of: x.shape)
    let parallelism = Parallelism()
    let table = Tensor(zeros: [MomentsLayout.rows, channels])
    let scratch = Tensor(zeros: [kernel.scratchCount(parallelism)])
    withExtendedLifetime((x, table, scratch)) {
      kernel.run(
        x.unsafeBase, into: table.unsafeBase, scratch: scratch.unsafeBase,
        parallelism: parallelism)
    }
    let new = (0..<channels).map { Moments(cell: $0, of: table) }
    for (channel, moments) in new.enumerated() where !moments.squaredDeviations.isFinite {
      throw KeelError(
        .value, at: "standardizer: fit", expected: "finite numbers",
        found: "NaN, infinity or an overflow in channel \(channel)")
    }
    if moments.isEmpty {
      moments = new
    } else {
      for channel in new.indices { moments[channel].merge(new[channel]) }
    }
  }

  /// y = (x − mean)/deviation.
  /// - Throws: `KeelError` of kind `shape` where nothing has been fitted, or other channels.
  public func apply(_ x: Tensor) throws(KeelError) -> Tensor {
    try check(x, "apply")
    let (means, divisors) = (means, divisors)
    return x.mappingChannels { value, channel in
      (value - means[channel]) / divisors[channel]
    }
  }

  /// x = y·deviation + mean: what `apply` has taken away.
  /// - Throws: `KeelError` as `apply` does.
  public func inverse(_ y: Tensor) throws(KeelError) -> Tensor {
    try check(y, "inverse")
    let (means, divisors) = (means, divisors)
    return y.mappingChannels { value, channel in value * divisors[channel] + means[channel] }
  }

  private func check(_ x: Tensor, _ what: String) throws(KeelError) {
    guard !moments.isEmpty, x.shape.rank >= 2, x.shape.channelCount == moments.count else {
      throw KeelError(
        .shape, at: "standardizer: \(what)",
        expected: moments.isEmpty
          ? "data to have been fitted" : "rows of \(moments.count) channels",
        found: moments.isEmpty ? "none" : "\(x.shape)")
    }
  }
}

extension Tensor {
  /// Each element with its channel, through Double.
  fileprivate func mappingChannels(_ body: (Double, _ channel: Int) -> Double) -> Tensor {
    let channels = shape.channelCount
    return withSpan { x in
      Tensor(uninitialized: shape) { out in
        for row in stride(from: 0, to: out.count, by: max(channels, 1)) {
          for c in 0..<channels { out[row + c] = Float(body(Double(x[row + c]), c)) }
        }
      }
    }
  }
}
