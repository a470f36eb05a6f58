import BenchmarkHarness
import Keel

/// Eigendecompositions of a count of matrices of one order.
struct EigenLine: Sendable {
  let order: Int
  let count: Int

  /// The line's name in tables.
  var name: String { "eigen \(order) x\(count)" }

  static let all: [EigenLine] = [2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256].flatMap { order in
    [1, 4, 16].map { EigenLine(order: order, count: $0) }
  }

  /// Checks and times both methods.
  func measure(threads: Int, sampling: Sampling) throws -> EigenResult {
    let matrices = covariances()
    let contenders = try EigenBatch.Method.allCases.map { method in
      let run = EigenRun(EigenBatch(order: order, count: count, method: method), threads: threads)
      try run.decompose(matrices)
      try check(run, matrices)
      return Contender(method.rawValue, consume: { run.checksum() }) { try run.decompose(matrices) }
    }
    return EigenResult(self, threads: threads, try compare(contenders, sampling: sampling))
  }

  /// XᵀX/M of M = 2·order random rows, whose columns differ in size.
  private func covariances() -> [Double] {
    var random = RandomSource(seed: 5)
    let rows = 2 * order
    return (0..<count).flatMap { _ in
      let x = (0..<rows * order).map {
        (2 * random.uniform() - 1) * (1 + Double($0 % order) / 8)
      }
      var covariance = [Double](repeating: 0, count: order * order)
      for row in 0..<rows {
        for i in 0..<order {
          let factor = x[row * order + i] / Double(rows)
          for j in 0..<order { covariance[i * order + j] += factor * x[row * order + j] }
        }
      }
      return covariance
    }
  }

  /// A·v = λ·v and |v| = 1 for some of the vectors.
  private func check(_ run: EigenRun, _ matrices: [Double]) throws {
    for matrix in Set([0, count - 1]) {
      let largest = run.values[(matrix + 1) * order - 1]
      for k in Set([0, order / 2, order - 1]) {
        let v = run.vectors[((matrix * order + k) * order)...].prefix(order).map { $0 }
        var (residual, length) = (0.0, 0.0)
        for i in 0..<order {
          let row = matrices[((matrix * order + i) * order)...].prefix(order)
          let image = zip(row, v).reduce(0) { $0 + $1.0 * $1.1 }
          residual = max(residual, abs(image - run.values[matrix * order + k] * v[i]))
          length += v[i] * v[i]
        }
        guard residual <= 1e-13 * largest, abs(length - 1) <= 1e-13 else {
          throw Mismatch(
            description:
              "\(name), \(run.batch.method): vector \(k) of matrix \(matrix) has a residual of "
              + "\(residual / largest) and a squared length of \(length)")
        }
      }
    }
  }
}

/// One method with its memory.
private final class EigenRun {
  let batch: EigenBatch
  private(set) var values: [Double]
  private(set) var vectors: [Double]
  private var workspace: [Double]
  private let parallelism: Parallelism

  init(_ batch: EigenBatch, threads: Int) {
    self.batch = batch
    parallelism = Parallelism(threads: threads)
    values = Array(repeating: 0, count: batch.count * batch.order)
    vectors = Array(repeating: 0, count: batch.count * batch.order * batch.order)
    workspace = Array(repeating: 0, count: batch.workspaceCount(parallelism))
  }

  func decompose(_ matrices: [Double]) throws {
    try Self.run(batch, matrices, &values, &vectors, &workspace, parallelism)
  }

  /// Spans of variables: those of an object's properties would not end with the call.
  private static func run(
    _ batch: EigenBatch, _ matrices: [Double], _ values: inout [Double],
    _ vectors: inout [Double], _ workspace: inout [Double], _ parallelism: Parallelism
  ) throws {
    var values = values.mutableSpan
    var vectors = vectors.mutableSpan
    var workspace = workspace.mutableSpan
    try batch.run(
      matrices: matrices.span, values: &values, vectors: &vectors, workspace: &workspace,
      parallelism: parallelism)
  }

  func checksum() -> Double { values.reduce(0, +) + vectors.reduce(0, +) }
}
