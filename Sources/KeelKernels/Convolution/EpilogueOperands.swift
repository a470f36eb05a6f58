internal import CKeelLoops
package import KeelTensor

/// Where the maxima of 2×2 pixels go.
package struct PooledResult {
  let start: UnsafeMutablePointer<Float>
  /// The floats from one of them to the next.
  let stride: Int
  /// Whether the pixels themselves are wanted too.
  let keepsResult: Bool

  package init(_ start: UnsafeMutablePointer<Float>, stride: Int, keepsResult: Bool) {
    self.start = start
    self.stride = stride
    self.keepsResult = keepsResult
  }
}

/// The operands of an epilogue, and the pass that applies it to a tile.
package struct EpilogueOperands {
  package var bias: UnsafePointer<Float>?
  package var residual: UnsafePointer<Float>?
  /// The floats from one row of the residual to the next; nil for the result's.
  package var residualStride: Int?
  package var activation: Activation?
  /// The moments of the result's channels, where they are wanted of whole tiles.
  package var moments: TileMoments?
  /// Where the maxima of the result's 2×2 pixels go; only of algorithms that pool.
  package var pooled: PooledResult?

  package init(
    bias: UnsafePointer<Float>? = nil, residual: UnsafePointer<Float>? = nil,
    residualStride: Int? = nil, activation: Activation? = nil, moments: TileMoments? = nil,
    pooled: PooledResult? = nil
  ) {
    self.bias = bias
    self.residual = residual
    self.residualStride = residualStride
    self.activation = activation
    self.moments = moments
    self.pooled = pooled
  }

  package var isEmpty: Bool { bias == nil && residual == nil && activation == nil }

  /// What loops do to sums before they store them: bias, residual, ReLU or clip; nil where the residual's rows lie
  /// otherwise than the result's.
  /// - Parameter y: the start of the whole result.
  internal func leaf(result y: UnsafeMutablePointer<Float>, stride: Int) -> KeelEpilogue? {
    guard residual == nil || residualStride ?? stride == stride else { return nil }
    return KeelEpilogue(
      bias: bias, adds: residual == nil ? 0 : 1,
      residual: residual.map { $0 - UnsafePointer(y) } ?? 0,
      cut: cut)
  }

  /// The activation as far as loops apply it to sums before they store them.
  internal var cut: KeelCut {
    switch activation {
    case .relu: KeelCut(kind: Int32(KEEL_CUT_BELOW.rawValue), low: 0, high: 0)
    case .clip(let low, let high):
      KeelCut(kind: Int32(KEEL_CUT_BOTH.rawValue), low: low, high: high)
    default: KeelCut()
    }
  }

  /// The activation, where it is none of those.
  package var lateActivation: Activation? {
    switch activation {
    case .relu, .clip: nil
    default: activation
    }
  }

  /// What `leaf` leaves to be done.
  internal var withoutLeaf: EpilogueOperands {
    EpilogueOperands(activation: lateActivation, moments: moments)
  }

  /// Applies the epilogue to rows of `columns` of a result whose rows have `stride` floats.
  /// - Parameter y: the start of the whole result.
  internal func apply(
    to y: UnsafeMutablePointer<Float>, rows: Range<Int>, columns: Range<Int>, stride: Int
  ) {
    apply(
      to: y, first: rows.lowerBound, count: rows.count, step: 1, columns: columns, stride: stride)
  }

  /// Applies the epilogue to `count` rows that lie `step` rows apart.
  internal func apply(
    to y: UnsafeMutablePointer<Float>, first: Int, count: Int, step: Int, columns: Range<Int>,
    stride: Int
  ) {
    guard !isEmpty else { return }
    let offset = first * stride + columns.lowerBound
    let cut = cut
    if cut.kind != KEEL_CUT_NONE.rawValue || bias != nil || residual != nil {
      let residualStride = residualStride ?? stride
      loops.epilogue(
        y + offset, count, columns.count, step * stride, bias.map { $0 + columns.lowerBound },
        residual.map { $0 + first * residualStride + columns.lowerBound }, step * residualStride,
        cut)
    }
    guard let activation = lateActivation else { return }
    let leaf = activation.leaf
    if columns.count == stride, step == 1 {
      loops.activate(y + offset, y + offset, count * stride, leaf)
    } else {
      for row in 0..<count {
        let start = y + offset + row * step * stride
        loops.activate(start, start, columns.count, leaf)
      }
    }
  }

  /// Applies the epilogue to the pixels that some positions of a phase's grid make.
  internal func apply(
    to y: UnsafeMutablePointer<Float>, of phase: WindowPhase, rows: Range<Int>,
    columns: Range<Int>, stride: Int
  ) {
    guard !isEmpty else { return }
    if phase.isWhole { return apply(to: y, rows: rows, columns: columns, stride: stride) }
    phase.forEachRow(of: rows) { positions, pixel in
      apply(
        to: y, first: pixel, count: positions.count, step: phase.pixelStep, columns: columns,
        stride: stride)
    }
  }
}
