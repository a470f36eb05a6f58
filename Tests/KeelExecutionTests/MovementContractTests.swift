import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: what operations that move elements do to integers, NaN, infinities and signs of zero.
@Suite struct MovementContractTests {
  struct Copy: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let primitive: Primitive
    let shapes: [Shape]
  }

  static let copies: [Copy] = {
    func resize(_ extent: Int, _ rounding: Interpolation.Rounding) -> AxisMovement {
      .resize(to: extent, .nearest(rounding), .asymmetric, scale: nil)
    }
    func copy(_ name: String, _ primitive: Primitive, _ shapes: Shape...) -> Copy {
      Copy(testDescription: name, primitive: primitive, shapes: shapes)
    }
    func move(_ name: String, _ axes: AxisMovement...) -> Copy {
      copy(name, .movement(Movement(axes)), [3, 7, 6, 5])
    }
    let pads: [(String, PaddingMode)] = [
      ("zeros", .zeros), ("reflection", .reflect), ("replication", .replicate),
      ("the other end", .circular),
    ]
    return [
      copy(
        "concatenation of channels", .concatenation(axis: 2), [2, 3, 4], [2, 3, 1], [2, 3, 17]),
      copy("concatenation of rows", .concatenation(axis: 0), [2, 3], [4, 3]),
      copy("concatenation of scalars' vectors", .concatenation(axis: 0), [1], [1], [3]),
      move("slice of channels", .whole, .whole, .whole, .slice(start: 1, count: 3, step: 1)),
      move(
        "slices by steps", .whole, .slice(start: 1, count: 3, step: 2),
        .slice(start: 0, count: 2, step: 5), .whole),
      move("nearest", .whole, resize(11, .down), resize(4, .up), .whole),
      move("crop", .whole, .pad(before: -2, after: -1, .zeros), .whole, .whole),
      copy("transpose of a plane", .transpose(permutation: [1, 0]), [37, 19]),
      copy("channels first", .transpose(permutation: [0, 3, 1, 2]), [2, 5, 4, 18]),
      copy("channels last", .transpose(permutation: [0, 2, 3, 1]), [2, 18, 5, 4]),
      copy("heads", .transpose(permutation: [0, 2, 1, 3]), [2, 5, 3, 8]),
      copy("all axes", .transpose(permutation: [3, 2, 1, 0]), [2, 5, 3, 8]),
      copy("transpose of a scalar", .transpose(permutation: []), []),
      copy("reshape", .reshape([6, 4]), [2, 3, 4]),
    ]
      + pads.map {
        move(
          "padding by \($0.0)", .whole, .pad(before: 2, after: 3, $0.1), .whole,
          .pad(before: 0, after: 4, $0.1))
      }
  }()

  /// Every element arrives bit for bit, whatever it is: the result for the numbers 1, 2, … says where.
  @Test(arguments: copies)
  func bitsArriveUnchanged(_ copy: Copy) throws {
    var next: Float = 1
    let numbers = copy.shapes.map { shape in
      Tensor(uninitialized: shape) { out in
        for i in out.indices {
          out[i] = next
          next += 1
        }
      }
    }
    let places = try apply(copy.primitive, numbers.map(TensorValue.float32)).elements.map(Int.init)
    let total = Int(next)
    // Beyond 2⁵³, so that no Double on the way keeps them; number 0 is the filling.
    var integers: [Int64] = [0]
    let patterns: [UInt32] = [0x7FC0_0001, 0x8000_0000, 0x7F80_0000, 0xFFFF_FFFF, 0x7FA0_0000, 1]
    var floats: [Float] = [0]
    for i in 1..<total {
      integers.append(Int64.max - Int64(i) << 20 - 1)
      floats.append(Float(bitPattern: patterns[i % 6] &+ UInt32(i / 6 % 2)))
    }
    let expectedFloats = places.map { UInt64(floats[$0].bitPattern) }
    let expectedIntegers = places.map { UInt64(bitPattern: integers[$0]) }
    for threads in [1, 2] {
      let asFloats = try run(
        copy.primitive,
        numbers.map { .float32(map($0) { floats[$0] }) }, threads: threads)
      #expect(asFloats.bits == expectedFloats)
      let asIntegers = try run(
        copy.primitive,
        numbers.map { .int64(map($0) { integers[$0] }) }, threads: threads)
      #expect(asIntegers.bits == expectedIntegers)
    }
    // The reference's integers, of a size that its Double outputs hold.
    let small = try evaluate(
      copy.primitive, numbers.map { .int64(map($0) { Int64($0) * 3 }) })[0]
    #expect(small.elements == places.map { Double($0) * 3 })
  }

  private func map<Element: ArrayElement>(_ numbers: Tensor, _ element: (Int) -> Element)
    -> DenseArray<Element>
  {
    DenseArray(uninitialized: numbers.shape) { out in
      for i in out.indices { out[i] = element(Int(numbers[flat: i])) }
    }
  }

  /// One operation by the interpreter and by a plan, whose results must have the same bits.
  private func run(_ primitive: Primitive, _ operands: [TensorValue], threads: Int) throws
    -> TensorValue
  {
    var builder = GraphBuilder()
    var inputs: [String: TensorValue] = [:]
    var values: [ValueID] = []
    for (index, operand) in operands.enumerated() {
      inputs["\(index)"] = operand
      values.append(
        builder.input("\(index)", ValueType(operand.elementType, shape: operand.shape)))
    }
    builder.output("y", try builder.append(primitive, values, label: "test")[0])
    let graph = try builder.finish()
    let interpreted = try Interpreter(graph, parallelism: Parallelism(threads: threads))
      .run(inputs).outputs
    let plan = try Plan(
      graph, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(threads: threads))
    expectSameBits(try plan(inputs), interpreted, "\(threads) threads")
    return interpreted["y"]!
  }

  /// What an interpolation gives no weight does not reach the result: the element at a whole coordinate is
  /// taken alone. NaN and infinity go where they have weight, as in the reference.
  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func specialValuesHaveTheirWeight(_ special: Float) throws {
    for coordinates in [ResizeCoordinates.halfPixel, .alignCorners, .asymmetric] {
      for (input, output) in [(3, 5), (4, 7), (7, 3), (5, 5), (2, 9)] {
        let movement = Movement([
          .whole, .resize(to: output, .linear, coordinates, scale: nil), .whole,
        ])
        for position in 0..<input {
          var x = Tensor(repeating: 1, shape: [1, input, 3])
          x[0, position, 1] = special
          let y = try apply(.movement(movement), [.float32(x)])
          let expected = try evaluate(.movement(movement), [DoubleTensor(widening: x)])[0]
          for i in 0..<y.count {
            let (found, exact) = (Double(y[flat: i]), expected[flat: i])
            #expect(
              exact.isNaN ? found.isNaN : exact.isFinite ? abs(found - 1) <= 1e-6 : found == exact,
              "\(coordinates), \(input) to \(output), \(position): expected \(exact), found \(found)"
            )
          }
        }
      }
    }
  }

  /// The gradient of a padding takes nothing from its constant, not even NaN.
  @Test func constantsHaveNoGradient() throws {
    let movement = Movement([.pad(before: 1, after: 2, .constant(.nan))])
    let y = try apply(.movement(movement), [.float32(Tensor([3, 4], shape: [2]))])
    #expect(y.elements.map(\.isNaN) == [true, false, false, true, true])
    let dx = try apply(
      .movementGradient(movement, [2]),
      [.float32(Tensor([.nan, 5, 6, .nan, .infinity], shape: [5]))])
    #expect(dx.elements == [5, 6])
  }

  /// Scales beyond all extents end at the last element, without an overflow.
  @Test(arguments: [1e-300, 0.5, 1e300])
  func extremeScales(_ scale: Double) throws {
    for interpolation in [
      Interpolation.linear, .nearest(.down), .nearest(.halfDown), .nearest(.halfUp), .nearest(.up),
    ] {
      let movement = Movement([.resize(to: 3, interpolation, .asymmetric, scale: scale)])
      let x = try Tensor([1, 2, 4], shape: [3])
      let y = try apply(.movement(movement), [.float32(x)])
      let expected = try evaluate(.movement(movement), [DoubleTensor(widening: x)])[0]
      for i in 0..<3 { #expect(abs(Double(y[flat: i]) - expected[flat: i]) <= 1e-6) }
      if scale > 1 { #expect(y.elements == [1, 4, 4]) }
    }
  }

  /// NaN and signs of zero arrive in selected rows; an index of no row is an error wherever it is run.
  @Test func selectedRowsAndIndicesOfNone() throws {
    var builder = GraphBuilder()
    let table = builder.weight(
      "table", try Tensor([1, -0.0, .nan, .infinity, 5, 6], shape: [3, 2]))
    let indices = builder.input("indices", ValueType(.int64, [.batch]))
    builder.output("y", try builder.append(.selection, [table, indices], label: "rows")[0])
    let dy = builder.input("dy", ValueType([.batch, 2]))
    builder.output(
      "dTable",
      try builder.append(.selectionGradient(rows: 3), [dy, indices], label: "rows")[0])
    let graph = try builder.finish()
    func inputs(_ indices: [Int64]) throws -> [String: TensorValue] {
      [
        "indices": .int64(try IndexTensor(indices, shape: [indices.count])),
        "dy": .float32(Tensor(repeating: 1, shape: [indices.count, 2])),
      ]
    }
    let results = try Interpreter(graph).run(inputs([1, 0, 1])).outputs
    let expected: [Float] = [.nan, .infinity, 1, -0.0, .nan, .infinity]
    #expect(
      try results["y"]!.floats(at: "y").elements.map(\.bitPattern) == expected.map(\.bitPattern))
    #expect(try results["dTable"]!.floats(at: "dTable").elements == [1, 1, 2, 2, 0, 0])
    for wrong in [-1, 3, .max, .min] as [Int64] {
      let inputs = try inputs([0, 2, wrong])
      for run in [
        { _ = try Interpreter(graph).run(inputs) }, { _ = try graph.reference(inputs) },
        { _ = try Plan(graph, inputShapes: inputs.mapValues(\.shape))(inputs) },
      ] {
        let error = #expect(throws: KeelError.self) { try run() }
        #expect(
          error?.description
            == "value error at rows: expected indices from 0 to 2, found \(wrong) at position 2")
      }
    }
  }
}
