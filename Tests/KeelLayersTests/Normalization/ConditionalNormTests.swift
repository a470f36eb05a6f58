import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Norms whose scale and shift depend on a condition or come from outside.
@Suite struct ConditionalNormTests {
  private func run(_ test: NormCase) throws -> DoubleTensor {
    try test.graph(.training).reference(test.inputs).outputs["y"]!
  }

  @Test func oneConditionIsInstanceNorm() throws {
    try expectSame(
      NormCase(
        "conditional", ConditionalNorm(4, conditions: 1),
        [.normal(NormCase.image), .labels([0, 0, 0])]
      ) { $0($1[0], condition: $1[1]) },
      NormCase("instance", InstanceNorm(4, affine: true), NormCase.image))
  }

  @Test func weightsOfOneConditionAreItsIndex() throws {
    let norm = ConditionalNorm(4, conditions: 3)
    let x = TensorValue.normal(NormCase.image)
    let oneHot = try Tensor([0, 0, 1, 1, 0, 0, 0, 1, 0], shape: [3, 3])
    let tests = [TensorValue.labels([2, 0, 1]), .float32(oneHot)].map { condition in
      NormCase("conditional", norm, [x, condition]) { $0($1[0], condition: $1[1]) }
    }
    try expectSame(tests[0], tests[1])
    // The tables' gradients are the same, too: rows of no sample get 0.
    let gradients = try tests.map { test in
      try test.graph(.training).contracted("y", seed: 71)
        .differentiated(contractedName, withRespectTo: .named(["scale", "shift"]))
        .reference(test.inputs).outputs
    }
    for name in ["scale", "shift"].map(Graph.gradientName) {
      expectClose(gradients[0][name]!, gradients[1][name]!, bound: 1e-12, name)
    }
  }

  @Test func blendsAreBetweenTheirConditions() throws {
    let norm = ConditionalNorm(4, conditions: 2)
    let x = TensorValue.normal([1, 5, 4])
    let results = try [[1, 0], [0, 1], [0.25, 0.75]].map { (weights: [Float]) in
      try run(
        NormCase("conditional", norm, [x, .float32(Tensor(weights, shape: [1, 2]))]) {
          $0($1[0], condition: $1[1])
        })
    }
    for i in 0..<results[0].count {
      let expected = 0.25 * results[0][flat: i] + 0.75 * results[1][flat: i]
      #expect(abs(results[2][flat: i] - expected) <= 1e-12)
    }
  }

  /// The result has the style's mean and deviation in every sample and channel.
  @Test func adaptiveNormHasTheStylesStatistics() throws {
    let content = TensorValue.normal([2, 6, 5, 3])
    let style = TensorValue.normal([2, 4, 3, 3], mean: 2, seed: 72)
    let test = NormCase("adaptive", AdaptiveInstanceNorm(epsilon: 0), [content, style]) {
      $0($1[0], style: $1[1])
    }
    let y = try run(test)
    let s = DoubleTensor(widening: try style.floats(at: "style"))
    func sample(_ x: DoubleTensor, _ n: Int) throws -> DoubleTensor {
      let size = x.count / 2
      return try DoubleTensor(
        Array(x.elements[n * size..<(n + 1) * size]),
        shape: Shape([1] + x.shape.extents.dropFirst()))
    }
    for n in 0..<2 {
      let (found, expected) = try (
        sample(y, n).channelStatistics, sample(s, n).channelStatistics
      )
      expectClose(found.means, expected.means, within: 1e-12)
      expectClose(found.deviations, expected.deviations, within: 1e-12)
    }
    // A strength of 0 is the content itself.
    let none = NormCase("adaptive", AdaptiveInstanceNorm(), [content, style]) {
      $0($1[0], style: $1[1], strength: 0)
    }
    expectClose(
      try run(none), DoubleTensor(widening: try content.floats(at: "x")), bound: 1e-12)
  }

  @Test func mapsThatAreTheSameEverywhereAreAScalePerSample() throws {
    let x = TensorValue.normal([2, 3, 4])
    let perSample = try Tensor((0..<8).map { Float($0) / 4 - 0.7 }, shape: [2, 4])
    var map: [Float] = []
    for n in 0..<2 {
      for _ in 0..<3 { map += perSample.elements[4 * n..<4 * n + 4] }
    }
    let maps = try Tensor(map, shape: [2, 3, 4])
    for norm in [true, false] {
      func test(_ affine: Tensor) -> NormCase {
        let values = [x, .float32(affine), .float32(affine)]
        return norm
          ? NormCase("adaptive", AdaptiveInstanceNorm(), values) {
            $0($1[0], scale: $1[1], shift: $1[2])
          }
          : NormCase("batch", BatchNorm(4, affine: false), values) {
            $0($1[0], scale: $1[1], shift: $1[2])
          }
      }
      try expectSame(test(perSample), test(maps))
    }
  }
}
