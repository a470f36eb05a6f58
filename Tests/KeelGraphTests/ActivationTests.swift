import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: parameters out of range, and what a gradient is computed from.
@Suite struct ActivationTests {
  @Test(
    arguments: [
      .leakyReLU(slope: 0), .leakyReLU(slope: -0.1), .leakyReLU(slope: .nan), .elu(alpha: -1),
      .elu(alpha: .infinity), .clip(low: 1, high: 0), .clip(low: .nan, high: 0),
    ] as [Activation])
  func parametersOutOfRange(_ activation: Activation) throws {
    let type = ValueType([4, 4])
    for (primitive, count) in [
      (Primitive.activation(activation), 1), (.activationGradient(activation), 2),
      (.linear(Epilogue(activation: activation)), 2),
    ] {
      let error = #expect(throws: KeelError.self) {
        try primitive.resultTypes(Array(repeating: type, count: count), at: "act")
      }
      #expect(error?.kind == .argument && error?.place == "act")
    }
  }

  @Test func openBoundsAreAllowed() throws {
    let clip = Activation.clip(low: -.infinity, high: .infinity)
    #expect(try Primitive.activation(clip).resultTypes([ValueType([3])], at: "act").count == 1)
  }

  @Test func normalizationRefusesAllButReLU() throws {
    for activation in Activation.everyKind where activation != .relu {
      let error = #expect(throws: KeelError.self) {
        try Normalization(
          statistics: .current, epilogue: Epilogue(activation: activation), place: "bn")
      }
      #expect(error?.kind == .argument && error?.found == activation.name)
      let normalization = try Normalization(statistics: .current, recovery: .none)
        .replacing(epilogue: Epilogue(activation: activation))
      #expect(throws: KeelError.self) {
        try Primitive.normalization(normalization).resultTypes([ValueType([4, 4])], at: "bn")
      }
    }
  }

  @Test(arguments: Activation.everyKind)
  func gradientTakesWhatTheRuleSays(_ activation: Activation) throws {
    var builder = GraphBuilder()
    let w = builder.weight("w", Tensor(zeros: [1]))
    let y = try builder.append(.activation(activation), [w])[0]
    builder.output("y", try builder.append(.reshape([]), [y])[0])
    let graph = try builder.finish().differentiated("y", withRespectTo: .named(["w"]))
    let gradient = try #require(
      graph.nodes.first { $0.primitive == .activationGradient(activation) })
    #expect(gradient.inputs[1] == (activation.gradientOperand == .input ? w : y))
    #expect(gradient.primitive.name == "\(activation.name) gradient")
  }
}
