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
  private let window: Window
  private let slices: RowTiles
  /// How x is read.
  private let reading: Reading
  /// Columns of dWeight that one product makes, counted in vectors: of a tap, or of all where windows are
  /// gathered.
  private let panels: RowTiles
  private let columnsPerRun: Int
  /// Cuts of the runs × panels of a slice into tasks.
  private let units: RowTiles
  /// The floats of memory for one worker. Kept, because runs need it and must not allocate.
  private let scratchPerWorker: Int

  private enum Reading: Hashable, Sendable {
    /// Channels along vectors, a multiply-add for each tap.
    case depthwise
    /// Pixels where they lie, whole vectors of channels.
    case direct
    /// A panel's channels copied one after another: where the last vector is no whole one, and where
    /// pixels lie so far apart that they fall into few sets of the cache.
    case copied
    /// Whole windows gathered: where a pixel has fewer channels than half a vector or so.
    case gathered
  }

  /// Positions that are summed in registers before they are added to the slice's sum.
  private static let chunk = 256
  /// Floats between pixels from which on a chunk's panel no longer stays in L1.
  private static let farApart = 512

  /// Prepares the gradient.
  /// - Throws: `KeelError` of kind `shape` for a batch below 1.
  public init(_ geometry: ConvolutionGeometry, batch: Int) throws(KeelError) {
    try checkBatch(batch, at: "weight gradient of convolution \(geometry)")
    self.geometry = geometry
    self.batch = batch
    let inputs = geometry.inputChannelsPerGroup
    let taps = geometry.tapCount
    if geometry.isDepthwise {
      reading = .depthwise
    } else if inputs < 16, taps > 1 {
      reading = .gathered
    } else if inputs % loops.width != 0 || geometry.inputChannels >= Self.farApart {
      reading = .copied
    } else {
      reading = .direct
    }
    let isDepthwise = reading == .depthwise
    window = Window(
      geometry.spatial, channels: isDepthwise ? geometry.inputChannels : inputs,
      stride: geometry.inputChannels, joinsRuns: reading == .gathered)
    let isGathered = reading == .gathered
    columnsPerRun = isGathered ? geometry.reductionLength : inputs
    panels = RowTiles(
      rows: (columnsPerRun + loops.width - 1) / loops.width, target: loops.panel)
    let rows = batch * geometry.outputPositions
    // Enough slices for the threads of a small machine, of at least 4 chunks, and not too much memory.
    let wanted = min(8, max(1, rows / (4 * Self.chunk)))
    let affordable = max(1, 2_097_152 / geometry.weightCount)
    slices = RowTiles(rows: rows, target: (rows + min(wanted, affordable) - 1) / min(wanted, affordable))
    let parts = isDepthwise || isGathered ? 1 : taps * panels.count
    let tasks = min(parts, max(1, 16 / slices.count))
    units = RowTiles(rows: parts, target: (parts + tasks - 1) / tasks)
    let table = 2 * Self.chunk + 32
    switch reading {
    case .depthwise: scratchPerWorker = 0
    case .direct: scratchPerWorker = table
    case .copied: scratchPerWorker = table + Self.chunk * loops.panel * loops.width
    case .gathered:
      scratchPerWorker =
        table + Self.gatheredRows(panels) * panels.rows * loops.width
    }
  }

  /// The windows of a chunk: they stay in L1.
  private static func gatheredRows(_ panels: RowTiles) -> Int {
    max(32, min(chunk, 8192 / (panels.rows * loops.width)))
  }
  private var partialCount: Int { (geometry.weightCount + 15) / 16 * 16 }
  private var zerosCount: Int { (geometry.inputChannels + 15) / 16 * 16 }
  /// One slice is summed where the result is wanted, unless it has to be turned round.
  private var sumsInPlace: Bool { slices.count == 1 && reading != .depthwise }
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
    let work = slices.rows * geometry.weightCount
    parallelism.forEach(slices.count * units.count, work: work) { task, worker in
      let (slice, unit) = task.quotientAndRemainder(dividingBy: units.count)
      let sum = sumsInPlace ? dWeight : sums + slice * partialCount
      let memory = workers + worker * scratchPerWorker
      switch reading {
      case .depthwise: depthwise(slices[slice], x, dy, into: sum)
      case .gathered: gathered(slices[slice], x, dy, into: sum, memory)
      case .direct, .copied:
        product(slices[slice], units[unit], x, dy, into: sum, zeros: scratch, memory)
      }
    }
    if !sumsInPlace { addSlices(sums, into: dWeight) }
  }

  /// The columns of a panel within a run's.
  private func columns(ofPanel panel: Int) -> Range<Int> {
    let vectors = panels[panel]
    return vectors.lowerBound * loops.width..<min(vectors.upperBound * loops.width, columnsPerRun)
  }

  /// The runs × panels of a unit, chunk by chunk.
  private func product(
    _ rows: Range<Int>, _ unit: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>, zeros: UnsafePointer<Float>,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let outputs = geometry.outputChannelsPerGroup
    let k = geometry.reductionLength
    let table = AddressTable(memory, rows: 0).sources
    let copy = memory + 2 * Self.chunk + 32
    var first = rows.lowerBound
    while first < rows.upperBound {
      let count = min(Self.chunk, rows.upperBound - first)
      var located = -1
      for part in unit {
        let (run, panel) = part.quotientAndRemainder(dividingBy: panels.count)
        let columns = columns(ofPanel: panel)
        for group in 0..<geometry.groups {
          if run != located || reading == .copied {
            withUnsafePointer(to: window.leaf) {
              loops.locate(table, count, x, zeros, $0, run, 1, first, count)
            }
            located = run
          }
          var offset = group * geometry.inputChannelsPerGroup + columns.lowerBound
          if reading == .copied {
            let stride = panels[panel].count * loops.width
            loops.copyRows(copy, stride, table, offset, count, columns.count)
            for row in 0..<count { table[row] = UnsafePointer(copy + row * stride) }
            offset = 0
          }
          loops.windowGradient(
            sum + group * outputs * k + run * columnsPerRun + columns.lowerBound, k,
            dy + first * geometry.outputChannels + group * outputs, geometry.outputChannels, table,
            offset, count, outputs, columns.count, first == rows.lowerBound ? 0 : 1)
        }
      }
      first += count
    }
  }

  /// Whole windows, chunk by chunk.
  private func gathered(
    _ rows: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>, _ memory: UnsafeMutablePointer<Float>
  ) {
    let outputs = geometry.outputChannelsPerGroup
    let k = geometry.reductionLength
    let table = AddressTable(memory, rows: 0).sources
    let windows = memory + 2 * Self.chunk + 32
    let stride = panels.rows * loops.width
    let gatheredRows = Self.gatheredRows(panels)
    for row in 0..<gatheredRows {
      table[row] = UnsafePointer(windows + row * stride)
      // The end of the last vector is never stored, but must be numbers that take no extra time.
      (windows + row * stride + k).update(repeating: 0, count: stride - k)
    }
    for group in 0..<geometry.groups {
      var first = rows.lowerBound
      while first < rows.upperBound {
        let count = min(gatheredRows, rows.upperBound - first)
        withUnsafePointer(to: window.leaf) {
          loops.gather(windows, stride, x + group * geometry.inputChannelsPerGroup, $0, first, count)
        }
        for panel in 0..<panels.count {
          let columns = columns(ofPanel: panel)
          loops.windowGradient(
            sum + group * outputs * k + columns.lowerBound, k,
            dy + first * geometry.outputChannels + group * outputs, geometry.outputChannels, table,
            columns.lowerBound, count, outputs, columns.count, first == rows.lowerBound ? 0 : 1)
        }
        first += count
      }
    }
  }

  /// Sums as taps × channels; `addSlices` turns them round.
  private func depthwise(
    _ rows: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>
  ) {
    sum.update(repeating: 0, count: geometry.weightCount)
    withUnsafePointer(to: window.leaf) {
      loops.depthwiseWeight(
        sum, x, dy + rows.lowerBound * geometry.outputChannels, $0, rows.lowerBound, rows.count)
    }
  }

  private func addSlices(
    _ sums: UnsafeMutablePointer<Float>, into dWeight: UnsafeMutablePointer<Float>
  ) {
    let count = geometry.weightCount
    for slice in 1..<max(slices.count, 1) {
      loops.add(sums, sums, sums + slice * partialCount, count)
    }
    if geometry.isDepthwise {
      let channels = geometry.outputChannels
      loops.transpose(dWeight, count / channels, sums, channels, count / channels, channels)
    } else {
      dWeight.update(from: sums, count: count)
    }
  }
}
