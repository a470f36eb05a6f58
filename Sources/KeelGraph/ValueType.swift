import KeelTensor

/// One extent of a value in a graph: known, or left open until the graph is run.
public enum Extent: Hashable, Sendable {
  /// A known extent.
  case fixed(Int)
  /// An open extent, by name; all extents of one name are equal in a run.
  case symbol(String)

  /// The open extent of a batch.
  public static let batch = Extent.symbol("batch")

  /// The extent where it is known.
  public var fixedValue: Int? {
    if case .fixed(let value) = self { value } else { nil }
  }
}

extension Extent: ExpressibleByIntegerLiteral, CustomStringConvertible {
  /// Makes a known extent.
  public init(integerLiteral value: Int) { self = .fixed(value) }

  /// The number or the name.
  public var description: String {
    switch self {
    case .fixed(let value): "\(value)"
    case .symbol(let name): name
    }
  }
}

/// The element type and extents of a value in a graph.
public struct ValueType: Hashable, Sendable {
  /// The element type.
  public var elementType: ElementType
  /// The extents, outermost first.
  public var extents: [Extent]

  /// Makes a type from its parts.
  public init(_ elementType: ElementType, _ extents: [Extent]) {
    self.elementType = elementType
    self.extents = extents
  }

  /// Makes a float32 type.
  public init(_ extents: [Extent]) { self.init(.float32, extents) }

  /// Makes the type of a tensor whose extents are all known.
  public init(_ elementType: ElementType = .float32, shape: Shape) {
    self.init(elementType, shape.extents.map(Extent.fixed))
  }

  /// The number of axes.
  public var rank: Int { extents.count }

  /// The last extent where it is known.
  public var channelCount: Int? { extents.last?.fixedValue }

  /// The shape once every open extent has a value.
  /// - Throws: `KeelError` of kind `graph` where an open extent has none.
  public func shape(binding symbols: [String: Int]) throws(KeelError) -> Shape {
    var result: [Int] = []
    for extent in extents {
      switch extent {
      case .fixed(let value): result.append(value)
      case .symbol(let name):
        guard let value = symbols[name] else {
          throw KeelError(
            .graph, at: "extent \(name)", expected: "a value from the graph's inputs",
            found: "none")
        }
        result.append(value)
      }
    }
    return Shape(result)
  }
}

extension ValueType: CustomStringConvertible {
  /// For example `float32 batch×8×8×16`.
  public var description: String {
    let text = extents.isEmpty ? "scalar" : extents.map(\.description).joined(separator: "×")
    return "\(elementType.rawValue) \(text)"
  }
}
