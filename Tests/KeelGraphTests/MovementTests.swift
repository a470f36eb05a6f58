import KeelGraph
import KeelTensor
import Testing

/// Slices, paddings, resizings, concatenations and permutations of traced variables.
@Suite struct MovementTests {
  private struct Nothing {}

  private func type(
    of input: ValueType = ValueType([.batch, 6, 8, 4]), _ body: (Variable) -> Variable
  ) throws -> ValueType {
    let trace = Trace(model: Nothing(), mode: .inference)
    let y = body(trace.input("x", input))
    trace.output("y", y)
    let graph = try trace.finish()
    return graph.type(of: graph.outputs[0].value)
  }

  @Test func shapes() throws {
    #expect(try type { $0.sliced(axis: -1, from: -3) } == ValueType([.batch, 6, 8, 3]))
    #expect(try type { $0.sliced(axis: 1, from: 1, step: 2) } == ValueType([.batch, 3, 8, 4]))
    #expect(try type { $0.split(axis: 3, into: [1, 3])[1] } == ValueType([.batch, 6, 8, 3]))
    #expect(try type { $0.padded([1: (1, 2), -2: (0, -3)]) } == ValueType([.batch, 9, 5, 4]))
    #expect(try type { $0.resized(by: 1.5, .linear) } == ValueType([.batch, 9, 12, 4]))
    #expect(try type { $0.centerCropped(to: [3, 8]) } == ValueType([.batch, 3, 8, 4]))
    #expect(try type { $0.depthToSpace(block: 2) } == ValueType([.batch, 12, 16, 1]))
    #expect(try type { $0.spaceToDepth(block: 2) } == ValueType([.batch, 3, 4, 16]))
    #expect(try type { $0.transposed([0, 3, 1, 2]) } == ValueType([.batch, 4, 6, 8]))
    #expect(
      try type { Variable.concatenation([$0, $0, $0]) } == ValueType([.batch, 6, 8, 12]))
    #expect(try type { $0.padded([:]) } == ValueType([.batch, 6, 8, 4]))
  }

  @Test func errors() throws {
    func expect(
      _ message: String, _ body: (Variable) -> Variable,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      let error = #expect(throws: KeelError.self, sourceLocation: sourceLocation) {
        _ = try type(body)
      }
      #expect(error?.description == message, sourceLocation: sourceLocation)
    }
    expect(
      "argument error at slice after the input: expected elements from 0 to 5 on axis 1, found 9 from 0 by 1"
    ) { $0.sliced(axis: 1, count: 9) }
    expect(
      "argument error at slice after the input: expected a count and a step of at least 1 on axis 1, found count 1, step 0"
    ) { $0.sliced(axis: 1, step: 0) }
    expect(
      "shape error at slice after the input: expected a known extent on axis 0, found float32 batch×6×8×4"
    ) { $0.sliced(axis: 0, from: 1) }
    expect(
      "shape error at slice after the input: expected an axis of float32 batch×6×8×4, found axis 4"
    ) { $0.sliced(axis: 4) }
    expect(
      "shape error at split after the input: expected parts of at least 1 and 4 elements in all on axis 3, found [1, 2]"
    ) { $0.split(axis: 3, into: [1, 2])[0] }
    expect(
      "argument error at pad after the input: expected reflect padding of at most 5 (input 6) on axis 1, found 6 and 0"
    ) { $0.padded([1: (6, 0)], mode: .reflect) }
    expect(
      "argument error at pad after the input: expected circular padding of at most 6 (input 6) on axis 1, found 0 and 7"
    ) { $0.padded([1: (0, 7)], mode: .circular) }
    expect(
      "argument error at pad after the input: expected replicate padding of at least 0 on axis 1, found -1 and 0"
    ) { $0.padded([1: (-1, 0)], mode: .replicate) }
    expect(
      "argument error at pad after the input: expected cuts of less than 6 elements on axis 1, found -6 and 0"
    ) { $0.padded([1: (-6, 0)]) }
    expect(
      "argument error at pad after the input: expected at least 1 element that is left on axis 1, found 6 with -3 and -3"
    ) { $0.padded([1: (-3, -3)]) }
    expect(
      "argument error at resize after the input: expected a factor above 0 and below 2²⁰, found -1.0"
    ) { $0.resized(by: -1, .linear) }
    expect(
      "argument error at resize after the input: expected an extent of at least 1 and below 2³¹ on axis 1, found 0"
    ) { $0.resized(to: [0, 3], .linear) }
    expect(
      "shape error at resize after the input: expected N×…×C with 1 axes between, found float32 batch×6×8×4"
    ) { $0.resized(to: [3], .linear) }
    expect(
      "shape error at center crop after the input: expected an extent to crop axis 1 to, from 1 to what it has, found 7 of float32 batch×6×8×4"
    ) { $0.centerCropped(to: [7, 3]) }
    expect(
      "shape error at depth to space after the input: expected channels divisible by the square of block 3, found float32 batch×6×8×4"
    ) { $0.depthToSpace(block: 3) }
    expect(
      "shape error at space to depth after the input: expected height and width divisible by block 4, found float32 batch×6×8×4"
    ) { $0.spaceToDepth(block: 4) }
    expect(
      "shape error at transpose after the input: expected a permutation of the axes of float32 batch×6×8×4 for transpose, found [0, 1, 1, 2]"
    ) { $0.transposed([0, 1, 1, 2]) }
    expect(
      "shape error at concatenation after the input: expected an axis from 0 to 3 of float32 batch×6×8×4 for concatenation, found axis 5"
    ) { Variable.concatenation([$0, $0], axis: 5) }
    expect(
      "shape error at concatenation after the input: expected known extents on axis 0 for concatenation, found float32 batch×6×8×4"
    ) { Variable.concatenation([$0, $0], axis: 0) }
    expect(
      "shape error at concatenation after the input: expected operand 1 like float32 batch×6×8×4 but on axis 3 for concatenation, found float32 batch×7×8×4"
    ) { Variable.concatenation([$0, $0.padded([1: (0, 1)])]) }
    expect(
      "shape error at pad after the input: expected zeros around what is resized for pad, found 1.0"
    ) { x in
      x.trace.apply(
        .movement(
          Movement([
            .whole, .pad(before: 1, after: 1, .constant(1)),
            .resize(to: 3, .linear, .halfPixel, scale: nil), .whole,
          ])), [x])[0]
    }
    expect(
      "shape error at slice after the input: expected input of 1 axes for slice, found float32 batch×6×8×4"
    ) { x in x.trace.apply(.movement(Movement([.whole])), [x])[0] }
    expect(
      "argument error at pad after the input: expected each axis once, found axis 3 twice"
    ) { $0.padded([-1: (1, 0), 3: (0, 1)]) }
    expect(
      "argument error at slice after the input: expected elements from 0 to 5 on axis 1, found 1 from 7 by 1"
    ) { $0.sliced(axis: 1, from: 7) }
    expect(
      "argument error at resize after the input: expected an extent of at least 1 and below 2³¹ on axis 1, found 0"
    ) { $0.resized(by: [0.1, 1], .linear) }
  }

  /// Numbers at the ends of Int are refused like others.
  @Test func extremeNumbers() throws {
    let numbers = [Int.min, .min + 1, -7, 7, .max - 1, .max]
    func refuses(_ body: (Variable) -> Variable, sourceLocation: SourceLocation = #_sourceLocation)
    {
      #expect(throws: KeelError.self, sourceLocation: sourceLocation) { _ = try type(body) }
    }
    for number in numbers {
      refuses { $0.sliced(axis: number) }
      refuses { $0.sliced(axis: 1, from: number) }
      refuses { $0.sliced(axis: 1, count: number) }
      refuses { $0.split(axis: 1, into: [number, 1])[0] }
      refuses { $0.centerCropped(to: [number, number]) }
      refuses { Variable.concatenation([$0, $0], axis: number) }
      refuses { $0.transposed([0, 1, 2, number]) }
      if number != 7 {
        refuses { $0.padded([1: (number, 0)]) }
        refuses { $0.padded([1: (0, number)]) }
      }
      for mode in [PaddingMode.reflect, .replicate, .circular]
      where number < 0 || number > 7 || mode != .replicate {
        refuses { $0.padded([1: (number, number)], mode: mode) }
      }
      if number != 7 {
        refuses { $0.resized(to: [number, 3], .linear) }
        refuses { $0.sliced(axis: 1, step: number < 0 ? number : 0) }
      }
    }
    #expect(try type { $0.sliced(axis: 1, step: .max) } == ValueType([.batch, 1, 8, 4]))
    for factor in [Double.nan, .infinity, -.infinity, 0, 1e300] {
      refuses { $0.resized(by: factor, .linear) }
    }
    for scale in [Double.nan, .infinity, 0, -1] {
      refuses { x in
        let resize = AxisMovement.resize(to: 2, .linear, .halfPixel, scale: scale)
        return x.trace.apply(.movement(Movement([.whole, resize, .whole, .whole])), [x])[0]
      }
    }
  }

  /// What changes nothing records nothing, also along an open extent.
  @Test func nothingToDo() throws {
    let trace = Trace(model: Nothing(), mode: .inference)
    let x = trace.input("x", ValueType([.batch, 6, 8, 4]))
    var y = x.sliced(axis: 0).sliced(axis: 2, from: 0, count: 8).sliced(axis: -1, from: -4)
    y =
      y.padded([1: (0, 0)], mode: .reflect).centerCropped(to: [6, 8]).split(axis: 3, into: [4])[0]
    trace.output("y", y)
    #expect(try trace.finish().nodes.isEmpty)
  }
}
