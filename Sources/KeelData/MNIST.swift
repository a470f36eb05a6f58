package import KeelFormats
public import KeelTensor

/// Reads the files of MNIST, and of those that are made like it: Fashion-MNIST, KMNIST, EMNIST.
///
/// LeCun, Bottou, Bengio and Haffner 1998. The files, `train-images-idx3-ubyte` and so on, may be packed
/// (`.gz`); Keel does not download them.
public enum MNIST {
  /// Reads pictures and their labels.
  /// - Returns: images N×H×W×1, bytes divided by 255, and labels 0 to 255 as they are in the file.
  /// - Throws: `KeelError` of kind `file` for files that are not well formed; of kind `shape` where there are not as
  ///   many labels as pictures.
  public static func read(images: String, labels: String) throws(KeelError) -> LabelledImages {
    try read(images: FileBytes(mapping: images), labels: FileBytes(mapping: labels))
  }

  package static func read(
    images imageFile: FileBytes, labels labelFile: FileBytes
  ) throws(KeelError) -> LabelledImages {
    let images = try IDXFile(imageFile, rank: 3)
    let labels = try IDXFile(labelFile, rank: 1)
    guard labels.shape[0] == images.shape[0] else {
      throw KeelError(
        .shape, at: labelFile.path, expected: "labels of the \(images.shape[0]) images",
        found: "\(labels.shape[0])")
    }
    return try LabelledImages(
      images: images.withElements { (bytes) in
        Tensor(uninitialized: Shape(images.shape.extents + [1])) { out in
          for i in 0..<out.count { out[i] = Float(bytes[i]) / 255 }
        }
      },
      labels: labels.withElements { (bytes) in
        IndexTensor(uninitialized: labels.shape) { out in
          for i in 0..<out.count { out[i] = Int64(bytes[i]) }
        }
      })
  }
}
