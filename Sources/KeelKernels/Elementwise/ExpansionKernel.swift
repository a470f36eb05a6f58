internal import CKeelLoops
package import KeelTensor

/// A value broadcast to a larger shape, each copy divided by the number of copies where that is asked for.
///
/// Blocks of `copies` equal rows of `channels` floats are written once; outer axes say where in x a block
/// is read.
package struct ExpansionKernel: Sendable {
  private let outer: [BroadcastAxis]
  private let copies: Int
  private let channels: Int
  private let factor: Float

  /// Prepares for shapes of which the first broadcasts to the second.
  package init(from: Shape, to: Shape, divides: Bool) {
    var axes = BroadcastAxis.joined(from, to)
    var (copies, channels) = (1, 1)
    if let last = axes.last, last.a != 0 {
      channels = last.extent
      axes.removeLast()
    }
    if let last = axes.last {
      copies = last.extent
      axes.removeLast()
    }
    self.copies = copies
    self.channels = channels
    outer = axes
    factor = divides ? 1 / Float(to.elementCount / max(from.elementCount, 1)) : 1
  }

  private static let elementsPerTask = 32_768

  package func run(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let blocks = outer.reduce(1) { $0 * $1.extent }
    let tiles = RowTiles(rows: copies, target: max(1, Self.elementsPerTask / channels))
    let groups = RowTiles(
      rows: blocks, target: max(1, Self.elementsPerTask / (copies * channels)))
    parallelism.forEach(groups.count * tiles.count, work: blocks * copies * channels) { task, _ in
      let (group, tile) = task.quotientAndRemainder(dividingBy: tiles.count)
      let range = tiles[tile]
      let blocks = groups[group]
      if isContiguous, tiles.count == 1 {
        loops.expand(
          y + blocks.lowerBound * copies * channels, x + blocks.lowerBound * channels,
          blocks.count, copies, channels, factor)
        return
      }
      for block in blocks {
        loops.expand(
          y + (block * copies + range.lowerBound) * channels, x + offset(of: block), 1,
          range.count, channels, factor)
      }
    }
  }

  /// Whether the blocks' rows stand one after another in x.
  private var isContiguous: Bool { outer.isEmpty || (outer.count == 1 && outer[0].a == channels) }

  private func offset(of block: Int) -> Int {
    var (rest, result) = (block, 0)
    for axis in outer.reversed() {
      let (quotient, index) = rest.quotientAndRemainder(dividingBy: axis.extent)
      result += index * axis.a
      rest = quotient
    }
    return result
  }
}
