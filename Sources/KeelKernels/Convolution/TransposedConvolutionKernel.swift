public import KeelTensor

/// A transposed convolution, prepared for one geometry and batch size: packs weights, runs. Without
/// epilogue it is the gradient of a convolution with respect to its input.
///
/// The geometry is that of the convolution: x has its output's shape, y its input's, the weight its
/// weight's, so that a transposed layer from a to b channels has a `outputChannels` and b `inputChannels`.
/// y = activation(z + bias + residual) with
/// z[n, i, j, c] = Σ_{o, u, v} x[n, (i + p − u·d)/s, (j + p − v·d)/s, o]·weight[o, u, v, c] over the taps for
/// which both divisions leave no rest, likewise with one axis or three.
///
/// By gathering: for stride 1 a convolution of x with the taps reversed, for stride s one such
/// convolution for each residue class of pixels. Numerics, aliasing and cost are those of
/// `ConvolutionKernel`.
public struct TransposedConvolutionKernel: Sendable {
  /// The geometry of the convolution that this one is the transpose of.
  public let geometry: ConvolutionGeometry
  /// The number of images.
  public let batch: Int
  private let method: ConvolutionMethod
  /// With a weight that is used once: it is read where it lies, where packing it would take longer.
  private let methodOnce: ConvolutionMethod

  /// Prepares a transposed convolution.
  /// - Throws: `KeelError` of kind `shape` for a batch below 1.
  public init(_ geometry: ConvolutionGeometry, batch: Int) throws(KeelError) {
    try self.init(geometry, batch: batch, inputStride: nil, outputStride: nil)
  }

  /// The same on pixels that are slices of larger ones; such a kernel takes no spans.
  /// - Parameters:
  ///   - inputStride: floats from one pixel of x to the next; nil where they follow each other.
  ///   - outputStride: likewise of y.
  package init(
    _ geometry: ConvolutionGeometry, batch: Int, inputStride: Int?, outputStride: Int?
  ) throws(KeelError) {
    let sourceStride = inputStride ?? geometry.outputChannels
    let resultStride = outputStride ?? geometry.inputChannels
    try checkBatch(batch, at: "transposed convolution \(geometry)")
    self.geometry = geometry
    self.batch = batch
    if geometry.isDepthwise {
      method = .depthwise(
        DepthwiseProduct(
          batch: batch, channels: geometry.inputChannels, taps: geometry.tapCount,
          resultStride: resultStride,
          phases: WindowPhase.inputGradient(
            geometry, channels: geometry.outputChannels, stride: sourceStride)))
      methodOnce = method
    } else {
      func product(mayReadWeight: Bool) -> IndirectProduct {
        IndirectProduct(
          batch: batch, groups: geometry.groups, inputsPerGroup: geometry.outputChannelsPerGroup,
          outputsPerGroup: geometry.inputChannelsPerGroup, sourceStride: sourceStride,
          resultStride: resultStride,
          phases: WindowPhase.inputGradient(
            geometry, channels: geometry.outputChannelsPerGroup, stride: sourceStride),
          mayReadWeight: mayReadWeight)
      }
      method = .indirect(product(mayReadWeight: false))
      methodOnce = .indirect(product(mayReadWeight: true))
    }
  }

  /// The floats of a packed weight.
  public var packedWeightCount: Int { method.packedCount }

  /// The floats of workspace that a run needs with a number of threads.
  public func workspaceCount(_ parallelism: Parallelism) -> Int {
    max(method.scratchCount(parallelism), methodOnce.scratchCount(parallelism))
  }

  /// Packs a weight of the geometry's `weightShape` into the form that runs take. Worth keeping while
  /// the weight does not change.
  /// - Precondition: the spans have the weight's and the packed weight's counts.
  public func pack(
    _ weight: Span<Float>, into packed: inout MutableSpan<Float>,
    parallelism: Parallelism = Parallelism()
  ) {
    packSpan(weight, into: &packed, parallelism)
  }

  /// Computes the transposed convolution.
  /// - Parameters:
  ///   - x: the geometry's output shape.
  ///   - packedWeight: what `pack` wrote.
  ///   - bias: one value for each of the geometry's input channels, or nil.
  ///   - residual: the result's shape, added before the activation, or nil.
  ///   - y: the geometry's input shape.
  ///   - workspace: at least `workspaceCount` floats.
  /// - Precondition: every span has its count.
  public func run(
    _ x: Span<Float>, packedWeight: Span<Float>, bias: Span<Float>? = nil,
    residual: Span<Float>? = nil, activation: Activation? = nil,
    into y: inout MutableSpan<Float>, workspace: inout MutableSpan<Float>,
    parallelism: Parallelism = Parallelism()
  ) {
    let resultCount = geometry.inputShape(batch: batch).elementCount
    precondition(
      x.count == geometry.outputShape(batch: batch).elementCount && y.count == resultCount
        && packedWeight.count >= packedWeightCount
        && (bias?.count ?? geometry.inputChannels) == geometry.inputChannels
        && (residual?.count ?? resultCount) == resultCount
        && workspace.count >= workspaceCount(parallelism),
      "expected operands of transposed convolution \(geometry) for batch \(batch), found x \(x.count), y \(y.count), packed weight \(packedWeight.count), bias \(bias?.count ?? 0), residual \(residual?.count ?? 0), workspace \(workspace.count)"
    )
    let epilogue = EpilogueOperands(
      bias: unsafe(bias), residual: unsafe(residual), activation: activation)
    runPacked(x, packedWeight, epilogue, into: &y, workspace: &workspace, parallelism)
  }

  /// Computes the transposed convolution with a weight that is used once, as in a training step: packs it on
  /// all threads, or reads it where it lies, where that is faster.
  /// - Parameters:
  ///   - weight: the geometry's weight shape.
  ///   - packedWeight: at least `packedWeightCount` floats of memory; what is in it afterwards is unspecified.
  ///   - y: the geometry's input shape.
  ///   - workspace: at least `workspaceCount` floats.
  /// - Precondition: every span has its count.
  public func run(
    _ x: Span<Float>, weight: Span<Float>, packedWeight: inout MutableSpan<Float>,
    into y: inout MutableSpan<Float>, workspace: inout MutableSpan<Float>,
    parallelism: Parallelism = Parallelism()
  ) {
    precondition(
      x.count == geometry.outputShape(batch: batch).elementCount
        && y.count == geometry.inputShape(batch: batch).elementCount
        && weight.count == geometry.weightCount && packedWeight.count >= packedWeightCount
        && workspace.count >= workspaceCount(parallelism),
      "expected operands of transposed convolution \(geometry) for batch \(batch), found x \(x.count), y \(y.count), weight \(weight.count), packed weight \(packedWeight.count), workspace \(workspace.count)"
    )
    runOnce(x, weight, &packedWeight, into: &y, workspace: &workspace, parallelism)
  }
}

extension TransposedConvolutionKernel: PackedConvolution {
  package var algorithmName: String {
    let algorithm: ConvolutionAlgorithm = geometry.isDepthwise ? .depthwise : .indirect
    return algorithm.rawValue
  }

  package func pack(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    method.pack(.inputGradient(weight, geometry), into: packed, parallelism: parallelism)
  }

  package func run(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, packed: UnsafeMutablePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    methodOnce.run(
      source: InputParts(x), weight: .inputGradient(weight, geometry), packed: packed, into: y,
      epilogue: epilogue, scratch: scratch, parallelism: parallelism)
  }

  package func run(
    _ x: InputParts, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    method.run(
      source: x, packed: packed, into: y, epilogue: epilogue, scratch: scratch,
      parallelism: parallelism)
  }
}
