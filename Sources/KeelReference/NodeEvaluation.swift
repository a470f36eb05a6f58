import KeelGraph
import KeelTensor

/// One node with the values of its operands: the table from operations to their formulas.
internal struct NodeEvaluation {
  let node: Node
  let operands: [ReferenceValue]
  let symbols: [String: Int]

  /// The results, in the primitive's order.
  func results() throws(KeelError) -> [ReferenceValue] {
    switch node.primitive {
    case .convolution(let geometry, let epilogue):
      let y = ConvolutionReference.forward(real(0), real(1), geometry)
      return [.real(finished(y, epilogue, from: 2))]
    case .transposedConvolution(let geometry, let epilogue):
      let y = ConvolutionReference.transposed(real(0), real(1), geometry)
      return [.real(finished(y, epilogue, from: 2))]
    case .convolutionWeightGradient(let geometry):
      return [.real(ConvolutionReference.weightGradient(real(0), real(1), geometry))]
    case .linear(let epilogue):
      let y = LinearReference.forward(real(0), real(1))
      return [.real(finished(y, epilogue, from: 2))]
    case .linearInputGradient: return [.real(LinearReference.inputGradient(real(0), real(1)))]
    case .linearWeightGradient: return [.real(LinearReference.weightGradient(real(0), real(1)))]
    case .normalization(let normalization): return try self.normalization(normalization)
    case .normalizationGradient(let normalization):
      return try normalizationGradient(normalization)
    case .runningStatistics(let momentum): return try runningStatistics(momentum)
    case .activation(let activation):
      return [.real(ElementwiseReference.activated(real(0), activation))]
    case .activationGradient(let activation):
      return [.real(ElementwiseReference.activationGradient(real(0), from: real(1), activation))]
    case .add: return [.real(ElementwiseReference.sum(real(0), real(1)))]
    case .channelSum: return [.real(ElementwiseReference.channelSum(real(0)))]
    case .pooling(let geometry): return [.real(PoolingReference.forward(real(0), geometry))]
    case .poolingGradient(let geometry):
      switch geometry.kind {
      case .maximum:
        return [.real(PoolingReference.maximumGradient(real(0), x: real(1), geometry))]
      case .average(let countsPadding):
        return [
          .real(
            PoolingReference.averageGradient(real(0), geometry, countsPadding: countsPadding))
        ]
      }
    case .globalAveragePooling: return [.real(PoolingReference.globalAverage(real(0)))]
    case .globalAveragePoolingGradient(let height, let width):
      return [.real(PoolingReference.globalAverageGradient(real(0), height, width))]
    case .reshape(let extents): return [try reshaped(to: extents)]
    case .softmax: return [.real(LossReference.softmax(real(0)))]
    case .softmaxCrossEntropy:
      let labels = try checkedLabels()
      return [.real(LossReference.crossEntropy(real(0), labels))]
    case .softmaxCrossEntropyGradient:
      let labels = try checkedLabels()
      return [
        .real(LossReference.crossEntropyGradient(real(0), labels, dLoss: real(2)[flat: 0]))
      ]
    case .fill(let value, let extents):
      let shape = try ValueType(extents).shape(binding: symbols)
      return [.real(DoubleTensor(repeating: Double(value), shape: shape))]
    }
  }

  /// A real operand.
  func real(_ index: Int) -> DoubleTensor {
    guard case .real(let tensor) = operands[index] else {
      preconditionFailure("\(node.label): expected real operand \(index), found integers")
    }
    return tensor
  }

  /// A real operand that not every form of the operation has.
  func real(_ index: Int?) -> DoubleTensor? { index.map { real($0) } }

  /// The result after the epilogue, whose operands stand from `first` on.
  private func finished(_ y: DoubleTensor, _ epilogue: Epilogue, from first: Int) -> DoubleTensor {
    var y = y
    var next = first
    if epilogue.hasBias {
      y = ElementwiseReference.sum(y, bias: real(next))
      next += 1
    }
    if epilogue.hasResidual { y = ElementwiseReference.sum(y, real(next)) }
    if let activation = epilogue.activation { y = ElementwiseReference.activated(y, activation) }
    return y
  }

  private func reshaped(to extents: [Extent]) throws(KeelError) -> ReferenceValue {
    let shape = try ValueType(extents).shape(binding: symbols)
    switch operands[0] {
    case .real(let tensor): return .real(try tensor.reshaped(to: shape))
    case .int64(let tensor): return .int64(try tensor.reshaped(to: shape))
    }
  }

  /// The labels of a cross-entropy, operand 1, each checked against the classes of operand 0.
  private func checkedLabels() throws(KeelError) -> [Int] {
    guard case .int64(let labels) = operands[1] else {
      preconditionFailure("\(node.label): expected integer labels, found reals")
    }
    let classes = operands[0].shape[1]
    for (index, label) in labels.elements.enumerated() where label < 0 || label >= classes {
      throw KeelError(
        .value, at: node.label, expected: "labels from 0 to \(classes - 1)",
        found: "\(label) at index \(index)")
    }
    return labels.elements.map(Int.init)
  }
}
