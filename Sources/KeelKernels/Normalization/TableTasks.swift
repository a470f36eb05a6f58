internal import CKeelLoops

/// How sums over the rows of tables are cut into tasks that run side by side, and within a task into chunks
/// that are summed in Float and merged in Double. The cut depends on the sizes only, so that results are
/// bitwise the same for any number of threads.
///
/// A task of contiguous tables lies within one table and has one slot of sums; a task of scattered ones, or
/// of pieces that the caller has cut, has a slot for each table. A slot is two Doubles per channel and a
/// count.
internal struct TableTasks: Sendable {
  let tables: RowTables
  let channels: Int
  /// The rows of each task.
  let pieces: RowPieces
  /// The first task of each table and the end, where tasks lie within tables.
  let firstTask: [Int]?

  /// Elements that are worth a task.
  private static let elementsPerTask = 65_536
  /// The most tasks of one table: each has a slot of its own.
  private static let mostTasks = 64
  /// The most Doubles in the slots of scattered tables.
  static let mostDoubles = 1 << 22

  init(_ tables: RowTables, channels: Int) {
    self.tables = tables
    self.channels = channels
    func target(_ rows: Int, _ most: Int) -> Int {
      max(
        RowReduction.chunkRows, Self.elementsPerTask / max(channels, 1), (rows + most - 1) / most)
    }
    var tasks: [Range<Int>] = []
    var firstTask = [0]
    if tables.areContiguous {
      for table in 0..<tables.count {
        let rows = tables.rows(of: table)
        let tiles = RowTiles(rows: rows.count, target: target(rows.count, Self.mostTasks))
        for tile in 0..<tiles.count {
          let range = tiles[tile]
          tasks.append(
            rows.lowerBound + range.lowerBound..<rows.lowerBound + range.upperBound)
        }
        firstTask.append(tasks.count)
      }
    } else {
      let most = max(1, min(Self.mostTasks, Self.mostDoubles / (2 * channels * tables.count)))
      let tiles = RowTiles(rows: tables.rows, target: target(tables.rows, most))
      tasks = (0..<tiles.count).map { tiles[$0] }
    }
    pieces = RowPieces(tasks)
    self.firstTask = tables.areContiguous ? firstTask : nil
  }

  /// Tasks of pieces that own something, such as the positions of γ.
  init(_ tables: RowTables, channels: Int, pieces: RowPieces) {
    self.tables = tables
    self.channels = channels
    self.pieces = pieces
    firstTask = nil
  }

  var count: Int { pieces.count }
  /// The slots of a task.
  private var slotsPerTask: Int { firstTask == nil ? tables.count : 1 }

  /// The number of slots.
  var slots: Int { count * slotsPerTask }
  /// Doubles of a slot.
  var slotCount: Int { 2 * channels + 2 }
  /// Floats of memory for all slots.
  var memoryCount: Int { 2 * slots * slotCount }

  /// The slot of a task and a table.
  func slot(_ memory: UnsafeMutablePointer<Double>, task: Int, table: Int)
    -> UnsafeMutablePointer<Double>
  {
    memory + (firstTask == nil ? task * tables.count + table : task) * slotCount
  }

  /// The slots that make up a table, in order.
  func forEachSlot(
    of table: Int, _ memory: UnsafeMutablePointer<Double>,
    _ body: (UnsafeMutablePointer<Double>) -> Void
  ) {
    for task in firstTask.map({ $0[table]..<$0[table + 1] }) ?? 0..<count {
      body(slot(memory, task: task, table: table))
    }
  }

  /// The slot that holds a table's sums once they have been gathered.
  func total(of table: Int, _ memory: UnsafeMutablePointer<Double>)
    -> UnsafeMutablePointer<Double>
  {
    slot(memory, task: firstTask?[table] ?? 0, table: table)
  }

  /// Empties the slots that a task writes.
  func clear(task: Int, _ memory: UnsafeMutablePointer<Double>) {
    slot(memory, task: task, table: 0).update(repeating: 0, count: slotsPerTask * slotCount)
  }

  /// Adds the slots of a table into its first.
  func addSlots(of table: Int, _ memory: UnsafeMutablePointer<Double>) {
    let sum = total(of: table, memory)
    forEachSlot(of: table, memory) { slot in
      guard slot != sum else { return }
      for i in 0..<2 * channels { sum[i] += slot[i] }
    }
  }
}
