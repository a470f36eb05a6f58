import KeelTensor

extension Primitive {
  /// The types of the results for given types of the operands.
  ///
  /// - Parameter place: the path of the layer, for messages.
  /// - Throws: `KeelError` of kind `shape` that names the layer, what was expected and what was found.
  public func resultTypes(_ inputs: [ValueType], at place: String) throws(KeelError) -> [ValueType]
  {
    let check = OperandCheck(primitive: self, inputs: inputs, place: place)
    switch self {
    case .convolution(let geometry, let epilogue):
      return [try check.convolution(geometry, epilogue)]
    case .convolutionWithMoments(let geometry, let epilogue):
      let y = try check.convolution(geometry, epilogue)
      return [y, check.momentsTable(of: y)]
    case .transposedConvolution(let geometry, let epilogue):
      return [try check.transposedConvolution(geometry, epilogue)]
    case .convolutionWeightGradient(let geometry):
      try check.count(2)
      try check.image(0, like: geometry.inputShape(batch: 1), "input")
      try check.image(1, like: geometry.outputShape(batch: 1), "gradient")
      try check.sameBatch()
      return [ValueType(shape: geometry.weightShape)]
    case .linear(let epilogue): return [try check.linear(epilogue)]
    case .linearInputGradient:
      try check.count(2)
      let (dy, weight) = try (check.matrix(0, "gradient"), check.matrix(1, "weight"))
      try check.require(dy.extents[1] == weight.extents[0], 0, "\(weight.extents[0]) columns")
      return [ValueType([dy.extents[0], weight.extents[1]])]
    case .linearWeightGradient:
      try check.count(2)
      let (x, dy) = try (check.matrix(0, "input"), check.matrix(1, "gradient"))
      try check.require(dy.extents[0] == x.extents[0], 1, "\(x.extents[0]) rows")
      return [ValueType([dy.extents[1], x.extents[1]])]
    case .normalization(let normalization): return try check.normalization(normalization)
    case .normalizationGradient(let normalization):
      return try check.normalizationGradient(normalization)
    case .moments(let partition, let isWeighted):
      return try check.moments(partition, isWeighted: isWeighted)
    case .momentsGradient(let partition, let isWeighted):
      return try check.momentsGradient(partition, isWeighted: isWeighted)
    case .mixedMoments(let mixture): return [try check.mixedMoments(mixture)]
    case .mixedMomentsGradient(let mixture): return try check.mixedMomentsGradient(mixture)
    case .runningStatistics(let average): return try check.runningStatistics(average)
    case .comoments(let blocks): return try check.comoments(blocks)
    case .comomentsGradient(let blocks, let residual):
      return try check.comomentsGradient(blocks, residual: residual)
    case .whitening(let rule, let blocks): return try check.whitening(rule, blocks)
    case .whiteningGradient(let rule, let blocks):
      return try check.whiteningGradient(rule, blocks)
    case .blockMap(let map): return try check.blockMap(map)
    case .blockMapGradient(let map, let makesInput):
      return try check.blockMapGradient(map, makesInput: makesInput)
    case .runningComoments(let momentum, let hasCovariance):
      return try check.runningComoments(momentum, hasCovariance: hasCovariance)
    case .movingAverage(let momentum): return try check.movingAverage(momentum)
    case .activation(let activation):
      try activation.validate(at: place)
      try check.count(1)
      try check.floats(0, "input")
      return [inputs[0]]
    case .activationGradient(let activation):
      try activation.validate(at: place)
      return [try check.pair()]
    case .pooling(let geometry): return [try check.pooling(geometry)]
    case .maxPoolingWithIndices(let geometry): return try check.poolingWithIndices(geometry)
    case .poolingGradient(let geometry): return [try check.poolingGradient(geometry)]
    case .movement(let movement): return [try check.movement(movement)]
    case .movementGradient(let movement, let extents):
      return [try check.movementGradient(movement, extents)]
    case .concatenation(let axis): return [try check.concatenation(axis)]
    case .transpose(let permutation): return [try check.transpose(permutation)]
    case .reshape(let extents): return [try check.reshape(extents)]
    case .detachment:
      try check.count(1)
      try check.floats(0, "input")
      return [inputs[0]]
    case .selection: return [try check.selection()]
    case .selectionGradient(let rows): return [try check.selectionGradient(rows: rows)]
    case .softmax, .logSoftmax:
      try check.count(1)
      return [try check.rows(0, "logits")]
    case .softmaxGradient, .logSoftmaxGradient:
      try check.count(2)
      let dy = try check.rows(0, "gradient")
      try check.equal(1, dy, "result")
      return [dy]
    case .loss(let loss): return [try check.loss(loss)]
    case .lossGradient(let loss): return try check.lossGradient(loss)
    case .fill(_, let extents):
      try check.count(0)
      try check.positive(ValueType(extents))
      return [ValueType(extents)]
    case .constant(let value): return [try check.constant(value)]
    case .choice: return [try check.choice()]
    case .arithmetic: return [try check.arithmetic()]
    case .arithmeticGradient: return [try check.arithmeticGradient()]
    case .elementwise: return [try check.one()]
    case .reduction(let reduction): return [try check.reduction(reduction)]
    case .extremeGradient(let reduction): return [try check.extremeGradient(reduction)]
    case .expand(let extents, _): return [try check.expand(extents)]
    case .parametricReLU: return [try check.parametricReLU()]
    case .parametricReLUGradient: return try check.parametricReLUGradient()
    case .dropout(let dropout): return [try check.dropout(dropout)]
    }
  }
}
