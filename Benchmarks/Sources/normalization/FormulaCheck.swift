import BenchmarkHarness
import Keel

/// Compares a spread of elements of y or dx with their formula in Double, from the elements of their cells.
struct FormulaCheck {
  private let normalization: NormalizationCase
  private let results: [String: Tensor]
  private let inputs: Inputs
  private static let epsilon = 1e-5

  /// - Parameter operands: those of both passes, `y` and `dx`, as far as they are there.
  init(_ normalization: NormalizationCase, _ operands: [String: Tensor]) {
    self.normalization = normalization
    results = operands.filter { $0.key == "y" || $0.key == "dx" }
    inputs = Inputs(
      x: operands["x"]!, scale: operands["scale"]!, shift: operands["shift"]!,
      residual: operands["residual"], dy: operands["dy"])
  }

  private struct Inputs {
    let x: Tensor, scale: Tensor, shift: Tensor
    let residual: Tensor?, dy: Tensor?
  }

  /// - Throws: `Mismatch` where an element of `y` or `dx` is wrong.
  func check(_ result: String, at name: String) throws {
    let found = results[result]!
    var random = RandomSource(seed: 7)
    for index in [0, found.count - 1] + (0..<4).map({ _ in random.below(found.count) }) {
      let expected = result == "y" ? y(index) : dx(index)
      let error = abs(Double(found[flat: index]) - expected) / max(1, abs(expected))
      guard error <= 1e-4 else {
        throw Mismatch(
          description:
            "\(name): \(result) \(index) is \(found[flat: index]), expected \(expected)")
      }
    }
  }

  private func y(_ index: Int) -> Double {
    let (mean, inverse) = statistics(of: cell(of: index))
    return value(index, z: (x(index) - mean) * inverse)
  }

  /// (γ·g − (Σ γ·g + z·Σ γ·g·z)/n)·inverse.
  private func dx(_ index: Int) -> Double {
    let cell = cell(of: index)
    let (mean, inverse) = statistics(of: cell)
    var (sum, product) = (0.0, 0.0)
    var own = (slope: 0.0, z: 0.0)
    cell.forEach { element in
      let z = (x(element) - mean) * inverse
      let isActive = normalization.form == .plain || value(element, z: z) > 0
      let slope = isActive ? Double(inputs.dy![flat: element]) * scale(element) : 0
      sum += slope
      product += slope * z
      if element == index { own = (slope, z) }
    }
    return (own.slope - (sum + own.z * product) / Double(cell.count)) * inverse
  }

  private func value(_ index: Int, z: Double) -> Double {
    let affine = scale(index) * z + Double(inputs.shift[flat: affineIndex(index)])
    switch normalization.form {
    case .plain: return affine
    case .relu: return max(0, affine)
    case .addReLU: return max(0, affine + Double(inputs.residual![flat: index]))
    }
  }

  private func statistics(of cell: Cell) -> (mean: Double, inverse: Double) {
    var (sum, squares) = (0.0, 0.0)
    cell.forEach { sum += x($0) }
    let mean = sum / Double(cell.count)
    cell.forEach { squares += (x($0) - mean) * (x($0) - mean) }
    return (mean, 1 / (squares / Double(cell.count) + Self.epsilon).squareRoot())
  }

  private func x(_ index: Int) -> Double { Double(inputs.x[flat: index]) }
  private func scale(_ index: Int) -> Double { Double(inputs.scale[flat: affineIndex(index)]) }
  private func affineIndex(_ index: Int) -> Int { index % inputs.scale.count }

  /// The elements that share statistics: rows by channels.
  private struct Cell {
    let rows: Range<Int>
    let channels: Range<Int>
    let stride: Int

    var count: Int { rows.count * channels.count }

    func forEach(_ body: (Int) -> Void) {
      for row in rows { for channel in channels { body(row * stride + channel) } }
    }
  }

  private func cell(of index: Int) -> Cell {
    let shape = normalization.shape
    let channels = shape.channelCount
    let positions = shape.rowCount / shape[0]
    let sample = index / channels / positions
    let ofSample = sample * positions..<(sample + 1) * positions
    let channel = index % channels
    switch normalization.method {
    case .batch:
      return Cell(rows: 0..<shape.rowCount, channels: channel..<channel + 1, stride: channels)
    case .layer: return Cell(rows: ofSample, channels: 0..<channels, stride: channels)
    case .instance: return Cell(rows: ofSample, channels: channel..<channel + 1, stride: channels)
    case .group:
      let size = channels / normalization.groups
      let first = channel / size * size
      return Cell(rows: ofSample, channels: first..<first + size, stride: channels)
    }
  }
}
