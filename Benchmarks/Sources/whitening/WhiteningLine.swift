import BenchmarkHarness
import Keel

/// One pass of one whitening, beside its matrix products alone.
struct WhiteningLine {
  let whitening: WhiteningCase
  let trains: Bool

  /// What `--lines` matches, such as `zca(16) 32x28x28x64 training`.
  var name: String { whitening.name + (trains ? " training" : " forward") }

  /// The lines of the suite `whitening` of peers/compare.py.
  static let all: [WhiteningLine] = {
    let images: [Shape] = [[32, 28, 28, 64], [32, 28, 28, 256]]
    let whole = WhiteningCase.Method.allCases.filter { $0 != .transfer }.flatMap { method in
      images.flatMap { shape in
        [16, 64].map { WhiteningCase(method, blockSize: $0, shape) }
      }
    }
    let maps = [64, 256].map { WhiteningCase(.transfer, blockSize: $0, [1, 64, 64, $0]) }
    return (whole + maps).flatMap { whitening in
      [false, true].map { WhiteningLine(whitening: whitening, trains: $0) }
    }
  }()

  /// Checks and times the pass and the products.
  func measure(threads: Int, sampling: Sampling) throws -> WhiteningResult {
    let graph = try whitening.graph(trains: trains)
    var random = RandomSource(seed: 17)
    var inputs: [String: Tensor] = [:]
    for (name, shape) in NormalizationCase.inputShapes(of: graph).sorted(by: { $0.key < $1.key }) {
      inputs[name] = Tensor(uniform: shape, from: -1, to: name == "style" ? 2 : 3, using: &random)
    }
    let planned = try PlannedGraph(graph, inputs: inputs, threads: threads)
    try planned.run()
    try check(try planned.output(), style: inputs["style"])
    let floor = ProductFloor(whitening, trains: trains, threads: threads)
    let comparison = try compare(
      [
        Contender("keel", consume: planned.checksum, body: planned.run),
        Contender("floor", consume: floor.checksum, body: floor.run),
      ], sampling: sampling)
    return WhiteningResult(
      self, threads: threads, multiplyAdds: floor.multiplyAdds, comparison)
  }

  /// The variance of a whitened channel of x, whose channels are independent and equally wide: 1, or what
  /// five steps of Newton and Schulz make of eigenvalues 1/d.
  private var variance: Double {
    guard whitening.method == .iterNorm else { return 1 }
    let eigenvalue = 1 / Double(whitening.blockSize)
    let root = (0..<5).reduce(1.0) { p, _ in 1.5 * p - 0.5 * p * p * p * eigenvalue }
    return root * root * eigenvalue
  }

  /// Mean and covariance of the first channels of a block, which are known, or those of the style.
  private func check(_ y: Tensor, style: Tensor?) throws {
    let count = min(4, whitening.blockSize)
    let found = Self.statistics(y, count)
    let expected =
      style.map { Self.statistics($0, count) }
      ?? [Double](repeating: 0, count: count)
      + (0..<count * count).map { $0 % (count + 1) == 0 ? variance : 0 }
    // ε moves variances by a thousandth, and a sample's covariances are not quite 0.
    for (a, b) in zip(found, expected) where !(abs(a - b) <= 0.02) {
      throw Mismatch(description: "\(name): a mean or covariance of \(a), expected \(b)")
    }
  }

  /// For each of the first channels its mean, and its covariances with them.
  private static func statistics(_ x: Tensor, _ count: Int) -> [Double] {
    let (values, channels) = (x.elements, x.shape[x.shape.rank - 1])
    let rows = values.count / channels
    var means = [Double](repeating: 0, count: count)
    for row in 0..<rows {
      for i in 0..<count { means[i] += Double(values[row * channels + i]) / Double(rows) }
    }
    var covariances = [Double](repeating: 0, count: count * count)
    for row in 0..<rows {
      for i in 0..<count {
        let first = (Double(values[row * channels + i]) - means[i]) / Double(rows)
        for j in 0..<count {
          covariances[i * count + j] += first * (Double(values[row * channels + j]) - means[j])
        }
      }
    }
    return means + covariances
  }
}
