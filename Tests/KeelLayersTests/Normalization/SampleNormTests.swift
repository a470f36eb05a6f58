import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Norms within samples: by hand, and as special cases of each other.
@Suite struct SampleNormTests {
  /// One sample of two positions and four channels.
  static let x = try! Tensor([1, 2, 3, 6, -1, 0, 4, 5], shape: [1, 2, 4])

  @Test func layerNormOfPositionsByHand() throws {
    let norm = LayerNorm(4, epsilon: 0)
    norm.shift!.value = try Tensor([0, 0, 0, 1], shape: [4])
    let (a, b) = (3.5.squareRoot(), 6.5.squareRoot())
    expectNumbers(
      try y(norm, Self.x), [-2 / a, -1 / a, 0, 3 / a + 1, -3 / b, -2 / b, 2 / b, 3 / b + 1])
  }

  @Test func layerNormOfSamplesHasAScalePerElement() throws {
    // Mean 2.5, squared deviations 42, variance 5.25.
    let norm = LayerNorm([2, 4], epsilon: 0)
    norm.scale!.value = try Tensor([1, 1, 1, 2, 1, 1, 1, 1], shape: [2, 4])
    let s = 5.25.squareRoot()
    expectNumbers(
      try y(norm, Self.x), [-1.5, -0.5, 0.5, 7, -3.5, -2.5, 1.5, 2.5].map { $0 / s })
  }

  @Test func rootMeanSquareByHand() throws {
    let norm = RMSNorm(4, epsilon: 0)
    norm.scale!.value = try Tensor([1, 1, 1, 2], shape: [4])
    let (a, b) = (12.5.squareRoot(), 10.5.squareRoot())
    expectNumbers(
      try y(norm, Self.x), [1 / a, 2 / a, 3 / a, 12 / a, -1 / b, 0, 4 / b, 10 / b])
    #expect(RMSNorm(4).epsilon == .ulpOfOne && LayerNorm(4).epsilon == 1e-5)
  }

  @Test func instanceNormByHand() throws {
    let norm = InstanceNorm(4, epsilon: 0)
    expectNumbers(try y(norm, Self.x), [1, 1, -1, 1, -1, -1, 1, -1])
    #expect(norm.parameters.isEmpty)
  }

  @Test func instanceNormFollowsTheMeansOverTheSamples() throws {
    // Sample variances 2 and 8 unbiased (of 0, 2 and 0, 4), means 1 and 2.
    let norm = InstanceNorm(1, momentum: 0.5, tracksRunningStatistics: true)
    let graph = try Graph(tracing: norm, input: [2, 2, 1], mode: .training)
    let x = try Tensor([0, 2, 0, 4], shape: [2, 2, 1])
    let updates = try graph.reference(["x": .float32(x)]).updates
    expectClose(updates["runningMean"]!.elements, [0.75], within: 1e-12)
    expectClose(updates["runningVariance"]!.elements, [0.5 + 0.5 * 5], within: 1e-12)
    // In inference all samples have the running statistics.
    norm.runningMean!.value = try Tensor([1], shape: [1])
    norm.runningVariance!.value = try Tensor([4], shape: [1])
    expectNumbers(try y(norm, x, mode: .inference), [-0.5, 0.5, -0.5, 1.5], within: 1e-5)
  }

  @Test func groupNormByHand() throws {
    // Groups 1, 2, −1, 0 of mean 0.5 and variance 1.25, and 3, 6, 4, 5 of mean 4.5 and variance 1.25.
    let s = 1.25.squareRoot()
    expectNumbers(
      try y(GroupNorm(2, 4, epsilon: 0), Self.x),
      [0.5, 1.5, -1.5, 1.5, -1.5, -0.5, -0.5, 0.5].map { $0 / s })
  }

  // MARK: Identities

  private func test(_ layer: some Layer, _ shape: Shape = NormCase.image) -> NormCase {
    NormCase("\(type(of: layer))", layer, shape)
  }

  @Test(arguments: [[3, 2, 3, 4], [2, 5, 4], [2, 2, 2, 3, 4]] as [Shape])
  func oneGroupIsLayerNormAndAsManyAsChannelsInstanceNorm(_ shape: Shape) throws {
    try expectSame(
      test(GroupNorm(1, 4), shape), test(LayerNorm(perChannel: 4), shape))
    try expectSame(
      test(GroupNorm(4, 4), shape), test(InstanceNorm(4, affine: true), shape))
    // Without affine, layer norm of the last axes is the same, too.
    let last = Shape(Array(shape.extents.dropFirst()))
    try expectSame(
      test(GroupNorm(1, 4, affine: false), shape), test(LayerNorm(last, affine: false), shape))
  }

  @Test func oneSampleIsBatchNorm() throws {
    try expectSame(
      test(InstanceNorm(4, affine: true), [1, 5, 4]),
      test(BatchNorm(4, tracksRunningStatistics: false), [1, 5, 4]))
    try expectSame(
      test(LayerNorm(perChannel: 4), [1, 5, 4]), test(WholeTensorNorm(4), [1, 5, 4]))
  }

  @Test(
    arguments: [
      LayerNorm(4), LayerNorm([3, 4]), LayerNorm([2, 3, 4]), RMSNorm(4), InstanceNorm(4),
      GroupNorm(2, 4), PixelNorm(), L2Norm(),
    ] as [any Layer])
  func samplesDoNotSeeEachOther(_ layer: any Layer) throws {
    let x = try TensorValue.normal(NormCase.image).floats(at: "x")
    let sample = x.count / 3
    var other = x
    for i in 0..<sample { other[flat: sample + i] = 7 - 3 * x[flat: i] }
    let (a, b) = (try y(layer, x), try y(layer, other))
    for i in 0..<x.count where i / sample != 1 { #expect(a[flat: i] == b[flat: i]) }
  }

  /// Instance norm takes each image's contrast and brightness away: y(a·x + b) = y(x) for a > 0.
  @Test func contrastIsTakenAway() throws {
    let x = try TensorValue.normal(NormCase.image).floats(at: "x")
    let changed = Tensor(uninitialized: x.shape) { out in
      for i in out.indices { out[i] = x[flat: i] * (i < 24 ? 3 : 0.5) + Float(i % 4) }
    }
    let norm = InstanceNorm(4, epsilon: 1e-12)
    expectNumbers(
      try y(norm, changed), try y(norm, x).elements.map(Double.init), within: 5e-6)
  }
}
