internal import KeelTensor

/// How the rows of rows × channels fall into tables: sets of rows that one row of numbers per channel serves.
///
/// A cell of a partition is one table, or several whose statistics are merged: where what is put back
/// belongs to samples, or labels are those of samples, a table is a sample.
internal struct RowTables: Sendable {
  /// Which table a row belongs to.
  enum Form: Sendable {
    /// Tables of equally many neighbouring rows.
    case equal(rows: Int)
    /// Tables of neighbouring rows; the first row of each, and the end.
    case starts([Int])
    /// The table of each row.
    case listed([Int32])
    /// The label of each row, an operand.
    case labels
  }

  /// Which row of cells a table belongs to.
  enum Cells: Sendable {
    /// Each to its own.
    case own
    /// These.
    case listed([Int32])
    /// The label of each table, an operand.
    case labels
  }

  let form: Form
  let cells: Cells
  /// The number of tables.
  let count: Int
  /// The number of rows of cells.
  let cellRows: Int
  let rows: Int

  /// - Parameters:
  ///   - bySample: whether a table must not reach over samples where that can be had.
  ///   - labelsPerPosition: whether labels are those of positions, not of samples.
  init(_ partition: Partition, of shape: Shape, bySample: Bool, labelsPerPosition: Bool) {
    let samples = shape[0]
    rows = shape.rowCount
    let positions = samples == 0 ? 0 : rows / samples
    switch partition.rows {
    case .all:
      form = .equal(rows: bySample ? positions : rows)
      cells = bySample ? .listed(Array(repeating: 0, count: samples)) : .own
      count = bySample ? samples : 1
      cellRows = 1
    case .sample:
      (form, cells, count, cellRows) = (.equal(rows: positions), .own, samples, samples)
    case .position: (form, cells, count, cellRows) = (.equal(rows: 1), .own, rows, rows)
    case .axes(let axes):
      let extents = Array(shape.extents.dropLast())
      cellRows = axes.reduce(1) { $0 * extents[$1] }
      (cells, count) = (.own, cellRows)
      form =
        axes == Array(0..<axes.count)
        ? .equal(rows: rows / max(cellRows, 1)) : .listed(Self.cells(of: extents, keeping: axes))
    case .shards(let shards):
      let first = (0...shards).map { $0 * samples / shards }
      cellRows = shards
      if bySample {
        form = .equal(rows: positions)
        cells = .listed(
          (0..<shards).flatMap { shard in
            Array(repeating: Int32(shard), count: first[shard + 1] - first[shard])
          })
        count = samples
      } else {
        form = .starts(first.map { $0 * positions })
        (cells, count) = (.own, shards)
      }
    case .labels(let labels):
      cellRows = labels
      if labelsPerPosition {
        (form, cells, count) = (.labels, .own, labels)
      } else {
        (form, cells, count) = (.equal(rows: positions), .labels, samples)
      }
    }
  }

  /// For each row, its index among the cells of some axes.
  private static func cells(of extents: [Int], keeping axes: [Int]) -> [Int32] {
    var result: [Int32] = [0]
    for (axis, extent) in extents.enumerated() {
      let isKept = axes.contains(axis)
      result = result.flatMap { index in
        (0..<extent).map { isKept ? index * Int32(extent) + Int32($0) : index }
      }
    }
    return result
  }

  /// Whether the rows of each table are neighbours.
  var areContiguous: Bool {
    switch form {
    case .equal, .starts: true
    case .listed, .labels: false
    }
  }

  /// Whether each table has statistics of its own.
  var haveOwnCells: Bool { if case .own = cells { true } else { false } }

  /// The rows of a contiguous table.
  func rows(of table: Int) -> Range<Int> {
    switch form {
    case .equal(let rows): return table * rows..<(table + 1) * rows
    case .starts(let starts): return starts[table]..<starts[table + 1]
    case .listed, .labels: preconditionFailure("rows of a table that is not contiguous")
    }
  }

  /// The row of cells that a table belongs to.
  func cellRow(of table: Int, labels: UnsafePointer<Int64>?) -> Int {
    switch cells {
    case .own: table
    case .listed(let cells): Int(cells[table])
    case .labels: Int(labels![table])
    }
  }

  /// Calls a closure with each run of neighbouring rows of one table within a range.
  /// - Parameter period: rows at whose multiples a run ends, for what starts anew there.
  func forEachRun(
    in range: Range<Int>, labels: UnsafePointer<Int64>?, period: Int? = nil,
    _ body: (_ rows: Range<Int>, _ table: Int) -> Void
  ) {
    var first = range.lowerBound
    while first < range.upperBound {
      var end = range.upperBound
      if let period { end = min(end, (first / period + 1) * period) }
      let table: Int
      switch form {
      case .equal(let rows):
        table = first / rows
        end = min(end, (table + 1) * rows)
      case .starts(let starts):
        table = starts.lastIndex { $0 <= first }!
        end = min(end, starts[table + 1])
      case .listed(let tables):
        table = Int(tables[first])
        end = (first + 1..<end).first { tables[$0] != tables[first] } ?? end
      case .labels:
        let label = labels![first]
        table = Int(label)
        end = (first + 1..<end).first { labels![$0] != label } ?? end
      }
      body(first..<end, table)
      first = end
    }
  }
}
