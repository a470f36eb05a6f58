internal import CKeelLoops
public import KeelTensor

/// The gradient of a convolution with respect to its weight, as products that read both operands where
/// they lie.
///
/// dWeight[o, u, v, c] = Σ_{n, i, j} dy[n, i, j, o]·x[n, i·s + u·d − p, j·s + v·d − p, c]. Per group and tap:
/// M = Cout/G, N = Cin/G, K = the positions of a chunk. Padding is multiplied like any zero.
///
/// The positions are cut into slices that depend on the sizes only; each slice has its own sum, and the
/// sums are added in order, so results are bitwise the same for any number of threads.
public struct ConvolutionWeightGradient: Sendable {
  /// The forward convolution's geometry.
  public let geometry: ConvolutionGeometry
  /// The number of images.
  public let batch: Int
  let window: Window
  /// How x is read.
  let reading: Reading
  /// Columns of a sum that one product makes, counted in vectors.
  let panels: RowTiles
  /// All columns of a run's sum.
  let columnsPerRun: Int
  /// The copy that x is read from, where it is.
  let strip: SourceStrip?
  /// Slices of the positions, of the grid's lines, or of the strip's blocks.
  private let slices: RowTiles
  /// The positions of what slices count, without a strip.
  let positionsPerItem: Int
  /// Cuts of the channels that are read float by float, where there are few slices, runs and panels.
  let pieces: RowTiles
  /// Cuts of the runs × panels × pieces of a slice into tasks.
  private let units: RowTiles
  /// The floats of memory for one worker. Kept, because runs need it and must not allocate.
  private let scratchPerWorker: Int

  enum Reading: Hashable, Sendable {
    /// Channels along vectors, a multiply-add for each tap.
    case depthwise
    /// Pixels where they lie, whole vectors of channels.
    case direct
    /// A panel's channels copied one after another: where the last vector is no whole one, and where
    /// pixels lie so far apart that they fall into few sets of the cache.
    case copied
    /// Pixels where they lie, floats of x against vectors of dy: where that fills vectors better.
    case turned
    /// Rows of the window in a padded strip, floats of x against vectors of dy: where pixels have few
    /// channels.
    case stripped
    /// Whole windows gathered: where pixels have few channels and outputs are no whole vectors.
    case gathered
  }

  /// Positions that are summed in registers before they are added to the slice's sum.
  let chunk: Int
  /// Whether the next chunk is brought into L2 meanwhile, which it must fit beside the present one.
  let bringsNext: Bool
  /// The largest chunk.
  static let largestChunk = 256
  /// The floats of a table of that many addresses, aligned to a cache line.
  static let tableCount = 2 * largestChunk + 32
  /// The floats of dy in a depthwise slice, at least: adding its sum takes little beside making it.
  private static let depthwiseSlice = 65_536
  /// The bytes of a depthwise dy from which on both operands are fetched ahead.
  static let largeBytes = 4 << 20
  /// Floats between pixels from which on a chunk's panel no longer stays in L1.
  private static let farApart = 512

  /// Prepares the gradient.
  /// - Throws: `KeelError` of kind `shape` for a batch below 1.
  public init(_ geometry: ConvolutionGeometry, batch: Int) throws(KeelError) {
    try checkBatch(batch, at: "weight gradient of convolution \(geometry)")
    self.geometry = geometry
    self.batch = batch
    let (inputs, taps) = (geometry.inputChannelsPerGroup, geometry.tapCount)
    func window(joinsRuns: Bool) -> Window {
      Window(
        geometry.spatial, channels: geometry.isDepthwise ? geometry.inputChannels : inputs,
        stride: geometry.inputChannels, joinsRuns: joinsRuns)
    }
    let single = window(joinsRuns: false)
    let rows = batch * geometry.outputPositions
    let hasFewChannels = inputs < 16 && taps > 1 && !geometry.isDepthwise
    strip =
      hasFewChannels && geometry.groups == 1 && geometry.outputChannels % loops.width == 0
      ? SourceStrip(single, batch: batch, pixels: Self.largestChunk) : nil
    if geometry.isDepthwise {
      reading = .depthwise
    } else if strip != nil {
      reading = .stripped
    } else if hasFewChannels {
      reading = .gathered
    } else if Self.fillsVectorsTurned(geometry, rows: rows) {
      reading = .turned
    } else if inputs % loops.width != 0 || geometry.inputChannels >= Self.farApart {
      reading = .copied
    } else {
      reading = .direct
    }
    self.window = reading == .gathered ? window(joinsRuns: true) : single
    columnsPerRun =
      switch reading {
      case .gathered: geometry.reductionLength
      case .stripped, .turned: geometry.outputChannels
      default: inputs
      }
    panels = RowTiles(
      rows: (columnsPerRun + loops.width - 1) / loops.width, target: loops.panel)
    // Enough slices for the threads of a small machine, of at least 4 chunks, and not too much memory.
    let enough =
      reading == .depthwise ? Self.depthwiseSlice / geometry.outputChannels : 4 * Self.largestChunk
    let wanted = min(8, max(1, rows / max(1, enough)))
    let affordable = max(1, 2_097_152 / geometry.weightCount)
    let lines = rows / geometry.width.output
    positionsPerItem = reading == .depthwise && lines >= 4 * wanted ? geometry.width.output : 1
    let items = strip?.blockCount ?? rows / positionsPerItem
    let count = min(wanted, affordable, items)
    slices = RowTiles(rows: items, target: (items + count - 1) / count)
    let isProduct = reading == .direct || reading == .copied || reading == .turned
    let across = reading == .turned ? inputs : geometry.outputChannelsPerGroup
    let wantedPieces = max(1, 8 / (slices.count * taps * panels.count))
    pieces = RowTiles(
      rows: across,
      target: isProduct ? max(48, (across + wantedPieces - 1) / wantedPieces) : across)
    let parts = isProduct ? taps * panels.count * pieces.count : 1
    // Chunks of 1×1 kernels stay in L1 and L2, unless larger ones are needed to make little of the sum's
    // own traffic. With single vectors every load counts.
    let hasSmallSum = isProduct && taps == 1 && geometry.weightCount <= 200_000
    let channels = geometry.inputChannels + geometry.outputChannels
    chunk = hasSmallSum ? max(64, min(128, 57_344 / channels / 32 * 32)) : Self.largestChunk
    bringsNext = hasSmallSum && panels.rows > 1
    // What is bound by memory reads whole rows, if slices are enough for a small machine's threads.
    let tasks = min(parts, max(1, (hasSmallSum ? 8 : 16) / slices.count))
    units = RowTiles(rows: parts, target: (parts + tasks - 1) / tasks)
    let tables = 2 * Self.tableCount
    switch reading {
    case .depthwise: scratchPerWorker = 0
    case .direct, .turned: scratchPerWorker = tables
    case .copied: scratchPerWorker = tables + Self.largestChunk * loops.panel * loops.width
    case .stripped:
      let runs = strip?.window.leaf.runCount ?? 0
      scratchPerWorker = Self.tableCount * (1 + runs) + (strip?.count ?? 0)
    case .gathered:
      scratchPerWorker = tables + Self.gatheredRows(panels) * panels.rows * loops.width
    }
  }

  /// Whether vectors along the outputs serve better than along a group's inputs: when fewer of their lanes
  /// are empty, or equally many and there are fewer outputs, so that more of dy's chunk stays in L1.
  private static func fillsVectorsTurned(_ geometry: ConvolutionGeometry, rows: Int) -> Bool {
    let (inputs, outputs) = (geometry.inputChannelsPerGroup, geometry.outputChannels)
    guard geometry.groups == 1, outputs % loops.width == 0 else { return false }
    // A single vector of sums needs a load for each multiply-add: as if a quarter were empty.
    func cost(_ along: Int, _ across: Int) -> Int {
      let vectors = (along + loops.width - 1) / loops.width
      return vectors * across * (vectors == 1 ? 5 : 4)
    }
    let (direct, turned) = (cost(inputs, outputs), cost(outputs, inputs))
    // Turning the sum round has to be paid by many positions.
    return turned < direct || (turned == direct && outputs < inputs && rows >= 1500)
  }

  /// The windows of a chunk: they stay in L2, in L1 where windows are small.
  static func gatheredRows(_ panels: RowTiles) -> Int {
    min(largestChunk, max(96, 24_576 / (panels.rows * loops.width)))
  }
  private var partialCount: Int { (geometry.weightCount + 15) / 16 * 16 }
  private var zerosCount: Int { (geometry.inputChannels + 15) / 16 * 16 }
  /// One slice is summed where the result is wanted, unless it has to be turned round.
  private var sumsInPlace: Bool { slices.count == 1 && !isTransposed }
  /// Whether sums are K × Cout.
  private var isTransposed: Bool {
    reading == .depthwise || reading == .stripped || reading == .turned
  }
  private var partialsCount: Int { sumsInPlace ? 0 : slices.count * partialCount }

  /// The floats of workspace that a run needs: zeros for padding, a sum for each slice, and each worker's
  /// memory.
  public func workspaceCount(_ parallelism: Parallelism) -> Int {
    zerosCount + partialsCount + scratchPerWorker * parallelism.threadCount
  }

  /// Computes dWeight from x and dy, which have the geometry's input and output shape.
  /// - Precondition: every span has its count.
  public func run(
    _ x: Span<Float>, dy: Span<Float>, into dWeight: inout MutableSpan<Float>,
    workspace: inout MutableSpan<Float>, parallelism: Parallelism = Parallelism()
  ) {
    precondition(
      dy.count == geometry.outputShape(batch: batch).elementCount
        && x.count == geometry.inputShape(batch: batch).elementCount
        && dWeight.count == geometry.weightCount && workspace.count >= workspaceCount(parallelism),
      "expected operands of the weight gradient of convolution \(geometry) for batch \(batch), found x \(x.count), dy \(dy.count), dWeight \(dWeight.count), workspace \(workspace.count)"
    )
    x.withUnsafeBufferPointer { x in
      dy.withUnsafeBufferPointer { dy in
        workspace.withUnsafeMutableBufferPointer { workspace in
          dWeight.withUnsafeMutableBufferPointer { dWeight in
            run(
              x.baseAddress!, dy: dy.baseAddress!, into: dWeight.baseAddress!,
              scratch: workspace.baseAddress!, parallelism: parallelism)
          }
        }
      }
    }
  }

  package func run(
    _ x: UnsafePointer<Float>, dy: UnsafePointer<Float>, into dWeight: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    scratch.update(repeating: 0, count: zerosCount)
    let sums = scratch + zerosCount
    let workers = sums + partialsCount
    let work = batch * geometry.outputPositions * geometry.weightCount
    parallelism.forEach(slices.count * units.count, work: work) { task, worker in
      let (slice, unit) = task.quotientAndRemainder(dividingBy: units.count)
      let sum = sumsInPlace ? dWeight : sums + slice * partialCount
      let memory = workers + worker * scratchPerWorker
      switch reading {
      case .depthwise: depthwise(slices[slice], x, dy, into: sum)
      case .stripped: stripped(slices[slice], x, dy, into: sum, memory)
      case .gathered: gathered(slices[slice], x, dy, into: sum, memory)
      case .direct, .copied, .turned:
        product(slices[slice], units[unit], x, dy, into: sum, zeros: scratch, memory)
      }
    }
    if !sumsInPlace { addSlices(sums, into: dWeight) }
  }

  /// Adds the slices' sums in order, and turns round what is transposed.
  private func addSlices(
    _ sums: UnsafeMutablePointer<Float>, into dWeight: UnsafeMutablePointer<Float>
  ) {
    let count = geometry.weightCount
    for slice in 1..<max(slices.count, 1) {
      loops.add(sums, sums, sums + slice * partialCount, count)
    }
    if isTransposed {
      let channels = geometry.outputChannels
      loops.transpose(dWeight, count / channels, sums, channels, count / channels, channels)
    } else {
      dWeight.update(from: sums, count: count)
    }
  }
}
