import KeelTensor

extension Variable {
  /// The sum of two variables, broadcast against each other.
  public static func + (left: Variable, right: Variable) -> Variable { left.combined(.add, right) }

  /// The sum of a result and a residual of the same shape, which is not broadcast.
  public func addingResidual(_ residual: Variable) -> Variable {
    if let type, let other = residual.type, type != other {
      trace.fail(
        KeelError(
          .shape, at: "add after \(trace.lastLayer)", expected: "second operand \(type) for add",
          found: "\(other)"))
      return trace.nothing()
    }
    return self + residual
  }

  /// The difference of two variables, broadcast against each other.
  public static func - (left: Variable, right: Variable) -> Variable {
    left.combined(.subtract, right)
  }
  /// The product of two variables element by element, broadcast against each other.
  public static func * (left: Variable, right: Variable) -> Variable {
    left.combined(.multiply, right)
  }
  /// The quotient of two variables, broadcast against each other.
  public static func / (left: Variable, right: Variable) -> Variable {
    left.combined(.divide, right)
  }
  /// −x.
  public static prefix func - (x: Variable) -> Variable { x.applied(.negate) }

  /// x + number.
  public static func + (left: Variable, right: Float) -> Variable { left + left.scalar(right) }
  /// x − number.
  public static func - (left: Variable, right: Float) -> Variable { left - left.scalar(right) }
  /// x·number.
  public static func * (left: Variable, right: Float) -> Variable { left * left.scalar(right) }
  /// x/number.
  public static func / (left: Variable, right: Float) -> Variable { left / left.scalar(right) }
  /// number + x.
  public static func + (left: Float, right: Variable) -> Variable { right.scalar(left) + right }
  /// number − x.
  public static func - (left: Float, right: Variable) -> Variable { right.scalar(left) - right }
  /// number·x.
  public static func * (left: Float, right: Variable) -> Variable { right.scalar(left) * right }
  /// number/x.
  public static func / (left: Float, right: Variable) -> Variable { right.scalar(left) / right }

  /// The larger of both, element by element; of equals, each gets half of the gradient.
  public func maximum(_ other: Variable) -> Variable { combined(.maximum, other) }
  /// The smaller of both, element by element; of equals, each gets half of the gradient.
  public func minimum(_ other: Variable) -> Variable { combined(.minimum, other) }
  /// x to the power of another variable.
  public func power(_ exponent: Variable) -> Variable { combined(.power, exponent) }
  /// x to the power of a number.
  public func power(_ exponent: Float) -> Variable { combined(.power, scalar(exponent)) }

  /// |x|; its gradient at 0 is 0.
  public func absolute() -> Variable { applied(.absolute) }
  /// e^x.
  public func exponential() -> Variable { applied(.exponential) }
  /// log x.
  public func logarithm() -> Variable { applied(.logarithm) }
  /// √x.
  public func squareRoot() -> Variable { applied(.squareRoot) }
  /// 1/x.
  public func reciprocal() -> Variable { applied(.reciprocal) }
  /// x².
  public func squared() -> Variable { applied(.square) }
  /// −1, 0 or 1.
  public func sign() -> Variable { applied(.sign) }
  /// erf x.
  public func errorFunction() -> Variable { applied(.errorFunction) }

  /// f(x).
  public func applied(_ function: ElementwiseFunction) -> Variable {
    trace.apply(.elementwise(function), [self])[0]
  }

  private func combined(_ operation: Arithmetic, _ other: Variable) -> Variable {
    trace.apply(.arithmetic(operation), [self, other])[0]
  }

  /// A number of this trace.
  private func scalar(_ number: Float) -> Variable { trace.apply(.fill(number, []), [])[0] }
}

extension Variable {
  /// The sum, mean, extreme or norm along some axes.
  /// - Parameters:
  ///   - axes: which axes go, counted from the last where negative; all of them where nil.
  ///   - keepsAxes: whether each of them stays with extent 1.
  public func reduced(
    _ kind: Reduction.Kind, axes: [Int]? = nil, keepsAxes: Bool = false
  ) -> Variable {
    let rank = type?.rank ?? 0
    let axes = axes.map { $0.map { $0 < 0 ? $0 + rank : $0 } } ?? Array(0..<rank)
    return trace.apply(.reduction(Reduction(kind, axes: axes, keepsAxes: keepsAxes)), [self])[0]
  }

  /// The sum along some axes, or of everything.
  public func sum(axes: [Int]? = nil, keepsAxes: Bool = false) -> Variable {
    reduced(.sum, axes: axes, keepsAxes: keepsAxes)
  }

  /// The mean along some axes, or of everything.
  public func mean(axes: [Int]? = nil, keepsAxes: Bool = false) -> Variable {
    reduced(.mean, axes: axes, keepsAxes: keepsAxes)
  }

  /// The largest along some axes; the first of equals gets the gradient.
  public func maximum(axes: [Int]? = nil, keepsAxes: Bool = false) -> Variable {
    reduced(.maximum, axes: axes, keepsAxes: keepsAxes)
  }

  /// The smallest along some axes; the first of equals gets the gradient.
  public func minimum(axes: [Int]? = nil, keepsAxes: Bool = false) -> Variable {
    reduced(.minimum, axes: axes, keepsAxes: keepsAxes)
  }

  /// The mean over all positions of N×…×C, with one to three axes between: N×C.
  public func globalAveragePooled() -> Variable {
    guard let type else { return self }
    guard (3...5).contains(type.rank) else {
      trace.fail(
        KeelError(
          .shape, at: "global average pooling after \(trace.lastLayer)",
          expected: "N×L×C, N×H×W×C or N×D×H×W×C", found: "\(type)"))
      return trace.nothing()
    }
    return mean(axes: Array(1..<type.rank - 1))
  }

  /// The same values broadcast to other extents.
  public func expanded(to extents: [Extent]) -> Variable {
    trace.apply(.expand(extents), [self])[0]
  }
}
