import Foundation
import KeelTensor

/// A square matrix of Doubles, row by row: what the reference of whitening reckons with.
package struct SquareMatrix {
  package let order: Int
  package var elements: [Double]

  package init(_ order: Int, _ elements: [Double]) {
    self.order = order
    self.elements = elements
  }

  package init(_ order: Int, _ element: (Int, Int) -> Double) {
    self.order = order
    elements = (0..<order * order).map { element($0 / order, $0 % order) }
  }

  package static func identity(_ order: Int) -> SquareMatrix {
    SquareMatrix(order) { $0 == $1 ? 1 : 0 }
  }

  package subscript(i: Int, j: Int) -> Double {
    get { elements[i * order + j] }
    set { elements[i * order + j] = newValue }
  }

  package var transposed: SquareMatrix { SquareMatrix(order) { self[$1, $0] } }
  package var symmetric: SquareMatrix { SquareMatrix(order) { (self[$0, $1] + self[$1, $0]) / 2 } }
  package var trace: Double { (0..<order).reduce(0) { $0 + self[$1, $1] } }
  /// The lower triangle, the diagonal by a factor.
  package func lower(diagonal: Double = 1) -> SquareMatrix {
    SquareMatrix(order) { $0 > $1 ? self[$0, $1] : $0 == $1 ? diagonal * self[$0, $1] : 0 }
  }
  /// Σ aᵢⱼ·bᵢⱼ.
  package func dot(_ other: SquareMatrix) -> Double {
    zip(elements, other.elements).reduce(0) { $0 + $1.0 * $1.1 }
  }

  package static func * (a: SquareMatrix, b: SquareMatrix) -> SquareMatrix {
    SquareMatrix(a.order) { i, j in (0..<a.order).reduce(0) { $0 + a[i, $1] * b[$1, j] } }
  }
  package static func * (factor: Double, a: SquareMatrix) -> SquareMatrix {
    SquareMatrix(a.order, a.elements.map { factor * $0 })
  }
  package static func + (a: SquareMatrix, b: SquareMatrix) -> SquareMatrix {
    SquareMatrix(a.order, zip(a.elements, b.elements).map { $0 + $1 })
  }
  package static func - (a: SquareMatrix, b: SquareMatrix) -> SquareMatrix { a + -1 * b }

  /// Eigenvalues, rising, and the matrix whose columns are eigenvectors with their largest component
  /// positive: cyclic rotations of Jacobi, until what is off the diagonal is nothing beside it.
  package var eigen: (values: [Double], vectors: SquareMatrix) {
    var a = symmetric
    var u = Self.identity(order)
    for _ in 0..<60 {
      let off = (0..<order).reduce(0.0) { sum, i in
        (0..<order).reduce(sum) { $0 + ($1 == i ? 0 : a[i, $1] * a[i, $1]) }
      }
      guard off > 1e-34 * a.dot(a) else { break }
      for p in 0..<order {
        for q in p + 1..<max(order, p + 1) where a[p, q] != 0 {
          let tau = (a[q, q] - a[p, p]) / (2 * a[p, q])
          let t = (tau < 0 ? -1 : 1) / (abs(tau) + (1 + tau * tau).squareRoot())
          let c = 1 / (1 + t * t).squareRoot()
          let s = t * c
          for k in 0..<order {
            (a[k, p], a[k, q]) = (c * a[k, p] - s * a[k, q], s * a[k, p] + c * a[k, q])
          }
          for k in 0..<order {
            (a[p, k], a[q, k]) = (c * a[p, k] - s * a[q, k], s * a[p, k] + c * a[q, k])
            (u[k, p], u[k, q]) = (c * u[k, p] - s * u[k, q], s * u[k, p] + c * u[k, q])
          }
        }
      }
    }
    let rising = (0..<order).sorted { a[$0, $0] < a[$1, $1] }
    let signs = rising.map { k in
      (0..<order).map { u[$0, k] }.max { abs($0) < abs($1) }! < 0 ? -1.0 : 1.0
    }
    return (
      rising.map { a[$0, $0] }, SquareMatrix(order) { signs[$1] * u[$0, rising[$1]] }
    )
  }

  /// L of L·Lᵀ, or nil where the matrix is not positive definite.
  package var cholesky: SquareMatrix? {
    var l = SquareMatrix(order) { _, _ in 0 }
    for j in 0..<order {
      let rest = (0..<j).reduce(self[j, j]) { $0 - l[j, $1] * l[j, $1] }
      guard rest > 0 else { return nil }
      l[j, j] = rest.squareRoot()
      for i in j + 1..<max(order, j + 1) {
        l[i, j] = (0..<j).reduce(self[i, j]) { $0 - l[i, $1] * l[j, $1] } / l[j, j]
      }
    }
    return l
  }

  /// The inverse of a lower triangle.
  package var lowerInverse: SquareMatrix {
    var x = SquareMatrix(order) { _, _ in 0 }
    for j in 0..<order {
      for i in j..<order {
        let sum = (j..<i).reduce(i == j ? 1.0 : 0) { $0 - self[i, $1] * x[$1, j] }
        x[i, j] = sum / self[i, i]
      }
    }
    return x
  }
}
