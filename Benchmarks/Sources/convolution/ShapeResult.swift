import BenchmarkHarness
import Keel

/// What was measured on one shape; one entry of `shapes` in the JSON.
struct ShapeResult: Encodable {
  /// A contender's times, in milliseconds.
  struct Times: Encodable {
    let minMs: Double
    let medianMs: Double
    /// How often a sample did the work.
    let repetitions: Int
  }

  let line: String
  let network: String
  let geometry: String
  let batch: Int
  let kernel: [Int]
  let stride: [Int]
  let inputChannels: Int
  let outputChannels: Int
  let groups: Int
  /// M, N and K of the matrix product.
  let m: Int, n: Int, k: Int
  let gflop: Double
  /// By contender; depthwise shapes have no `gemm`.
  let times: [String: Times]
  /// Of the convolution alone, by its minimum and operations of the direct method.
  let convolutionGflops: Double
  /// That over the measured peak of as many threads.
  private(set) var peakFraction: Double?
  /// The fused time over the time of the convolution alone.
  let fusedOverConvolution: Ratio
  /// The GEMM's time over the time of the convolution alone; above 1 the convolution is faster.
  let gemmFraction: Ratio?
  /// Fused against unfused, relative to the largest output.
  let largestRelativeDifference: Double
  /// Whether the shape counts in the two geometric means.
  let countsForFusion: Bool
  let countsForGemm: Bool

  init(
    _ shape: ConvolutionShape, _ comparison: Comparison, threads: Int, difference: Double
  ) {
    let g = shape.geometry
    line = shape.line
    network = shape.network
    geometry = g.description
    batch = shape.batch
    kernel = [g.height.window, g.width.window]
    stride = [g.height.stride, g.width.stride]
    (inputChannels, outputChannels, groups) = (g.inputChannels, g.outputChannels, g.groups)
    (m, n, k) = (shape.rows, shape.columns, shape.depth)
    gflop = shape.operations * 1e-9
    times = Dictionary(
      uniqueKeysWithValues: comparison.timings.map {
        (
          $0.name,
          Times(minMs: $0.minimum * 1e3, medianMs: $0.median * 1e3, repetitions: $0.repetitions)
        )
      })
    convolutionGflops = gflop / comparison[Name.convolution.rawValue]!.minimum
    fusedOverConvolution = comparison.ratio(
      of: Name.fused.rawValue, over: Name.convolution.rawValue)!
    gemmFraction = comparison.ratio(of: Name.gemm.rawValue, over: Name.convolution.rawValue)
    largestRelativeDifference = difference
    countsForFusion = shape.countsForFusion
    countsForGemm = shape.countsForGEMM
  }

  /// Relates the rate to a peak, which is known only at the end of the run.
  mutating func relate(to peakGflops: Double) { peakFraction = convolutionGflops / peakGflops }
}
