import KeelGraph
import KeelTensor

extension Loss {
  /// One of each kind, with parameters away from their defaults where there are any.
  public static let everyKind: [Kind] = [
    .squaredError, .absoluteError, .smoothL1(beta: 0.7), .huber(delta: 1.3),
    .negativeLogLikelihood(ignoring: -100), .crossEntropy(ignoring: 1),
    .crossEntropy(smoothing: 0.2), .softCrossEntropy(), .softCrossEntropy(smoothing: 0.3),
    .logistic, .binaryCrossEntropy, .binaryFocal(gamma: 1.5), .binaryFocal(alpha: 0.25),
    .focal(gamma: 2), .focal(gamma: 0.5, ignoring: -1), .klDivergence,
    .marginRanking(margin: 0.3), .entropy, .minimumEntropyConsensus,
  ]
}

extension PrimitiveCase {
  /// A loss with all operands that it takes; the first has a shape of its own.
  public static func loss(_ loss: Loss, _ shape: Shape) -> PrimitiveCase {
    let rows = Shape(Array(shape.extents.dropLast()))
    func fixed(_ name: String, _ shape: Shape, _ filling: Operand.Filling) -> Operand {
      Operand(name, shape, filling, isDifferentiable: false)
    }
    var operands = [Operand("x", shape, .wide)]
    switch loss.kind {
    case .squaredError, .absoluteError, .smoothL1, .huber, .minimumEntropyConsensus:
      operands.append(Operand("y", shape, .wide))
    case .negativeLogLikelihood, .crossEntropy, .focal:
      let labels = Operand.Filling.labels(
        classes: shape.channelCount, ignored: loss.ignoredLabel.map(Int.init))
      operands.append(fixed("labels", rows, labels))
    case .softCrossEntropy, .klDivergence: operands.append(fixed("q", shape, .probabilities))
    case .binaryCrossEntropy: operands.append(fixed("t", shape, .unit))
    case .logistic: operands.append(fixed("signs", shape, .signs))
    case .binaryFocal: operands.append(fixed("t", shape, .binary))
    case .marginRanking:
      operands += [Operand("b", shape, .wide), fixed("signs", shape, .signs)]
    case .entropy: break
    }
    if loss.hasWeights { operands.append(fixed("weights", [shape.channelCount], .positive)) }
    let parts = [
      "\(loss.kind)", "\(loss.reduction)", loss.hasWeights ? "weighted" : nil, "\(shape)",
    ]
    return PrimitiveCase(
      parts.compactMap { $0 }.joined(separator: ", "), .loss(loss), operands)
  }

  /// Softmax and its logarithm.
  public static func softmaxes(_ shape: Shape) -> [PrimitiveCase] {
    [
      PrimitiveCase("softmax, \(shape)", .softmax, [Operand("x", shape, .wide)]),
      PrimitiveCase("log-softmax, \(shape)", .logSoftmax, [Operand("x", shape, .wide)]),
    ]
  }

  /// Every loss with every reduction, with and without weights, of a matrix or of a tensor of more axes.
  public static let losses: [PrimitiveCase] = {
    var cases = softmaxes([4, 5]) + softmaxes([7]) + softmaxes([2, 3, 2, 3])
    for (index, kind) in Loss.everyKind.enumerated() {
      for (turn, reduction) in Loss.Reduction.allCases.enumerated() {
        let shape: Shape = (index + turn) % 2 == 0 ? [6, 5] : [2, 3, 4]
        cases.append(loss(Loss(kind, reduction: reduction), shape))
        if Loss(kind).canHaveWeights {
          cases.append(loss(Loss(kind, reduction: reduction, hasWeights: true), shape))
        }
      }
    }
    return cases + [
      loss(Loss(.crossEntropy()), [5]), loss(Loss(.squaredError, reduction: .sum), []),
      loss(Loss(.binaryCrossEntropy, hasWeights: true), [7, 1]),
      loss(Loss(.entropy, reduction: .none), [6]),
    ]
  }()
}
