import KeelGraph
import KeelTensor

extension PrimitiveCase {
  /// Arithmetic of two shapes. Powers and quotients get positive numbers; extremes get ties, at which
  /// central differences give the half that each operand takes.
  public static func arithmetic(_ operation: Arithmetic, _ a: Shape, _ b: Shape) -> PrimitiveCase {
    let filling: Operand.Filling =
      switch operation {
      case .divide, .power: .positive
      case .maximum, .minimum: .distinct
      default: .normal
      }
    return PrimitiveCase(
      "\(operation.rawValue) of \(a) and \(b)", .arithmetic(operation),
      [Operand("a", a, filling), Operand("b", b, filling)])
  }

  /// Every operation on every kind of broadcasting.
  public static let arithmetic: [PrimitiveCase] = Arithmetic.allCases.flatMap { operation in
    let pairs: [(Shape, Shape)] = [
      ([3, 4], [3, 4]), ([2, 3, 4], [4]), ([4], [2, 3, 4]), ([2, 3, 4], []), ([], [5]),
      ([2, 3, 2, 4], [2, 1, 1, 4]), ([3, 1], [1, 4]), ([2, 1, 3], [4, 1]), ([2, 3], [2, 1]),
      ([1, 3, 1, 2], [2, 3, 2, 1]), ([2, 1, 3, 1], [2, 2, 3, 2]), ([], []),
    ]
    return pairs.map { arithmetic(operation, $0.0, $0.1) }
  }

  /// A choice by truth values or numbers on every kind of broadcasting, and past the length of a task.
  public static let choices: [PrimitiveCase] = [Operand.Filling.truth, .binary].flatMap { filling in
    let shapes: [(condition: Shape, Shape)] = [
      ([3, 4], [3, 4]), ([4], [2, 3, 4]), ([], [5]), ([2, 1, 1, 4], [2, 3, 2, 4]),
      ([3, 1], [3, 4]),
      ([1, 3, 1, 2], [2, 3, 2, 2]), ([2, 1], [2, 40_000]), ([40_000], [2, 40_000]),
    ]
    return shapes.map { condition, shape in
      PrimitiveCase(
        "choice by \(filling) \(condition) of \(shape)", .choice,
        [
          Operand("condition", condition, filling, isDifferentiable: false), Operand("a", shape),
          Operand("b", shape),
        ])
    }
  }

  /// A function where it is smooth.
  public static func function(_ function: ElementwiseFunction, _ shape: Shape) -> PrimitiveCase {
    let filling: Operand.Filling =
      switch function {
      case .logarithm, .squareRoot, .reciprocal: .positive
      default: .normal
      }
    return PrimitiveCase(
      "\(function.name) of \(shape)", .elementwise(function),
      [Operand("x", shape, filling, isDifferentiable: function != .sign)])
  }

  /// Every function.
  public static let functions: [PrimitiveCase] = ElementwiseFunction.allCases.map {
    function($0, [5, 13])
  }

  /// A reduction; extremes get numbers well apart.
  public static func reduction(
    _ kind: Reduction.Kind, _ shape: Shape, _ axes: [Int], keepsAxes: Bool = false
  ) -> PrimitiveCase {
    PrimitiveCase(
      "\(kind.name) of \(shape) along \(axes)\(keepsAxes ? ", kept" : "")",
      .reduction(Reduction(kind, axes: axes, keepsAxes: keepsAxes)),
      [Operand("x", shape, kind == .maximum || kind == .minimum ? .distinct : .normal)])
  }

  /// Every reduction along leading, middle, last, all and scattered axes, and axes of extent 1. And what
  /// broadcasts.
  public static let reductions: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for kind in Reduction.Kind.allCases {
      let shapes: [(Shape, [Int])] = [
        ([7], [0]), ([5, 3], [0]), ([5, 3], [1]), ([5, 3], [0, 1]), ([2, 3, 4, 5], [1, 2]),
        ([2, 3, 4, 5], [0, 1, 2]), ([2, 3, 4, 5], [2, 3]), ([2, 3, 4], [0, 2]),
        ([2, 3, 2, 3], [1, 3]), ([2, 3, 2, 3], [0, 2]), ([3, 1, 4], [1]), ([1, 4, 1], [0, 2]),
      ]
      cases += shapes.map { reduction(kind, $0.0, $0.1) }
      cases += [
        reduction(kind, [2, 3, 4], [1], keepsAxes: true),
        reduction(kind, [2, 3, 4], [0, 2], keepsAxes: true),
      ]
    }
    for divides in [false, true] {
      let pairs: [(Shape, [Extent])] = [
        ([4], [2, 3, 4]), ([2, 1, 1, 4], [2, 3, 2, 4]), ([3, 1], [3, 5]), ([], [2, 3]),
        ([1, 3, 1], [2, 3, 4]), ([2, 1, 3, 1], [2, 2, 3, 2]), ([3, 4], [3, 4]),
      ]
      cases += pairs.map {
        PrimitiveCase(
          "expand \($0.0) to \($0.1), divides \(divides)", .expand($0.1, divides: divides),
          [Operand("x", $0.0)])
      }
    }
    return cases
  }()

  /// PReLU with one slope and with one per channel.
  public static func parametricReLU(_ shape: Shape, slopes: Int) -> PrimitiveCase {
    PrimitiveCase(
      "PReLU of \(shape), \(slopes) slopes", .parametricReLU,
      [Operand("x", shape), Operand("slope", [slopes])])
  }

  /// Activations with weights.
  public static let learnedActivations: [PrimitiveCase] = [
    parametricReLU([3, 5], slopes: 5), parametricReLU([3, 5], slopes: 1),
    parametricReLU([2, 3, 2, 4], slopes: 4), parametricReLU([7], slopes: 7),
    parametricReLU([7], slopes: 1),
  ]

  /// Dropout with one seed for forward and backward.
  public static func dropout(
    _ shape: Shape, _ probability: Float, unit: DropoutMask.Unit = .element, stream: Int = 3
  ) -> PrimitiveCase {
    PrimitiveCase(
      "dropout of \(shape), \(probability), \(unit)",
      .dropout(DropoutMask(probability: probability, stream: stream, unit: unit)),
      [Operand("x", shape), Operand("seed", [], .seed, isDifferentiable: false)])
  }

  /// Dropouts of elements and channels.
  public static let dropouts: [PrimitiveCase] = [
    dropout([7, 11], 0.5), dropout([2, 3, 4, 5], 0.25), dropout([5], 0), dropout([40], 0.875),
    dropout([3, 2, 2, 6], 0.5, unit: .channel), dropout([4, 9], 0.5, unit: .channel),
  ]
}
