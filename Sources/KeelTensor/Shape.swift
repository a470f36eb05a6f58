/// The extents of a dense array, outermost first.
///
/// Images are N×H×W×C, sequences N×L×C, vectors N×C; a scalar has no extents. The last axis is the
/// channel axis, the ones before it together are the rows (design: rows × channels).
public struct Shape: Hashable, Sendable {
  /// The extents, outermost first.
  public let extents: [Int]

  /// Makes a shape from its extents.
  public init(_ extents: [Int]) { self.extents = extents }

  /// The number of axes.
  public var rank: Int { extents.count }

  /// The product of the extents: 1 for a scalar.
  public var elementCount: Int { extents.reduce(1, *) }

  /// The extent of the last axis: 1 for a scalar.
  public var channelCount: Int { extents.last ?? 1 }

  /// The product of all extents but the last: 1 for a scalar.
  public var rowCount: Int { extents.dropLast().reduce(1, *) }

  /// The extent of one axis.
  public subscript(axis: Int) -> Int { extents[axis] }
}

extension Shape: ExpressibleByArrayLiteral {
  /// Makes a shape from a literal of its extents.
  public init(arrayLiteral elements: Int...) { self.init(elements) }
}

extension Shape: CustomStringConvertible {
  /// The extents joined by `×`, or `scalar`.
  public var description: String {
    extents.isEmpty ? "scalar" : extents.map(String.init).joined(separator: "×")
  }
}
