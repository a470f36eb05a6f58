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
    case .runningStatistics(let momentum):
      return try check.runningStatistics(momentum)
    case .activation(let activation):
      try activation.validate(at: place)
      try check.count(1)
      try check.floats(0, "input")
      return [inputs[0]]
    case .activationGradient(let activation):
      try activation.validate(at: place)
      return [try check.pair()]
    case .add: return [try check.pair()]
    case .channelSum:
      try check.count(1)
      try check.floats(0, "input")
      try check.require(inputs[0].rank >= 1, 0, "at least one axis")
      return [ValueType([inputs[0].extents[inputs[0].rank - 1]])]
    case .pooling(let geometry):
      try check.count(1)
      try check.image(0, like: geometry.inputShape(batch: 1), "input")
      return [check.image(geometry.outputShape(batch: 1))]
    case .poolingGradient(let geometry):
      try check.count(geometry.kind == .maximum ? 2 : 1)
      try check.image(0, like: geometry.outputShape(batch: 1), "gradient")
      if geometry.kind == .maximum {
        try check.image(1, like: geometry.inputShape(batch: 1), "input")
        try check.sameBatch()
      }
      return [check.image(geometry.inputShape(batch: 1))]
    case .globalAveragePooling:
      try check.count(1)
      try check.floats(0, "input")
      try check.require(inputs[0].rank == 4, 0, "N×H×W×C")
      return [ValueType([inputs[0].extents[0], inputs[0].extents[3]])]
    case .globalAveragePoolingGradient(let height, let width):
      try check.count(1)
      let dy = try check.matrix(0, "gradient")
      let result = ValueType([dy.extents[0], .fixed(height), .fixed(width), dy.extents[1]])
      try check.positive(result)
      return [result]
    case .reshape(let extents): return [try check.reshape(extents)]
    case .softmax:
      try check.count(1)
      _ = try check.matrix(0, "logits")
      return [inputs[0]]
    case .softmaxCrossEntropy:
      try check.count(2)
      try check.crossEntropy()
      return [ValueType([])]
    case .softmaxCrossEntropyGradient:
      try check.count(3)
      try check.crossEntropy()
      try check.equal(2, ValueType([]), "loss gradient")
      return [inputs[0]]
    case .fill(_, let extents):
      try check.count(0)
      try check.positive(ValueType(extents))
      return [ValueType(extents)]
    }
  }
}
