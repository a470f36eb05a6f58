import KeelExecution
import KeelGraph
import KeelTensor
import Testing

/// Class golden and contract: NaN, infinities, zeros and ties, forward and backward, against figures of
/// PyTorch 2 (`Scripts/golden/arithmetic.py`). Signs of zeros are not compared.
@Suite struct ArithmeticValueTests {
  private static let a: [Float] = [1, 2, .nan, 1, .infinity, 0, 0, -2, -2, 0, .infinity, -1]
  private static let b: [Float] = [1, 3, 1, .nan, .infinity, -0.0, 2, 2, 0.5, -1, 0, 0]

  /// y and the gradients of Σ y by a and b.
  private static let pairs: [(Arithmetic, [Float], [Float], [Float])] = [
    (
      .add, [2, 5, .nan, .nan, .infinity, 0, 2, 0, -1.5, -1, .infinity, -1],
      [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    ),
    (
      .subtract, [0, -1, .nan, .nan, .nan, 0, -2, -4, -2.5, 1, .infinity, -1],
      [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1]
    ),
    (
      .multiply, [1, 6, .nan, .nan, .infinity, 0, 0, -4, -1, 0, .nan, 0],
      [1, 3, 1, .nan, .infinity, 0, 2, 2, 0.5, -1, 0, 0],
      [1, 2, .nan, 1, .infinity, 0, 0, -2, -2, 0, .infinity, -1]
    ),
    (
      .divide,
      [1, 0.666666687, .nan, .nan, .nan, .nan, 0, -1, -4, 0, .infinity, -.infinity],
      [1, 0.333333343, 1, .nan, 0, -.infinity, 0.5, 0.5, 2, -1, .infinity, .infinity],
      [-1, -0.222222224, .nan, .nan, .nan, .nan, 0, 0.5, 8, 0, -.infinity, .infinity]
    ),
    (
      .maximum, [1, 3, .nan, .nan, .infinity, 0, 2, 2, 0.5, 0, .infinity, 0],
      [0.5, 0, 1, 1, 0.5, 0.5, 0, 0, 0, 1, 1, 0], [0.5, 1, 1, 1, 0.5, 0.5, 1, 1, 1, 0, 0, 1]
    ),
    (
      .minimum, [1, 2, .nan, .nan, .infinity, 0, 0, -2, -2, -1, 0, -1],
      [0.5, 1, 1, 1, 0.5, 0.5, 1, 1, 1, 0, 0, 1], [0.5, 0, 1, 1, 0.5, 0.5, 0, 0, 0, 1, 1, 0]
    ),
    (
      .power, [1, 8, .nan, 1, .infinity, 1, 0, 4, .nan, .infinity, 1, 1],
      [1, 12, 1, .nan, .infinity, 0, 0, -4, .nan, -.infinity, 0, 0],
      [0, 5.54517746, .nan, 0, .infinity, 0, 0, .nan, .nan, -.infinity, .infinity, .nan]
    ),
  ]

  @Test(arguments: pairs)
  func pair(_ operation: Arithmetic, y: [Float], da: [Float], db: [Float]) throws {
    // Longer than a vector, so that whole vectors and what is left over see every value.
    let (a, b) = (Self.a + Self.a + Self.a, Self.b + Self.b + Self.b)
    let found = try run(.arithmetic(operation), ["a": a, "b": b], shape: [a.count])
    expect(found["y"]!, y + y + y, operation.rawValue)
    expect(found["a"]!, da + da + da, "\(operation.rawValue), gradient of a")
    expect(found["b"]!, db + db + db, "\(operation.rawValue), gradient of b")
  }

  private static let x: [Float] = [0, -0.0, 1.5, -1.5, .infinity, -.infinity, .nan, 0x1p-133]

  /// y and the gradient of Σ y.
  private static let functions: [(ElementwiseFunction, [Float], [Float])] = [
    (
      .negate, [0, 0, -1.5, 1.5, -.infinity, .infinity, .nan, -0x1p-133],
      [-1, -1, -1, -1, -1, -1, -1, -1]
    ),
    (
      .absolute, [0, 0, 1.5, 1.5, .infinity, .infinity, .nan, 0x1p-133], [0, 0, 1, -1, 1, -1, 0, 1]
    ),
    (
      .exponential, [1, 1, 4.48168898, 0.223130167, .infinity, 0, .nan, 1],
      [1, 1, 4.48168898, 0.223130167, .infinity, 0, .nan, 1]
    ),
    (
      .logarithm, [-.infinity, -.infinity, 0.405465096, .nan, .infinity, .nan, .nan, -92.1885757],
      [.infinity, -.infinity, 0.666666687, -0.666666687, 0, 0, .nan, .infinity]
    ),
    (
      .squareRoot, [0, 0, 1.22474492, .nan, .infinity, .nan, .nan, 9.58308369e-21],
      [.infinity, -.infinity, 0.408248276, .nan, 0, .nan, .nan, 5.21752704e+19]
    ),
    (
      .reciprocal, [.infinity, -.infinity, 0.666666687, -0.666666687, 0, 0, .nan, .infinity],
      [-.infinity, -.infinity, -0.444444478, -0.444444478, 0, 0, .nan, -.infinity]
    ),
    (
      .square, [0, 0, 2.25, 2.25, .infinity, .infinity, .nan, 0],
      [0, 0, 3, -3, .infinity, -.infinity, .nan, 0x1p-132]
    ),
    (.sign, [0, 0, 1, -1, 1, -1, 0, 1], [0, 0, 0, 0, 0, 0, 0, 0]),
    (
      .errorFunction, [0, 0, 0.966105163, -0.966105163, 1, -1, .nan, 1.12837923 * 0x1p-133],
      [1.12837923, 1.12837923, 0.118930295, 0.118930295, 0, 0, .nan, 1.12837923]
    ),
  ]

  @Test(arguments: functions)
  func function(_ function: ElementwiseFunction, y: [Float], dx: [Float]) throws {
    let x = Self.x + Self.x + Self.x.dropLast()
    let found = try run(.elementwise(function), ["a": x], shape: [x.count])
    expect(found["y"]!, y + y + y.dropLast(), function.name)
    expect(found["a"]!, dx + dx + dx.dropLast(), "\(function.name), gradient")
  }

  private static let rows: [Float] = [
    2, 2, 1, .nan, 1, .nan, 0, 0, -0.0, .infinity, -.infinity, 1, -3, 4, 0,
  ]

  /// y and the gradient of Σ y, for rows of three.
  private static let reductions: [(Reduction.Kind, [Float], [Float])] = [
    (.sum, [5, .nan, 0, .nan, 1], [Float](repeating: 1, count: 15)),
    (
      .mean, [1.66666663, .nan, 0, .nan, 0.333333343],
      [Float](repeating: 0.333333343, count: 15)
    ),
    (.maximum, [2, .nan, 0, .infinity, 4], [1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0]),
    (.minimum, [1, .nan, 0, -.infinity, -3], [0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0]),
    (
      .absoluteSum, [5, .nan, 0, .infinity, 7], [1, 1, 1, 0, 1, 0, 0, 0, 0, 1, -1, 1, -1, 1, 0]
    ),
    (
      .euclideanNorm, [3, .nan, 0, .infinity, 5],
      [
        0.666666687, 0.666666687, 0.333333343, .nan, .nan, .nan, 0, 0, 0, .nan, .nan, 0,
        -0.600000024, 0.800000012, 0,
      ]
    ),
  ]

  @Test(arguments: reductions, [false, true])
  func reduction(_ test: (Reduction.Kind, [Float], [Float]), transposed: Bool) throws {
    let (kind, y, dx) = test
    func placed(_ values: [Float]) -> [Float] {
      transposed ? (0..<15).map { values[$0 % 5 * 3 + $0 / 5] } : values
    }
    let found = try run(
      .reduction(Reduction(kind, axes: [transposed ? 0 : 1])), ["a": placed(Self.rows)],
      shape: transposed ? [3, 5] : [5, 3])
    expect(found["y"]!, y, kind.name)
    expect(found["a"]!, placed(dx), "\(kind.name), gradient")
  }

  @Test func normsDoNotOverflow() throws {
    let x = [Float](repeating: 1e30, count: 400)
    for (shape, axis) in [([400] as Shape, 0), ([400, 1], 0), ([20, 20], 1), ([40, 10], 0)] {
      let y = try apply(
        .reduction(Reduction(.euclideanNorm, axes: [axis])), [.float32(Tensor(x, shape: shape))])
      let expected = 1e30 * Double(shape[axis]).squareRoot()
      #expect(y.elements.allSatisfy { abs(Double($0) - expected) <= 1e-7 * expected })
    }
  }

  @Test func nanIsFoundWhereverItStands() throws {
    for count in [2, 5, 17, 64, 100, 5000] {
      for position in [0, count / 2, count - 1] {
        var x = Tensor(repeating: 1, shape: [2, count])
        x[flat: count + position] = .nan
        for kind in Reduction.Kind.allCases {
          let y = try apply(.reduction(Reduction(kind, axes: [1])), [.float32(x)])
          #expect(!y[flat: 0].isNaN && y[flat: 1].isNaN, "\(kind.name) of \(count)")
        }
        let dx = try apply(
          .extremeGradient(Reduction(.maximum, axes: [1])),
          [.float32(Tensor(repeating: 2, shape: [2])), .float32(x)])
        #expect(dx[flat: 0] == 2 && dx[flat: count + position] == 2)
        #expect(dx.elements.filter { $0 != 0 }.count == 2)
      }
    }
  }

  @Test func losersStopEvenNaN() throws {
    let dy = try Tensor([.nan, .infinity], shape: [2])
    let low = TensorValue.float32(Tensor(repeating: 0, shape: [2]))
    let high = TensorValue.float32(Tensor(repeating: 1, shape: [2]))
    #expect(
      try apply(.arithmeticGradient(.maximum), [.float32(dy), low, high]).elements == [0, 0])
    #expect(
      try apply(.arithmeticGradient(.minimum), [.float32(dy), high, low]).elements == [0, 0])
  }

  @Test func parametricReLUAtTheEnds() throws {
    let x = try Tensor([0, -0.0, .nan, 2, -1, .infinity, -.infinity], shape: [7])
    let slope = TensorValue.float32(Tensor(repeating: 0.5, shape: [1]))
    let y = try apply(.parametricReLU, [.float32(x), slope])
    expect(y.elements, [0, 0, .nan, 2, -0.5, .infinity, -.infinity], "PReLU")
    let nan = try apply(
      .parametricReLU, [.float32(x), .float32(Tensor(repeating: .nan, shape: [1]))])
    expect(nan.elements, [.nan, .nan, .nan, 2, .nan, .infinity, .nan], "PReLU of slope NaN")
    let dx = try apply(
      .parametricReLUGradient, [.float32(Tensor(repeating: 3, shape: [7])), .float32(x), slope])
    expect(dx.elements, [1.5, 1.5, 1.5, 3, 1.5, 3, 1.5], "PReLU gradient")
  }

  // MARK: Helpers

  /// y and the gradients of Σ y by each operand.
  private func run(
    _ primitive: Primitive, _ operands: [String: [Float]], shape: Shape
  ) throws -> [String: [Float]] {
    var builder = GraphBuilder()
    let names = operands.keys.sorted()
    var values: [ValueID] = []
    for name in names {
      values.append(builder.weight(name, try Tensor(operands[name]!, shape: shape)))
    }
    let y = try builder.append(primitive, values)[0]
    builder.output("y", y)
    let axes = builder.graph.type(of: y).extents.indices
    builder.output("loss", try builder.append(.reduction(Reduction(.sum, axes: axes)), [y])[0])
    let graph = try builder.finish().differentiated()
    let outputs = try Plan(graph, inputShapes: [:])([:])
    var result = ["y": try outputs["y"]!.floats(at: "y").elements]
    for name in names {
      result[name] = try outputs[Graph.gradientName(name)]!.floats(at: name).elements
    }
    return result
  }

  private func expect(
    _ found: [Float], _ expected: [Float], _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(found.count == expected.count, "\(what)", sourceLocation: sourceLocation)
    for (i, (f, e)) in zip(found, expected).enumerated() {
      // The last figures of denormals are lost in print.
      let bound = max(1e-6 * abs(Double(e)), 1e-43)
      #expect(
        e.isNaN ? f.isNaN : f == e || abs(Double(f) - Double(e)) <= bound,
        "\(what), element \(i): expected \(e), found \(f)", sourceLocation: sourceLocation)
    }
  }
}
