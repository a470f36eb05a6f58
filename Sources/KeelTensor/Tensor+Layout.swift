extension DenseArray {
  /// Makes a channels-last array (N×H×W×C) from channels-first elements (N×C×H×W).
  /// - Throws: `KeelError` of kind `shape` where the shape is not of rank 4 or the count differs.
  public init(
    nchw elements: [Element], batch: Int, channels: Int, height: Int, width: Int
  ) throws(KeelError) {
    let shape: Shape = [batch, height, width, channels]
    guard elements.count == shape.elementCount, shape.extents.allSatisfy({ $0 >= 0 }) else {
      throw KeelError(
        .shape, at: "channels-first elements", expected: "\(shape.elementCount) elements",
        found: "\(elements.count)")
    }
    self.init(uninitialized: shape) { out in
      var i = 0
      for n in 0..<batch {
        for c in 0..<channels {
          for position in 0..<height * width {
            out[(n * height * width + position) * channels + c] = elements[i]
            i += 1
          }
        }
      }
    }
  }

  /// The elements of an N×H×W×C array in channels-first order (N×C×H×W).
  /// - Precondition: the rank is 4.
  public var nchw: [Element] {
    precondition(shape.rank == 4, "channels-first order needs rank 4, found \(shape)")
    let (batch, positions, channels) = (shape[0], shape[1] * shape[2], shape[3])
    let source = elements
    return [Element](unsafeUninitializedCapacity: count) { out, initialized in
      var i = 0
      for n in 0..<batch {
        for c in 0..<channels {
          for position in 0..<positions {
            out.initializeElement(at: i, to: source[(n * positions + position) * channels + c])
            i += 1
          }
        }
      }
      initialized = i
    }
  }
}
