package import KeelTensor

/// Slices, paddings with zeros or with what is there, and nearest resizings of images, read through: each row and
/// column that a convolution sees is one of the operand's, or zeros.
package struct PixelMap: Hashable, Sendable {
  /// The operand's rows and columns that the result's are; below 0 for zeros.
  let rows: [Int], columns: [Int]
  /// The operand's extents.
  let height: Int, width: Int

  /// The map that movements make together of an operand N×H×W×C or N×L×C; nil where they sum pixels, fill in other
  /// numbers than zero, or move batches or channels.
  /// - Parameters:
  ///   - movements: what is done to the operand, first to last.
  ///   - shape: the operand's.
  package init?(_ movements: [Movement], of shape: Shape) {
    guard shape.rank == 3 || shape.rank == 4 else { return nil }
    var axes = shape.extents[1..<shape.rank - 1].map { Array(0..<$0) }
    for movement in movements {
      guard movement.copies, movement.axes.count == shape.rank, movement.axes.first == .whole,
        movement.axes.last == .whole
      else { return nil }
      for position in axes.indices {
        let (kind, before) = (movement.axes[position + 1], axes[position])
        guard
          let count = try? movement.extent(
            ofAxis: position + 1, input: before.count, place: "pixel map")
        else { return nil }
        let taps = AxisTaps(kind, input: before.count, output: count)
        axes[position] = (0..<count).map {
          taps.starts[$0] == taps.starts[$0 + 1] ? -1 : before[taps.inputs[taps.starts[$0]]]
        }
      }
    }
    if axes.count == 1 { axes.insert([0], at: 0) }
    (rows, columns) = (axes[0], axes[1])
    (height, width) = (shape.rank == 4 ? shape[1] : 1, shape[shape.rank - 2])
  }
}

/// A part of a convolution's input: some of its channels, of pixels that may be slices of larger ones.
package struct InputPart: Hashable, Sendable {
  /// The channels of the part.
  package let channels: Int
  /// The floats from one pixel to the next.
  package let stride: Int
  /// Where the pixels that the convolution sees are; nil for where they are seen.
  package let map: PixelMap?

  package init(channels: Int, stride: Int? = nil, map: PixelMap? = nil) {
    self.channels = channels
    self.stride = stride ?? channels
    self.map = map
  }
}

/// Where the parts of a convolution's input are: one, or two.
package struct InputParts {
  package let first: UnsafePointer<Float>
  package let second: UnsafePointer<Float>?

  package init(_ first: UnsafePointer<Float>, _ second: UnsafePointer<Float>? = nil) {
    self.first = first
    self.second = second
  }
}
