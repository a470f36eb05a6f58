internal import CKeelLoops
package import KeelTensor

/// Slicing, padding and resizing, and their gradients: along each axis a sparse matrix, see `Movement`.
///
/// Numerics: sums in Float over the few elements that an element is made of (one, for slices and
/// paddings: then bits are copied). Aliasing: y must not overlap x. Cost: one pass over y, and over what of x
/// is taken.
package struct MovementKernel: Sendable {
  /// An axis, or several that stay as they are together.
  private struct Axis: Sendable {
    var inputs: Int
    var outputs: Int
    /// nil for the axis as it is.
    var taps: AxisTaps?
  }

  private let axes: [Axis]
  /// The elements after the last axis that changes, which move together.
  private let run: Int
  private let fill: Float
  private let tiles: RowTiles
  /// The neighbouring elements of the last axis that are copied from neighbouring ones: first output,
  /// first input (below 0: filled), count. Empty where an axis has sums.
  private let segments: [(output: Int, input: Int, count: Int)]

  /// Prepares a movement, or its gradient.
  /// - Parameters:
  ///   - input: the shape of the movement's operand.
  ///   - output: the shape of its result.
  package init(_ movement: Movement, input: Shape, output: Shape, gradient: Bool) {
    var axes: [Axis] = []
    var run = 1
    for (position, kind) in movement.axes.enumerated().reversed() {
      let (from, to) = (input[position], output[position])
      if kind == .whole {
        if axes.isEmpty {
          run *= from
        } else if axes[0].taps == nil {
          axes[0].inputs *= from
          axes[0].outputs *= from
        } else {
          axes.insert(Axis(inputs: from, outputs: from, taps: nil), at: 0)
        }
        continue
      }
      let taps = AxisTaps(kind, input: from, output: to)
      axes.insert(
        gradient
          ? Axis(inputs: to, outputs: from, taps: taps.transposed(inputCount: from))
          : Axis(inputs: from, outputs: to, taps: taps), at: 0)
    }
    if axes.isEmpty { axes = [Axis(inputs: 1, outputs: 1, taps: nil)] }
    self.axes = axes
    self.run = run
    fill = gradient ? 0 : movement.fill
    let last = axes[axes.count - 1]
    segments = axes.allSatisfy { $0.taps?.copies ?? true } ? Self.segments(of: last) : []
    let rows = axes.dropLast().reduce(1) { $0 * $1.outputs }
    tiles = RowTiles(rows: rows, target: max(1, 16_384 / max(1, run * last.outputs)))
  }

  private static func segments(of axis: Axis) -> [(output: Int, input: Int, count: Int)] {
    var result: [(output: Int, input: Int, count: Int)] = []
    for output in 0..<axis.outputs {
      var input = output
      if let taps = axis.taps {
        let start = taps.starts[output]
        input = start < taps.starts[output + 1] ? taps.inputs[start] : -1
      }
      if let previous = result.last,
        previous.input < 0 ? input < 0 : input == previous.input + previous.count
      {
        result[result.count - 1].count += 1
      } else {
        result.append((output, input, 1))
      }
    }
    return result
  }

  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let length = axes[axes.count - 1].outputs * run
    parallelism.forEach(tiles.count, work: tiles.rows * length) { task, _ in
      for row in tiles[task] {
        let target = y + row * length
        if segments.isEmpty {
          target.update(repeating: fill, count: length)
          sum(row, axis: axes.count - 2, stride: axes[axes.count - 1].inputs, x, 0, 1, into: target)
        } else {
          copy(row, x, into: target)
        }
      }
    }
  }

  /// A row of copies: its place in x from the outer axes, then the segments of the last.
  private func copy(_ row: Int, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>) {
    var rest = row
    var offset = 0
    var stride = axes[axes.count - 1].inputs
    var position = axes.count - 2
    while position >= 0 {
      let axis = axes[position]
      let output = rest % axis.outputs
      rest /= axis.outputs
      var input = output
      if let taps = axis.taps {
        guard taps.starts[output] < taps.starts[output + 1] else {
          y.update(repeating: fill, count: axes[axes.count - 1].outputs * run)
          return
        }
        input = taps.inputs[taps.starts[output]]
      }
      offset += input * stride
      stride *= axis.inputs
      position -= 1
    }
    for segment in segments {
      let target = y + segment.output * run
      if segment.input < 0 {
        target.update(repeating: fill, count: segment.count * run)
      } else {
        target.update(from: x + (offset + segment.input) * run, count: segment.count * run)
      }
    }
  }

  /// Adds what the outer axes from `position` outwards take to a row, whose elements are 0 at first.
  private func sum(
    _ rest: Int, axis position: Int, stride: Int, _ x: UnsafePointer<Float>, _ offset: Int,
    _ weight: Float, into y: UnsafeMutablePointer<Float>
  ) {
    guard position >= 0 else { return sumLast(x, offset, weight, into: y) }
    let axis = axes[position]
    let output = rest % axis.outputs
    guard let taps = axis.taps else {
      return sum(
        rest / axis.outputs, axis: position - 1, stride: stride * axis.inputs, x,
        offset + output * stride, weight, into: y)
    }
    for t in taps.starts[output]..<taps.starts[output + 1] {
      sum(
        rest / axis.outputs, axis: position - 1, stride: stride * axis.inputs, x,
        offset + taps.inputs[t] * stride, weight * taps.weights[t], into: y)
    }
  }

  private func sumLast(
    _ x: UnsafePointer<Float>, _ offset: Int, _ weight: Float,
    into y: UnsafeMutablePointer<Float>
  ) {
    let last = axes[axes.count - 1]
    guard let taps = last.taps else {
      loops.addScaled(y, x + offset * run, weight, last.outputs * run)
      return
    }
    for output in 0..<last.outputs {
      for t in taps.starts[output]..<taps.starts[output + 1] {
        loops.addScaled(
          y + output * run, x + (offset + taps.inputs[t]) * run, weight * taps.weights[t], run)
      }
    }
  }
}
