import KeelTensor
import KeelTestSupport
import Testing

/// Every gradient operation against finite differences of the operation it belongs to.
@Suite struct GradientTests {
  @Test(arguments: PrimitiveCase.convolutions)
  func convolution(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 11) }

  @Test(arguments: PrimitiveCase.gatheringMoments(PrimitiveCase.convolutions))
  func convolutionWithMoments(_ test: PrimitiveCase) throws {
    try expectGradients(of: test, seed: 26)
  }

  @Test(arguments: PrimitiveCase.transposedConvolutions)
  func transposedConvolution(_ test: PrimitiveCase) throws {
    try expectGradients(of: test, seed: 17)
  }

  @Test(arguments: PrimitiveCase.weightGradients)
  func convolutionWeightGradient(_ test: PrimitiveCase) throws {
    try expectGradients(of: test, seed: 18)
  }

  @Test(arguments: PrimitiveCase.linears)
  func linear(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 12) }

  @Test(arguments: PrimitiveCase.normalizations)
  func normalization(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 13) }

  @Test(arguments: PrimitiveCase.momentTables)
  func moments(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 19) }

  @Test(arguments: NormalizationGraphs.compositions)
  func composition(_ test: NormalizationGraphs.Composition) throws {
    try expectGradients(in: test.graph(seed: 23), withRespectTo: test.names, seed: 23)
  }

  @Test(arguments: PrimitiveCase.mixtures.filter { !$0.differentiableNames.isEmpty })
  func mixture(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 21) }

  @Test(arguments: PrimitiveCase.blockMaps)
  func blockMap(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 27) }

  @Test(arguments: WhiteningGraphs.compositions)
  func whitening(_ test: NormalizationGraphs.Composition) throws {
    try expectGradients(in: test.graph(seed: 28), withRespectTo: test.names, seed: 28)
  }

  @Test(arguments: PrimitiveCase.selections)
  func selection(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 22) }

  @Test(arguments: PrimitiveCase.poolings)
  func pooling(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 14) }

  @Test(arguments: PrimitiveCase.activations)
  func activation(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 16) }

  @Test(arguments: PrimitiveCase.losses)
  func loss(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 17) }

  @Test(arguments: PrimitiveCase.others)
  func other(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 15) }

  @Test(arguments: PrimitiveCase.arithmetic)
  func arithmetic(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 17) }

  @Test(arguments: PrimitiveCase.functions)
  func function(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 18) }

  @Test(
    arguments: PrimitiveCase.choices.filter {
      (4..<1000).contains($0.operands[0].shape.elementCount)
    })
  func choice(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 30) }

  @Test(arguments: PrimitiveCase.reductions)
  func reduction(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 19) }

  @Test(arguments: PrimitiveCase.learnedActivations + PrimitiveCase.dropouts)
  func learnedOrRandom(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 20) }
}
