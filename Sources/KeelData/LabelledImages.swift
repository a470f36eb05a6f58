public import KeelTensor

/// Images and the class of each.
public struct LabelledImages: Sendable {
  /// The images, N×H×W×C.
  public let images: Tensor
  /// The classes, N.
  public let labels: IndexTensor

  /// Joins images with their labels.
  /// - Throws: `KeelError` of kind `shape` where the images are not of rank 4, the labels not of rank
  ///   1, or the counts differ.
  public init(images: Tensor, labels: IndexTensor) throws(KeelError) {
    guard images.shape.rank == 4 else {
      throw KeelError(
        .shape, at: "labelled images: images", expected: "rank 4 (N×H×W×C)",
        found: "\(images.shape)")
    }
    guard labels.shape == [images.shape[0]] else {
      throw KeelError(
        .shape, at: "labelled images: labels", expected: "shape \(images.shape[0])",
        found: "\(labels.shape)")
    }
    self.init(unchecked: images, labels: labels)
  }

  internal init(unchecked images: Tensor, labels: IndexTensor) {
    self.images = images
    self.labels = labels
  }

  /// The number of images.
  public var count: Int { images.shape[0] }

  /// The images and labels at some positions, in that order; a position may come more than once.
  /// - Precondition: every position is in 0..<count.
  public func subset(_ indices: some Collection<Int>) -> LabelledImages {
    for index in indices {
      precondition(index >= 0 && index < count, "index: expected 0..<\(count), found \(index)")
    }
    let imageSize = images.shape.extents.dropFirst().reduce(1, *)
    let shape = Shape([indices.count] + images.shape.extents.dropFirst())
    let pickedImages = images.withSpan { source in
      Tensor(uninitialized: shape) { out in
        var position = 0
        for index in indices {
          for i in index * imageSize..<(index + 1) * imageSize {
            out[position] = source[i]
            position += 1
          }
        }
      }
    }
    let pickedLabels = labels.withSpan { source in
      IndexTensor(uninitialized: [indices.count]) { out in
        for (position, index) in indices.enumerated() { out[position] = source[index] }
      }
    }
    return LabelledImages(unchecked: pickedImages, labels: pickedLabels)
  }
}
