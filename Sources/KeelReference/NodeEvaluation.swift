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
    case .convolutionWithMoments(let geometry, let epilogue):
      let y = finished(ConvolutionReference.forward(real(0), real(1), geometry), epilogue, from: 2)
      let map = try CellMap(.batch, of: y.shape, labels: nil, at: node.label)
      return [.real(y), .real(DoubleTensor(map.moments(of: y), cells: map.cells))]
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
    case .moments(let partition, let isWeighted):
      return try moments(partition, isWeighted: isWeighted)
    case .momentsGradient(let partition, let isWeighted):
      return try momentsGradient(partition, isWeighted: isWeighted)
    case .mixedMoments(let mixture): return mixedMoments(mixture)
    case .mixedMomentsGradient(let mixture): return mixedMomentsGradient(mixture)
    case .runningStatistics(let average): return try runningStatistics(average)
    case .comoments(let blocks): return try comoments(blocks)
    case .comomentsGradient(let blocks, let residual):
      return try comomentsGradient(blocks, residual)
    case .whitening(let rule, let blocks): return try whitening(rule, blocks)
    case .whiteningGradient(let rule, let blocks): return try whiteningGradient(rule, blocks)
    case .blockMap(let map): return try blockMap(map)
    case .blockMapGradient(let map, let makesInput):
      return try blockMapGradient(map, makesInput: makesInput)
    case .runningComoments(let momentum, let hasCovariance):
      return try runningComoments(momentum, hasCovariance: hasCovariance)
    case .movingAverage(let momentum): return movingAverage(momentum)
    case .activation(let activation):
      return [.real(ElementwiseReference.activated(real(0), activation))]
    case .activationGradient(let activation):
      return [.real(ElementwiseReference.activationGradient(real(0), from: real(1), activation))]
    case .pooling(let geometry): return [.real(PoolingReference.forward(real(0), geometry))]
    case .maxPoolingWithIndices(let geometry):
      return [
        .real(PoolingReference.forward(real(0), geometry)),
        .int64(PoolingReference.indices(real(0), geometry)),
      ]
    case .poolingGradient(let geometry):
      return [
        .real(
          PoolingReference.gradient(
            real(0), x: geometry.kind.isAverage ? nil : real(1),
            y: geometry.kind == .l2 ? real(2) : nil, geometry))
      ]
    case .movement(let movement):
      return [moved { MovementReference.forward($0[0], movement) }]
    case .movementGradient(let movement, let extents):
      let shape = try ValueType(extents).shape(binding: symbols)
      return [.real(MovementReference.gradient(real(0), movement, input: shape))]
    case .concatenation(let axis):
      return [moved { MovementReference.concatenation($0, axis) }]
    case .transpose(let permutation):
      return [moved { MovementReference.transposed($0[0], permutation) }]
    case .detachment: return [operands[0]]
    case .selection: return [try selection()]
    case .selectionGradient(let rows): return [try selectionGradient(rows: rows)]
    case .reshape(let extents): return [try reshaped(to: extents)]
    case .softmax: return [.real(LossReference.softmax(real(0)))]
    case .logSoftmax: return [.real(LossReference.logSoftmax(real(0)))]
    case .softmaxGradient: return [.real(LossReference.softmaxGradient(real(0), real(1)))]
    case .logSoftmaxGradient: return [.real(LossReference.logSoftmaxGradient(real(0), real(1)))]
    case .loss(let loss): return try self.loss(loss)
    case .lossGradient(let loss): return try lossGradient(loss)
    case .fill(let value, let extents):
      let shape = try ValueType(extents).shape(binding: symbols)
      return [.real(DoubleTensor(repeating: Double(value), shape: shape))]
    case .constant(let value): return [ReferenceValue(value)]
    case .choice:
      let holds = BroadcastReference.expanded(
        operands[0].asReal, to: operands[1].shape, divides: false)
      let (a, b) = (real(1), real(2))
      return [
        .real(
          DoubleTensor(uninitialized: a.shape) { y in
            for i in y.indices { y[i] = holds[flat: i] != 0 ? a[flat: i] : b[flat: i] }
          })
      ]
    case .arithmetic, .arithmeticGradient, .elementwise, .reduction, .extremeGradient, .expand,
      .parametricReLU, .parametricReLUGradient, .dropout:
      return try arithmetic().map(ReferenceValue.real)
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
    case .bool(let tensor): return .bool(try tensor.reshaped(to: shape))
    }
  }
}
