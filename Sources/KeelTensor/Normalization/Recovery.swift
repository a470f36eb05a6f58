extension Normalization {
  /// What is put back: y = γ·z + β, with what is absent 1 or 0.
  ///
  /// Tables of conditions are a selection of rows (`.samples`) before this node, colouring a product after
  /// it: neither needs a kind of its own.
  public struct Recovery: Hashable, Sendable {
    /// What a scale and a shift belong to.
    public enum Extent: String, Hashable, Sendable, CaseIterable {
      /// Channels: C.
      case channels
      /// Samples and channels: N×C (conditions, styles, self-modulation).
      case samples
      /// The elements of a sample, the same in all: S₁×…×Sₖ×C (PyTorch's layer norm over several axes).
      case elements
      /// Every element by itself: the shape of x (maps predicted from elsewhere).
      case positions
    }

    /// What they belong to.
    public let extent: Extent
    /// Whether there is a scale γ.
    public let hasScale: Bool
    /// Whether there is a shift β.
    public let hasShift: Bool

    /// Makes a recovery.
    public init(_ extent: Extent, scale: Bool = true, shift: Bool = true) {
      // Without operands there is nothing to belong to: one value for what does nothing.
      self.extent = scale || shift ? extent : .channels
      hasScale = scale
      hasShift = shift
    }

    /// Nothing.
    public static let none = Recovery(.channels, scale: false, shift: false)
    /// A scale and a shift per channel.
    public static let affine = Recovery(.channels)

    /// The extents of scale and shift.
    public func operandExtents<E>(of extents: [E]) -> [E] {
      switch extent {
      case .channels: [extents[extents.count - 1]]
      case .samples: [extents[0], extents[extents.count - 1]]
      case .elements: Array(extents.dropFirst())
      case .positions: extents
      }
    }
  }
}
