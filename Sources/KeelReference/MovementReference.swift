import Foundation
import KeelTensor

/// Slices, paddings, resizings, concatenations and permutations, element by element.
internal enum MovementReference {
  /// y[i] = Σ over the elements that each axis takes, or the padding's value.
  static func forward(_ x: DoubleTensor, _ movement: Movement) -> DoubleTensor {
    let terms = self.terms(movement, x.shape)
    let shape = Shape(terms.map(\.count))
    let shapeOfX = x.shape
    return DoubleTensor(summing: shape) { y in
      x.withPointer { x in
        for i in 0..<shape.elementCount {
          let sources = sources(i, terms, x: shapeOfX)
          y[i] =
            sources.isEmpty
            ? Double(movement.fill) : sources.reduce(0) { $0 + $1.weight * x[$1.input] }
        }
      }
    }
  }

  /// dx[j] = Σ dy[i]·weight over the elements i that take j.
  static func gradient(_ dy: DoubleTensor, _ movement: Movement, input: Shape) -> DoubleTensor {
    let terms = self.terms(movement, input)
    let count = dy.count
    return DoubleTensor(summing: input) { dx in
      dy.withPointer { dy in
        for i in 0..<count {
          for source in sources(i, terms, x: input) { dx[source.input] += source.weight * dy[i] }
        }
      }
    }
  }

  /// The operands one after another along an axis.
  static func concatenation(_ operands: [DoubleTensor], _ axis: Int) -> DoubleTensor {
    var extents = operands[0].shape.extents
    extents[axis] = operands.reduce(0) { $0 + $1.shape[axis] }
    let shape = Shape(extents)
    var elements: [Double] = []
    for i in 0..<shape.elementCount {
      var place = places(i, shape)
      var position = 0
      while place[axis] >= operands[position].shape[axis] {
        place[axis] -= operands[position].shape[axis]
        position += 1
      }
      elements.append(operands[position][flat: flat(place, operands[position].shape)])
    }
    return DoubleTensor(summing: shape) { y in
      for i in elements.indices { y[i] = elements[i] }
    }
  }

  /// y[i₀, i₁, …] = x with i_k on axis permutation[k].
  static func transposed(_ x: DoubleTensor, _ permutation: [Int]) -> DoubleTensor {
    let shape = Shape(permutation.map { x.shape[$0] })
    return DoubleTensor(summing: shape) { y in
      for i in 0..<shape.elementCount {
        var place = [Int](repeating: 0, count: permutation.count)
        for (axis, index) in zip(permutation, places(i, shape)) { place[axis] = index }
        y[i] = x[flat: flat(place, x.shape)]
      }
    }
  }

  private typealias Term = (input: Int, weight: Double)

  /// For each axis and each of its outputs, what it takes.
  private static func terms(_ movement: Movement, _ input: Shape) -> [[[Term]]] {
    movement.axes.enumerated().map { position, axis in
      let n = input[position]
      switch axis {
      case .whole: return (0..<n).map { [($0, 1)] }
      case .slice(let start, let count, let step):
        return (0..<count).map { [(start + step * $0, 1)] }
      case .pad(let before, let after, let mode):
        return (-before..<n + after).map { padded($0, n, mode).map { [($0, 1)] } ?? [] }
      case .resize(let output, let interpolation, let coordinates, let scale):
        let scale = scale ?? Double(n) / Double(output)
        return (0..<output).map { i in
          var x: Double
          switch coordinates {
          case .halfPixel: x = (Double(i) + 0.5) * scale - 0.5
          case .alignCorners: x = output == 1 ? 0 : Double(i) * Double(n - 1) / Double(output - 1)
          case .asymmetric: x = Double(i) * scale
          }
          // See `ResizeCoordinates`.
          if abs(x - (x * 2).rounded() / 2) <= 1e-9 { x = (x * 2).rounded() / 2 }
          switch interpolation {
          case .nearest(let rounding):
            let j: Double
            switch rounding {
            case .down: j = floor(x)
            case .halfDown: j = ceil(x - 0.5)
            case .halfUp: j = floor(x + 0.5)
            case .up: j = ceil(x)
            }
            return [(Int(min(max(j, 0), Double(n - 1))), 1)]
          case .linear:
            x = min(max(x, 0), Double(n - 1))
            return (0..<n).compactMap { j in
              let weight = 1 - abs(x - Double(j))
              return weight > 0 ? (j, weight) : nil
            }
          }
        }
      }
    }
  }

  /// The element that stands for position i of a padded axis of n, or nil for a constant.
  private static func padded(_ i: Int, _ n: Int, _ mode: PaddingMode) -> Int? {
    if i >= 0, i < n { return i }
    switch mode {
    case .constant: return nil
    case .reflect: return i < 0 ? -i : 2 * n - 2 - i
    case .replicate: return i < 0 ? 0 : n - 1
    case .circular: return i < 0 ? i + n : i - n
    }
  }

  /// The product of what each axis takes for element i.
  private static func sources(_ i: Int, _ terms: [[[Term]]], x: Shape) -> [Term] {
    let place = places(i, Shape(terms.map(\.count)))
    var result: [Term] = [(0, 1)]
    for (axis, index) in place.enumerated() {
      result = result.flatMap { outer in
        terms[axis][index].map { (outer.input * x[axis] + $0.input, outer.weight * $0.weight) }
      }
    }
    return result
  }

  /// The place of a flat index on each axis.
  private static func places(_ index: Int, _ shape: Shape) -> [Int] {
    var rest = index
    var result = [Int](repeating: 0, count: shape.extents.count)
    for axis in result.indices.reversed() {
      result[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    return result
  }

  private static func flat(_ place: [Int], _ shape: Shape) -> Int {
    zip(place, shape.extents).reduce(0) { $0 * $1.1 + $1.0 }
  }
}
