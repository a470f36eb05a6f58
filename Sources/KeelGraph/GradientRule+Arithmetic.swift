import KeelTensor

extension GradientRule {
  /// a ∘ b: the gradient in the result's shape, then summed over the axes that were broadcast.
  func arithmetic(
    _ operation: Arithmetic, _ dy: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> [ValueID?] {
    let (a, b, y) = (node.inputs[0], node.inputs[1], node.outputs[0])
    var gradients: [ValueID?] = [nil, nil]
    switch operation {
    case .add: gradients = [dy, dy]
    case .subtract:
      gradients[0] = dy
      if needed[1] {
        // Summed first: there is less to negate.
        let sum = try summed(dy, to: builder.graph.type(of: b), .sum, in: &builder)
        gradients[1] = try one(.elementwise(.negate), [sum], in: &builder)
      }
    case .multiply:
      if needed[0] { gradients[0] = try one(.arithmetic(.multiply), [dy, b], in: &builder) }
      if needed[1] { gradients[1] = try one(.arithmetic(.multiply), [dy, a], in: &builder) }
    case .divide:
      if needed[0] { gradients[0] = try one(.arithmetic(.divide), [dy, b], in: &builder) }
      if needed[1] {
        let quotient = try one(.arithmetic(.divide), [y, b], in: &builder)
        let product = try one(.arithmetic(.multiply), [dy, quotient], in: &builder)
        let sum = try summed(product, to: builder.graph.type(of: b), .sum, in: &builder)
        gradients[1] = try one(.elementwise(.negate), [sum], in: &builder)
      }
    case .maximum, .minimum:
      let share = Primitive.arithmeticGradient(operation == .maximum ? .maximum : .minimum)
      if needed[0] { gradients[0] = try one(share, [dy, a, b], in: &builder) }
      if needed[1] { gradients[1] = try one(share, [dy, b, a], in: &builder) }
    case .power:
      if needed[0] { gradients[0] = try one(.arithmeticGradient(.base), [dy, a, b], in: &builder) }
      if needed[1] {
        gradients[1] = try one(.arithmeticGradient(.exponent), [dy, a, b], in: &builder)
      }
    }
    for (i, operand) in node.inputs.enumerated() {
      guard needed[i], let gradient = gradients[i] else {
        gradients[i] = nil
        continue
      }
      gradients[i] = try summed(gradient, to: builder.graph.type(of: operand), .sum, in: &builder)
    }
    return gradients
  }

  /// The sum or mean over the axes along which a type was broadcast to that of a value.
  /// dy where each operand was taken, otherwise 0.
  func choice(_ dy: ValueID, in builder: inout GraphBuilder) throws(KeelError) -> [ValueID?] {
    let extents = builder.graph.type(of: dy).extents
    let zeros = needed[1] || needed[2] ? try one(.fill(0, extents), [], in: &builder) : dy
    return [
      nil,
      needed[1] ? try one(.choice, [node.inputs[0], dy, zeros], in: &builder) : nil,
      needed[2] ? try one(.choice, [node.inputs[0], zeros, dy], in: &builder) : nil,
    ]
  }

  func summed(
    _ value: ValueID, to type: ValueType, _ kind: Reduction.Kind, in builder: inout GraphBuilder
  ) throws(KeelError) -> ValueID {
    let extents = builder.graph.type(of: value).extents
    if extents == type.extents { return value }
    let missing = extents.count - type.rank
    let axes = extents.indices.filter { axis in
      axis < missing || (type.extents[axis - missing] == 1 && extents[axis] != 1)
    }
    var result = value
    if !axes.isEmpty {
      result = try one(.reduction(Reduction(kind, axes: axes)), [value], in: &builder)
    }
    if builder.graph.type(of: result).extents != type.extents {
      result = try one(.reshape(type.extents), [result], in: &builder)
    }
    return result
  }

  func elementwise(
    _ function: ElementwiseFunction, _ dy: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> ValueID {
    let (x, y) = (node.inputs[0], node.outputs[0])
    switch function {
    case .negate: return try one(.elementwise(.negate), [dy], in: &builder)
    case .absolute:
      let sign = try one(.elementwise(.sign), [x], in: &builder)
      return try one(.arithmetic(.multiply), [dy, sign], in: &builder)
    case .exponential: return try one(.arithmetic(.multiply), [dy, y], in: &builder)
    case .logarithm: return try one(.arithmetic(.divide), [dy, x], in: &builder)
    case .squareRoot:
      let double = try one(.add, [y, y], in: &builder)
      return try one(.arithmetic(.divide), [dy, double], in: &builder)
    case .reciprocal:
      let square = try one(.elementwise(.square), [y], in: &builder)
      let product = try one(.arithmetic(.multiply), [dy, square], in: &builder)
      return try one(.elementwise(.negate), [product], in: &builder)
    case .square:
      let double = try one(.add, [x, x], in: &builder)
      return try one(.arithmetic(.multiply), [dy, double], in: &builder)
    case .sign: return try one(.fill(0, builder.graph.type(of: x).extents), [], in: &builder)
    case .errorFunction:
      let square = try one(.elementwise(.square), [x], in: &builder)
      let minus = try one(.elementwise(.negate), [square], in: &builder)
      let bell = try one(.elementwise(.exponential), [minus], in: &builder)
      // 2/√π.
      let factor = try one(.fill(1.1283791671, []), [], in: &builder)
      let slope = try one(.arithmetic(.multiply), [bell, factor], in: &builder)
      return try one(.arithmetic(.multiply), [dy, slope], in: &builder)
    }
  }

  func reduction(
    _ reduction: Reduction, _ dy: ValueID, in builder: inout GraphBuilder
  ) throws(KeelError) -> ValueID {
    let x = node.inputs[0]
    let extents = builder.graph.type(of: x).extents
    /// A value of the result's shape with the axes that went as 1.
    func kept(_ value: ValueID) throws(KeelError) -> ValueID {
      if reduction.keepsAxes { return value }
      let axes = Set(reduction.axes)
      let kept = extents.enumerated().map { axes.contains($0.offset) ? 1 : $0.element }
      return try one(.reshape(kept), [value], in: &builder)
    }
    switch reduction.kind {
    case .sum: return try one(.expand(extents), [kept(dy)], in: &builder)
    case .mean: return try one(.expand(extents, divides: true), [kept(dy)], in: &builder)
    case .maximum, .minimum:
      return try one(.extremeGradient(reduction), [dy, x], in: &builder)
    case .absoluteSum:
      let sign = try one(.elementwise(.sign), [x], in: &builder)
      return try one(.arithmetic(.multiply), [sign, kept(dy)], in: &builder)
    case .euclideanNorm:
      // x/y, and 0 where the norm is 0: the smallest Float is no divisor of anything else.
      let least = try one(.fill(.leastNonzeroMagnitude, []), [], in: &builder)
      let norm = try one(.arithmetic(.maximum), [node.outputs[0], least], in: &builder)
      let direction = try one(.arithmetic(.divide), [x, kept(norm)], in: &builder)
      return try one(.arithmetic(.multiply), [direction, kept(dy)], in: &builder)
    }
  }
}
