import KeelTensor

/// Figures that lectures on these operations print: anyone can check them by hand, and every
/// implementation (the Double reference, the Float kernels) is held against the same data.
public enum WorkedExamples {
  /// A small image, one channel, with what becomes of it.
  public struct Image: Sendable {
    /// The input's rows.
    public let input: [[Double]]
    /// The expected output's rows.
    public let output: [[Double]]

    /// The input as 1×H×W×1.
    public var inputTensor: DoubleTensor { WorkedExamples.image(input) }
    /// The output as 1×H′×W′×1.
    public var outputTensor: DoubleTensor { WorkedExamples.image(output) }
  }

  /// The rows of a one-channel image as 1×H×W×1.
  public static func image(_ rows: [[Double]]) -> DoubleTensor {
    try! DoubleTensor(rows.flatMap { $0 }, shape: [1, rows.count, rows[0].count, 1])
  }

  // MARK: Cross-correlation

  /// Cross-correlation of a 3×3 image with `crossCorrelationKernel`.
  public static let crossCorrelation = Image(
    input: [[0, 1, 2], [3, 4, 5], [6, 7, 8]], output: [[19, 25], [37, 43]])

  /// The kernel of `crossCorrelation`, as a weight 1×2×2×1.
  public static let crossCorrelationKernel = image([[0, 1], [2, 3]])

  // MARK: Sizes

  /// One axis of a sliding window and its output size.
  public struct Size: Sendable {
    /// The input's extent.
    public let input: Int
    /// The number of taps.
    public let window: Int
    /// Padding on each side.
    public let padding: Int
    /// The stride.
    public let stride: Int
    /// The output's extent.
    public let output: Int
  }

  /// Output sizes of convolutions, and of the pooling that halves an image.
  public static let sizes: [Size] = [
    Size(input: 7, window: 3, padding: 0, stride: 1, output: 5),
    Size(input: 7, window: 3, padding: 1, stride: 1, output: 7),
    Size(input: 7, window: 3, padding: 0, stride: 2, output: 3),
    Size(input: 32, window: 5, padding: 0, stride: 1, output: 28),
    Size(input: 32, window: 5, padding: 2, stride: 1, output: 32),
    Size(input: 8, window: 3, padding: 1, stride: 1, output: 8),
    Size(input: 224, window: 2, padding: 0, stride: 2, output: 112),
  ]

  // MARK: Counts

  /// A convolution with its counts.
  public struct ConvolutionCounts: Sendable {
    /// The layer's name.
    public let name: String
    /// Input height and width, which are equal.
    public let input: Int
    /// Input and output channels.
    public let channels: (input: Int, output: Int)
    /// Kernel height and width, which are equal.
    public let kernel: Int
    /// Padding on each side.
    public let padding: Int
    /// Output height and width.
    public let output: Int
    /// Weights and biases.
    public let parameters: Int
    /// Multiply-adds of one image.
    public let multiplyAdds: Int

    /// The checked geometry.
    public func geometry() throws(KeelError) -> ConvolutionGeometry {
      try ConvolutionGeometry(
        inputHeight: input, inputWidth: input, inputChannels: channels.input,
        outputChannels: channels.output, kernel: (kernel, kernel), padding: (padding, padding))
    }
  }

  /// Ten 5×5 filters on a 3×32×32 image, and the two convolutions of LeNet.
  public static let convolutionCounts: [ConvolutionCounts] = [
    ConvolutionCounts(
      name: "ten filters", input: 32, channels: (3, 10), kernel: 5, padding: 2, output: 32,
      parameters: 760, multiplyAdds: 768_000),
    ConvolutionCounts(
      name: "LeNet conv1", input: 28, channels: (1, 20), kernel: 5, padding: 2, output: 28,
      parameters: 520, multiplyAdds: 392_000),
    ConvolutionCounts(
      name: "LeNet conv2", input: 14, channels: (20, 50), kernel: 5, padding: 2, output: 14,
      parameters: 25_050, multiplyAdds: 4_900_000),
  ]

  /// The totals of LeNet with linear layers 2450→500→10: parameters with and without biases, and
  /// multiply-adds of one image.
  public static let leNet = (
    parameters: 1_256_080, weights: 1_255_500, multiplyAdds: 6_522_000,
    linears: [(inputs: 2450, outputs: 500), (inputs: 500, outputs: 10)]
  )

  // MARK: Max pooling

  /// Max pooling 2×2 with stride 2.
  public static let maxPooling = Image(
    input: [[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], output: [[6, 8], [3, 4]])

  /// A 5×5 image with ties.
  public static let tiedImage: [[Double]] = [
    [1, 3, 0, 2, 1], [2, 0, 1, 2, 0], [0, 3, 1, 3, 2], [1, 3, 0, 2, 1], [2, 0, 1, 2, 0],
  ]

  /// Max pooling of `tiedImage`, 2×2 with stride 2; the last row and column are left out.
  public static let tiedPooling = Image(input: tiedImage, output: [[3, 2], [3, 3]])

  /// Max pooling of `tiedImage`, 2×2 with stride 2, the size rounded up.
  public static let roundedUpPooling = Image(
    input: tiedImage, output: [[3, 2, 1], [3, 3, 2], [2, 2, 0]])

  /// Max pooling of `tiedImage`, 2×2 with stride 1.
  public static let overlappingPooling = Image(
    input: tiedImage,
    output: [[3, 3, 2, 2], [3, 3, 3, 3], [3, 3, 3, 3], [3, 3, 2, 2]])

  /// The gradient of `tiedPooling` for this dy: the first of equals gets all of it.
  public static let tiedPoolingGradient = (
    dy: image([[2, 5], [1, 0]]),
    dx: image([
      [0, 2, 0, 5, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0],
    ])
  )
}
