import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport

extension NormCase {
  /// Every named norm, with its options.
  static let all: [NormCase] =
    batch + subBatch + synchronized + samples + vectors + mixed + outside + spectral
    + whitening

  static let image: Shape = [3, 2, 3, 4]

  static let batch: [NormCase] = [
    NormCase("batch, vectors", BatchNorm(4), [6, 4]),
    NormCase("batch, sequences", BatchNorm(3, epsilon: 1e-3), [2, 4, 3]),
    NormCase("batch, images", BatchNorm(4, momentum: 0.3), image),
    NormCase("batch, volumes", BatchNorm(2), [2, 2, 2, 2, 2]),
    NormCase("batch, decay", BatchNorm(4, decay: 0.75), image),
    NormCase("batch, cumulative", BatchNorm(4, momentum: nil), image),
    NormCase("batch, without affine", BatchNorm(4, affine: false), image),
    NormCase("batch, frozen", BatchNorm(4, frozen: true), image),
    NormCase(
      "batch, without running statistics", BatchNorm(4, tracksRunningStatistics: false), image),
    NormCase("whole tensor", WholeTensorNorm(4), image),
    NormCase("whole tensor, without affine", WholeTensorNorm(4, affine: false), [5, 4]),
    NormCase(
      "batch, weights of samples", BatchNorm(4),
      [.normal(image), .float32(try! Tensor([0.5, 2, 0], shape: [3]))], excluding: ["x1"]
    ) { $0($1[0], weights: $1[1]) },
    NormCase(
      "batch, weights of positions", BatchNorm(2),
      [.normal([2, 3, 2]), .float32(try! Tensor([1, 1, 0, 1, 0, 1], shape: [2, 3]))],
      excluding: ["x1"]
    ) { $0($1[0], weights: $1[1]) },
  ]

  static let subBatch: [NormCase] = [
    NormCase("ghost", GhostBatchNorm(4, shards: 2), [5, 3, 4]),
    NormCase("ghost, cumulative", GhostBatchNorm(4, shards: 3, momentum: nil), [11, 4]),
    NormCase(
      "domain", DomainBatchNorm(4, domains: 2), [.normal([5, 3, 4]), .labels([1, 0, 0, 1, 1])]
    ) { $0($1[0], domains: $1[1]) },
    NormCase(
      "domain, shared affine", DomainBatchNorm(4, domains: 3, sharesAffine: true, momentum: nil),
      [.normal([4, 3, 4]), .labels([2, 0, 2, 2])]
    ) { $0($1[0], domains: $1[1]) },
    NormCase("switchable", SwitchableBatchNorm([2, 4]), [.normal([6, 4])]) { $0($1[0], width: 1) },
    NormCase(
      "recurrent", RecurrentBatchNorm(4, steps: 2),
      [.normal([6, 4]), .normal([6, 4], seed: 2), .normal([6, 4], seed: 3)]
    ) { norm, x in
      .concatenation(x.enumerated().map { norm($0.element, step: $0.offset) }, axis: 0)
    },
    NormCase(
      "region", RegionNorm(2),
      [.normal([2, 3, 2]), .labels([0, 1, 1, 0, 0, 1], [2, 3])]
    ) { $0($1[0], regions: $1[1]) },
    NormCase(
      "region, without affine, one empty", RegionNorm(2, regions: 3, affine: false),
      [.normal([2, 3, 2]), .labels([0, 2, 2, 0, 0, 2], [2, 3])]
    ) { $0($1[0], regions: $1[1]) },
  ]

  static let synchronized: [NormCase] = [(nil, 3), (2, 4), (1, 2)].map {
    (groupSize: Int?, shards: Int) in
    NormCase(
      "synchronized, \(shards) shards in groups of \(groupSize ?? shards)",
      SynchronizedBatchNorm(3, groupSize: groupSize),
      (0..<shards).map { .normal([2 + $0 % 2, 2, 3], mean: Double($0), seed: UInt64($0 + 40)) }
    ) { .concatenation($0($1), axis: 0) }
  }

  static let samples: [NormCase] = [
    NormCase("layer, vectors", LayerNorm(5), [3, 5]),
    NormCase("layer, positions", LayerNorm(4), image),
    NormCase("layer, last two axes", LayerNorm([3, 4]), image),
    NormCase("layer, samples", LayerNorm([2, 3, 4]), image),
    NormCase("layer, per channel", LayerNorm(perChannel: 4), image),
    NormCase("layer, without shift", LayerNorm([3, 4], shift: false), image),
    NormCase("layer, without affine", LayerNorm([2, 3, 4], affine: false), image),
    NormCase("RMS, vectors", RMSNorm(5), [3, 5]),
    NormCase("RMS, last two axes", RMSNorm([3, 4], epsilon: 1e-3), image),
    NormCase("RMS, samples", RMSNorm([2, 3, 4], affine: false), image),
    NormCase("instance", InstanceNorm(4), image),
    NormCase("instance, affine", InstanceNorm(4, affine: true), [2, 5, 4]),
    NormCase(
      "instance, running statistics",
      InstanceNorm(4, momentum: 0.2, affine: true, tracksRunningStatistics: true), image),
    NormCase("groups", GroupNorm(2, 4), image),
    NormCase("groups, without affine", GroupNorm(4, 4, affine: false), image),
    NormCase("groups of vectors", GroupNorm(2, 6), [3, 6]),
  ]

  static let whitening: [NormCase] = [
    NormCase("decorrelated", DecorrelatedBatchNorm(4, blockSize: 2), image),
    NormCase(
      "decorrelated, PCA, a smaller block",
      DecorrelatedBatchNorm(5, blockSize: 3, method: .pca, epsilon: 1e-3, momentum: 0.3), [9, 5]),
    NormCase(
      "decorrelated, average covariance",
      DecorrelatedBatchNorm(4, average: .covariance, affine: false), image),
    NormCase("IterNorm", IterNorm(4), image),
    NormCase("IterNorm, plain, blocks", IterNorm(5, blockSize: 2, coupled: false), [3, 4, 5]),
    NormCase("IterNorm, average covariance", IterNorm(4, steps: 9, average: .covariance), image),
    NormCase("Cholesky", CholeskyWhitening(4, shrinkage: 0.1), image),
    NormCase(
      "Cholesky, average matrix, a smaller block",
      CholeskyWhitening(5, blockSize: 3, epsilon: 1e-3, average: .matrix), [9, 5]),
    NormCase("group whitening", GroupWhitening(2, 4), image),
    NormCase("group whitening, ZCA", GroupWhitening(3, 6, steps: nil), [2, 5, 6]),
    NormCase(
      "whitening and coloring", WhiteningColoring(),
      [.normal([2, 3, 3, 4]), .normal([2, 7, 1, 4], seed: 5)]
    ) { $0($1[0], style: $1[1]) },
    NormCase(
      "whitening and coloring by blocks, blended",
      WhiteningColoring(blockSize: 2, method: .cholesky, blend: 0.6, epsilon: 1e-3),
      [.normal([2, 3, 3, 5]), .normal([2, 4, 4, 5], seed: 6)]
    ) { $0($1[0], style: $1[1]) },
  ]

  static let vectors: [NormCase] =
    [
      NormCase("pixel, mean", PixelNorm(), image),
      NormCase("pixel, sum", PixelNorm(.sum), [4, 5]),
      NormCase("L2", L2Norm(), image),
      NormCase("L2, affine", L2Norm(affine: 4), [5, 4]),
      NormCase("domain normalization", Sequential(InstanceNorm(4), L2Norm(affine: 4)), image),
      NormCase("double centering", DoubleCentering(), [4, 5]),
    ]
    + [[0, 1, 2], [1, 2], [-1], [2], [1, 3], [0, 1, 2, 3], [0, 3], [1, 2, 3]].map {
      NormCase("mean-variance over \($0)", MeanVarianceNorm(axes: $0), image)
    }

  static let mixed: [NormCase] = [
    NormCase("batch-instance", BatchInstanceNorm(4), image),
    NormCase("mixed", MixedNorm(4), image),
    NormCase("mixed of three", MixedNorm(4, sources: [.layer, .batch, .instance]), image),
    NormCase(
      "mixed per channel", MixedNorm(4, sources: [.batch, .layer, .instance], perChannel: true),
      image),
    NormCase("mixed, instance and layer", MixedNorm(4, sources: [.instance, .layer]), image),
    NormCase("mixed, batch and layer", MixedNorm(4, sources: [.batch, .layer]), image),
    NormCase(
      "mixed, batch alone", MixedNorm(4, sources: [.batch]), image,
      excluding: ["meanWeights", "varianceWeights"]),
  ]

  static let outside: [NormCase] = [
    NormCase(
      "conditional", ConditionalNorm(4, conditions: 3), [.normal(image), .labels([2, 0, 2])],
    ) { $0($1[0], condition: $1[1]) },
    NormCase(
      "conditional, blended", ConditionalNorm(4, conditions: 2, partition: .group(2)),
      [.normal(image), .normal([3, 2], seed: 5)]
    ) { $0($1[0], condition: $1[1]) },
    NormCase(
      "adaptive, per sample", AdaptiveInstanceNorm(),
      [.normal(image), .normal([3, 4], seed: 6), .normal([3, 4], seed: 7)]
    ) { $0($1[0], scale: $1[1], shift: $1[2]) },
    NormCase(
      "adaptive, maps", AdaptiveInstanceNorm(epsilon: 1e-8),
      [.normal(image), .normal(image, seed: 6), .normal(image, seed: 7)]
    ) { $0($1[0], scale: $1[1], shift: $1[2]) },
    NormCase(
      "adaptive, style", AdaptiveInstanceNorm(), [.normal(image), .normal([3, 4, 2, 4], seed: 8)]
    ) { $0($1[0], style: $1[1]) },
    NormCase(
      "adaptive, style blended", AdaptiveInstanceNorm(),
      [.normal(image), .normal([3, 4, 2, 4], seed: 8)]
    ) { $0($1[0], style: $1[1], strength: 0.6) },
    NormCase(
      "self-modulation", BatchNorm(4, affine: false),
      [.normal(image), .normal([3, 4], seed: 6), .normal([3, 4], seed: 7)]
    ) { $0($1[0], scale: $1[1], shift: $1[2]) },
    NormCase(
      "spatially adaptive", BatchNorm(4, affine: false),
      [.normal(image), .normal(image, seed: 6), .normal(image, seed: 7)]
    ) { $0($1[0], scale: $1[1], shift: $1[2]) },
  ]

  static let spectral: [NormCase] = {
    var source = RandomSource(seed: 34)
    let linear = Linear(5, 3, using: &source)
    let convolution = Conv2d(4, 3, kernel: 2, using: &source)
    let transposed = ConvTranspose2d(4, 3, kernel: 2, stride: 2, using: &source)
    return [
      NormCase(
        "spectral, linear", SpectralNorm(linear, weight: linear.weight, using: &source), [2, 5],
        stepsOutsideGradient: true),
      NormCase(
        "spectral, convolution",
        SpectralNorm(convolution, weight: convolution.weight, iterations: 3, using: &source),
        image, stepsOutsideGradient: true),
      NormCase(
        "spectral, transposed convolution",
        SpectralNorm(transposed, weight: transposed.weight, axis: -1, using: &source), image,
        stepsOutsideGradient: true),
    ]
  }()
}
