public import KeelTensor

/// Changes samples at random before each use in training.
public protocol Augmentation: Sendable {
  /// Changes a batch of samples in place, each in its own way.
  /// - Parameters:
  ///   - batch: the elements of the samples, such as N×H×W×C.
  ///   - shape: the extents.
  ///   - source: where randomness comes from.
  func apply(to batch: inout MutableSpan<Float>, shape: Shape, using source: inout RandomSource)
}

/// Moves images by a random whole number of pixels along each axis; what moves in is 0.
public struct RandomShift: Augmentation, Hashable {
  /// The largest distance.
  public let pixels: Int

  /// Makes a shift of at most so many pixels.
  /// - Throws: `KeelError` of kind `argument` for a distance that is negative or above 2³¹ − 1.
  public init(pixels: Int) throws(KeelError) {
    guard pixels >= 0, pixels <= Int(Int32.max) else {
      throw KeelError(
        .argument, at: "random shift", expected: "a distance of at least 0 and below 2³¹",
        found: "\(pixels)")
    }
    self.pixels = pixels
  }

  /// Moves each image of N×H×W×C.
  /// - Precondition: the shape has four extents.
  public func apply(
    to batch: inout MutableSpan<Float>, shape: Shape, using source: inout RandomSource
  ) {
    precondition(shape.rank == 4, "random shift: expected N×H×W×C, found \(shape)")
    for image in 0..<shape[0] {
      let dy = source.below(2 * pixels + 1) - pixels
      let dx = source.below(2 * pixels + 1) - pixels
      move(&batch, image, shape, dy, dx)
    }
  }

  /// Rows and columns are visited so that a pixel is read before it is written over.
  private func move(
    _ batch: inout MutableSpan<Float>, _ image: Int, _ shape: Shape, _ dy: Int, _ dx: Int
  ) {
    let (height, width, channels) = (shape[1], shape[2], shape[3])
    let first = image * height * width
    for row in 0..<height {
      let y = dy > 0 ? height - 1 - row : row
      for column in 0..<width {
        let x = dx > 0 ? width - 1 - column : column
        let isInside = (0..<height).contains(y - dy) && (0..<width).contains(x - dx)
        let target = (first + y * width + x) * channels
        let source = (first + (y - dy) * width + x - dx) * channels
        for c in 0..<channels { batch[target + c] = isInside ? batch[source + c] : 0 }
      }
    }
  }
}
