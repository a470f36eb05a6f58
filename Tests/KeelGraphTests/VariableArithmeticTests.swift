import KeelGraph
import KeelReference
import KeelTensor
import Testing

/// What operators and methods of variables record, by what comes out.
@Suite struct VariableArithmeticTests {
  private func values(
    _ x: [Double], shape: Shape, _ body: (Variable) -> Variable
  ) throws -> DoubleTensor {
    let trace = Trace(model: (), mode: .inference)
    trace.output("y", body(trace.input("x", ValueType(shape: shape))))
    let graph = try trace.finish()
    return try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(x, shape: shape))])
      .outputs["y"]!
  }

  @Test func operators() throws {
    let cases: [((Variable) -> Variable, [Double])] = [
      ({ $0 + $0 }, [4, -8]), ({ $0 - 1 }, [1, -5]), ({ $0 * $0 }, [4, 16]),
      ({ $0 / 4 }, [0.5, -1]),
      ({ 1 + $0 }, [3, -3]), ({ 1 - $0 }, [-1, 5]), ({ 3 * $0 }, [6, -12]), ({ 8 / $0 }, [4, -2]),
      ({ $0 + 0.5 }, [2.5, -3.5]), ({ -$0 }, [-2, 4]), ({ $0 * 2 - $0 }, [2, -4]),
      ({ $0.maximum(-$0) }, [2, 4]), ({ $0.minimum(-$0) }, [-2, -4]), ({ $0.power(2) }, [4, 16]),
      ({ $0.absolute().squareRoot().squared() }, [2, 4]), ({ $0.sign() }, [1, -1]),
      ({ $0.exponential().logarithm() }, [2, -4]), ({ $0.reciprocal() }, [0.5, -0.25]),
      ({ $0.errorFunction().sign() }, [1, -1]),
      ({ $0.power($0.absolute() / $0.absolute()) }, [2, -4]),
    ]
    for (i, (body, expected)) in cases.enumerated() {
      let found = try values([2, -4], shape: [2], body).elements
      #expect(
        zip(found, expected).allSatisfy { abs($0 - $1) <= 1e-12 }, "case \(i): \(found)")
    }
  }

  @Test func reductions() throws {
    let x: [Double] = [1, 2, 3, 4, 5, -6]
    #expect(try values(x, shape: [2, 3]) { $0.sum() } == DoubleTensor([9], shape: []))
    #expect(
      try values(x, shape: [2, 3]) { $0.mean(axes: [-1]) } == DoubleTensor([2, 1], shape: [2]))
    #expect(
      try values(x, shape: [2, 3]) { $0.maximum(axes: [0], keepsAxes: true) }
        == DoubleTensor([4, 5, 3], shape: [1, 3]))
    #expect(try values(x, shape: [2, 3]) { $0.minimum(axes: [1]) }.elements == [1, -6])
    #expect(try values(x, shape: [2, 3]) { $0.reduced(.absoluteSum) }.elements == [21])
    #expect(
      try values([1, 2], shape: [2, 1]) { $0.expanded(to: [2, 3]) }.elements == [1, 1, 1, 2, 2, 2])
    #expect(try values(x, shape: [1, 6]) { $0.maxout(pieces: 3) }.elements == [3, 5])
  }

  @Test func residualsAreNotBroadcast() throws {
    let trace = Trace(model: (), mode: .inference)
    let x = trace.input("x", ValueType([.batch, 4]))
    trace.output("y", x.addingResidual(trace.input("b", ValueType([.batch, 1]))))
    let error = #expect(throws: KeelError.self) { try trace.finish() }
    #expect(error?.kind == .shape && error?.found == "float32 batch×1")
  }

  @Test func errorsAreOfTheTrace() throws {
    let trace = Trace(model: (), mode: .inference)
    let x = trace.input("x", ValueType([.batch, 4]))
    trace.output("y", x.sum(axes: [-3]))
    let error = #expect(throws: KeelError.self) { try trace.finish() }
    #expect(error?.kind == .shape && error?.place == "sum reduction after the input")
  }
}
