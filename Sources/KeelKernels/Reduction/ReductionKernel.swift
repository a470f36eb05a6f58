internal import CKeelLoops
package import KeelTensor

/// The sum, mean, extreme or norm along some axes.
///
/// Axes of one fate that stand side by side are joined. The usual reductions are then
/// outer × rows × channels with the middle axis to go; others are folded block by block into a table of
/// the whole result. Up to 256 elements are added in Float, and these sums in Double; squares are added
/// in Double. The cut depends on the shape alone, so that no number of threads changes a bit.
package struct ReductionKernel: Sendable {
  internal let kind: Reduction.Kind
  internal let axes: [FoldedAxis]
  internal let outer: Int
  internal let rows: Int
  internal let channels: Int
  /// The elements that go into one.
  internal let length: Int
  internal let form: Form

  /// How the work is cut.
  internal enum Form: Hashable, Sendable {
    /// Rows of a few floats that become one float each.
    case shortRuns
    /// Rows of floats that become one float each, cut into so many chunks.
    case runs(chunks: Int)
    /// A few rows that become one.
    case fewRows
    /// Rows that become one, with a table of Doubles, one outer index after another.
    case tables
    /// Many rows that become one: several tasks for each outer index.
    case tasks(RowReduction)
    /// Axes that go between axes that stay.
    case scattered
  }

  private static let longestShortRun = 16
  internal static let elementsPerTask = 65_536
  internal static let columnsPerTask = 4096

  /// Prepares for a shape.
  package init(_ shape: Shape, _ reduction: Reduction) {
    kind = reduction.kind
    let folded = Set(reduction.axes)
    length = reduction.axes.reduce(1) { $0 * shape[$1] }
    var axes: [FoldedAxis] = []
    for (axis, extent) in shape.extents.enumerated() where extent != 1 {
      let goes = folded.contains(axis)
      if let last = axes.last, last.goes == goes {
        axes[axes.count - 1].extent *= extent
      } else {
        axes.append(FoldedAxis(extent: extent, goes: goes))
      }
    }
    self.axes = axes
    let middle = axes.firstIndex { $0.goes }
    let isScattered = axes.filter(\.goes).count > 1
    guard let middle, !isScattered else {
      // Nothing goes but axes of extent 1: each element by itself.
      (outer, rows, channels) = (shape.elementCount, 1, 1)
      form = isScattered ? .scattered : .shortRuns
      return
    }
    outer = middle > 0 ? axes[0].extent : 1
    rows = axes[middle].extent
    channels = middle + 1 < axes.count ? axes[middle + 1].extent : 1
    if channels == 1 {
      form =
        rows <= Self.longestShortRun
        ? .shortRuns
        : .runs(chunks: (rows + Self.elementsPerTask - 1) / Self.elementsPerTask)
    } else if rows <= RowReduction.chunkRows, kind != .euclideanNorm {
      form = .fewRows
    } else if outer == 1 || (outer < 8 && rows * channels >= 4 * Self.elementsPerTask) {
      form = .tasks(RowReduction(rows: rows, channels: channels))
    } else {
      form = .tables
    }
  }

  /// The floats of scratch memory for `run`.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    switch form {
    case .shortRuns, .fewRows: 0
    case .runs(let chunks): chunks == 1 ? 0 : 2 * outer * chunks
    case .tasks(let reduction): reduction.scratchCount(parallelism)
    case .tables: parallelism.threadCount * workerScratch
    case .scattered: 2 * resultCount + parallelism.threadCount * lastKept
    }
  }

  /// y = the reduction of x. Aliasing: none.
  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    switch form {
    case .shortRuns: foldShortRuns(x, y, parallelism)
    case .runs(let chunks): foldRuns(x, y, scratch, chunks, parallelism)
    case .fewRows: foldFewRows(x, y, parallelism)
    case .tables: foldTables(x, y, scratch, parallelism)
    case .tasks(let reduction): foldTasks(reduction, x, y, scratch, parallelism)
    case .scattered: foldScattered(x, y, scratch, parallelism)
    }
  }

  // MARK: What all forms share

  /// What a fold starts from.
  internal var start: Double {
    switch kind {
    case .maximum: -.infinity
    case .minimum: .infinity
    default: 0
    }
  }

  /// The result from what was gathered.
  internal func finished(_ value: Double) -> Float {
    switch kind {
    case .mean: Float(value / Double(length))
    case .euclideanNorm: Float(value.squareRoot())
    default: Float(value)
    }
  }

  /// Two of one value, merged.
  internal func merged(_ a: Double, _ b: Double) -> Double {
    switch kind {
    case .maximum: a.isNaN || a > b ? a : b
    case .minimum: a.isNaN || a < b ? a : b
    default: a + b
    }
  }

  /// Folds rows that lie one after another into a table.
  internal func fold(
    _ x: UnsafePointer<Float>, rows: Int, channels: Int, into table: UnsafeMutablePointer<Double>,
    row: UnsafeMutablePointer<Float>
  ) {
    if kind == .euclideanNorm {
      loops.squareRows(table, x, rows, channels)
      return
    }
    var first = 0
    while first < rows {
      let count = min(RowReduction.chunkRows, rows - first)
      loops.foldRows(kind.leaf, row, x + first * channels, count, channels, channels)
      loops.foldFloats(kind.leaf, table, row, channels)
      first += count
    }
  }

  internal var workerScratch: Int { 3 * ((channels + 15) / 16 * 16) }
}

/// An axis, and whether it goes.
internal struct FoldedAxis: Hashable, Sendable {
  var extent: Int
  let goes: Bool
}
