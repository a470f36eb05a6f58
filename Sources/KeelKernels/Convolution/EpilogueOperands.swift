internal import CKeelLoops
package import KeelTensor

/// The operands of an epilogue, and the pass that applies it to a tile.
package struct EpilogueOperands {
  package var bias: UnsafePointer<Float>?
  package var residual: UnsafePointer<Float>?
  package var activation: Activation?

  package init(
    bias: UnsafePointer<Float>? = nil, residual: UnsafePointer<Float>? = nil,
    activation: Activation? = nil
  ) {
    self.bias = bias
    self.residual = residual
    self.activation = activation
  }

  package var isEmpty: Bool { bias == nil && residual == nil && activation == nil }

  /// Applies the epilogue to rows of `columns` of a result whose rows have `stride` floats.
  /// - Parameter y: the start of the whole result.
  internal func apply(
    to y: UnsafeMutablePointer<Float>, rows: Range<Int>, columns: Range<Int>, stride: Int
  ) {
    guard !isEmpty else { return }
    let offset = rows.lowerBound * stride + columns.lowerBound
    let isReLU = activation == .relu
    if isReLU || bias != nil || residual != nil {
      loops.epilogue(
        y + offset, rows.count, columns.count, stride, bias.map { $0 + columns.lowerBound },
        residual.map { $0 + offset }, isReLU ? 1 : 0)
    }
    guard let activation, !isReLU else { return }
    let leaf = activation.leaf
    if columns.count == stride {
      loops.activate(y + offset, y + offset, rows.count * stride, leaf)
    } else {
      for row in 0..<rows.count {
        let start = y + offset + row * stride
        loops.activate(start, start, columns.count, leaf)
      }
    }
  }

  /// Applies the epilogue to a tile in scratch memory whose rows are pixels that lie apart in the
  /// result, and copies them there.
  internal func finish(
    _ tile: UnsafeMutablePointer<Float>, of phase: WindowPhase, rows: Range<Int>,
    columns: Range<Int>, stride: Int, into y: UnsafeMutablePointer<Float>
  ) {
    // A residual lies like the result, so that the tile has to be in its place first.
    if residual == nil { apply(to: tile, rows: 0..<rows.count, columns: columns, stride: stride) }
    for (i, position) in rows.enumerated() {
      let pixel = phase.outputPixel(position)
      (y + pixel * stride + columns.lowerBound)
        .update(from: tile + i * stride + columns.lowerBound, count: columns.count)
      if residual != nil {
        apply(to: y, rows: pixel..<pixel + 1, columns: columns, stride: stride)
      }
    }
  }
}
