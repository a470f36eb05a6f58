internal import CKeelLoops
internal import KeelLinearAlgebra
public import KeelTensor

/// The gradient of a convolution with respect to its weight, as long GEMMs over gathered tiles.
///
/// dWeight[o, u, v, c] = Σ_{n, i, j} dy[n, i, j, o]·x[n, i·s + u·d − p, j·s + v·d − p, c]. Per group and block of
/// taps: M = Cout/G, N = taps × Cin/G, K = the rows of a tile.
///
/// The rows are cut into slices that depend on the sizes only; each slice has its own sum, and the sums
/// are added in order, so results are bitwise the same for any number of threads.
public struct ConvolutionWeightGradient: Sendable {
  /// The forward convolution's geometry.
  public let geometry: ConvolutionGeometry
  /// The number of images.
  public let batch: Int
  private let slices: RowTiles
  private let blocks: [Block]
  private let tileRows: Int
  /// The floats of a worker's gathered tile. Kept, because runs need it and must not allocate.
  private let tileCount: Int

  /// Some of the kD·kH rows of a kernel's taps: a task of its own, because its columns of dWeight are its own.
  private struct Block: Sendable {
    let window: Window
    /// The first column of dWeight (of a group's Cout/G × K matrix).
    let firstColumn: Int
  }

  /// Prepares the gradient.
  /// - Throws: `KeelError` of kind `shape` for a batch below 1.
  public init(_ geometry: ConvolutionGeometry, batch: Int) throws(KeelError) {
    try checkBatch(batch, at: "weight gradient of convolution \(geometry)")
    self.geometry = geometry
    self.batch = batch
    let depthwise = geometry.isDepthwise
    let kernelRows = geometry.depth.window * geometry.height.window
    let rowsPerBlock = depthwise || geometry.inputChannelsPerGroup < 16 ? kernelRows : 1
    var blocks: [Block] = []
    for first in stride(from: 0, to: kernelRows, by: rowsPerBlock) {
      let window = Window(
        geometry.spatial,
        channels: geometry.inputChannelsPerGroup
          * (depthwise ? geometry.groups : 1), stride: geometry.inputChannels,
        joinsRuns: !depthwise, rows: first..<first + rowsPerBlock)
      blocks.append(
        Block(
          window: window,
          firstColumn: first * geometry.width.window * geometry.inputChannelsPerGroup))
    }
    self.blocks = blocks
    let columns = blocks.map(\.window.columnCount).max() ?? 1
    tileRows = max(16, min(256, WindowedProduct.tileLimit / columns))
    tileCount = depthwise || geometry.isPointwise ? 0 : (tileRows * columns + 15) / 16 * 16
    let rows = batch * geometry.outputPositions
    let wanted = min(8, max(1, rows / tileRows))
    let affordable = max(2, 4_194_304 / geometry.weightCount)
    slices = RowTiles(
      rows: rows, target: (rows + min(wanted, affordable) - 1) / min(wanted, affordable))
  }

  private var partialCount: Int { (geometry.weightCount + 15) / 16 * 16 }

  /// The floats of workspace that a run needs: a sum for each slice, and each worker's tile.
  public func workspaceCount(_ parallelism: Parallelism) -> Int {
    slices.count * partialCount + tileCount * parallelism.threadCount
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
    let tiles = scratch + slices.count * partialCount
    let work = slices.rows * geometry.weightCount
    parallelism.forEach(slices.count * blocks.count, work: work) { task, worker in
      let (slice, block) = task.quotientAndRemainder(dividingBy: blocks.count)
      let sum = scratch + slice * partialCount
      if geometry.isDepthwise {
        depthwise(slices[slice], blocks[block], x, dy, into: sum)
      } else {
        product(
          slices[slice], blocks[block], x, dy, into: sum, columns: tiles + worker * tileCount)
      }
    }
    addSlices(scratch, into: dWeight)
  }

  private func product(
    _ rows: Range<Int>, _ block: Block, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>, columns: UnsafeMutablePointer<Float>
  ) {
    let outputs = geometry.outputChannelsPerGroup
    let k = geometry.reductionLength
    let width = block.window.columnCount
    for group in 0..<geometry.groups {
      let source = x + group * geometry.inputChannelsPerGroup
      var first = rows.lowerBound
      while first < rows.upperBound {
        let count = min(tileRows, rows.upperBound - first)
        // A pointwise convolution's columns are x itself.
        var b = source + first * geometry.inputChannels
        if !geometry.isPointwise {
          withUnsafePointer(to: block.window.leaf) {
            loops.gather(columns, source, $0, first, count)
          }
          b = UnsafePointer(columns)
        }
        // M = Cout/G, N = the block's columns, K = the tile's rows.
        gemm(
          true, false, m: outputs, n: width, k: count, alpha: 1,
          a: dy + first * geometry.outputChannels + group * outputs, lda: geometry.outputChannels,
          b: b, ldb: geometry.isPointwise ? geometry.inputChannels : width,
          beta: first == rows.lowerBound ? 0 : 1,
          c: sum + group * outputs * k + block.firstColumn, ldc: k)
        first += count
      }
    }
  }

  /// Sums as taps × channels; `addSlices` turns them round.
  private func depthwise(
    _ rows: Range<Int>, _ block: Block, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>
  ) {
    sum.update(repeating: 0, count: geometry.weightCount)
    withUnsafePointer(to: block.window.leaf) {
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
