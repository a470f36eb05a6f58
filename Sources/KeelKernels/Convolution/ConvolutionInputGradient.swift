internal import CKeelLoops
public import KeelTensor

/// The gradient of a convolution with respect to its input, by gathering: for stride 1 a convolution of
/// dy with the weight's taps reversed, for stride s one such convolution for each of the s·s residue
/// classes of pixels.
///
/// dx[n, y, x, c] = Σ_{o, u, v} dy[n, (y + p − u·d)/s, (x + p − v·d)/s, o]·weight[o, u, v, c] over the taps for
/// which both divisions leave no rest. Numerics, aliasing and cost are those of `ConvolutionKernel`.
public struct ConvolutionInputGradient: Sendable {
  /// The forward convolution's geometry.
  public let geometry: ConvolutionGeometry
  /// The number of images.
  public let batch: Int
  private let method: ConvolutionMethod

  /// Prepares the gradient.
  /// - Throws: `KeelError` of kind `shape` for a batch below 1.
  public init(_ geometry: ConvolutionGeometry, batch: Int) throws(KeelError) {
    try checkBatch(batch, at: "input gradient of convolution \(geometry)")
    self.geometry = geometry
    self.batch = batch
    if geometry.isDepthwise {
      method = .depthwise(
        DepthwiseProduct(
          batch: batch, channels: geometry.inputChannels,
          taps: geometry.tapCount,
          phases: WindowPhase.inputGradient(
            geometry, channels: geometry.outputChannels, joinsRuns: false)))
    } else {
      method = .indirect(
        IndirectProduct(
          batch: batch, groups: geometry.groups, inputsPerGroup: geometry.outputChannelsPerGroup,
          outputsPerGroup: geometry.inputChannelsPerGroup, sourceStride: geometry.outputChannels,
          phases: WindowPhase.inputGradient(
            geometry, channels: geometry.outputChannelsPerGroup, joinsRuns: false),
          weightTaps: geometry.tapCount))
    }
  }

  /// The floats of workspace that a run needs: the packed weight, and each worker's tile.
  public func workspaceCount(_ parallelism: Parallelism) -> Int {
    packedCount + method.scratchPerWorker * parallelism.threadCount
  }

  private var packedCount: Int { (method.packedCount + 15) / 16 * 16 }

  /// Computes dx N×H×W×Cin from dy N×H′×W′×Cout and the weight.
  /// - Precondition: every span has its count.
  public func run(
    _ dy: Span<Float>, weight: Span<Float>, into dx: inout MutableSpan<Float>,
    workspace: inout MutableSpan<Float>, parallelism: Parallelism = Parallelism()
  ) {
    precondition(
      dy.count == geometry.outputShape(batch: batch).elementCount
        && dx.count == geometry.inputShape(batch: batch).elementCount
        && weight.count == geometry.weightCount && workspace.count >= workspaceCount(parallelism),
      "expected operands of the input gradient of convolution \(geometry) for batch \(batch), found dy \(dy.count), weight \(weight.count), dx \(dx.count), workspace \(workspace.count)"
    )
    dy.withUnsafeBufferPointer { dy in
      weight.withUnsafeBufferPointer { weight in
        workspace.withUnsafeMutableBufferPointer { workspace in
          dx.withUnsafeMutableBufferPointer { dx in
            run(
              dy.baseAddress!, weight: weight.baseAddress!, into: dx.baseAddress!,
              scratch: workspace.baseAddress!, parallelism: parallelism)
          }
        }
      }
    }
  }

  package func run(
    _ dy: UnsafePointer<Float>, weight: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let memory = scratch + packedCount
    switch method {
    case .indirect(let product):
      product.packInputGradient(
        weight, taps: geometry.tapCount, into: scratch, parallelism: parallelism)
      product.run(
        source: dy, packed: scratch, weight: weight, into: dx, epilogue: EpilogueOperands(),
        scratch: memory, parallelism: parallelism)
    case .depthwise(let product):
      product.pack(weight, into: scratch)
      product.run(
        source: dy, packed: scratch, into: dx, epilogue: EpilogueOperands(),
        parallelism: parallelism)
    case .windowed: preconditionFailure("input gradients are not gathered")
    }
  }
}
