import Keel

/// One convolution of a network: what a line of the benchmark times.
struct ConvolutionShape: Sendable {
  /// The network that it comes from.
  let network: String
  /// Its geometry.
  let geometry: ConvolutionGeometry
  /// Images per run.
  let batch: Int

  /// What `--lines` matches and tables show, in ASCII: `ResNet-18 b8 3x3/2 64-128 @56x56`.
  var line: String {
    let (height, width) = (geometry.height, geometry.width)
    var text = "\(network) b\(batch) \(height.window)x\(width.window)"
    if height.stride != 1 { text += "/\(height.stride)" }
    text += " \(geometry.inputChannels)-\(geometry.outputChannels)"
    if geometry.isDepthwise {
      text += " depthwise"
    } else if geometry.groups != 1 {
      text += " groups \(geometry.groups)"
    }
    return text + " @\(height.input)x\(width.input)"
  }

  /// M of the matrix product of the same size: positions of the whole batch.
  var rows: Int { batch * geometry.outputPositions }
  /// N: output channels of a group.
  var columns: Int { geometry.outputChannelsPerGroup }
  /// K: the sum's length.
  var depth: Int { geometry.reductionLength }

  /// Operations of the direct method; a multiply-add is two. Winograd needs fewer, so a rate in these
  /// can pass the machine's peak.
  var operations: Double { 2 * Double(batch) * Double(geometry.multiplyAddsPerImage) }

  /// Whether one matrix product has the same size: all channels see each other.
  var isDense: Bool { geometry.groups == 1 }
  /// Whether it counts in the mean of fused over convolution: enough work per output.
  var countsForFusion: Bool { depth >= 256 }
  /// Whether it counts in the mean of GEMM over convolution: dense, 3×3 or 1×1.
  var countsForGEMM: Bool {
    isDense && geometry.height.window == geometry.width.window
      && [1, 3].contains(geometry.height.window)
  }
}
