internal import CKeelLoops
internal import KeelTensor

/// A pooling as the leaf loops see it, with the memory behind their pointers.
///
/// Unchecked Sendable: the tables are written in `init` only.
internal final class PoolingWindow: @unchecked Sendable {
  /// What the leaf loops take.
  let leaf: KeelPool

  private let tables: UnsafeMutablePointer<Int>

  /// - Parameters:
  ///   - inputStride: floats from one pixel of x to the next.
  ///   - outputStride: likewise of y.
  init(_ geometry: PoolingGeometry, inputStride: Int, outputStride: Int) {
    let missing = 3 - geometry.axes.count
    let axes = [PoolingAxis](repeating: .trivial, count: missing) + geometry.axes
    let countsPadding = geometry.kind == .average(countsPadding: true)
    let windows = axes.map(\.longestWindow)
    // A window longer than the input is always cut off and needs no list.
    let taps = windows.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
    let listed = zip(axes, windows).allSatisfy { $1 <= min(64, $0.input) } && taps <= 64 ? taps : 0
    tables = .allocate(capacity: axes.reduce(listed) { $0 + 3 * $1.output })
    var next = tables
    func table(_ values: [Int]) -> UnsafePointer<Int> {
      next.initialize(from: values, count: values.count)
      defer { next += values.count }
      return UnsafePointer(next)
    }
    func leafAxis(_ axis: PoolingAxis, _ window: Int) -> KeelPoolAxis {
      let taps = (0..<axis.output).map { axis.taps(of: $0) }
      return KeelPoolAxis(
        input: axis.input, output: axis.output, window: window, step: axis.dilation,
        first: table(taps.map(\.first)), count: table(taps.map(\.count)),
        divisor: table(taps.map { countsPadding ? $0.counted : $0.count }))
    }
    let (z, y, x) = (
      leafAxis(axes[0], windows[0]), leafAxis(axes[1], windows[1]), leafAxis(axes[2], windows[2])
    )
    var offsets: [Int] = []
    if listed > 0 {
      for k in 0..<z.window {
        for i in 0..<y.window {
          for j in 0..<x.window {
            let row = k * z.step * y.input + i * y.step
            offsets.append((row * x.input + j * x.step) * inputStride)
          }
        }
      }
    }
    leaf = KeelPool(
      z: z, y: y, x: x, channels: geometry.channels, xStride: inputStride, yStride: outputStride,
      taps: listed > 0 ? listed : Int.max,
      offset: table(offsets), tiles: axes.allSatisfy(Self.tiles) ? 1 : 0)
  }

  deinit { tables.deallocate() }

  /// Whether the windows along an axis are a partition of the input.
  private static func tiles(_ axis: PoolingAxis) -> Bool {
    guard axis.dilation == 1 else { return false }
    var end = 0
    for position in 0..<axis.output {
      let taps = axis.taps(of: position)
      guard taps.first == end else { return false }
      end += taps.count
    }
    return end == axis.input
  }
}
