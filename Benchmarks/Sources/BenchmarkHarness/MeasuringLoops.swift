import CBenchmarkLoops

/// The loops that measure the machine, at one instruction set.
///
/// Sendable although it holds a pointer: the table behind it is constant and static.
public struct MeasuringLoops: @unchecked Sendable {
  /// The instruction sets that this CPU has, narrowest first.
  public static let all: [MeasuringLoops] = (0..<benchmark_loops_count()).compactMap {
    benchmark_loops_at($0).map(MeasuringLoops.init)
  }
  /// The widest instruction set that this CPU has.
  public static let widest = all[all.count - 1]

  fileprivate let table: UnsafePointer<benchmark_loops>

  private init(table: UnsafePointer<benchmark_loops>) { self.table = table }

  /// `baseline`, `avx2`, `avx512` or `neon`.
  public var level: String { String(cString: table.pointee.level) }

  /// Floating-point operations of one iteration of `multiplyAdd`; a multiply-add is two.
  public var operationsPerIteration: Double { Double(table.pointee.fma_operations) }

  /// Runs chains of x = x/2 + 1 in registers; returns their sum, which goes towards 2 per lane.
  public func multiplyAdd(iterations: Int) -> Float { table.pointee.fma(iterations, 0.5, 1) }

  /// Passes over slices of Floats once, and returns a number that depends on what was read.
  public func run(_ mix: AccessMix, _ slice: MemorySlice) -> Float {
    let count = slice.count
    switch mix {
    case .read: return table.pointee.read(slice.x, count)
    case .copy: table.pointee.copy(slice.y, slice.x, count)
    case .add: table.pointee.add(slice.z, slice.x, slice.y, count)
    case .fill: table.pointee.fill(slice.y, 1, count)
    }
    return 0
  }
}

extension MeasuringLoops {
  /// Reads all of x and stores all of y side by side; returns a number that depends on what was read.
  internal func stream(
    _ x: UnsafeBufferPointer<Float>, into y: UnsafeMutableBufferPointer<Float>
  ) -> Float {
    table.pointee.stream(y.baseAddress, y.count, x.baseAddress, x.count)
  }
}

/// A way of going through memory, with plain stores (not streaming ones).
public enum AccessMix: String, CaseIterable, Sendable {
  /// One read per element.
  case read
  /// One read and one write.
  case copy
  /// Two reads and one write.
  case add
  /// One write.
  case fill

  /// Bytes read plus bytes written per element, without the line that a plain store fetches first.
  public var bytesPerElement: Int {
    switch self {
    case .read, .fill: 4
    case .copy: 8
    case .add: 12
    }
  }
}

/// One thread's part of three buffers.
///
/// Sendable although it holds pointers: slices of different threads do not overlap.
public struct MemorySlice: @unchecked Sendable {
  fileprivate let x: UnsafeMutablePointer<Float>
  fileprivate let y: UnsafeMutablePointer<Float>
  fileprivate let z: UnsafeMutablePointer<Float>
  internal let count: Int

  /// Writes all of it, so that its pages exist.
  internal func touch() {
    x.initialize(repeating: 1, count: count)
    y.initialize(repeating: 1, count: count)
    z.initialize(repeating: 1, count: count)
  }
}

/// Three buffers of equal size, for the access mixes.
internal final class MemoryBuffers {
  private let base: UnsafeMutablePointer<Float>
  let count: Int

  /// Makes buffers of a number of bytes each; no page is touched.
  init(bytes: Int) {
    count = max(bytes / 4, 16) / 16 * 16
    base = UnsafeMutableRawPointer.allocate(byteCount: 3 * count * 4, alignment: 4096)
      .bindMemory(to: Float.self, capacity: 3 * count)
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }

  /// A thread's part of all three, starting on a cache line.
  func slice(_ index: Int, of threads: Int) -> MemorySlice {
    let start = count / 16 * index / threads * 16
    let end = count / 16 * (index + 1) / threads * 16
    return MemorySlice(
      x: base + start, y: base + count + start, z: base + 2 * count + start, count: end - start)
  }
}
