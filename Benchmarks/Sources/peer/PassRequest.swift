import Keel

/// What `prepare` asks for: one pass of one convolution.
struct PassRequest: Decodable {
  /// Which of a convolution's three computations.
  enum Pass: String, Decodable {
    case forward
    case inputGradient = "input_gradient"
    case weightGradient = "weight_gradient"
  }

  let pass: Pass
  let batch: Int
  let threads: Int
  let height: Int
  let width: Int
  let inputChannels: Int
  let outputChannels: Int
  let kernel: Int
  let stride: Int
  let padding: Int
  let groups: Int

  /// The geometry, checked.
  func geometry() throws(KeelError) -> ConvolutionGeometry {
    try ConvolutionGeometry(
      inputHeight: height, inputWidth: width, inputChannels: inputChannels,
      outputChannels: outputChannels, kernel: (kernel, kernel), stride: (stride, stride),
      padding: (padding, padding), groups: groups, place: "request")
  }
}
