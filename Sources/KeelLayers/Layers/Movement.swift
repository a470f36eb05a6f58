import KeelGraph
import KeelTensor

/// Makes N×…×C larger (or smaller) along the axes between the first and the last: N×L×C, N×H×W×C or N×D×H×W×C.
///
/// Linear interpolation is bilinear on images and trilinear on volumes; coordinates are half pixels unless
/// said otherwise, see `ResizeCoordinates`.
public struct Upsample: Layer {
  /// What becomes of the axes.
  public enum Size: Hashable, Sendable {
    /// Each axis so many times as long, rounded down.
    case factor(Double)
    /// Each axis as many times as long as its own factor says, rounded down.
    case factors([Double])
    /// These extents.
    case extents([Int])
  }

  /// What becomes of the axes.
  public let size: Size
  /// How elements between others are made.
  public let interpolation: Interpolation
  /// Where elements lie.
  public let coordinates: ResizeCoordinates

  /// Makes a layer. Without an interpolation it repeats the nearest element, as PyTorch's does.
  /// Factors that are not above 0 and extents below 1 are thrown when the graph is made.
  public init(
    _ size: Size, _ interpolation: Interpolation = .nearest(.down),
    coordinates: ResizeCoordinates? = nil
  ) {
    self.size = size
    self.interpolation = interpolation
    self.coordinates = coordinates ?? (interpolation == .nearest(.down) ? .asymmetric : .halfPixel)
  }

  /// Makes a layer of one factor for all axes.
  public init(
    by factor: Double, _ interpolation: Interpolation = .nearest(.down),
    coordinates: ResizeCoordinates? = nil
  ) {
    self.init(.factor(factor), interpolation, coordinates: coordinates)
  }

  /// Records the resizing.
  public func callAsFunction(_ x: Variable) -> Variable {
    switch size {
    case .factor(let factor): x.resized(by: factor, interpolation, coordinates: coordinates)
    case .factors(let factors): x.resized(by: factors, interpolation, coordinates: coordinates)
    case .extents(let extents): x.resized(to: extents, interpolation, coordinates: coordinates)
    }
  }
}

/// Puts elements around N×L×C.
public typealias Pad1d = Padding<OneAxis>
/// Puts elements around N×H×W×C.
public typealias Pad2d = Padding<TwoAxes>
/// Puts elements around N×D×H×W×C.
public typealias Pad3d = Padding<ThreeAxes>

/// Puts elements around sequences, images or volumes: a constant, or by a mode their own elements. With a
/// constant, amounts below 0 cut off.
public struct Padding<Axes: AxisCount>: Layer {
  /// Elements before the first of each axis.
  public let before: AxisNumbers<Axes>
  /// Elements after the last of each axis.
  public let after: AxisNumbers<Axes>
  /// What is put around.
  public let mode: PaddingMode

  /// Makes a padding. Amounts that the mode cannot give are thrown when the graph is made.
  public init(
    before: AxisNumbers<Axes>, after: AxisNumbers<Axes>, mode: PaddingMode = .zeros
  ) {
    (self.before, self.after) = (before, after)
    self.mode = mode
  }

  /// Makes a padding of one amount on all sides.
  public init(_ amount: Int, mode: PaddingMode = .zeros) {
    self.init(before: AxisNumbers(amount), after: AxisNumbers(amount), mode: mode)
  }

  /// Records the padding.
  public func callAsFunction(_ x: Variable) -> Variable {
    let place = "Pad\(Axes.axisCount)d after \(x.trace.lastLayer)"
    guard x.spatialExtents(axisCount: Axes.axisCount, at: place) != nil else {
      return x.trace.nothing()
    }
    var amounts: [Int: (before: Int, after: Int)] = [:]
    for axis in 0..<Axes.axisCount {
      amounts[axis + 1] = (before.numbers[axis], after.numbers[axis])
    }
    return x.padded(amounts, mode: mode)
  }
}

extension Padding where Axes == TwoAxes {
  /// Makes a padding of an amount for each side of an image.
  public init(top: Int, bottom: Int, left: Int, right: Int, mode: PaddingMode = .zeros) {
    self.init(
      before: AxisNumbers(height: top, width: left),
      after: AxisNumbers(height: bottom, width: right), mode: mode)
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
