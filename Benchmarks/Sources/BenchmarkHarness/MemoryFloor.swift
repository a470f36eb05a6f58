/// The time below which no kernel can be that reads and writes so many bytes: a loop that does nothing
/// else, on buffers of the kernel's sizes, in the same rounds.
public final class MemoryFloor {
  private let loops: MeasuringLoops
  private let parts: [Part]
  private let x: UnsafeMutableBufferPointer<Float>
  private let y: UnsafeMutableBufferPointer<Float>
  private var total: Float = 0

  /// One thread's share.
  ///
  /// Sendable although it holds pointers: shares of different threads do not overlap.
  private struct Part: @unchecked Sendable {
    let x: UnsafeBufferPointer<Float>
    let y: UnsafeMutableBufferPointer<Float>
  }

  /// Makes buffers.
  /// - Parameters:
  ///   - reads: the floats that are read.
  ///   - writes: the floats that are written.
  public init(reads: Int, writes: Int, threads: Int, loops: MeasuringLoops = .widest) {
    func buffer(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 4096)
      let buffer = UnsafeMutableBufferPointer(
        start: memory.bindMemory(to: Float.self, capacity: count), count: count)
      buffer.initialize(repeating: 0)
      return buffer
    }
    self.loops = loops
    let (x, y) = (buffer(reads), buffer(writes))
    (self.x, self.y) = (x, y)
    parts = (0..<threads).map { index in
      let from = x[(reads * index / threads)..<(reads * (index + 1) / threads)]
      let to = y[(writes * index / threads)..<(writes * (index + 1) / threads)]
      return Part(
        x: UnsafeBufferPointer(rebasing: from), y: UnsafeMutableBufferPointer(rebasing: to))
    }
  }

  deinit {
    x.deallocate()
    y.deallocate()
  }

  /// Goes through the buffers once.
  public func run() {
    if parts.count == 1 {
      total += loops.stream(parts[0].x, into: parts[0].y)
    } else {
      let (parts, loops) = (parts, loops)
      _ = timeTogether(threads: parts.count) { index in
        _ = loops.stream(parts[index].x, into: parts[index].y)
      }
    }
  }

  /// A number that depends on what was read.
  public func checksum() -> Double { Double(total) + Double(y.first ?? 0) }
}
