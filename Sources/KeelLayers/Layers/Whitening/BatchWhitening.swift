import KeelGraph
import KeelTensor

/// What follows the batches of a whitening layer, for use in inference.
public enum WhiteningAverage: String, Hashable, Sendable, CaseIterable {
  /// The covariance; the matrix is made from its average, so that the two belong together.
  case covariance
  /// The matrix itself, as the authors of decorrelated batch norm and of IterNorm do.
  case matrix
}

/// A layer that whitens blocks of channels over the batch: y = scale·W·(x − mean) + shift. Layers differ in how W
/// is made from the co-moments.
public protocol BatchWhitening: Layer, CustomReflectable {
  /// The parameters, and the numbers that all such layers have.
  var state: WhiteningState { get }
  /// How W is made.
  /// - Throws: `KeelError` of kind `argument`, at a place, for numbers outside their range.
  func whitening(at place: String) throws(KeelError) -> Whitening
}

extension BatchWhitening {
  /// Records the whitening and, in training, the new running statistics.
  public func callAsFunction(_ x: Variable) -> Variable {
    state.record(x, kind: "\(Self.self)") { (place) throws(KeelError) in
      try whitening(at: place)
    }
  }

  /// The state's own children: what keeps `state` out of the paths.
  public var customMirror: Mirror { Mirror(reflecting: state) }
}

/// The parameters of a layer that whitens over the batch, and the numbers that all such layers have.
public struct WhiteningState: Sendable {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C; starts at 0.
  public let runningMean: Parameter
  /// Of the blocks' covariance, d×C; starts at I; nil where the matrix itself is averaged.
  public let runningCovariance: Parameter?
  /// Of the blocks' matrices, packed as `BlockMap` takes them, d×C; starts at I; nil where the covariance is.
  public let runningMatrix: Parameter?
  /// C.
  public let channels: Int
  /// d; the last block may be smaller.
  public let blockSize: Int
  /// What is averaged over batches.
  public let average: WhiteningAverage
  /// The weight of the new value in the running statistics.
  public let momentum: Float

  internal init(
    _ channels: Int, blockSize: Int, momentum: Float, average: WhiteningAverage, affine: Bool
  ) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    runningMean = filled(0, [channels], role: .state)
    self.channels = channels
    self.blockSize = min(blockSize, channels)
    self.average = average
    self.momentum = momentum
    let matrices = Self.identity(channels, self.blockSize)
    runningCovariance = average == .covariance ? matrices : nil
    runningMatrix = average == .matrix ? matrices : nil
  }

  /// Identity matrices of blocks, packed: d×C.
  private static func identity(_ channels: Int, _ size: Int) -> Parameter {
    let size = max(1, min(size, channels))
    return Parameter(shape: [size, max(channels, 1)], role: .state) { shape in
      Tensor(uninitialized: shape) { out in
        for i in out.indices {
          let (row, channel) = (i / shape[1], i % shape[1])
          out[i] = channel % size == row ? 1 : 0
        }
      }
    }
  }

  /// y = scale·W·(x − mean) + shift, and in training the new running statistics.
  fileprivate func record(
    _ x: Variable, kind: String, _ makeRule: (String) throws(KeelError) -> Whitening
  ) -> Variable {
    let trace = x.trace
    let blocks = ChannelBlocks(blockSize)
    let place = trace.place(of: runningMean, kind: kind)
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      try blocks.validate(at: place)
      let rule = try makeRule(place)
      let matrix: Variable
      let centre: Variable
      if trace.mode == .inference {
        let mean = trace.variable(runningMean)
        centre = mean.asCentre
        if let runningCovariance {
          matrix = Variable.comoments(
            mean: mean, covariance: trace.variable(runningCovariance), blocks
          ).whiteningMatrix(rule, blocks, label: place)
        } else {
          matrix = trace.variable(runningMatrix!)
        }
      } else {
        try x.checkRows(for: rule, blocks, at: place)
        let table = x.comoments(blocks, label: place)
        matrix = table.whiteningMatrix(rule, blocks, label: place)
        centre = table.comomentsCentre
        follow(table, matrix, at: place)
      }
      let scaled = trace.variable(scale).map { matrix * $0 } ?? matrix
      return x.mapped(
        by: scaled, blocks, centre: centre, shift: trace.variable(shift), label: place)
    }
  }

  private func follow(_ table: Variable, _ matrix: Variable, at place: String) {
    let trace = table.trace
    let new = trace.apply(
      .runningComoments(momentum: momentum, hasCovariance: runningCovariance != nil),
      [table, trace.latest(runningMean)] + (runningCovariance.map { [trace.latest($0)] } ?? []),
      label: place)
    trace.update(runningMean, new[0])
    if let runningCovariance { trace.update(runningCovariance, new[1]) }
    if let runningMatrix {
      let newMatrix = trace.apply(
        .movingAverage(momentum: momentum), [matrix, trace.latest(runningMatrix)], label: place)[0]
      trace.update(runningMatrix, newMatrix)
    }
  }
}

extension Variable {
  /// Checks that there are more rows than a block has channels, where that is known and the rule needs it.
  /// - Throws: `KeelError` of kind `shape`.
  internal func checkRows(
    for rule: Whitening, _ blocks: ChannelBlocks, at place: String
  ) throws(KeelError) {
    guard !rule.toleratesDeficiency, let type else { return }
    let rows = type.extents.dropLast().dropFirst(blocks.rows == .all ? 0 : 1)
    var count = 1
    for extent in rows {
      guard let value = extent.fixedValue else { return }
      count *= value
    }
    try trace.check(
      count > blocks.size, .shape, at: place,
      expected: "more rows than the \(blocks.size) channels of a block, or an ε", found: "\(type)")
  }
}
