import Keel

/// What `prepare` asks for: one pass of one convolution or transposed convolution.
struct PassRequest: Decodable {
  /// Which of a convolution's three computations.
  enum Pass: String, Decodable {
    case forward
    case inputGradient = "input_gradient"
    case weightGradient = "weight_gradient"
  }

  let pass: Pass
  /// Whether the operation is the transposed one; extents and channels are what it takes and makes.
  let transposed: Bool
  let batch: Int
  let threads: Int
  let height: Int
  let width: Int
  let inputChannels: Int
  let outputChannels: Int
  let kernel: Int
  let stride: Int
  let padding: Int
  /// Of a transposed convolution; 0 for others.
  let outputPadding: Int
  let groups: Int

  /// The geometry, checked; of a transposed convolution, that of the convolution it is the transpose of.
  func geometry() throws(KeelError) -> ConvolutionGeometry {
    if transposed {
      return try .transposed(
        inputs: [height, width], inputChannels: inputChannels, outputChannels: outputChannels,
        kernel: [kernel, kernel], stride: [stride, stride], padding: [padding, padding],
        outputPadding: [outputPadding, outputPadding], groups: groups, place: "request")
    }
    return try ConvolutionGeometry(
      inputHeight: height, inputWidth: width, inputChannels: inputChannels,
      outputChannels: outputChannels, kernel: (kernel, kernel), stride: (stride, stride),
      padding: (padding, padding), groups: groups, place: "request")
  }
}
