internal import CKeelLoops
internal import KeelTensor

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

// Blocks of rows: `first` is the block's first row, `count` how many.

extension RowLoss {
  /// The values of a block.
  func values(
    _ operands: LossOperands, _ first: Int, _ count: Int, _ block: RowScratch,
    into values: UnsafeMutablePointer<Float>
  ) {
    let x = operands.prediction + first * columns
    switch loss.kind {
    case .negativeLogLikelihood:
      for r in 0..<count {
        values[r] = label(operands, first + r).map { -$0.weight * x[r * columns + $0.label] } ?? 0
      }
    case .crossEntropy:
      loops.logSumExp(block.largest, block.logSum, x, count, columns)
      if spread > 0 {
        loops.targetLoss(
          block.scale, block.totals, x, nil, operands.third, 0, spread, block.largest,
          block.logSum, count, columns)
      }
      for r in 0..<count {
        guard let (label, weight) = label(operands, first + r) else {
          values[r] = 0
          continue
        }
        values[r] = -keep * weight * logProbability(x, r, label, block)
        if spread > 0 { values[r] += block.scale[r] }
      }
    case .softCrossEntropy:
      loops.logSumExp(block.largest, block.logSum, x, count, columns)
      loops.targetLoss(
        values, block.totals, x, operands.target! + first * columns, operands.third, keep, spread,
        block.largest, block.logSum, count, columns)
    case .focal(let gamma, _):
      loops.logSumExp(block.largest, block.logSum, x, count, columns)
      for r in 0..<count {
        guard let (label, weight) = label(operands, first + r) else {
          values[r] = 0
          continue
        }
        let log = Double(logProbability(x, r, label, block))
        values[r] = Float(-Double(weight) * pow(-expm1(log), Double(gamma)) * log)
      }
    case .entropy:
      loops.logSumExp(block.largest, block.logSum, x, count, columns)
      loops.entropy(values, x, block.largest, block.logSum, count, columns)
    case .minimumEntropyConsensus:
      let other = operands.target! + first * columns
      normalizers(x, other, count, block)
      for r in 0..<count {
        values[r] = -0.5 * agreement(x, other, r, consensus(x, other, r, block), block)
      }
    default: preconditionFailure("\(loss.name) has no rows")
    }
  }

  /// The gradient of a block, from the gradients of its values in `factor`.
  func rowGradient(
    _ operands: LossOperands, _ first: Int, _ count: Int, _ block: RowScratch,
    into result: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>?
  ) {
    let x = operands.prediction + first * columns
    let dx = result + first * columns
    switch loss.kind {
    case .negativeLogLikelihood:
      dx.update(repeating: 0, count: count * columns)
      for r in 0..<count {
        if let (label, weight) = label(operands, first + r) {
          dx[r * columns + label] = -weight * block.factor[r]
        }
      }
    case .crossEntropy: crossEntropyGradient(operands, x, first, count, block, dx)
    case .softCrossEntropy:
      let targets = operands.target! + first * columns
      loops.logSumExp(block.largest, block.logSum, x, count, columns)
      loops.targetLoss(
        block.values, block.totals, x, targets, operands.third, keep, spread, block.largest,
        block.logSum, count, columns)
      for r in 0..<count { block.scale[r] = block.factor[r] * block.totals[r] }
      scaledSoftmax(dx, x, count, block)
      loops.subtractTargets(
        dx, targets, operands.third, keep, spread, block.factor, count, columns)
    case .focal(let gamma, _): focalGradient(gamma, operands, x, first, count, block, dx)
    case .entropy:
      loops.logSumExp(block.largest, block.logSum, x, count, columns)
      loops.entropy(block.values, x, block.largest, block.logSum, count, columns)
      loops.entropyGradient(
        dx, x, block.largest, block.logSum, block.values, block.factor, count, columns)
    case .minimumEntropyConsensus:
      let other = operands.target! + first * columns
      let dOther = second! + first * columns
      normalizers(x, other, count, block)
      for r in 0..<count { block.scale[r] = 0.5 * block.factor[r] }
      scaledSoftmax(dx, x, count, block)
      loops.scaledSoftmax(
        dOther, other, block.otherLargest, block.otherLogSum, block.scale, count, columns)
      for r in 0..<count {
        let k = r * columns + consensus(x, other, r, block)
        dx[k] -= block.scale[r]
        dOther[k] -= block.scale[r]
      }
    default: preconditionFailure("\(loss.name) has no rows")
    }
  }

  /// dz = g·(T·p − t′) with T = Σ t′.
  private func crossEntropyGradient(
    _ operands: LossOperands, _ x: UnsafePointer<Float>, _ first: Int, _ count: Int,
    _ block: RowScratch, _ dx: UnsafeMutablePointer<Float>
  ) {
    loops.logSumExp(block.largest, block.logSum, x, count, columns)
    var everywhere: Float = 0
    if spread > 0 {
      everywhere = 1 - keep
      if let weights = operands.third {
        everywhere = spread * Float(loops.sumFloats(weights, columns))
      }
    }
    for r in 0..<count {
      let weight = label(operands, first + r)?.weight
      if weight == nil { block.factor[r] = 0 }
      block.scale[r] = weight.map { block.factor[r] * (keep * $0 + everywhere) } ?? 0
    }
    scaledSoftmax(dx, x, count, block)
    if spread > 0 {
      loops.subtractTargets(dx, nil, operands.third, 0, spread, block.factor, count, columns)
    }
    subtractLabels(operands, first, count, dx) { block.factor[$0] * keep * $1 }
  }

  /// dz = g·w·[(1 − P)^γ − γ·P·(1 − P)^(γ − 1)·log P]·(p − onehot), with u = 1 − P and −log P / u, which
  /// tends to 1, so that nothing is divided by 0 where P is 1.
  private func focalGradient(
    _ gamma: Float, _ operands: LossOperands, _ x: UnsafePointer<Float>, _ first: Int,
    _ count: Int, _ block: RowScratch, _ dx: UnsafeMutablePointer<Float>
  ) {
    loops.logSumExp(block.largest, block.logSum, x, count, columns)
    for r in 0..<count {
      guard let (label, weight) = label(operands, first + r) else {
        block.scale[r] = 0
        continue
      }
      let log = Double(logProbability(x, r, label, block))
      let (u, gamma) = (-expm1(log), Double(gamma))
      let slope = u == 0 ? 1 : -log / u
      // P·(−log P) is 0 where P is, also where log P is −∞.
      let inner = u == 1 ? 0 : gamma * (1 - u) * slope
      block.scale[r] = block.factor[r] * weight * Float(pow(u, gamma) * (1 + inner))
    }
    scaledSoftmax(dx, x, count, block)
    subtractLabels(operands, first, count, dx) { row, _ in block.scale[row] }
  }

  /// Subtracts a number at each row's label; rows that are ignored become 0, whatever they held.
  private func subtractLabels(
    _ operands: LossOperands, _ first: Int, _ count: Int, _ dx: UnsafeMutablePointer<Float>,
    _ amount: (_ row: Int, _ weight: Float) -> Float
  ) {
    for r in 0..<count {
      if let (label, weight) = label(operands, first + r) {
        dx[r * columns + label] -= amount(r, weight)
      } else {
        (dx + r * columns).update(repeating: 0, count: columns)
      }
    }
  }

  // MARK: Parts

  /// 1 − ε.
  private var keep: Float { 1 - loss.smoothing }
  /// ε/K.
  private var spread: Float { loss.smoothing / Float(columns) }

  /// A row's label and its weight; nil where it is ignored.
  private func label(_ operands: LossOperands, _ row: Int) -> (label: Int, weight: Float)? {
    let label = operands.labels![row]
    if let ignored = loss.ignoredLabel, label == ignored { return nil }
    return (Int(label), operands.third?[Int(label)] ?? 1)
  }

  /// log p of one class, from log Σ exp.
  private func logProbability(
    _ x: UnsafePointer<Float>, _ row: Int, _ label: Int, _ block: RowScratch
  ) -> Float {
    (x[row * columns + label] - block.largest[row]) - block.logSum[row]
  }

  private func scaledSoftmax(
    _ dx: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int,
    _ block: RowScratch
  ) {
    loops.scaledSoftmax(dx, x, block.largest, block.logSum, block.scale, count, columns)
  }

  private func normalizers(
    _ x: UnsafePointer<Float>, _ other: UnsafePointer<Float>, _ count: Int, _ block: RowScratch
  ) {
    loops.logSumExp(block.largest, block.logSum, x, count, columns)
    loops.logSumExp(block.otherLargest, block.otherLogSum, other, count, columns)
  }

  /// log p[k] + log p′[k].
  private func agreement(
    _ x: UnsafePointer<Float>, _ other: UnsafePointer<Float>, _ row: Int, _ k: Int,
    _ block: RowScratch
  ) -> Float {
    logProbability(x, row, k, block)
      + ((other[row * columns + k] - block.otherLargest[row]) - block.otherLogSum[row])
  }

  /// The first class with the largest log p[k] + log p′[k].
  private func consensus(
    _ x: UnsafePointer<Float>, _ other: UnsafePointer<Float>, _ row: Int, _ block: RowScratch
  ) -> Int {
    var (best, largest) = (0, agreement(x, other, row, 0, block))
    for k in 1..<max(columns, 1) {
      let value = agreement(x, other, row, k, block)
      if value > largest { (best, largest) = (k, value) }
    }
    return best
  }
}
