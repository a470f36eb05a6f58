/// Which channels are whitened together, over which rows: blocks of neighbouring channels, of all samples or
/// of each by itself.
///
/// With C channels and blocks of d, block b holds channels b·d..<min((b + 1)·d, C): the last may be smaller.
public struct ChannelBlocks: Hashable, Sendable {
  /// Which rows share statistics.
  public enum Rows: String, Hashable, Sendable, CaseIterable {
    /// Those of all samples.
    case all
    /// Those of one sample, the first axis.
    case sample
  }

  /// Which rows share statistics.
  public let rows: Rows
  /// The channels d of a block.
  public let size: Int

  /// Makes blocks; graphs refuse a size below 1, and one above the number of channels.
  public init(_ size: Int, over rows: Rows = .all) {
    self.rows = rows
    self.size = size
  }

  /// The number of blocks of so many channels.
  public func count(of channels: Int) -> Int { (channels + size - 1) / size }

  /// The channels of a block.
  public func channels(of block: Int, in count: Int) -> Range<Int> {
    block * size..<min((block + 1) * size, count)
  }

  /// The extents of the cells of x, and the channels: C, or N×C where samples stand by themselves.
  public func cellExtents<Extent>(of extents: [Extent]) -> [Extent] {
    rows == .all ? [extents.last!] : [extents.first!, extents.last!]
  }

  /// A cell in words, for messages.
  public var cellName: String {
    rows == .all ? "block of \(size) channels" : "block of \(size) channels of a sample"
  }

  /// Checks what does not depend on a shape.
  /// - Throws: `KeelError` of kind `argument`.
  public func validate(at place: String) throws(KeelError) {
    guard size >= 1 else {
      throw KeelError(
        .argument, at: place, expected: "blocks of at least 1 channel", found: "\(size)")
    }
  }
}

/// How the co-moments of blocks of d channels are laid out in a tensor: 3 + 2·d rows of the extents of the
/// cells and channels, (3 + 2·d)×C, or ×N×C for samples by themselves.
///
/// Co-moments are kept as two Floats, like means, because whitening divides by their smallest eigenvalue: at
/// a condition number of 10⁴ the rounding of one Float shows in the fourth digit of what is whitened. Rows past
/// a smaller last block are 0.
public enum ComomentsLayout {
  /// Row 0: the number of rows of x behind each channel's statistics.
  public static let count = 0
  /// Row 1: the mean, rounded to Float.
  public static let mean = 1
  /// Row 2: the exact mean minus the rounded one.
  public static let meanResidual = 2
  /// Row 3 + i of channel c: Σ(xᵢ − meanᵢ)·(x_c − mean_c) with the i-th channel of c's block, rounded.
  public static let products = 3
  /// Row 3 + d + i: what the rounding of row 3 + i left out.
  public static func productResiduals(of size: Int) -> Int { products + size }
  /// The rows that given statistics count for: a power of two, so that nothing is rounded.
  public static let countOfGiven: Float = 16_777_216
  /// The number of rows.
  public static func rows(of size: Int) -> Int { products + 2 * size }
}
