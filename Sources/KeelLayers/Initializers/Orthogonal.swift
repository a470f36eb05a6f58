import KeelTensor

/// Fills with gain times a random orthogonal matrix: of a weight Cout×…, taken as Cout rows, the rows are
/// orthonormal where there are at most as many as columns, otherwise the columns.
///
/// Numerics: normal vectors, made orthogonal in Double by Gram and Schmidt's way, twice each, so that
/// they are so to rounding; a vector that vanishes is drawn again. Cost: 4·rows·columns·min(rows,
/// columns) multiply-adds.
///
/// Saxe, McClelland and Ganguli 2014, arXiv 1312.6120.
public struct Orthogonal: Initializer, Hashable {
  /// The factor.
  public var gain: Gain

  /// Makes the initializer.
  public init(gain: Gain = .linear) { self.gain = gain }

  /// A new weight.
  /// - Precondition: the weight has at least two axes.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    precondition(shape.rank >= 2, "a weight of at least two axes, found \(shape)")
    let rows = shape[0]
    let columns = shape.elementCount / rows
    let (count, length) = (min(rows, columns), max(rows, columns))
    var vectors: [[Double]] = []
    while vectors.count < count {
      var vector = (0..<length).map { _ in source.normal() }
      for _ in 0..<2 { for other in vectors { Self.remove(other, from: &vector) } }
      let norm = Self.product(vector, vector).squareRoot()
      guard norm > 1e-6 else { continue }
      for i in vector.indices { vector[i] /= norm }
      vectors.append(vector)
    }
    return Tensor(uninitialized: shape) { out in
      for (i, vector) in vectors.enumerated() {
        for (j, value) in vector.enumerated() {
          out[rows <= columns ? i * columns + j : j * columns + i] = Float(gain.value * value)
        }
      }
    }
  }

  private static func product(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for i in a.indices { sum += a[i] * b[i] }
    return sum
  }

  private static func remove(_ other: [Double], from vector: inout [Double]) {
    let share = product(other, vector)
    for i in vector.indices { vector[i] -= share * other[i] }
  }
}
