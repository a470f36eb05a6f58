import KeelGraph
import KeelTensor
import Testing

@Suite struct PrimitiveTests {
  @Test func names() throws {
    func convolution(_ groups: Int, _ epilogue: Epilogue) throws -> Primitive {
      try .convolution(
        ConvolutionGeometry(
          inputHeight: 4, inputWidth: 4, inputChannels: 4, outputChannels: 4, kernel: (3, 3),
          groups: groups), epilogue)
    }
    #expect(try convolution(1, Epilogue()).name == "convolution")
    #expect(
      try convolution(4, Epilogue(hasResidual: true, activation: .relu)).name
        == "depthwise convolution + add + ReLU")
    #expect(Primitive.linear(Epilogue(activation: .relu)).name == "linear + ReLU")
    func transposed(_ groups: Int) throws -> Primitive {
      try .transposedConvolution(
        .transposed(
          inputs: [4], inputChannels: 4, outputChannels: 4, kernel: [2], groups: groups),
        Epilogue(activation: .relu))
    }
    #expect(try transposed(1).name == "transposed convolution + ReLU")
    #expect(try transposed(4).name == "depthwise transposed convolution + ReLU")
  }

  @Test func replacingEpilogues() throws {
    let epilogue = Epilogue(hasBias: true, activation: .relu)
    #expect(Primitive.linear(Epilogue()).replacingEpilogue(epilogue) == .linear(epilogue))
    #expect(Primitive.linear(epilogue).epilogue == epilogue)
    let geometry = try ConvolutionGeometry.transposed(
      inputs: [4], inputChannels: 4, outputChannels: 4, kernel: [2])
    let transposed = Primitive.transposedConvolution(geometry, Epilogue())
    #expect(
      transposed.replacingEpilogue(epilogue) == .transposedConvolution(geometry, epilogue))
    #expect(transposed.replacingEpilogue(epilogue)?.epilogue == epilogue)
    #expect(Primitive.add.replacingEpilogue(epilogue) == nil)
    #expect(Primitive.add.epilogue == nil)
    let normalization = try Normalization(statistics: .current)
    let replaced = Primitive.normalization(normalization).replacingEpilogue(
      Epilogue(activation: .relu))
    #expect(replaced?.epilogue == Epilogue(activation: .relu))
  }

  @Test func normalizationOperandsStandInOrder() throws {
    let full = Epilogue(hasResidual: true, activation: .relu)
    let current = NormalizationOperands(try Normalization(statistics: .current, epilogue: full))
    #expect(current.mean == nil && current.variance == nil)
    #expect([current.scale, current.shift, current.residual, current.count] == [1, 2, 3, 4])
    let given = NormalizationOperands(try Normalization(statistics: .given, epilogue: full))
    #expect([given.mean, given.variance, given.scale, given.shift] == [1, 2, 3, 4])
    #expect(given.residual == 5 && given.count == 6)
    let gradient = NormalizationGradientOperands(
      try Normalization(statistics: .current, epilogue: full))
    #expect(
      [gradient.moments, gradient.scale, gradient.shift, gradient.output] == [2, 3, 4, 5])
    #expect([gradient.dScale, gradient.dShift, gradient.dResidual] == [1, 2, 3])
    let bare = NormalizationGradientOperands(
      try Normalization(
        statistics: .given, recovery: .none, epilogue: Epilogue(hasResidual: true)))
    #expect([bare.mean, bare.variance] == [2, 3])
    #expect(bare.output == nil && bare.dScale == nil && bare.dResidual == 1 && bare.count == 4)
  }
}
