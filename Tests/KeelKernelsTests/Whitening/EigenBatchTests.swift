import KeelKernels
import KeelTensor
import Synchronization
import Testing

@Suite struct EigenBatchTests {
  /// Lower triangles; what lies above is NaN, which must not be read.
  private func decompose(
    _ batch: EigenBatch, _ matrices: [Double], threads: Int = 1
  ) throws -> (values: [Double], vectors: [Double]) {
    let order = batch.order
    var a = matrices
    for i in a.indices where i % order > i / order % order { a[i] = .nan }
    let parallelism = Parallelism(threads: threads)
    var values = [Double](repeating: .nan, count: batch.count * order)
    var vectors = [Double](repeating: .nan, count: a.count)
    var workspace = [Double](repeating: .nan, count: batch.workspaceCount(parallelism))
    var v = values.mutableSpan
    var q = vectors.mutableSpan
    var w = workspace.mutableSpan
    try batch.run(
      matrices: a.span, values: &v, vectors: &q, workspace: &w, parallelism: parallelism)
    return (values, vectors)
  }

  /// x·xᵀ of random rows, `rank` of them, minus `shift` on the diagonal.
  private func matrices(
    _ order: Int, _ count: Int, rank: Int, shift: Double = 0, seed: UInt64 = 61
  ) -> [Double] {
    var source = RandomSource(seed: seed)
    return (0..<count).flatMap { _ in
      let x = (0..<order * rank).map { _ in 2 * source.uniform() - 1 }
      return (0..<order * order).map { index in
        let (i, j) = (index / order, index % order)
        return (0..<rank).reduce(i == j ? -shift : 0) { $0 + x[i * rank + $1] * x[j * rank + $1] }
      }
    }
  }

  /// A·v = λ·v and V·Vᵀ = I to 1e-14 of the largest eigenvalue, the order of values and the signs.
  private func check(
    _ matrices: [Double], _ result: (values: [Double], vectors: [Double]), order n: Int,
    _ comment: Comment
  ) {
    var (residual, gram) = (0.0, 0.0)
    for matrix in 0..<matrices.count / (n * n) {
      let a = matrices[(matrix * n * n)...].prefix(n * n).map { $0 }
      let v = result.vectors[(matrix * n * n)...].prefix(n * n).map { $0 }
      let values = result.values[(matrix * n)...].prefix(n).map { $0 }
      let largest = max(values.map(abs).max()!, .leastNormalMagnitude)
      for k in 0..<n {
        for i in 0..<n {
          var (image, dot) = (0.0, 0.0)
          for j in 0..<n {
            image += a[i * n + j] * v[k * n + j]
            dot += v[k * n + j] * v[i * n + j]
          }
          residual = worse(residual, abs(image - values[k] * v[k * n + i]) / largest)
          gram = worse(gram, abs(dot - (i == k ? 1 : 0)))
        }
        let row = v[(k * n)...].prefix(n)
        #expect(row.first { abs($0) == row.map(abs).max()! }! > 0, comment)
      }
      #expect(zip(values, values.dropFirst()).allSatisfy { $0 <= $1 }, comment)
    }
    #expect(residual <= 1e-14, comment)
    #expect(gram <= 1e-14, comment)
  }

  private func worse(_ a: Double, _ b: Double) -> Double { b <= a ? a : b }

  static let orders = [1, 2, 3, 4, 5, 8, 16, 17, 24, 25, 32, 33, 48]

  @Test(arguments: orders, EigenBatch.Method.allCases)
  func residualAndOrthogonality(order: Int, method: EigenBatch.Method) throws {
    let batch = EigenBatch(order: order, count: 5, method: method)
    for (name, a) in [
      ("definite", matrices(order, 5, rank: order + 3)),
      ("indefinite", matrices(order, 5, rank: order + 3, shift: 1)),
      ("of lower rank", matrices(order, 5, rank: order / 2)),
      ("zero", matrices(order, 5, rank: 0)),
      ("with one eigenvalue", matrices(order, 5, rank: 0, shift: -3)),
      ("large", matrices(order, 5, rank: order).map { $0 * 0x1p900 }),
      ("small", matrices(order, 5, rank: order).map { $0 * 0x1p-900 }),
    ] {
      check(
        a, try decompose(batch, a), order: order, "\(name), order \(order), \(method), seed 61")
    }
  }

  /// 2·I + u·uᵀ with |u| = 1, and a diagonal matrix whose order is not that of its values.
  @Test(arguments: [2, 3, 16, 32], EigenBatch.Method.allCases)
  func repeatedEigenvalues(order: Int, method: EigenBatch.Method) throws {
    let batch = EigenBatch(order: order, count: 1, method: method)
    let a = (0..<order * order).map {
      1 / Double(order) + ($0 / order == $0 % order ? 2 : 0)
    }
    let result = try decompose(batch, a)
    check(a, result, order: order, "2·I + u·uᵀ")
    for (k, value) in result.values.enumerated() {
      #expect(abs(value - (k == order - 1 ? 3 : 2)) <= 1e-14)
    }
    let diagonal = (0..<order * order).map {
      $0 / order == $0 % order ? Double($0 % order % 2) : 0
    }
    let sorted = try decompose(batch, diagonal)
    check(diagonal, sorted, order: order, "diagonal")
    #expect(sorted.values == (0..<order).map { $0 < (order + 1) / 2 ? 0 : 1 })
  }

  /// With distinct eigenvalues, vectors too, since their signs follow one rule.
  @Test(arguments: orders) func methodsAgree(order: Int) throws {
    let a = matrices(order, 3, rank: order + 3)
    let found = try EigenBatch.Method.allCases.map {
      try decompose(EigenBatch(order: order, count: 3, method: $0), a)
    }
    for (x, y) in zip(found[0].values, found[1].values) {
      #expect(abs(x - y) <= 1e-14 * found[1].values.max()!, "order \(order)")
    }
    guard order <= 8 else { return }
    for (x, y) in zip(found[0].vectors, found[1].vectors) {
      #expect(abs(x - y) <= 1e-11, "order \(order)")
    }
  }

  /// A matrix's bits do not depend on its neighbours, on the number of threads.
  @Test(arguments: [3, 16, 24, 40], EigenBatch.Method.allCases)
  func determinism(order: Int, method: EigenBatch.Method) throws {
    let size = order * order
    var a = matrices(order, 9, rank: order + 3)
    // A neighbour that converges at once, one with equal eigenvalues, one that takes long.
    a.replaceSubrange(size..<2 * size, with: matrices(order, 1, rank: 0))
    a.replaceSubrange(2 * size..<3 * size, with: matrices(order, 1, rank: 0, shift: -1))
    a.replaceSubrange(3 * size..<4 * size, with: matrices(order, 1, rank: 2, shift: 1e-8))
    let all = try decompose(EigenBatch(order: order, count: 9, method: method), a)
    for threads in [2, 4] {
      let again = try decompose(
        EigenBatch(order: order, count: 9, method: method), a, threads: threads)
      #expect(sameBits(all.values, again.values) && sameBits(all.vectors, again.vectors))
    }
    for matrix in 0..<9 {
      let own = Array(a[matrix * size..<(matrix + 1) * size])
      let one = try decompose(EigenBatch(order: order, count: 1, method: method), own)
      let values = all.values[matrix * order..<(matrix + 1) * order]
      let vectors = all.vectors[matrix * size..<(matrix + 1) * size]
      #expect(sameBits(one.values, Array(values)), "matrix \(matrix)")
      #expect(sameBits(one.vectors, Array(vectors)), "matrix \(matrix)")
    }
  }

  private func sameBits(_ a: [Double], _ b: [Double]) -> Bool {
    a.map(\.bitPattern) == b.map(\.bitPattern)
  }

  @Test(arguments: EigenBatch.Method.allCases) func nonFiniteInputThrows(
    method: EigenBatch.Method
  ) throws {
    let good = matrices(3, 6, rank: 4)
    var bad = good
    bad[4 * 9 + 7] = .infinity
    bad[5 * 9] = .nan
    let batch = EigenBatch(order: 3, count: 6, method: method)
    let error = #expect(throws: KeelError.self) { try decompose(batch, bad, threads: 2) }
    #expect(error?.kind == .value)
    #expect(error?.place.hasSuffix("matrix 4 of 6") == true)
    #expect(error?.found.hasSuffix("row 2, column 1") == true)
  }

  @Test func failureOfLAPACKThrows() throws {
    let calls = Atomic(0)
    let batch = EigenBatch(order: 2, count: 4, method: .lapack) { _, a, values, _ in
      calls.add(1, ordering: .relaxed)
      return a[0] == 7 ? 3 : 0
    }
    var a = [Double](repeating: 1, count: 16)
    a[8] = 7
    a[12] = 7
    let error = #expect(throws: KeelError.self) { try decompose(batch, a) }
    #expect(error?.kind == .numerical)
    #expect(error?.place.hasSuffix("matrix 2 of 4") == true)
    #expect(error?.found.contains("failure 3") == true)
    #expect(calls.load(ordering: .relaxed) == 4)
  }

  /// In place, with a workspace at any address, as kernels call it; and the order decides the method.
  @Test(arguments: [16, 100]) func inPlace(order: Int) throws {
    let batch = EigenBatch(order: order, count: 2)
    #expect(batch.method == (order == 16 ? .jacobi : .lapack))
    let a = matrices(order, 2, rank: order)
    let expected = try decompose(batch, a)
    var (vectors, values) = (a, [Double](repeating: 0, count: 2 * order))
    var workspace = [Double](repeating: 0, count: batch.workspaceCount(.serial) + 1)
    try vectors.withUnsafeMutableBufferPointer { vectors in
      try workspace.withUnsafeMutableBufferPointer { workspace in
        try batch.run(
          matrices: UnsafePointer(vectors.baseAddress!), values: &values,
          vectors: vectors.baseAddress!, workspace: workspace.baseAddress! + 1,
          parallelism: .serial)
      }
    }
    #expect(values == expected.values && vectors == expected.vectors)
  }

  @Test func nothingToDo() throws {
    for (order, count) in [(0, 3), (3, 0)] {
      let batch = EigenBatch(order: order, count: count)
      #expect(batch.workspaceCount(.serial) == 0)
      var (none, values, workspace) = ([Double](), [Double](), [Double]())
      var v = none.mutableSpan
      var q = values.mutableSpan
      var w = workspace.mutableSpan
      try batch.run(matrices: [Double]().span, values: &q, vectors: &v, workspace: &w)
    }
  }
}
