package import KeelTensor

/// y = a where a condition holds, otherwise b: a and b of one shape, to which the condition is broadcast.
///
/// Cost: one read of each, one write. Aliasing: y may be a or b.
package struct ChoiceKernel: Sendable {
  /// Blocks of elements in which the condition goes on with the elements or stays.
  private let outer: [BroadcastAxis]
  private let channels: Int
  private let step: Int

  /// Prepares for a condition that broadcasts to a shape.
  package init(condition: Shape, _ shape: Shape) {
    var axes = BroadcastAxis.joined(shape, condition)
    let inner = axes.popLast()
    channels = inner?.extent ?? 1
    step = inner?.b ?? 0
    outer = axes
  }

  /// With truth values.
  package func run(
    _ condition: UnsafePointer<Bool>, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    forEachRun(parallelism) { first, from, count in
      for i in 0..<count {
        y[first + i] = condition[from + i * step] ? a[first + i] : b[first + i]
      }
    }
  }

  /// With numbers, which hold unless they are 0.
  package func run(
    _ condition: UnsafePointer<Float>, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    forEachRun(parallelism) { first, from, count in
      for i in 0..<count {
        y[first + i] = condition[from + i * step] != 0 ? a[first + i] : b[first + i]
      }
    }
  }

  private static let elementsPerTask = 32_768

  /// Calls a closure with runs of the result: where each begins, the condition there, and its length.
  private func forEachRun(
    _ parallelism: Parallelism, _ body: (_ first: Int, _ condition: Int, _ count: Int) -> Void
  ) {
    let blocks = outer.reduce(1) { $0 * $1.extent }
    let parts = RowTiles(rows: channels, target: Self.elementsPerTask)
    let groups = RowTiles(rows: blocks, target: max(1, Self.elementsPerTask / max(channels, 1)))
    parallelism.forEach(groups.count * parts.count, work: blocks * channels) { task, _ in
      let (group, part) = task.quotientAndRemainder(dividingBy: parts.count)
      let range = parts[part]
      for block in groups[group] {
        var (rest, from) = (block, 0)
        for axis in outer.reversed() {
          from += rest % axis.extent * axis.b
          rest /= axis.extent
        }
        body(
          block * channels + range.lowerBound, from + range.lowerBound * step, range.count)
      }
    }
  }
}
