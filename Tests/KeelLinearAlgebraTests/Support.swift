import KeelLinearAlgebra
import KeelTensor

/// Sizes around the edges of register tiles and of unrolled loops.
let edgeSizes = [1, 7, 16, 17, 64, 65]

/// A row-major matrix with room between its rows; what lies there is NaN, so that reading it shows.
struct TestMatrix<Element: BLASElement> {
  var rows: Int
  var columns: Int
  var leading: Int
  var elements: [Element]

  /// Makes a matrix of random numbers in -1..<1.
  init(_ rows: Int, _ columns: Int, padding: Int = 0, using source: inout RandomSource) {
    self.init(rows, columns, padding: padding) { _, _ in Element(2 * source.uniform() - 1) }
  }

  /// Makes a matrix from a formula.
  init(_ rows: Int, _ columns: Int, padding: Int = 0, _ value: (Int, Int) -> Element) {
    self.rows = rows
    self.columns = columns
    leading = max(1, columns + padding)
    elements = Array(repeating: .nan, count: rows * leading)
    for i in 0..<rows {
      for j in 0..<columns { elements[i * leading + j] = value(i, j) }
    }
  }

  subscript(_ row: Int, _ column: Int) -> Element {
    get { elements[row * leading + column] }
    set { elements[row * leading + column] = newValue }
  }

  /// The elements of op(matrix) in Double, row after row.
  func doubles(transposed: Bool) -> [Double] {
    let (m, n) = transposed ? (columns, rows) : (rows, columns)
    var result: [Double] = []
    result.reserveCapacity(m * n)
    for i in 0..<m {
      for j in 0..<n { result.append(Double(transposed ? self[j, i] : self[i, j])) }
    }
    return result
  }

  /// Whether the room between the rows is as it was made.
  var paddingIsUntouched: Bool {
    for i in 0..<rows {
      for j in columns..<leading where !elements[i * leading + j].isNaN { return false }
    }
    return true
  }
}

/// The product of an m×k and a k×n matrix, and the product of their absolute values for bounds.
func plainProduct(
  _ a: [Double], _ b: [Double], m: Int, n: Int, k: Int
) -> (product: [Double], magnitude: [Double]) {
  var product = [Double](repeating: 0, count: m * n)
  var magnitude = product
  for i in 0..<m {
    for l in 0..<k {
      let x = a[i * k + l]
      for j in 0..<n {
        let term = x * b[l * n + j]
        product[i * n + j] += term
        magnitude[i * n + j] += abs(term)
      }
    }
  }
  return (product, magnitude)
}

/// The largest error of a matrix in units of its bound: at most 1 where all is well, NaN for NaN.
///
/// The bound of an element is (k + 4) roundings of the magnitude that went into it.
func errorInBounds<Element: BLASElement>(
  _ found: TestMatrix<Element>, expected: [Double], magnitude: [Double], terms k: Int
) -> Double {
  let unit = Double(Element.ulpOfOne) * Double(k + 4)
  var worst = 0.0
  for i in 0..<found.rows {
    for j in 0..<found.columns {
      let flat = i * found.columns + j
      let error = abs(Double(found[i, j]) - expected[flat])
      let bound = unit * magnitude[flat]
      let ratio = error == 0 ? 0 : error / bound
      if !(ratio <= worst) { worst = ratio }
      if worst.isNaN { return worst }
    }
  }
  return worst
}
