import KeelGraph
import KeelTensor

/// What follows the batches of a whitening layer, for use in inference.
public enum WhiteningAverage: String, Hashable, Sendable, CaseIterable {
  /// The covariance; the matrix is made from its average, so that the two belong together.
  case covariance
  /// The matrix itself, as the authors of decorrelated batch norm and of IterNorm do.
  case matrix
}

/// The parameters and numbers that whitening layers have in common.
internal struct WhiteningParts {
  let scale: Parameter?
  let shift: Parameter?
  let mean: Parameter
  /// The running covariance, or the running matrix.
  let second: Parameter
  let average: WhiteningAverage
  let blocks: ChannelBlocks
  let channels: Int
  let momentum: Float

  /// Identity matrices of blocks, packed: d×C.
  static func identity(_ channels: Int, _ size: Int) -> Parameter {
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
  func record(
    _ x: Variable, kind: String, _ makeRule: (String) throws(KeelError) -> Whitening
  ) -> Variable {
    let trace = x.trace
    let place = trace.place(of: mean, kind: kind)
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try checkMomentum(momentum, at: place)
      try blocks.validate(at: place)
      let rule = try makeRule(place)
      let matrix: Variable
      let centre: Variable
      if trace.mode == .inference {
        let runningMean = trace.variable(mean)
        centre = runningMean.asCentre
        switch average {
        case .matrix: matrix = trace.variable(second)
        case .covariance:
          matrix = Variable.comoments(
            mean: runningMean, covariance: trace.variable(second), blocks
          ).whiteningMatrix(rule, blocks, label: place)
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
    switch average {
    case .covariance:
      let new = trace.apply(
        .runningComoments(momentum: momentum, hasCovariance: true),
        [table, trace.latest(mean), trace.latest(second)], label: place)
      trace.update(mean, new[0])
      trace.update(second, new[1])
    case .matrix:
      let newMean = trace.apply(
        .runningComoments(momentum: momentum, hasCovariance: false),
        [table, trace.latest(mean)], label: place)[0]
      let newMatrix = trace.apply(
        .movingAverage(momentum: momentum), [matrix, trace.latest(second)], label: place)[0]
      trace.update(mean, newMean)
      trace.update(second, newMatrix)
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
