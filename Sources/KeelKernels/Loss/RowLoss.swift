internal import CKeelLoops
internal import KeelTensor

/// A loss with a value for each row of classes.
internal struct RowLoss: LossKernel {
  let loss: Loss
  let rows: Int
  let columns: Int
  private let batch: Int
  private let place: String
  private let tasks: RowTiles
  /// Rows whose scratch values are held at a time: few enough that their logits stay in the cache from the
  /// pass for log Σ exp to the next.
  let blockRows: Int

  init(_ loss: Loss, _ shape: Shape, place: String) {
    self.loss = loss
    self.place = place
    rows = shape.rowCount
    columns = shape.channelCount
    batch = shape[0]
    blockRows = min(RowScratch.capacity, max(1, 16_384 / columns))
    tasks = RowTiles(rows: rows, target: max(blockRows, 32_768 / columns))
  }

  private var work: Int { rows * columns * 8 }
  private var isReduced: Bool { loss.reduction != .none }

  func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * tasks.count + RowScratch.count * parallelism.threadCount
  }

  func run(
    _ operands: LossOperands, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) throws(KeelError) {
    let divisor = try divisor(operands)
    let sums = taskSums(scratch)
    forEachBlock(scratch, parallelism) { task, first, count, block in
      let values = isReduced ? block.values : y + first
      self.values(operands, first, count, block, into: values)
      if isReduced { sums[task] += loops.sumFloats(values, count) }
    }
    guard isReduced else { return }
    var total = 0.0
    for task in 0..<tasks.count { total += sums[task] }
    y[0] = Float(total / divisor)
  }

  func gradient(
    _ operands: LossOperands, dLoss: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>,
    second: UnsafeMutablePointer<Float>?, scratch: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) throws(KeelError) {
    let divisor = try divisor(operands)
    let factor = isReduced ? Float(Double(dLoss[0]) / divisor) : 1
    forEachBlock(scratch, parallelism) { _, first, count, block in
      for r in 0..<count { block.factor[r] = isReduced ? factor : dLoss[first + r] }
      rowGradient(operands, first, count, block, into: dx, second: second)
    }
  }

  private func forEachBlock(
    _ scratch: UnsafeMutablePointer<Float>, _ parallelism: Parallelism,
    _ body: (_ task: Int, _ first: Int, _ count: Int, _ block: RowScratch) -> Void
  ) {
    let sums = taskSums(scratch)
    parallelism.forEach(tasks.count, work: work) { task, worker in
      let block = RowScratch(scratch + 2 * tasks.count + RowScratch.count * worker)
      sums[task] = 0
      var first = tasks[task].lowerBound
      while first < tasks[task].upperBound {
        let count = min(blockRows, tasks[task].upperBound - first)
        body(task, first, count, block)
        first += count
      }
    }
  }

  /// Checks the labels, and what the sum is divided by.
  private func divisor(_ operands: LossOperands) throws(KeelError) -> Double {
    var weight = 0.0
    if let labels = operands.labels {
      let ignored = loss.ignoredLabel
      for row in 0..<rows where labels[row] != ignored {
        let label = labels[row]
        guard label >= 0, label < columns else {
          throw KeelError(
            .value, at: "\(place), label \(row)", expected: "a class from 0 to \(columns - 1)",
            found: "\(label)")
        }
        weight += operands.third.map { Double($0[Int(label)]) } ?? 1
      }
    }
    return switch loss.reduction {
    case .none, .sum: 1
    case .mean: loss.takesLabels ? weight : Double(rows)
    case .batchMean: Double(batch)
    }
  }
}

/// A worker's values for the rows of a block.
internal struct RowScratch {
  /// The most rows of a block.
  static let capacity = 64
  /// The floats of all values.
  static let count = 8 * capacity

  /// log Σ exp in two parts.
  let largest, logSum: UnsafeMutablePointer<Float>
  /// The same of the second operand.
  let otherLargest, otherLogSum: UnsafeMutablePointer<Float>
  /// The gradient of each row's value.
  let factor: UnsafeMutablePointer<Float>
  /// What softmax is multiplied by.
  let scale: UnsafeMutablePointer<Float>
  /// The rows' values.
  let values: UnsafeMutablePointer<Float>
  /// The sum of the rows' targets.
  let totals: UnsafeMutablePointer<Float>

  init(_ memory: UnsafeMutablePointer<Float>) {
    func row(_ index: Int) -> UnsafeMutablePointer<Float> { memory + index * Self.capacity }
    (largest, logSum, otherLargest, otherLogSum) = (row(0), row(1), row(2), row(3))
    (factor, scale, values, totals) = (row(4), row(5), row(6), row(7))
  }
}
