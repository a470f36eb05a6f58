import KeelTensor

/// The vector-Jacobian product of one node: appends nodes that make the gradients of its operands from
/// those of its results.
internal struct GradientRule {
  let node: Node
  /// The gradients of the results; nil where the loss does not depend on one.
  let results: [ValueID?]
  /// The gradients of the operands so far.
  let present: [ValueID?]
  /// Whether the gradient of each operand is wanted.
  let needed: [Bool]

  /// The gradients of the operands, nil where not wanted or where there is none.
  func append(to builder: inout GraphBuilder) throws(KeelError) -> [ValueID?] {
    if case .normalization(let normalization) = node.primitive {
      return try self.normalization(normalization, in: &builder)
    }
    if case .convolutionWithMoments(let geometry, let epilogue) = node.primitive {
      return try product(
        try throughMoments(in: &builder), epilogue, in: &builder,
        dx: .transposedConvolution(geometry, Epilogue()),
        dWeight: .convolutionWeightGradient(geometry))
    }
    guard let dy = results[0] else {
      throw missing("a gradient through its first result only")
    }
    let x = node.inputs
    switch node.primitive {
    case .convolution(let geometry, let epilogue):
      return try product(
        dy, epilogue, in: &builder, dx: .transposedConvolution(geometry, Epilogue()),
        dWeight: .convolutionWeightGradient(geometry))
    case .transposedConvolution(let geometry, let epilogue):
      return try product(
        dy, epilogue, in: &builder, dx: .convolution(geometry, Epilogue()),
        dWeight: .convolutionWeightGradient(geometry), exchangesRoles: true)
    case .linear(let epilogue):
      return try product(
        dy, epilogue, in: &builder, dx: .linearInputGradient, dWeight: .linearWeightGradient)
    case .moments(let partition, let isWeighted):
      return try moments(partition, isWeighted: isWeighted, dy, in: &builder)
    case .mixedMoments(let mixture):
      return try builder.append(
        .mixedMomentsGradient(mixture), [dy] + x, label: node.label
      ).map(Optional.some)
    case .comoments(let blocks): return try comoments(blocks, dy, in: &builder)
    case .whitening(let rule, let blocks):
      return try whitening(rule, blocks, dy, in: &builder)
    case .blockMap(let map): return try blockMap(map, dy, in: &builder)
    case .activation(let activation):
      let value = activation.gradientOperand == .input ? x[0] : node.outputs[0]
      return [try one(.activationGradient(activation), [dy, value], in: &builder)]
    case .pooling(let geometry), .maxPoolingWithIndices(let geometry):
      let inputs =
        switch geometry.kind {
        case .average: [dy]
        case .maximum: [dy, x[0]]
        case .l2: [dy, x[0], node.outputs[0]]
        }
      return [try one(.poolingGradient(geometry), inputs, in: &builder)]
    case .movement(let movement):
      let extents = builder.graph.type(of: x[0]).extents
      return [try one(.movementGradient(movement, extents), [dy], in: &builder)]
    case .movementGradient(let movement, _):
      return [try one(.movement(movement.linear), [dy], in: &builder)]
    case .concatenation(let axis): return try parts(dy, axis, in: &builder)
    case .transpose(let permutation):
      let inverse = permutation.indices.map { permutation.firstIndex(of: $0)! }
      return [try one(.transpose(permutation: inverse), [dy], in: &builder)]
    case .reshape:
      return [try one(.reshape(builder.graph.type(of: x[0]).extents), [dy], in: &builder)]
    case .detachment: return [nil]
    case .selection:
      let rows = builder.graph.type(of: x[0]).extents[0].fixedValue!
      return [try one(.selectionGradient(rows: rows), [dy, x[1]], in: &builder), nil]
    case .selectionGradient: return [try one(.selection, [dy, x[1]], in: &builder), nil]
    case .softmax: return [try one(.softmaxGradient, [dy, node.outputs[0]], in: &builder)]
    case .logSoftmax: return [try one(.logSoftmaxGradient, [dy, node.outputs[0]], in: &builder)]
    case .loss(let loss): return try self.loss(loss, dy, in: &builder)
    case .fill, .constant: return []
    case .convolutionWeightGradient(let geometry):
      // dWeight = Σ dy·x is linear in both: its gradient takes the weight's place beside the other.
      return [
        needed[0]
          ? try one(.transposedConvolution(geometry, Epilogue()), [x[1], dy], in: &builder) : nil,
        needed[1] ? try one(.convolution(geometry, Epilogue()), [x[0], dy], in: &builder) : nil,
      ]
    case .choice: return try choice(dy, in: &builder)
    case .arithmetic(let operation): return try arithmetic(operation, dy, in: &builder)
    case .elementwise(let function): return [try elementwise(function, dy, in: &builder)]
    case .reduction(let reduction): return [try self.reduction(reduction, dy, in: &builder)]
    case .expand(_, let divides):
      let type = builder.graph.type(of: x[0])
      return [try summed(dy, to: type, divides ? .mean : .sum, in: &builder)]
    case .parametricReLU:
      let gradients = try builder.append(
        .parametricReLUGradient, [dy, x[0], x[1]], label: node.label)
      return gradients
    case .dropout: return [try one(node.primitive, [dy, x[1]], in: &builder), nil]
    case .normalization, .convolutionWithMoments, .linearInputGradient, .linearWeightGradient,
      .normalizationGradient,
      .runningStatistics, .momentsGradient, .mixedMomentsGradient,
      .comomentsGradient, .whiteningGradient, .blockMapGradient, .runningComoments, .movingAverage,
      .activationGradient, .poolingGradient, .softmaxGradient, .logSoftmaxGradient, .lossGradient,
      .arithmeticGradient, .extremeGradient, .parametricReLUGradient:
      throw missing("an operation that has a gradient")
    }
  }

  func missing(_ expected: String) -> KeelError {
    KeelError(.graph, at: node.label, expected: expected, found: node.primitive.name)
  }

  func one(
    _ primitive: Primitive, _ inputs: [ValueID], in builder: inout GraphBuilder
  ) throws(KeelError) -> ValueID {
    try builder.append(primitive, inputs, label: node.label)[0]
  }

  /// The parts of a concatenation's gradient.
  private func parts(
    _ dy: ValueID, _ axis: Int, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    guard node.inputs.count > 1 else { return [dy] }
    var gradients: [ValueID?] = []
    var start = 0
    for (operand, isNeeded) in zip(node.inputs, needed) {
      let type = builder.graph.type(of: operand)
      let count = type.extents[axis].fixedValue!
      var axes = [AxisMovement](repeating: .whole, count: type.rank)
      axes[axis] = .slice(start: start, count: count, step: 1)
      gradients.append(
        isNeeded ? try one(.movement(Movement(axes)), [dy], in: &builder) : nil)
      start += count
    }
    return gradients
  }

  /// y = f(x·w + bias + residual): the activation's gradient first, then each operand from it.
  /// - Parameter exchangesRoles: whether the weight's gradient takes y's gradient for its input and x for
  ///   its gradient, as a transposed convolution's does.
  private func product(
    _ dy: ValueID, _ epilogue: Epilogue, in builder: inout GraphBuilder, dx: Primitive,
    dWeight: Primitive, exchangesRoles: Bool = false
  ) throws(KeelError) -> [ValueID?] {
    var g = dy
    if let activation = epilogue.activation {
      guard activation.gradientOperand == .result else {
        throw missing("\(activation.name) by itself, since its gradient needs its argument")
      }
      g = try one(.activationGradient(activation), [dy, node.outputs[0]], in: &builder)
    }
    var gradients = [ValueID?](repeating: nil, count: node.inputs.count)
    if needed[0] { gradients[0] = try one(dx, [g, node.inputs[1]], in: &builder) }
    if needed[1] {
      let operands = exchangesRoles ? [g, node.inputs[0]] : [node.inputs[0], g]
      gradients[1] = try one(dWeight, operands, in: &builder)
    }
    var next = 2
    if epilogue.hasBias {
      if needed[next] {
        let type = builder.graph.type(of: node.inputs[next])
        gradients[next] = try summed(g, to: type, .sum, in: &builder)
      }
      next += 1
    }
    if epilogue.hasResidual, needed[next] { gradients[next] = g }
    return gradients
  }
}
