internal import CKeelLoops
internal import KeelLinearAlgebra
public import KeelTensor

/// Decomposes many symmetric matrices of one order into eigenvalues and orthonormal eigenvectors, in Double.
///
///     Aₘ = Σₖ values[m, k]·vₘₖ·vₘₖᵀ,   vₘₖ = vectors[m, k, ...]
///
/// Values ascend. Eigenvector k is row k of its matrix, which is column k for a reader in column-major order;
/// its largest component, the first of equals, is positive. Nothing is promised on the basis of the space of a
/// repeated eigenvalue.
///
/// Numerics: residual and departure from orthogonality are some units of rounding times the largest
/// eigenvalue. A matrix's result has the same bits whatever matrices are beside it, on any number of threads:
/// the method depends on the order alone.
public struct EigenBatch: Sendable {
  /// How a matrix is decomposed.
  public enum Method: String, Sendable, Hashable, CaseIterable {
    /// Cyclic Jacobi rotations, one matrix in each lane of a vector: up to about 30·d³ operations, but on
    /// several matrices at once, and without LAPACK's costs for small orders.
    case jacobi
    /// `LAPACKE_dsyevd_work`, one matrix per call and thread: divide and conquer.
    case lapack
  }

  /// What `Double.unsafeSYEVD` does on lower triangles, in its place in tests.
  package typealias Syevd =
    @Sendable (
      _ order: Int, _ a: UnsafeMutablePointer<Double>, _ values: UnsafeMutablePointer<Double>,
      _ workspace: UnsafeMutablePointer<Double>
    ) -> Int

  /// The order of each matrix.
  public let order: Int
  /// The number of matrices.
  public let count: Int
  /// How they are decomposed.
  public let method: Method
  private let syevd: Syevd

  /// Makes the decomposition of `count` matrices of an order.
  /// - Parameter method: nil takes the faster one.
  public init(order: Int, count: Int, method: Method? = nil) {
    self.init(order: order, count: count, method: method) { order, a, values, workspace in
      Double.unsafeSYEVD(
        .lower, n: order, a: a, lda: max(1, order), values: values, workspace: workspace)
    }
  }

  /// Makes one that calls another function than LAPACK's.
  package init(order: Int, count: Int, method: Method? = nil, syevd: @escaping Syevd) {
    precondition(
      order >= 0 && count >= 0, "expected extents of at least 0, found \(count) of order \(order)")
    self.order = order
    self.count = count
    self.method = method ?? (order <= Self.largestJacobiOrder ? .jacobi : .lapack)
    self.syevd = syevd
  }

  /// The largest order for which Jacobi rotations are faster with all lanes filled (executable `whitening` of
  /// the benchmarks).
  public static var largestJacobiOrder: Int { loops.lanes >= 4 ? 32 : 24 }

  /// The matrices of one task.
  private var group: Int { method == .jacobi ? loops.lanes : 1 }

  /// The Doubles of a worker's scratch, whole lines of 64 bytes.
  private var workerCount: Int {
    let count =
      method == .jacobi
      ? (2 * order + 1) * order * loops.lanes : EigenWorkspace<Double>.elementCount(order: order)
    return (count + 7) & ~7
  }

  private func workers(_ parallelism: Parallelism) -> Int {
    max(1, min(parallelism.threadCount, (count + group - 1) / group))
  }

  /// The Doubles of `workspace`: scratch of each worker, the state of each matrix, room to align.
  public func workspaceCount(_ parallelism: Parallelism) -> Int {
    guard order > 0, count > 0 else { return 0 }
    return workers(parallelism) * workerCount + count + 7
  }

  /// Decomposes on pointers.
  ///
  /// - Parameters:
  ///   - matrices: count × order × order, row-major; lower triangles are read.
  ///   - values: count × order.
  ///   - vectors: count × order × order; may be `matrices`.
  ///   - workspace: `workspaceCount` Doubles, at any address.
  /// - Throws: `KeelError` of kind `value` where a triangle holds a NaN or an infinity, of kind `numerical` where
  ///   an iteration did not converge, each with the number of the first such matrix. The other matrices'
  ///   results are right then.
  package func run(
    matrices: UnsafePointer<Double>, values: UnsafeMutablePointer<Double>,
    vectors: UnsafeMutablePointer<Double>, workspace: UnsafeMutablePointer<Double>,
    parallelism: Parallelism
  ) throws(KeelError) {
    guard order > 0, count > 0 else { return }
    let aligned = UnsafeMutablePointer<Double>(
      bitPattern: (UInt(bitPattern: workspace) + 63) & ~63)!
    let states = aligned + workers(parallelism) * workerCount
    let groups = (count + group - 1) / group
    parallelism.forEach(groups, work: 20 * count * order * order * order) { task, worker in
      let first = task * group
      let members = first..<min(first + group, count)
      for matrix in members { states[matrix] = state(of: matrices + matrix * order * order) }
      let scratch = aligned + worker * workerCount
      switch method {
      case .jacobi:
        rotate(
          members, matrices: matrices, values: values, vectors: vectors, scratch: scratch,
          states: states)
      case .lapack:
        if states[first] == 0 {
          let a = vectors + first * order * order
          if a != matrices + first * order * order {
            a.update(from: matrices + first * order * order, count: order * order)
          }
          let info = syevd(order, a, values + first * order, scratch)
          precondition(info >= 0, "syevd: argument \(-info) is not valid")
          states[first] = Double(info)
          orientRows(n: order, a: a, lda: order)
        }
      }
    }
    for matrix in 0..<count where states[matrix] != 0 {
      throw error(ofMatrix: matrix, state: states[matrix])
    }
  }

  /// Jacobi rotations of a few neighbouring matrices, at most as many as there are lanes.
  private func rotate(
    _ members: Range<Int>, matrices: UnsafePointer<Double>, values: UnsafeMutablePointer<Double>,
    vectors: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Double>,
    states: UnsafeMutablePointer<Double>
  ) {
    let first = members.lowerBound
    let failed = loops.jacobi(
      values + first * order, vectors + first * order * order, matrices + first * order * order,
      order, members.count, scratch)
    for matrix in members where failed >> (matrix - first) & 1 != 0 && states[matrix] == 0 {
      states[matrix] = 1
    }
  }

  /// 0 for a lower triangle of finite numbers, else −1 − the place of the first other one.
  private func state(of matrix: UnsafePointer<Double>) -> Double {
    for row in 0..<order {
      for column in 0...row where !matrix[row * order + column].isFinite {
        return Double(-1 - row * order - column)
      }
    }
    return 0
  }

  private func error(ofMatrix matrix: Int, state: Double) -> KeelError {
    let place = "symmetric eigendecomposition: matrix \(matrix) of \(count)"
    guard state < 0 else {
      return KeelError(
        .numerical, at: place, expected: "convergence at order \(order)",
        found: "failure \(Int(state)) of the iteration")
    }
    let (row, column) = (-1 - Int(state)).quotientAndRemainder(dividingBy: order)
    return KeelError(
      .value, at: place, expected: "finite elements",
      found: "NaN or infinity at row \(row), column \(column)")
  }

  /// Decomposes on spans: see the type for the layout.
  /// - Parameter workspace: `workspaceCount` Doubles, whatever they hold.
  /// - Throws: `KeelError` of kind `value` where a lower triangle holds a NaN or an infinity, of kind
  ///   `numerical` where an iteration did not converge, each with the number of the first such matrix.
  /// - Precondition: the spans have count·order², count·order, count·order² elements and the workspace's.
  public func run(
    matrices: Span<Double>, values: inout MutableSpan<Double>, vectors: inout MutableSpan<Double>,
    workspace: inout MutableSpan<Double>, parallelism: Parallelism = Parallelism()
  ) throws(KeelError) {
    let size = count * order * order
    precondition(
      matrices.count == size && vectors.count == size && values.count == count * order,
      "expected \(size), \(count * order) and \(size) elements of matrices, values and vectors, found "
        + "\(matrices.count), \(values.count) and \(vectors.count)")
    let needed = workspaceCount(parallelism)
    precondition(
      workspace.count >= needed, "workspace: expected \(needed) elements, found \(workspace.count)")
    guard size > 0 else { return }
    // Checked above: none is empty, so that all have addresses.
    try matrices.withUnsafeBufferPointer { (matrices) throws(KeelError) in
      try values.withUnsafeMutableBufferPointer { (values) throws(KeelError) in
        try vectors.withUnsafeMutableBufferPointer { (vectors) throws(KeelError) in
          try workspace.withUnsafeMutableBufferPointer { (workspace) throws(KeelError) in
            try run(
              matrices: matrices.baseAddress!, values: values.baseAddress!,
              vectors: vectors.baseAddress!, workspace: workspace.baseAddress!,
              parallelism: parallelism)
          }
        }
      }
    }
  }
}
