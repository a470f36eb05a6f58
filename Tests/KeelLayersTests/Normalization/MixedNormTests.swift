import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Norms that mix outputs (batch-instance) or statistics: at their ends they are what they mix.
@Suite struct MixedNormTests {
  /// A batch-instance norm of one ρ in all channels.
  private func blend(_ rho: Float, _ shape: Shape = NormCase.image) -> NormCase {
    let norm = BatchInstanceNorm(4)
    let test = NormCase("batch-instance, ρ = \(rho)", norm, shape)
    norm.rho.value = Tensor(repeating: rho, shape: [4])
    return test
  }

  private func batch(_ shape: Shape = NormCase.image) -> NormCase {
    NormCase("batch", BatchNorm(4), shape)
  }

  private func instance(_ shape: Shape = NormCase.image) -> NormCase {
    NormCase("instance", InstanceNorm(4, affine: true), shape)
  }

  @Test func batchInstanceAtItsEnds() throws {
    try expectSame(blend(1), batch())
    try expectSame(blend(0), instance())
    try expectSame(blend(0), instance(), mode: .inference)
    for rho in [0, 0.3, 1] as [Float] {
      try expectSame(blend(rho, [1, 5, 4]), instance([1, 5, 4]))
    }
  }

  @Test func batchInstanceIsTheBlendOfBoth() throws {
    let test = blend(0.25)
    for mode in [Trace.Mode.training, .inference] {
      let y = try test.graph(mode).reference(test.inputs).outputs["y"]!
      let ends = try [blend(1), blend(0)].map {
        try $0.graph(mode).reference($0.inputs).outputs["y"]!
      }
      for i in 0..<y.count {
        #expect(abs(y[flat: i] - 0.25 * ends[0][flat: i] - 0.75 * ends[1][flat: i]) <= 1e-12)
      }
    }
  }

  @Test func clampPutsRhoBack() throws {
    let norm = BatchInstanceNorm(4)
    #expect(norm.rho.value.elements == [1, 1, 1, 1])
    norm.rho.value = try Tensor([-0.1, 0.4, 1.5, .nan], shape: [4])
    norm.clamp()
    #expect(norm.rho.value.elements.prefix(3) == [0, 0.4, 1])
  }

  /// A mixed norm that puts all weight on one source.
  private func mixed(
    _ sources: [MixedNorm.Source], all weight: Int, _ shape: Shape = NormCase.image
  ) throws -> NormCase {
    let norm = MixedNorm(4, sources: sources)
    let test = NormCase("mixed, all on \(sources[weight])", norm, shape)
    for parameter in [norm.meanWeights, norm.varianceWeights] {
      // The softmax of these is 1 and 0 in Double.
      var logits = Tensor(repeating: -2000, shape: [sources.count])
      logits[weight] = 2000
      parameter.value = logits
    }
    return test
  }

  @Test func allWeightOnOneSource() throws {
    let sources = MixedNorm.Source.allCases
    try expectSame(mixed(sources, all: 0), batch())
    try expectSame(mixed(sources, all: 1), instance())
    try expectSame(
      mixed(sources, all: 2), NormCase("layer", LayerNorm(perChannel: 4), NormCase.image))
    try expectSame(mixed([.batch, .instance], all: 1), instance(), mode: .inference)
    for weight in [0, 1] {
      try expectSame(mixed([.batch, .instance], all: weight, [1, 5, 4]), instance([1, 5, 4]))
    }
  }

  @Test func statisticsAreMixedAndNotOutputs() throws {
    // Two samples of one channel: 0, 2 and 4, 10. Instance means 1, 7, variances 1, 9; batch mean 4,
    // variance 14. Equal weights: means 2.5, 5.5, variances 7.5, 11.5.
    let x = try Tensor([0, 2, 4, 10], shape: [2, 2, 1])
    let (a, b) = (7.5.squareRoot(), 11.5.squareRoot())
    expectNumbers(
      try y(MixedNorm(1, epsilon: 0), x), [-2.5 / a, -0.5 / a, -1.5 / b, 4.5 / b])
  }

  @Test func meansAndVariancesHaveWeightsOfTheirOwn() throws {
    // The same samples: all of the mean from the batch, all of the variance from the instances.
    let x = try Tensor([0, 2, 4, 10], shape: [2, 2, 1])
    let norm = MixedNorm(1, epsilon: 0)
    norm.meanWeights.value = try Tensor([200, -200], shape: [2])
    norm.varianceWeights.value = try Tensor([-200, 200], shape: [2])
    expectNumbers(try y(norm, x), [-4, -2, 0, 2])
  }
}
