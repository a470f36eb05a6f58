/// A linear map of each block of channels: what whitening, coloring and their running forms apply.
///
///     y_c = shift_c + Σ_j matrix[j, c]·(x_{b·d + j} − centre_{b·d + j}),    b the block of channel c
///
/// The matrix is d×C, or d×N×C where samples stand by themselves: row j of channel c is the weight of the j-th
/// channel of c's block. The centre is two rows of the cells' extents, whose sum is subtracted, in this order:
/// near 10⁴ one Float is too coarse. The matrix's rows past a smaller last block are not read.
public struct BlockMap: Hashable, Sendable {
  /// What a shift belongs to.
  public enum Shift: String, Hashable, Sendable {
    /// Nothing: there is none.
    case none
    /// The channels: C.
    case channels
    /// The cells: C, or N×C.
    case cells
  }

  /// The blocks and their cells.
  public let blocks: ChannelBlocks
  /// Whether a centre is an operand.
  public let centers: Bool
  /// What the shift belongs to.
  public let shift: Shift

  /// Makes a map.
  public init(_ blocks: ChannelBlocks, centers: Bool = true, shift: Shift = .none) {
    self.blocks = blocks
    self.centers = centers
    self.shift = shift
  }

  /// The operand of the matrix; x is operand 0.
  public var matrixOperand: Int { centers ? 2 : 1 }
  /// The operand of the shift.
  public var shiftOperand: Int? { shift == .none ? nil : matrixOperand + 1 }
  /// The number of operands.
  public var operandCount: Int { matrixOperand + (shift == .none ? 1 : 2) }
}
