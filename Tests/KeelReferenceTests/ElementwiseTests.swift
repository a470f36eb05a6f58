import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct ElementwiseTests {
  @Test func reluPassesNaNAndHasNoSlopeAtZero() throws {
    let x = try DoubleTensor([-1, 0, 2, .nan, .infinity, -.infinity], shape: [6])
    let y = try evaluate(.activation(.relu), [x])[0]
    #expect(y[flat: 3].isNaN)
    #expect(
      y.elements.enumerated().filter { $0.offset != 3 }.map(\.element) == [0, 0, 2, .infinity, 0])
    let dx = try evaluate(
      .activationGradient(.relu), [DoubleTensor(repeating: 3, shape: [6]), y])[0]
    #expect(dx.elements == [0, 0, 3, 0, 3, 0])
  }

  @Test func inactiveElementsStopEvenNaN() throws {
    let dx = try evaluate(
      .activationGradient(.relu),
      [DoubleTensor([.nan, .infinity], shape: [2]), DoubleTensor(zeros: [2])])[0]
    #expect(dx.elements == [0, 0])
  }

  @Test func sums() throws {
    let a = try DoubleTensor([1, 2, 3, 4, 5, 6], shape: [1, 3, 2])
    #expect(try evaluate(.add, [a, a])[0].elements == [2, 4, 6, 8, 10, 12])
    let sum = Primitive.reduction(Reduction(.sum, axes: [0, 1]))
    #expect(try evaluate(sum, [a])[0] == DoubleTensor([9, 12], shape: [2]))
  }

  @Test func reshapeKeepsIntegers() throws {
    let labels = try IndexTensor([1, 2, 3, 4], shape: [4])
    let result = try evaluate(.reshape([2, 2]), [.int64(labels)])[0]
    #expect(try result == DoubleTensor([1, 2, 3, 4], shape: [2, 2]))
  }

  @Test func fillWithOpenExtent() throws {
    var builder = GraphBuilder()
    _ = builder.input("x", ValueType([.batch, 1]))
    builder.output("y", try builder.append(.fill(2.5, [.batch, 3]), [])[0])
    let y = try ReferenceEvaluator(builder.finish()).run(["x": .real(DoubleTensor(zeros: [2, 1]))])
    #expect(y.outputs["y"] == DoubleTensor(repeating: 2.5, shape: [2, 3]))
  }
}
