import KeelGraph
import KeelTensor

/// Makes N×…×C larger (or smaller) by a factor along the axes between the first and the last: N×L×C, N×H×W×C
/// or N×D×H×W×C.
///
/// Linear interpolation is bilinear on images and trilinear on volumes; coordinates are half pixels unless
/// said otherwise, see `ResizeCoordinates`.
public struct Upsample: Layer {
  /// How many times as long each axis becomes, rounded down.
  public let factor: Double
  /// How elements between others are made.
  public let interpolation: Interpolation
  /// Where elements lie.
  public let coordinates: ResizeCoordinates

  /// Makes a layer. Without an interpolation it repeats the nearest element, as PyTorch's does.
  /// A factor that is not above 0 is thrown when the graph is made.
  public init(
    by factor: Double, _ interpolation: Interpolation = .nearest(.down),
    coordinates: ResizeCoordinates? = nil
  ) {
    self.factor = factor
    self.interpolation = interpolation
    self.coordinates = coordinates ?? (interpolation == .nearest(.down) ? .asymmetric : .halfPixel)
  }

  /// Records the resizing.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.resized(by: factor, interpolation, coordinates: coordinates)
  }
}

/// Puts elements around N×H×W×C: zeros, or by a mode its own elements. With zeros, amounts below 0 cut off.
public struct Pad2d: Layer {
  /// Rows above.
  public let top: Int
  /// Rows below.
  public let bottom: Int
  /// Columns at the left.
  public let left: Int
  /// Columns at the right.
  public let right: Int
  /// What is put around.
  public let mode: PaddingMode

  /// Makes a padding. Amounts that the mode cannot give are thrown when the graph is made.
  public init(
    top: Int, bottom: Int, left: Int, right: Int, mode: PaddingMode = .zeros
  ) {
    (self.top, self.bottom, self.left, self.right) = (top, bottom, left, right)
    self.mode = mode
  }

  /// Makes a padding of one amount on all sides.
  public init(_ amount: Int, mode: PaddingMode = .zeros) {
    self.init(top: amount, bottom: amount, left: amount, right: amount, mode: mode)
  }

  /// Records the padding.
  public func callAsFunction(_ x: Variable) -> Variable {
    guard x.spatialExtents(axisCount: 2, at: "Pad2d after \(x.trace.lastLayer)") != nil else {
      return x.trace.nothing()
    }
    return x.padded([1: (top, bottom), 2: (left, right)], mode: mode)
  }
}

/// Turns groups of channels into pixels: N×H×W×(C·b²) to N×(H·b)×(W·b)×C; channel c·b² + row·b + column gives
/// the pixel at (row, column) of its block (Shi et al. 2016, arXiv 1609.05158).
public struct PixelShuffle: Layer {
  /// b: the side of a block.
  public let block: Int

  /// Makes a layer. Channels that b² does not divide are thrown when the graph is made.
  public init(_ block: Int) { self.block = block }

  /// Records the permutation.
  public func callAsFunction(_ x: Variable) -> Variable { x.depthToSpace(block: block) }
}

/// Turns pixels into groups of channels: N×(H·b)×(W·b)×C to N×H×W×(C·b²), undone by `PixelShuffle`.
public struct PixelUnshuffle: Layer {
  /// b: the side of a block.
  public let block: Int

  /// Makes a layer. A height or width that b does not divide is thrown when the graph is made.
  public init(_ block: Int) { self.block = block }

  /// Records the permutation.
  public func callAsFunction(_ x: Variable) -> Variable { x.spaceToDepth(block: block) }
}
