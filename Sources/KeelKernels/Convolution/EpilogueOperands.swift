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
}
