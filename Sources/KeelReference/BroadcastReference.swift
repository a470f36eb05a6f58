import KeelTensor

/// Operands of different shapes, aligned at the last axis: an axis of extent 1 is read again and again.
internal enum BroadcastReference {
  /// f(a, b), element by element.
  static func combined(
    _ a: DoubleTensor, _ b: DoubleTensor, _ f: (Double, Double) -> Double
  ) -> DoubleTensor {
    let rank = max(a.shape.rank, b.shape.rank)
    let (p, q) = (aligned(a.shape, rank), aligned(b.shape, rank))
    let shape = Shape(zip(p, q).map { $0 == 1 ? $1 : $0 })
    let (from, other) = (positions(of: shape, in: p), positions(of: shape, in: q))
    return DoubleTensor(uninitialized: shape) { y in
      for i in y.indices { y[i] = f(a[flat: from[i]], b[flat: other[i]]) }
    }
  }

  /// x at each index of a larger shape, divided by the number of copies where `divides` is true.
  static func expanded(_ x: DoubleTensor, to shape: Shape, divides: Bool) -> DoubleTensor {
    let from = positions(of: shape, in: aligned(x.shape, shape.rank))
    let copies = divides ? Double(shape.elementCount / x.count) : 1
    return DoubleTensor(uninitialized: shape) { y in
      for i in y.indices { y[i] = x[flat: from[i]] / copies }
    }
  }

  private static func aligned(_ shape: Shape, _ rank: Int) -> [Int] {
    Array(repeating: 1, count: rank - shape.rank) + shape.extents
  }

  /// For each index of a shape in row-major order, the position of that index in an array of other
  /// extents, of which those that are 1 do not count.
  static func positions(of shape: Shape, in extents: [Int]) -> [Int] {
    var result = [0]
    for (axis, extent) in extents.enumerated() {
      var next: [Int] = []
      next.reserveCapacity(result.count * shape[axis])
      for position in result {
        for i in 0..<shape[axis] { next.append(extent == 1 ? position : position * extent + i) }
      }
      result = next
    }
    return result
  }
}

/// Reductions straight from their definitions.
internal enum ReductionReference {
  static func value(_ x: DoubleTensor, _ reduction: Reduction) -> DoubleTensor {
    let (shape, groups) = groups(x.shape, reduction)
    return DoubleTensor(uninitialized: shape) { y in
      for (i, group) in groups.enumerated() {
        let values = group.map { x[flat: $0] }
        y[i] =
          switch reduction.kind {
          case .sum: values.reduce(0, +)
          case .mean: values.reduce(0, +) / Double(values.count)
          case .maximum, .minimum: values[extreme(values, reduction.kind)]
          case .absoluteSum: values.reduce(0) { $0 + abs($1) }
          case .euclideanNorm: values.reduce(0) { $0 + $1 * $1 }.squareRoot()
          }
      }
    }
  }

  /// dy at the first extreme, 0 elsewhere.
  static func extremeGradient(
    _ dy: DoubleTensor, x: DoubleTensor, _ reduction: Reduction
  ) -> DoubleTensor {
    var dx = DoubleTensor(zeros: x.shape)
    for (i, group) in groups(x.shape, reduction).positions.enumerated() {
      dx[flat: group[extreme(group.map { x[flat: $0] }, reduction.kind)]] = dy[flat: i]
    }
    return dx
  }

  /// The result's shape, and for each of its elements the positions in x, in rising order, of what goes
  /// into it.
  private static func groups(_ shape: Shape, _ reduction: Reduction) -> (
    shape: Shape, positions: [[Int]]
  ) {
    var kept = shape.extents
    for axis in reduction.axes { kept[axis] = 1 }
    var groups = [[Int]](repeating: [], count: kept.reduce(1, *))
    for (i, group) in BroadcastReference.positions(of: shape, in: kept).enumerated() {
      groups[group].append(i)
    }
    let left = shape.extents.indices.filter { !reduction.axes.contains($0) }
    return (Shape(reduction.keepsAxes ? kept : left.map { shape[$0] }), groups)
  }

  /// The first of the largest or smallest; a NaN is beyond everything.
  private static func extreme(_ values: [Double], _ kind: Reduction.Kind) -> Int {
    if let first = values.firstIndex(where: \.isNaN) { return first }
    var best = 0
    for (i, value) in values.enumerated()
    where kind == .maximum ? value > values[best] : value < values[best] { best = i }
    return best
  }
}
