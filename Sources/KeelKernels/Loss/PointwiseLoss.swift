internal import CKeelLoops
internal import KeelTensor

extension Loss {
  /// A pointwise loss as leaf loops take it; nil for the others.
  internal var leaf: KeelLoss? {
    func leaf(_ kind: Int, _ a: Float = 0, _ b: Float = 0) -> KeelLoss {
      KeelLoss(kind: Int32(kind), a: a, b: b, weight: 1)
    }
    return switch kind {
    case .squaredError: leaf(KEEL_SQUARED_ERROR)
    case .absoluteError: leaf(KEEL_ABSOLUTE_ERROR)
    case .smoothL1(let beta): leaf(KEEL_SMOOTH_L1, beta)
    case .huber(let delta): leaf(KEEL_HUBER, delta)
    case .logistic: leaf(KEEL_LOGISTIC)
    case .binaryCrossEntropy: leaf(KEEL_BINARY)
    case .binaryFocal(let gamma, let alpha): leaf(KEEL_BINARY_FOCAL, gamma, alpha ?? -1)
    case .klDivergence: leaf(KEEL_KL)
    case .marginRanking(let margin): leaf(KEEL_RANKING, margin)
    case .negativeLogLikelihood, .crossEntropy, .softCrossEntropy, .focal, .entropy,
      .minimumEntropyConsensus:
      nil
    }
  }
}

/// A loss with a value for each element.
internal struct PointwiseLoss: LossKernel {
  private let leaf: KeelLoss
  private let isReduced: Bool
  private let divisor: Double
  private let tasks: RowTiles
  /// The extent that weights run along; 0 where the third operand is one for each element, or missing.
  private let weightCount: Int

  /// Elements that pass through scratch memory at a time.
  private static let chunk = 1024

  init(_ loss: Loss, _ leaf: KeelLoss, _ shape: Shape, weightCount: Int) {
    self.leaf = leaf
    self.weightCount = weightCount
    isReduced = loss.reduction != .none
    divisor =
      switch loss.reduction {
      case .none, .sum: 1
      case .mean: Double(shape.elementCount)
      case .batchMean: Double(shape[0])
      }
    tasks = RowTiles(rows: shape.elementCount, target: 32_768)
  }

  private var work: Int { tasks.rows * 8 }

  func scratchCount(_ parallelism: Parallelism) -> Int {
    2 * tasks.count + 2 * Self.chunk * parallelism.threadCount
  }

  func run(
    _ operands: LossOperands, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let sums = taskSums(scratch)
    forEachChunk(operands, scratch, parallelism) { task, first, count, third, free in
      let out = isReduced ? free : y + first
      loops.pointLoss(
        out, operands.prediction + first, operands.target! + first, third.values, count,
        third.leaf)
      if isReduced { sums[task] += loops.sumFloats(out, count) }
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
  ) {
    let factor = isReduced ? Float(Double(dLoss[0]) / divisor) : 1
    forEachChunk(operands, scratch, parallelism) { _, first, count, third, _ in
      loops.pointLossGradient(
        dx + first, operands.prediction + first, operands.target! + first, third.values,
        isReduced ? nil : dLoss + first, factor, count, third.leaf)
      if let second { loops.scale(second + first, dx + first, -1, count) }
    }
  }

  /// The third operand of a chunk: a value for each element, or one in the leaf.
  private struct Third {
    let values: UnsafePointer<Float>?
    let leaf: KeelLoss
  }

  private func forEachChunk(
    _ operands: LossOperands, _ scratch: UnsafeMutablePointer<Float>, _ parallelism: Parallelism,
    _ body: (
      _ task: Int, _ first: Int, _ count: Int, _ third: Third, _ free: UnsafeMutablePointer<Float>
    ) -> Void
  ) {
    var single = leaf
    if weightCount == 1, let weight = operands.third { single.weight = weight[0] }
    let common = single
    let sums = taskSums(scratch)
    parallelism.forEach(tasks.count, work: work) { task, worker in
      let free = scratch + 2 * tasks.count + 2 * Self.chunk * worker
      let repeated = free + Self.chunk
      sums[task] = 0
      var first = tasks[task].lowerBound
      while first < tasks[task].upperBound {
        let count = min(Self.chunk, tasks[task].upperBound - first)
        var third = operands.third.map { $0 + first }
        if weightCount > 0, let weights = operands.third {
          third = nil
          if weightCount > 1 {
            var column = first % weightCount
            for i in 0..<count {
              repeated[i] = weights[column]
              column = column + 1 == weightCount ? 0 : column + 1
            }
            third = UnsafePointer(repeated)
          }
        }
        body(task, first, count, Third(values: third, leaf: common), free)
        first += count
      }
    }
  }
}
