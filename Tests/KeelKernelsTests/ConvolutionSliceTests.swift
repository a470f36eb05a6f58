import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: on pixels that are slices of larger ones, convolutions give the bits that they give on
/// dense ones, and leave alone what lies between.
@Suite struct ConvolutionSliceTests {
  /// The floats of larger pixels before and behind a slice.
  private static let (before, behind) = (3, 5)

  /// The rows of a tensor as slices of larger ones, with NaN between.
  private static func spread(_ tensor: Tensor) -> Tensor {
    let (rows, channels) = (tensor.shape.rowCount, tensor.shape.channelCount)
    let stride = before + channels + behind
    var elements = [Float](repeating: .nan, count: rows * stride)
    for row in 0..<rows {
      for c in 0..<channels {
        elements[row * stride + before + c] = tensor.elements[row * channels + c]
      }
    }
    return Tensor(uninitialized: [rows, stride]) { out in
      for i in out.indices { out[i] = elements[i] }
    }
  }

  private static func stride(_ channels: Int) -> Int { before + channels + behind }

  private struct Operands {
    let x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor
  }

  private static func run(
    _ kernel: some PackedConvolution, _ operands: Operands, offset: Int, residualStride: Int?,
    into y: inout Tensor, threads: Int
  ) {
    let parallelism = Parallelism(threads: threads)
    var packed = Tensor(repeating: .nan, shape: [kernel.packedWeightCount])
    var workspace = Tensor(repeating: .nan, shape: [max(1, kernel.workspaceCount(parallelism))])
    func address(_ tensor: Tensor) -> UnsafePointer<Float> {
      tensor.withSpan { $0.withUnsafeBufferPointer { $0.baseAddress! } }
    }
    func memory(_ tensor: inout Tensor) -> UnsafeMutablePointer<Float> {
      tensor.withMutableSpan { $0.withUnsafeMutableBufferPointer { $0.baseAddress! } }
    }
    // The addresses stay right: nobody else holds these tensors.
    let (panels, scratch, result) = (memory(&packed), memory(&workspace), memory(&y))
    kernel.pack(address(operands.weight), into: panels, parallelism: parallelism)
    kernel.run(
      InputParts(address(operands.x) + offset), packed: panels, into: result + offset,
      epilogue: EpilogueOperands(
        bias: address(operands.bias), residual: address(operands.residual) + offset,
        residualStride: residualStride, activation: .silu),
      scratch: scratch, parallelism: parallelism)
    withExtendedLifetime((packed, workspace, operands)) {}
  }

  private static func check(
    _ dense: some PackedConvolution, _ apart: some PackedConvolution, x: Shape, y: Shape,
    threads: Int, _ what: String
  ) {
    var source = TensorSource(seed: 97)
    let operands = Operands(
      x: source.normal(x), weight: source.normal(dense.geometry.weightShape),
      bias: source.normal([y.channelCount]), residual: source.normal(y))
    var expected = Tensor(repeating: .nan, shape: y)
    run(dense, operands, offset: 0, residualStride: nil, into: &expected, threads: threads)
    let spread = Operands(
      x: Self.spread(operands.x), weight: operands.weight, bias: operands.bias,
      residual: Self.spread(operands.residual))
    var found = Tensor(repeating: .nan, shape: Self.spread(expected).shape)
    run(
      apart, spread, offset: before, residualStride: Self.stride(y.channelCount), into: &found,
      threads: threads)
    #expect(
      found.elements.map(\.bitPattern) == Self.spread(expected).elements.map(\.bitPattern),
      "\(what)")
    let isWritten = expected.elements.allSatisfy(\.isFinite)
    #expect(isWritten, "\(what)")
  }

  @Test(arguments: ConvolutionSpanTests.cases, [1, 2])
  func forward(_ test: ConvolutionSpanTests.Case, threads: Int) throws {
    let geometry = test.geometry
    for algorithm in ConvolutionAlgorithm.allCases where algorithm.serves(geometry) {
      Self.check(
        try ConvolutionKernel(geometry, batch: 2, algorithm: algorithm),
        try ConvolutionKernel(
          geometry, batch: 2, algorithm: algorithm,
          input: [
            InputPart(
              channels: geometry.inputChannels, stride: Self.stride(geometry.inputChannels))
          ],
          outputStride: Self.stride(geometry.outputChannels)),
        x: geometry.inputShape(batch: 2), y: geometry.outputShape(batch: 2), threads: threads,
        "\(algorithm)")
    }
  }

  @Test(arguments: ConvolutionSpanTests.cases, [1, 2])
  func transposed(_ test: ConvolutionSpanTests.Case, threads: Int) throws {
    let geometry = test.geometry
    Self.check(
      try TransposedConvolutionKernel(geometry, batch: 2),
      try TransposedConvolutionKernel(
        geometry, batch: 2, inputStride: Self.stride(geometry.outputChannels),
        outputStride: Self.stride(geometry.inputChannels)),
      x: geometry.outputShape(batch: 2), y: geometry.inputShape(batch: 2), threads: threads,
      "transposed")
  }
}
