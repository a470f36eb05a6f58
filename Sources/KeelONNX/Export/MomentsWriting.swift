import KeelGraph
import KeelTensor

/// Statistics of cells, instead of a table in the layout of `MomentsLayout`.
struct CellStatistics {
  /// m.
  var mean: WrittenValue
  /// v = Σ(x − m)²/n.
  var variance: WrittenValue
  /// n; one number where all cells have as many elements.
  var count: WrittenValue
  /// Σ x²/n, where it is there.
  var meanSquare: WrittenValue?
  /// The extents of the cells.
  var cells: [Extent]
}

/// How the axes of x make the cells of a partition. Groups of channels are an axis of their own before that of the
/// channels within a group.
struct CellAxes {
  /// The extents of x, its channels split into groups where the partition has some.
  let extents: [Extent]
  /// The axes of these that statistics run over.
  let reduced: [Int]

  init(_ whole: [Extent], _ partition: Partition) {
    let rows = Array(0..<whole.count - 1)
    var reduced: [Int] =
      switch partition.rows {
      case .all, .shards, .labels: rows
      case .sample: Array(rows.dropFirst())
      case .position: []
      case .axes(let axes): rows.filter { !axes.contains($0) }
      }
    let channels = whole.last?.fixedValue ?? 1
    let groups = partition.channelCells(of: channels)
    if groups == 1 {
      extents = whole
      reduced.append(rows.count)
    } else if groups == channels {
      extents = whole
    } else {
      extents = whole.dropLast() + [.fixed(groups), .fixed(channels / groups)]
      reduced.append(whole.count)
    }
    self.reduced = reduced
  }

  /// The extents after a reduction whose axes stay.
  var kept: [Extent] { extents.enumerated().map { reduced.contains($0.offset) ? 1 : $0.element } }
}

/// Moments and their mixtures.
extension GraphExporter {
  func refusal(of partition: Partition) -> String? {
    switch partition.rows {
    case .shards: "statistics of shards"
    case .labels: "statistics by labels"
    case .all, .sample, .position, .axes: nil
    }
  }

  /// Keeps moments for the operations that take their table.
  func keep(_ moments: CellStatistics, as id: ValueID) { cellStatistics[id] = moments }

  /// The statistics of x with its axes, those of the cells kept as 1.
  func statistics(of x: WrittenValue, _ cells: CellAxes) -> CellStatistics {
    func mean(_ value: WrittenValue) -> WrittenValue {
      // Without axes there is nothing to reduce; ONNX would take all.
      cells.reduced.isEmpty ? value : reduce("ReduceMean", value, axes: cells.reduced, keeps: true)
    }
    let m = mean(x)
    let centred = combine("Sub", x, m)
    return CellStatistics(
      mean: m, variance: mean(combine("Mul", centred, centred)), count: count(of: x, cells),
      meanSquare: mean(combine("Mul", x, x)), cells: cells.kept)
  }

  /// The moments of the cells of a partition.
  func moments(of x: WrittenValue, _ partition: Partition) -> CellStatistics {
    let axes = CellAxes(x.extents, partition)
    let kept = statistics(of: reshaped(x, to: axes.extents), axes)
    let channels = x.type.channelCount ?? 1
    let cells = partition.cellExtents(of: x.extents, channels: channels) { Extent.fixed($0) }
    return CellStatistics(
      mean: reshaped(kept.mean, to: cells), variance: reshaped(kept.variance, to: cells),
      count: kept.count.rank == 0 ? kept.count : reshaped(kept.count, to: cells), cells: cells)
  }

  /// The number of elements of a cell.
  private func count(of x: WrittenValue, _ cells: CellAxes) -> WrittenValue {
    let known = cells.reduced.map { cells.extents[$0].fixedValue }
    if known.allSatisfy({ $0 != nil }) { return number(Float(known.reduce(1) { $0 * $1! })) }
    let element = ONNXTensorProto(Tensor(repeating: 1, shape: [1]))
    let ones = emit(
      "ConstantOfShape", [emit("Shape", [name(x)])[0]], [.tensor("value", element)])[0]
    return reduce(
      "ReduceSum", WrittenValue(ones, order: x.order, x.type), axes: cells.reduced, keeps: true)
  }

  /// The moments behind a table: those that a node made, or the rows of another value.
  func statistics(behind id: ValueID) -> CellStatistics {
    if let known = cellStatistics[id] { return known }
    let table = value(id)
    let count = row(table, MomentsLayout.count)
    return CellStatistics(
      mean: combine("Add", row(table, MomentsLayout.mean), row(table, MomentsLayout.meanResidual)),
      variance: combine("Div", row(table, MomentsLayout.squaredDeviations), count), count: count,
      cells: Array(table.extents.dropFirst()))
  }

  /// The table of moments.
  func table(of moments: CellStatistics) -> WrittenValue {
    let cells: [Extent] = [1] + moments.cells
    let sum = combine("Mul", moments.variance, moments.count)
    let rows = [moments.count, moments.mean, number(0), sum].map { expanded($0, to: cells) }
    return concatenated(rows, axis: 0, ValueType([.fixed(MomentsLayout.rows)] + moments.cells))
  }

  /// A mixture of moments.
  func mixed(_ node: Node, _ mixture: MomentsMixture) -> CellStatistics {
    let tables = node.inputs.prefix(mixture.count).map(statistics(behind:))
    let cells = tables.dropFirst().reduce(tables[0].cells) { $0.broadcast(with: $1.cells) ?? $0 }
    func sum(_ terms: [WrittenValue]) -> WrittenValue {
      terms.dropFirst().reduce(terms[0]) { combine("Add", $0, $1) }
    }
    func weights(_ operand: Int) -> [WrittenValue] {
      tables.indices.map { row(self.operand(node, mixture.count + operand), $0) }
    }
    func weighted(_ weights: [WrittenValue], _ values: [WrittenValue]) -> WrittenValue {
      sum(zip(weights, values).map { combine("Mul", $1, $0) })
    }
    func spread(around mean: WrittenValue) -> [WrittenValue] {
      tables.map { table in
        let distance = combine("Sub", table.mean, mean)
        return combine("Add", table.variance, combine("Mul", distance, distance))
      }
    }
    switch mixture.kind {
    case .merged:
      let counts = tables.map(\.count)
      let count = sum(counts)
      let mean = combine("Div", weighted(counts, tables.map(\.mean)), count)
      let variance = combine("Div", weighted(counts, spread(around: mean)), count)
      return CellStatistics(mean: mean, variance: variance, count: count, cells: cells)
    case .averaged:
      return CellStatistics(
        mean: weighted(weights(0), tables.map(\.mean)),
        variance: weighted(weights(1), tables.map(\.variance)), count: number(1), cells: cells)
    case .pooled:
      let mean = weighted(weights(0), tables.map(\.mean))
      return CellStatistics(
        mean: mean, variance: weighted(weights(0), spread(around: mean)), count: number(1),
        cells: cells)
    }
  }
}
