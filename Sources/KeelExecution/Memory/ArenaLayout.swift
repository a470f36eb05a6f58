/// Places buffers with known lifetimes into one arena.
///
/// Greedy: the largest buffer first, each at the lowest offset at which it overlaps no buffer that is
/// alive at the same time. Offsets are multiples of 64 bytes.
package struct ArenaLayout: Sendable {
  /// A buffer, alive from the step that writes it to the last that reads it.
  package struct Buffer: Hashable, Sendable {
    package var byteCount: Int
    package var firstStep: Int
    package var lastStep: Int

    package init(byteCount: Int, firstStep: Int, lastStep: Int) {
      self.byteCount = byteCount
      self.firstStep = firstStep
      self.lastStep = lastStep
    }

    fileprivate func isAliveWith(_ other: Buffer) -> Bool {
      firstStep <= other.lastStep && other.firstStep <= lastStep
    }
  }

  /// The offset of each buffer, in bytes.
  package let offsets: [Int]
  /// The size of the arena, in bytes.
  package let byteCount: Int

  package init(_ buffers: [Buffer]) {
    var offsets = [Int](repeating: 0, count: buffers.count)
    var placed: [Int] = []
    var total = 0
    let order = buffers.indices.sorted {
      (buffers[$1].byteCount, $0) < (buffers[$0].byteCount, $1)
    }
    for i in order {
      let size = Self.aligned(buffers[i].byteCount)
      var offset = 0
      for j in placed where buffers[j].isAliveWith(buffers[i]) {
        if offset + size <= offsets[j] { break }
        offset = max(offset, offsets[j] + Self.aligned(buffers[j].byteCount))
      }
      offsets[i] = offset
      total = max(total, offset + size)
      let place = placed.firstIndex { offsets[$0] > offset } ?? placed.count
      placed.insert(i, at: place)
    }
    self.offsets = offsets
    byteCount = total
  }

  /// A size rounded up to whole cache lines.
  package static func aligned(_ byteCount: Int) -> Int { (byteCount + 63) / 64 * 64 }
}
