import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Every named norm equals its formula written in sums, differences and quotients, forward and backward.
@Suite struct NormalizationCompositionTests {
  /// A norm, and the same with the same parameters in elementary operations.
  struct Pair: Sendable, CustomTestStringConvertible {
    let test: NormCase
    let composed: NormCase
    var testDescription: String { test.name }

    init<Model: Sendable>(
      _ name: String, _ model: Model, _ values: [TensorValue] = [.normal(NormCase.image)],
      excluding excluded: Set<String> = [],
      _ record: @escaping @Sendable (Model, [Variable]) -> Variable,
      equals composed: @escaping @Sendable (Model, [Variable]) -> Variable
    ) {
      test = NormCase(name, model, values, excluding: excluded, record)
      self.composed = NormCase(name, model, values, excluding: excluded, composed)
    }

    init<Wrapped: Layer>(
      _ name: String, _ layer: Wrapped, _ shape: Shape = NormCase.image,
      equals composed: @escaping @Sendable (Wrapped, Variable) -> Variable
    ) {
      self.init(
        name, layer, [.normal(shape)], { $0($1[0]) }, equals: { composed($0, $1[0]) })
    }
  }

  private static func mean(_ x: Variable, _ axes: [Int]) -> Variable {
    x.mean(axes: axes, keepsAxes: true)
  }

  private static func variance(_ x: Variable, _ axes: [Int]) -> Variable {
    mean((x - mean(x, axes)).squared(), axes)
  }

  private static func standardized(_ x: Variable, _ axes: [Int], epsilon: Float = 1e-5) -> Variable
  {
    (x - mean(x, axes)) / (variance(x, axes) + epsilon).squareRoot()
  }

  /// γ·z + β with parameters of the extents of z's last axes.
  private static func affine(_ z: Variable, _ scale: Parameter?, _ shift: Parameter?) -> Variable {
    var z = z
    if let scale { z = z * z.trace.variable(scale) }
    if let shift { z = z + z.trace.variable(shift) }
    return z
  }

  /// A table's rows of some samples, N×C as N×1×1×C.
  private static func rows(_ table: Parameter, _ indices: Variable) -> Variable {
    let rows = indices.trace.variable(table).selected(indices)
    return rows.reshaped([rows.type!.extents[0], 1, 1, rows.type!.extents[1]])
  }

  /// N×C as N×1×1×C.
  private static func spread(_ x: Variable) -> Variable {
    x.reshaped([x.type!.extents[0], 1, 1, x.type!.extents[1]])
  }

  static let image: TensorValue = .normal(NormCase.image)

  static let pairs: [Pair] = [
    Pair("batch", BatchNorm(4)) { affine(standardized($1, [0, 1, 2]), $0.scale, $0.shift) },
    Pair("batch, vectors", BatchNorm(4, epsilon: 0.1, affine: false), [6, 4]) {
      standardized($1, [0], epsilon: $0.epsilon)
    },
    Pair("whole", WholeTensorNorm(4)) {
      affine(standardized($1, [0, 1, 2, 3]), $0.scale, $0.shift)
    },
    Pair("layer of positions", LayerNorm(4)) { affine(standardized($1, [3]), $0.scale, $0.shift) },
    Pair("layer of two axes", LayerNorm([3, 4])) {
      affine(standardized($1, [2, 3]), $0.scale, $0.shift)
    },
    Pair("layer of samples", LayerNorm([2, 3, 4])) {
      affine(standardized($1, [1, 2, 3]), $0.scale, $0.shift)
    },
    Pair("RMS", RMSNorm([3, 4], epsilon: 1e-3)) {
      affine($1 / (mean($1.squared(), [2, 3]) + 1e-3).squareRoot(), $0.scale, nil)
    },
    Pair("instance", InstanceNorm(4, affine: true)) {
      affine(standardized($1, [1, 2]), $0.scale, $0.shift)
    },
    Pair("groups", GroupNorm(2, 4)) {
      let parts = $1.reshaped([3, 2, 3, 2, 2])
      return affine(standardized(parts, [1, 2, 4]).reshaped([3, 2, 3, 4]), $0.scale, $0.shift)
    },
    Pair("pixel, mean", PixelNorm()) { $1 / (mean($1.squared(), [3]) + $0.epsilon).squareRoot() },
    Pair("pixel, sum", PixelNorm(.sum)) {
      $1 / ($1.squared().sum(axes: [3], keepsAxes: true) + $0.epsilon).squareRoot()
    },
    Pair("L2", L2Norm(affine: 4)) {
      affine($1 / $1.squared().sum(axes: [3], keepsAxes: true).squareRoot(), $0.scale, $0.shift)
    },
    Pair("mean-variance", MeanVarianceNorm(axes: [0, 2], epsilon: 0.3)) {
      ($1 - mean($1, [0, 2])) / (variance($1, [0, 2]).squareRoot() + $0.epsilon)
    },
    Pair("double centering", DoubleCentering(), [4, 5]) {
      $1 - mean($1, [0]) - mean($1, [1]) + mean($1, [0, 1])
    },
    Pair("batch-instance", BatchInstanceNorm(4)) { norm, x in
      let rho = x.trace.variable(norm.rho)
      let z = rho * standardized(x, [0, 1, 2]) + (1 - rho) * standardized(x, [1, 2])
      return affine(z, norm.scale, norm.shift)
    },
    Pair("mixed", MixedNorm(4, sources: [.layer, .batch, .instance])) { norm, x in
      func weighted(_ statistic: (Variable, [Int]) -> Variable, _ weights: Parameter) -> Variable {
        let weights = x.trace.apply(.softmax, [x.trace.variable(weights)])[0]
        let parts = [[1, 2, 3], [0, 1, 2], [1, 2]].enumerated().map {
          statistic(x, $0.element) * weights.sliced(axis: 0, from: $0.offset, count: 1)
        }
        return parts[0] + parts[1] + parts[2]
      }
      let (m, v) = (weighted(mean, norm.meanWeights), weighted(variance, norm.varianceWeights))
      return affine((x - m) / (v + 1e-5).squareRoot(), norm.scale, norm.shift)
    },
    Pair("ghost", GhostBatchNorm(4, shards: 2), [5, 3, 4]) { norm, x in
      let parts = x.split(axis: 0, into: [2, 3]).map { standardized($0, [0, 1]) }
      return affine(.concatenation(parts, axis: 0), norm.norm.scale, norm.norm.shift)
    },
    Pair(
      "weights", BatchNorm(4), [image, .float32(try! Tensor([0.5, 2, 1], shape: [3]))],
      excluding: ["x1"], { $0($1[0], weights: $1[1]) }
    ) { norm, x in
      let w = x[1].reshaped([3, 1, 1, 1])
      let n = x[1].sum() * 6
      let m = (x[0] * w).sum(axes: [0, 1, 2]) / n
      let v = ((x[0] - m).squared() * w).sum(axes: [0, 1, 2]) / n
      return affine((x[0] - m) / (v + 1e-5).squareRoot(), norm.scale, norm.shift)
    },
    Pair(
      "synchronized", SynchronizedBatchNorm(4), [image, .normal([2, 2, 3, 4], seed: 9)],
      { .concatenation($0($1), axis: 0) }
    ) { norm, x in
      affine(
        standardized(.concatenation(x, axis: 0), [0, 1, 2]), norm.norm.scale, norm.norm.shift)
    },
    Pair(
      "domain", DomainBatchNorm(4, domains: 2), [image, .labels([1, 0, 1])],
      { $0($1[0], domains: $1[1]) }
    ) { norm, x in
      let parts = x[0].split(axis: 0, into: [1, 1, 1])
      let one = standardized(.concatenation([parts[0], parts[2]], axis: 0), [0, 1, 2])
      let zero = standardized(parts[1], [0, 1, 2])
      let pair = one.split(axis: 0, into: [1, 1])
      let z = Variable.concatenation([pair[0], zero, pair[1]], axis: 0)
      return rows(norm.scale, x[1]) * z + rows(norm.shift, x[1])
    },
    Pair(
      "conditional", ConditionalNorm(4, conditions: 3), [image, .labels([2, 0, 2])],
      { $0($1[0], condition: $1[1]) }
    ) { norm, x in
      rows(norm.scale, x[1]) * standardized(x[0], [1, 2]) + rows(norm.shift, x[1])
    },
    Pair(
      "adaptive", AdaptiveInstanceNorm(),
      [image, .normal([3, 4], seed: 6), .normal([3, 4], seed: 7)],
      { $0($1[0], scale: $1[1], shift: $1[2]) }
    ) { _, x in spread(x[1]) * standardized(x[0], [1, 2]) + spread(x[2]) },
    Pair(
      "style", AdaptiveInstanceNorm(), [image, .normal([3, 4, 2, 4], seed: 8)],
      { $0($1[0], style: $1[1]) }
    ) { _, x in
      (variance(x[1], [1, 2]) + 1e-5).squareRoot() * standardized(x[0], [1, 2])
        + mean(x[1], [1, 2])
    },
    Pair(
      "spatially adaptive", BatchNorm(4, affine: false),
      [image, .normal(NormCase.image, seed: 6), .normal(NormCase.image, seed: 7)],
      { $0($1[0], scale: $1[1], shift: $1[2]) }
    ) { _, x in x[1] * standardized(x[0], [0, 1, 2]) + x[2] },
    Pair(
      "regions", RegionNorm(4, epsilon: 0.25),
      [image, .labels(Array(repeating: 0, count: 6) + Array(repeating: 1, count: 12), [3, 2, 3])],
      { $0($1[0], regions: $1[1]) }
    ) { norm, x in
      // Region 0 is sample 0, region 1 the others: ε·18/6 and ε·18/12.
      let parts = x[0].split(axis: 0, into: [1, 2])
      let z = zip(parts, [0.75, 0.375] as [Float]).enumerated().map { region, part in
        affine(
          standardized(part.0, [0, 1, 2], epsilon: part.1), nil, nil)
          * x[0].trace.variable(norm.scale!).sliced(axis: 0, from: region, count: 1)
          + x[0].trace.variable(norm.shift!).sliced(axis: 0, from: region, count: 1)
      }
      return .concatenation(z, axis: 0)
    },
  ]

  @Test(arguments: pairs)
  func equalsItsFormula(_ pair: Pair) throws {
    let graphs = try [pair.test, pair.composed].map { try $0.graph(.training) }
    let names = pair.test.differentiableNames(graphs[0])
    #expect(Set(names) == Set(pair.composed.differentiableNames(graphs[1])))
    let results = try graphs.map { graph in
      try graph.contracted("y", seed: 37)
        .differentiated(contractedName, withRespectTo: .named(names))
        .reference(pair.test.inputs).outputs
    }
    for name in ["y"] + names.map(Graph.gradientName) {
      // ε is a Float where it stands in arithmetic, and where it stands in a norm.
      expectClose(results[0][name]!, results[1][name]!, bound: 1e-11, "\(pair): \(name)")
    }
  }
}
