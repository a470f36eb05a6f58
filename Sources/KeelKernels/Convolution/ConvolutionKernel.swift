public import KeelTensor

/// A forward convolution, prepared for one geometry and batch size: chooses an algorithm, packs
/// weights, runs.
///
/// y = activation(x ∗ weight + bias + residual), see `ConvolutionGeometry` for the formula and shapes.
///
/// Numerics: products are summed in Float by GEMM (or along taps for depthwise), in an order that
/// depends on the geometry, the batch and the CPU, never on the number of threads. NaN and infinity
/// go through as IEEE says; padding is multiplied like any zero, so an infinite weight over padding
/// gives NaN.
/// Aliasing: y must not overlap any operand.
/// Cost: 2·`multiplyAddsPerImage` operations per image; the workspace is bounded by the tile size.
/// Running allocates nothing, except what OpenBLAS's path for small products takes on AVX-512 cores
/// where 1 to 8 channels are left over of blocks of 16.
public struct ConvolutionKernel: Sendable {
  /// The geometry.
  public let geometry: ConvolutionGeometry
  /// The number of images.
  public let batch: Int
  /// The algorithm.
  public let algorithm: ConvolutionAlgorithm
  private let method: ConvolutionMethod

  /// Prepares a convolution.
  /// - Parameter algorithm: pins an algorithm; nil takes the one that serves the geometry and sums the
  ///     products themselves.
  /// - Throws: `KeelError` of kind `shape` for a batch below 1, of kind `argument` for an algorithm that
  ///   does not serve the geometry.
  public init(
    _ geometry: ConvolutionGeometry, batch: Int, algorithm: ConvolutionAlgorithm? = nil
  ) throws(KeelError) {
    try self.init(
      geometry, batch: batch, algorithm: algorithm, input: nil, outputStride: nil)
  }

  /// The same on pixels that are slices of larger ones, or elsewhere; such a kernel takes no spans.
  /// - Parameters:
  ///   - input: the parts of x; nil for one that is dense.
  ///   - outputStride: floats from one pixel of y to the next; nil where they follow each other.
  ///   - inputMap: what x is mapped by before it is convolved.
  ///   - gathersMoments: whether runs may be asked for the moments of the result.
  /// - Precondition: `mapsInput` says that there may be such a map, `readsThrough` that x may be of parts or moved.
  package init(
    _ geometry: ConvolutionGeometry, batch: Int, algorithm: ConvolutionAlgorithm? = nil,
    input: [InputPart]?, outputStride: Int?, inputMap: InputMap? = nil,
    gathersMoments: Bool = false
  ) throws(KeelError) {
    let parts = input ?? [InputPart(channels: geometry.inputChannels)]
    let (sourceStride, map) = (parts[0].stride, parts[0].map)
    let resultStride = outputStride ?? geometry.outputChannels
    try checkBatch(batch, at: "convolution \(geometry)")
    let algorithm = algorithm ?? .choice(for: geometry)
    guard algorithm.serves(geometry) else {
      throw KeelError(
        .argument, at: "convolution \(geometry)", expected: "an algorithm that serves it",
        found: algorithm.rawValue)
    }
    self.geometry = geometry
    self.batch = batch
    self.algorithm = algorithm
    precondition(
      inputMap == nil || algorithm == .indirect,
      "convolution \(geometry): expected the indirect algorithm for a map, found \(algorithm)")
    precondition(
      parts.reduce(0) { $0 + $1.channels } == geometry.inputChannels
        && (parts.count == 1 && map == nil
          || algorithm.readsThrough(geometry, parts: parts.count)),
      "convolution \(geometry): expected parts that \(algorithm) reads, found \(parts)")
    switch algorithm {
    case .depthwise:
      method = .depthwise(
        DepthwiseProduct(
          batch: batch, channels: geometry.inputChannels,
          taps: geometry.tapCount, resultStride: resultStride,
          phases: [
            .forward(
              geometry, channels: geometry.inputChannels, stride: sourceStride, joinsRuns: false)
          ]))
    case .indirect:
      method = .indirect(
        IndirectProduct(
          batch: batch, groups: geometry.groups, inputsPerGroup: geometry.inputChannelsPerGroup,
          outputsPerGroup: geometry.outputChannelsPerGroup, sourceStride: sourceStride,
          resultStride: resultStride,
          phases: [
            .forward(
              geometry, channels: geometry.inputChannelsPerGroup, stride: sourceStride,
              joinsRuns: false, map: map)
          ], inputMap: inputMap))
    case .winograd2x2, .winograd4x4, .compactWinograd4x4:
      method = .winograd(
        WinogradProduct(
          geometry, batch: batch, size: algorithm.winogradSize ?? 2,
          keepsTaps: algorithm == .compactWinograd4x4, input: parts, resultStride: resultStride,
          gathersMoments: gathersMoments))
    case .pointwise, .im2col:
      method = .windowed(
        WindowedProduct(
          batch: batch, groups: geometry.groups, inputsPerGroup: geometry.inputChannelsPerGroup,
          outputsPerGroup: geometry.outputChannelsPerGroup, sourceStride: sourceStride,
          resultStride: resultStride,
          phases: [
            .forward(
              geometry, channels: geometry.inputChannelsPerGroup, stride: sourceStride,
              joinsRuns: true)
          ], readsSource: algorithm == .pointwise))
    }
  }

  /// Whether a convolution's method may map its input: each pixel is read by itself, for enough outputs.
  package static func mapsInput(_ geometry: ConvolutionGeometry) -> Bool {
    geometry.isPointwise && geometry.outputChannelsPerGroup > 4
      && ConvolutionAlgorithm.choice(for: geometry) == .indirect
  }

  /// Whether the moments of the result's cells can be gathered from the tiles in which it is made.
  package func gathersMoments(_ partition: Partition) -> Bool { momentsLayout(partition) != nil }

  /// How they are gathered.
  func momentsLayout(_ partition: Partition) -> TileMoments.Layout? {
    let channels = geometry.outputChannels
    let isPerImage = partition.rows == .sample
    guard isPerImage || partition == .batch else { return nil }
    let cells: Int
    switch partition.channels {
    case .each: cells = channels
    case .all: cells = 1
    case .groups(let groups): cells = groups
    }
    switch method {
    case .indirect(let product):
      guard let tiles = product.wholeTiles else { return nil }
      let pixels = geometry.outputPositions
      return TileMoments.Layout(
        channels: channels, cellsPerImage: cells, tiles: tiles,
        pixelsPerImage: isPerImage ? pixels : batch * pixels)
    case .winograd(let product):
      guard let slots = product.momentsSlots else { return nil }
      return TileMoments.Layout(
        channels: channels, cellsPerImage: cells,
        slots: slots.map { .init(image: isPerImage ? $0.image : 0, pixels: $0.pixels) })
    case .windowed, .depthwise: return nil
    }
  }

  /// The floats of a packed weight.
  public var packedWeightCount: Int { method.packedCount }

  /// The floats of workspace that a run needs with a number of threads.
  public func workspaceCount(_ parallelism: Parallelism) -> Int {
    method.scratchCount(parallelism)
  }

  /// Packs a weight of the geometry's `weightShape` into the form that runs take. Worth keeping while the weight
  /// does not change.
  /// - Precondition: the spans have the weight's and the packed weight's counts.
  public func pack(
    _ weight: Span<Float>, into packed: inout MutableSpan<Float>,
    parallelism: Parallelism = Parallelism()
  ) {
    packSpan(weight, into: &packed, parallelism)
  }

  /// Computes the convolution.
  /// - Parameters:
  ///   - x: the geometry's input shape.
  ///   - packedWeight: what `pack` wrote.
  ///   - bias: Cout values, or nil.
  ///   - residual: the result's shape, added before the activation, or nil.
  ///   - y: the geometry's output shape.
  ///   - workspace: at least `workspaceCount` floats.
  /// - Precondition: every span has its count.
  public func run(
    _ x: Span<Float>, packedWeight: Span<Float>, bias: Span<Float>? = nil,
    residual: Span<Float>? = nil, activation: Activation? = nil,
    into y: inout MutableSpan<Float>, workspace: inout MutableSpan<Float>,
    parallelism: Parallelism = Parallelism()
  ) {
    let outputCount = geometry.outputShape(batch: batch).elementCount
    precondition(
      x.count == geometry.inputShape(batch: batch).elementCount && y.count == outputCount
        && packedWeight.count >= packedWeightCount
        && (bias?.count ?? geometry.outputChannels) == geometry.outputChannels
        && (residual?.count ?? outputCount) == outputCount
        && workspace.count >= workspaceCount(parallelism),
      "expected operands of convolution \(geometry) for batch \(batch), found x \(x.count), y \(y.count), packed weight \(packedWeight.count), bias \(bias?.count ?? 0), residual \(residual?.count ?? 0), workspace \(workspace.count)"
    )
    let epilogue = EpilogueOperands(
      bias: unsafe(bias), residual: unsafe(residual), activation: activation)
    runPacked(x, packedWeight, epilogue, into: &y, workspace: &workspace, parallelism)
  }

  /// Computes the convolution with a weight that is used once, as in a training step: packs it on all threads,
  /// panel by panel where it is used, if that is in one place.
  /// - Parameters:
  ///   - weight: the geometry's weight shape.
  ///   - packedWeight: at least `packedWeightCount` floats of memory; what is in it afterwards is unspecified.
  ///   - y: the geometry's output shape.
  ///   - workspace: at least `workspaceCount` floats.
  /// - Precondition: every span has its count.
  public func run(
    _ x: Span<Float>, weight: Span<Float>, packedWeight: inout MutableSpan<Float>,
    into y: inout MutableSpan<Float>, workspace: inout MutableSpan<Float>,
    parallelism: Parallelism = Parallelism()
  ) {
    precondition(
      x.count == geometry.inputShape(batch: batch).elementCount
        && y.count == geometry.outputShape(batch: batch).elementCount
        && weight.count == geometry.weightCount && packedWeight.count >= packedWeightCount
        && workspace.count >= workspaceCount(parallelism),
      "expected operands of convolution \(geometry) for batch \(batch), found x \(x.count), y \(y.count), weight \(weight.count), packed weight \(packedWeight.count), workspace \(workspace.count)"
    )
    runOnce(x, weight, &packedWeight, into: &y, workspace: &workspace, parallelism)
  }
}

extension ConvolutionKernel: PackedConvolution {
  package var algorithmName: String { algorithm.rawValue }

  package func pack(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    method.pack(.forward(weight, geometry), into: packed, parallelism: parallelism)
  }

  package func run(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, packed: UnsafeMutablePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    method.run(
      source: InputParts(x), weight: .forward(weight, geometry), packed: packed, into: y,
      epilogue: epilogue,
      scratch: scratch, parallelism: parallelism)
  }

  package func run(
    _ x: InputParts, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    precondition(
      algorithm.winogradSize != nil || (x.second == nil && epilogue.pooled == nil),
      "expected one part of the input and no pooling of \(algorithm)")
    method.run(
      source: x, packed: packed, into: y, epilogue: epilogue, scratch: scratch,
      parallelism: parallelism)
  }
}

/// One of the engines behind convolutions and input gradients.
internal enum ConvolutionMethod: Sendable {
  case windowed(WindowedProduct)
  case indirect(IndirectProduct)
  case depthwise(DepthwiseProduct)
  case winograd(WinogradProduct)

  var packedCount: Int {
    switch self {
    case .winograd(let product): product.packedCount
    case .windowed(let product): product.packedCount
    case .indirect(let product): product.packedCount
    case .depthwise(let product): product.packedCount
    }
  }

  /// The floats of scratch memory of a run.
  func scratchCount(_ parallelism: Parallelism) -> Int {
    switch self {
    case .windowed(let product): product.scratchPerWorker * parallelism.threadCount
    case .indirect(let product): product.scratchPerWorker * parallelism.threadCount
    case .winograd(let product): product.scratchCount(parallelism)
    case .depthwise: 0
    }
  }

  func run(
    source: InputParts, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    switch self {
    case .windowed(let product):
      product.run(
        source: source.first, packed: packed, into: y, epilogue: epilogue, scratch: scratch,
        parallelism: parallelism)
    case .indirect(let product):
      product.run(
        source: source.first, packed: packed, into: y, epilogue: epilogue, scratch: scratch,
        parallelism: parallelism)
    case .winograd(let product):
      product.run(
        source: source, packed: packed, into: y, epilogue: epilogue, scratch: scratch,
        parallelism: parallelism)
    case .depthwise(let product):
      product.run(
        source: source.first, packed: packed, into: y, epilogue: epilogue, parallelism: parallelism)
    }
  }

  func pack(
    _ weight: WeightSource, into packed: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    switch self {
    case .windowed(let product): product.packForward(weight.start, into: packed)
    case .indirect(let product): product.pack(weight, into: packed, parallelism: parallelism)
    case .depthwise(let product): product.pack(weight.start, into: packed)
    case .winograd(let product): product.pack(weight.start, into: packed, parallelism: parallelism)
    }
  }

  /// The same with a weight that is used once.
  /// - Parameter packed: memory for `packedCount` floats.
  func run(
    source: InputParts, weight: WeightSource, packed: UnsafeMutablePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    if case .indirect(let product) = self {
      product.run(
        source: source.first, weight: weight, packed: packed, into: y, epilogue: epilogue,
        scratch: scratch, parallelism: parallelism)
    } else {
      pack(weight, into: packed, parallelism: parallelism)
      run(
        source: source, packed: packed, into: y, epilogue: epilogue, scratch: scratch,
        parallelism: parallelism)
    }
  }
}

/// Throws for a batch below 1.
internal func checkBatch(_ batch: Int, at place: @autoclosure () -> String) throws(KeelError) {
  guard batch >= 1 else {
    throw KeelError(.shape, at: place(), expected: "a batch of at least 1", found: "\(batch)")
  }
}

/// The address of an optional span's elements, for use while the span's owner is alive.
internal func unsafe(_ span: Span<Float>?) -> UnsafePointer<Float>? {
  guard let span else { return nil }
  return span.withUnsafeBufferPointer { $0.baseAddress }
}
