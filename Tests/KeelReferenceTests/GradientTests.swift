import KeelTestSupport
import Testing

/// Every gradient operation against finite differences of the operation it belongs to.
@Suite struct GradientTests {
  @Test(arguments: PrimitiveCase.convolutions)
  func convolution(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 11) }

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

  @Test(arguments: PrimitiveCase.poolings)
  func pooling(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 14) }

  @Test(arguments: PrimitiveCase.activations)
  func activation(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 16) }

  @Test(arguments: PrimitiveCase.others)
  func other(_ test: PrimitiveCase) throws { try expectGradients(of: test, seed: 15) }
}
