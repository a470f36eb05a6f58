internal import CKeelDigits
public import KeelTensor

/// The 1,797 handwritten digits that come with Keel: 8×8 pixels, ten classes.
///
/// Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning
/// Repository, CC BY 4.0. The pixels count inked dots of 4×4 blocks of a 32×32 scan, 0 to 16.
public enum Digits {
  /// All digits in the order of the file.
  public static let all = LabelledImages(unchecked: makeImages(), labels: makeLabels())

  /// The pixels of all digits, 1797×8×8×1, scaled to 0...1 (the file's value divided by 16).
  public static var images: Tensor { all.images }

  /// The labels of all digits, 0 to 9.
  public static var labels: IndexTensor { all.labels }

  /// The number of classes.
  public static let classCount = 10

  private static let count = Int(KEEL_DIGITS_COUNT)
  private static let stride = Int(KEEL_DIGITS_STRIDE)
  private static let pixels = stride - 1

  private static func makeImages() -> Tensor {
    // A constant of the program's image: it lives as long as the program.
    let bytes = keel_digits_start()!
    return Tensor(uninitialized: [count, 8, 8, 1]) { out in
      for i in 0..<count {
        for p in 0..<pixels { out[i * pixels + p] = Float(bytes[i * stride + p]) / 16 }
      }
    }
  }

  private static func makeLabels() -> IndexTensor {
    let bytes = keel_digits_start()!
    return IndexTensor(uninitialized: [count]) { out in
      for i in 0..<count { out[i] = Int64(bytes[i * stride + pixels]) }
    }
  }
}
