import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct LossTests {
  private func labels(_ labels: [Int64]) throws -> ReferenceValue {
    .int64(try IndexTensor(labels, shape: [labels.count]))
  }

  @Test func softmaxByHand() throws {
    // Weights 1 : 3 : 4, and rows far outside what exp can take.
    let z = try DoubleTensor(
      [0, 1.0986122886681098, 1.3862943611198906, 1000, 1000, -1000, -1e4, -1e4, -1e4],
      shape: [3, 3])
    let p = try evaluate(.softmax, [z])[0]
    let expected = [0.125, 0.375, 0.5, 0.5, 0.5, 0, 1.0 / 3, 1.0 / 3, 1.0 / 3]
    expectClose(p, try DoubleTensor(expected, shape: [3, 3]), bound: Tolerance.double)
  }

  @Test func crossEntropyByHand() throws {
    // −log ½ and −log ⅜ of the same weights; equal logits cost log K.
    let logits = try DoubleTensor(
      [0, 1.0986122886681098, 1.3862943611198906, 0, 1.0986122886681098, 1.3862943611198906],
      shape: [2, 3])
    let loss = try evaluate(.loss(Loss(.crossEntropy())), [.real(logits), labels([2, 1])])[0]
    #expect(loss.shape == [])
    expectClose(loss.elements, [(0.6931471805599453 + 0.9808292530117262) / 2], within: 1e-12)
    let equal = DoubleTensor(repeating: 5000, shape: [4, 10])
    let uniform = try evaluate(
      .loss(Loss(.crossEntropy())), [.real(equal), labels([0, 3, 9, 9])])[0]
    expectClose(uniform.elements, [2.302585092994046], within: 1e-11)
  }

  @Test func crossEntropyGradientByHand() throws {
    let logits = try DoubleTensor(
      [0, 1.0986122886681098, 1.3862943611198906, 7, 7, 7], shape: [2, 3])
    let gradient = try evaluate(
      .lossGradient(Loss(.crossEntropy())),
      [.real(logits), labels([1, 0]), .real(DoubleTensor([6], shape: []))])[0]
    let expected = [0.375, -1.875, 1.5, -2, 1, 1]
    expectClose(gradient, try DoubleTensor(expected, shape: [2, 3]), bound: Tolerance.double)
  }

  @Test func nanInALogitReachesTheLoss() throws {
    for position in 0..<3 {
      var logits = DoubleTensor(zeros: [1, 3])
      logits[flat: position] = .nan
      #expect(
        try evaluate(.loss(Loss(.crossEntropy())), [.real(logits), labels([0])])[0][flat: 0].isNaN)
      #expect(try evaluate(.softmax, [logits])[0].elements.allSatisfy(\.isNaN))
    }
  }

  @Test(arguments: [-1, 3, Int64.max, .min])
  func labelOutOfRange(label: Int64) throws {
    let logits = DoubleTensor(zeros: [3, 3])
    for primitive in [Primitive.loss(Loss(.crossEntropy())), .lossGradient(Loss(.crossEntropy()))] {
      var builder = GraphBuilder()
      var operands = [
        builder.input("logits", ValueType([.batch, 3])),
        builder.input("labels", ValueType(.int64, [.batch])),
      ]
      if primitive == .lossGradient(Loss(.crossEntropy())) {
        operands.append(try builder.append(.fill(1, []), [])[0])
      }
      builder.output("y", try builder.append(primitive, operands, label: "head.loss")[0])
      let evaluator = ReferenceEvaluator(try builder.finish())
      let error = try #require(
        #expect(throws: KeelError.self) {
          try evaluator.run(["logits": .real(logits), "labels": labels([0, label, 2])])
        })
      #expect(error.kind == .value)
      #expect(error.place == "head.loss")
      #expect(error.expected.contains("0 to 2"))
      #expect(error.found == "\(label) at index 1")
    }
  }
}

/// Class golden: values checked by hand.
@Suite struct HandCheckedTests {
  private func one(_ value: Double) -> DoubleTensor { DoubleTensor(repeating: value, shape: [1]) }

  @Test func slopesAndCorners() throws {
    let half = try evaluate(.activation(.sigmoid), [one(0)])
    let slope = try evaluate(.activationGradient(.sigmoid), [one(1), half[0]])[0]
    #expect(slope.elements == [0.25])
    let steep = try evaluate(.activation(.leakyReLU(slope: 0.1)), [one(-2)])[0]
    expectClose(steep.elements, [-0.2], within: 1e-8)
    let standard = try evaluate(.activation(.leakyReLU()), [one(-2)])[0]
    expectClose(standard.elements, [-0.02], within: 1e-9)
    for e in [1, 1.0.nextDown, 1.0.nextUp] {
      let loss = try evaluate(.loss(Loss(.smoothL1(), reduction: .none)), [one(e), one(0)])[0]
      expectClose(loss.elements, [0.5], within: 1e-15)
    }
  }
}
