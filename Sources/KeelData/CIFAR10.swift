package import KeelFormats
public import KeelTensor

/// Reads the binary files of CIFAR-10, `data_batch_1.bin` and so on: for each picture a byte with its class and
/// 32×32 bytes each of red, green and blue.
///
/// Krizhevsky 2009, Learning multiple layers of features from tiny images. Keel does not download the files.
public enum CIFAR10 {
  /// What the classes are called, in the order of their numbers.
  public static let classNames = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
  ]

  private static let side = 32
  private static let pixelCount = side * side
  private static let recordSize = 1 + 3 * pixelCount

  /// Reads the pictures of some files, one file after the other.
  /// - Returns: images N×32×32×3, bytes divided by 255, and labels 0 to 9.
  /// - Throws: `KeelError` of kind `file` for a file that is not made of whole records, or is empty; of kind `value`
  ///   for a label above 9.
  public static func read(_ paths: [String]) throws(KeelError) -> LabelledImages {
    var files: [FileBytes] = []
    for path in paths { files.append(try FileBytes(mapping: path)) }
    return try read(files)
  }

  package static func read(_ files: [FileBytes]) throws(KeelError) -> LabelledImages {
    for file in files where file.count == 0 || file.count % recordSize != 0 {
      throw KeelError(
        .file, at: file.path, expected: "records of \(recordSize) bytes",
        found: "\(file.count) bytes")
    }
    let count = files.reduce(0) { $0 + $1.count / recordSize }
    var labels: [Int64] = []
    labels.reserveCapacity(count)
    let images = try Tensor(uninitialized: [count, side, side, 3]) { (out) throws(KeelError) in
      for file in files {
        try file.withBytes { (bytes) throws(KeelError) in
          for start in stride(from: 0, to: bytes.count, by: recordSize) {
            guard bytes[start] < classNames.count else {
              throw KeelError(
                .value, at: "\(file.path), picture \(start / recordSize)",
                expected: "a label from 0 to 9", found: "\(bytes[start])")
            }
            let first = labels.count * 3 * pixelCount
            labels.append(Int64(bytes[start]))
            for channel in 0..<3 {
              let plane = start + 1 + channel * pixelCount
              for pixel in 0..<pixelCount {
                out[first + pixel * 3 + channel] = Float(bytes[plane + pixel]) / 255
              }
            }
          }
        }
      }
    }
    return try LabelledImages(images: images, labels: IndexTensor(labels, shape: [count]))
  }
}
