/// The one to three spatial axes of a sliding window, in the order of the tensor: width for sequences
/// N×L×C, height and width for images N×H×W×C, depth, height and width for volumes N×D×H×W×C.
///
/// Kernels always see three axes: the missing leading ones are `SpatialAxis.trivial`.
public struct SpatialAxes: Hashable, Sendable {
  /// The number of axes, 1 to 3.
  public let count: Int
  /// The outermost axis of volumes.
  public let depth: SpatialAxis
  /// The vertical axis of images and volumes.
  public let height: SpatialAxis
  /// The innermost axis: the only one of sequences.
  public let width: SpatialAxis

  /// Keeps one to three axes.
  /// - Throws: `KeelError` of kind `argument` for another number of axes.
  public init(_ axes: [SpatialAxis], place: String = "geometry") throws(KeelError) {
    guard (1...3).contains(axes.count) else {
      throw KeelError(
        .argument, at: place, expected: "1 to 3 spatial axes", found: "\(axes.count)")
    }
    count = axes.count
    depth = axes.count > 2 ? axes[0] : .trivial
    height = axes.count > 1 ? axes[axes.count - 2] : .trivial
    width = axes[axes.count - 1]
  }

  /// The axes, outermost first.
  public var all: [SpatialAxis] { Array([depth, height, width].suffix(count)) }

  /// The names that messages use for the axes of a window of `count` axes, outermost first.
  public static func names(count: Int) -> [String] {
    count == 1 ? ["length"] : Array(["depth", "height", "width"].suffix(count))
  }
}

/// What has a sliding window: convolutions and poolings.
public protocol SpatialGeometry {
  /// The axes of the window.
  var spatial: SpatialAxes { get }
}

extension SpatialGeometry {
  /// The axes, outermost first.
  public var axes: [SpatialAxis] { spatial.all }
  /// The outermost axis of volumes, otherwise trivial.
  public var depth: SpatialAxis { spatial.depth }
  /// The vertical axis; trivial for sequences.
  public var height: SpatialAxis { spatial.height }
  /// The horizontal axis, or the axis of sequences.
  public var width: SpatialAxis { spatial.width }
  /// D·H·W.
  public var inputPositions: Int { depth.input * height.input * width.input }
  /// D′·H′·W′.
  public var outputPositions: Int { depth.output * height.output * width.output }
  /// The number of taps of a window, kD·kH·kW.
  public var tapCount: Int { depth.window * height.window * width.window }
}
