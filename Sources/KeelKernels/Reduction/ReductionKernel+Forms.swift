internal import CKeelLoops
internal import KeelTensor

extension ReductionKernel {
  internal func foldShortRuns(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ parallelism: Parallelism
  ) {
    let tiles = RowTiles(rows: outer, target: max(1, Self.elementsPerTask / rows))
    let factor = kind == .mean ? 1 / Float(length) : 1
    parallelism.forEach(tiles.count, work: outer * rows) { tile, _ in
      let first = tiles[tile].lowerBound
      loops.foldShortRows(
        kind.leaf, y + first, x + first * rows, tiles[tile].count, rows, factor)
    }
  }

  internal func foldRuns(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ scratch: UnsafeMutablePointer<Float>, _ chunks: Int, _ parallelism: Parallelism
  ) {
    if chunks == 1 {
      let tiles = RowTiles(rows: outer, target: max(1, Self.elementsPerTask / rows))
      parallelism.forEach(tiles.count, work: outer * rows) { tile, _ in
        for row in tiles[tile] {
          y[row] = finished(loops.foldRow(kind.leaf, x + row * rows, rows))
        }
      }
      return
    }
    let parts = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    let tiles = RowTiles(rows: rows, target: (rows + chunks - 1) / chunks)
    parallelism.forEach(outer * chunks, work: outer * rows) { task, _ in
      let (row, chunk) = task.quotientAndRemainder(dividingBy: chunks)
      // Cutting may need fewer tiles than chunks.
      parts[task] =
        chunk < tiles.count
        ? loops.foldRow(
          kind.leaf, x + row * rows + tiles[chunk].lowerBound, tiles[chunk].count) : start
    }
    for row in 0..<outer {
      var value = start
      for chunk in 0..<chunks { value = merged(value, parts[row * chunks + chunk]) }
      y[row] = finished(value)
    }
  }

  internal func foldFewRows(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ parallelism: Parallelism
  ) {
    let factor = 1 / Float(length)
    let columns = RowTiles(rows: channels, target: Self.columnsPerTask)
    let groups = RowTiles(
      rows: outer, target: max(1, Self.elementsPerTask / (rows * channels)))
    parallelism.forEach(groups.count * columns.count, work: outer * rows * channels) { task, _ in
      let (group, column) = task.quotientAndRemainder(dividingBy: columns.count)
      let (first, count) = (columns[column].lowerBound, columns[column].count)
      for index in groups[group] {
        let to = y + index * channels + first
        loops.foldRows(
          kind.leaf, to, x + index * rows * channels + first, rows, channels, count)
        if kind == .mean { loops.scale(to, to, factor, count) }
      }
    }
  }

  internal func foldTables(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ scratch: UnsafeMutablePointer<Float>, _ parallelism: Parallelism
  ) {
    parallelism.forEach(outer, work: outer * rows * channels) { index, worker in
      let memory = scratch + worker * workerScratch
      let table = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: Double.self)
      table.update(repeating: start, count: channels)
      fold(
        x + index * rows * channels, rows: rows, channels: channels, into: table,
        row: memory + workerScratch / 3 * 2)
      for c in 0..<channels { y[index * channels + c] = finished(table[c]) }
    }
  }

  internal func foldTasks(
    _ reduction: RowReduction, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ scratch: UnsafeMutablePointer<Float>, _ parallelism: Parallelism
  ) {
    for index in 0..<outer {
      let from = x + index * rows * channels
      parallelism.forEach(reduction.tasks.count, work: rows * channels) { task, worker in
        let table = reduction.table(scratch, task: task)
        table.update(repeating: start, count: channels)
        let range = reduction.tasks[task]
        fold(
          from + range.lowerBound * channels, rows: range.count, channels: channels, into: table,
          row: reduction.row(0, scratch, worker: worker))
      }
      let table = reduction.table(scratch, task: 0)
      for task in 1..<max(reduction.tasks.count, 1) {
        loops.foldTables(kind.leaf, table, reduction.table(scratch, task: task), channels)
      }
      for c in 0..<channels { y[index * channels + c] = finished(table[c]) }
    }
  }

  // MARK: Axes that go between axes that stay

  internal var resultCount: Int { axes.reduce(1) { $0 * ($1.goes ? 1 : $1.extent) } }

  /// The floats of the innermost axis where it stays, else 0.
  internal var lastKept: Int {
    guard let last = axes.last, !last.goes else { return 0 }
    return (last.extent + 15) / 16 * 16
  }

  /// Folds block by block: the last axis where it goes, or the last two where the last stays. An outermost
  /// axis that stays is cut into tasks.
  internal func foldScattered(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
    _ scratch: UnsafeMutablePointer<Float>, _ parallelism: Parallelism
  ) {
    let total = resultCount
    let table = UnsafeMutableRawPointer(scratch).assumingMemoryBound(to: Double.self)
    let keepsLast = lastKept > 0
    let inner = keepsLast ? axes.count - 2 : axes.count - 1
    let channels = keepsLast ? axes[inner + 1].extent : 1
    let rows = axes[inner].extent
    let size = rows * channels
    let tasks = axes[0].goes ? 1 : axes[0].extent
    let blocks = (0..<inner).reduce(1) { $0 * axes[$1].extent } / tasks
    let share = total / tasks
    parallelism.forEach(tasks, work: tasks * blocks * size) { task, worker in
      let row = scratch + 2 * total + worker * lastKept
      (table + task * share).update(repeating: start, count: share)
      for block in task * blocks..<(task + 1) * blocks {
        let to = table + target(of: block, inner: inner, step: channels)
        if keepsLast {
          fold(x + block * size, rows: rows, channels: channels, into: to, row: row)
        } else {
          to.pointee = merged(to.pointee, loops.foldRow(kind.leaf, x + block * size, rows))
        }
      }
      for i in task * share..<(task + 1) * share { y[i] = finished(table[i]) }
    }
  }

  /// Where in the result the elements of a block go.
  private func target(of block: Int, inner: Int, step: Int) -> Int {
    var (rest, result, step) = (block, 0, step)
    for axis in (0..<inner).reversed() {
      let (quotient, index) = rest.quotientAndRemainder(dividingBy: axes[axis].extent)
      if !axes[axis].goes {
        result += index * step
        step *= axes[axis].extent
      }
      rest = quotient
    }
    return result
  }
}
