import KeelTensor

/// A value as the reference takes it: real numbers in Double, or integers.
public enum ReferenceValue: Hashable, Sendable {
  /// Real numbers; stands for the graph's float32.
  case real(DoubleTensor)
  /// Integers, such as labels.
  case int64(IndexTensor)

  /// Widens a Float tensor to Double and keeps integers.
  /// - Throws: `KeelError` of kind `shape` for truth values, which no operation takes.
  public init(_ value: TensorValue) throws(KeelError) {
    switch value {
    case .float32(let tensor): self = .real(DoubleTensor(widening: tensor))
    case .int64(let tensor): self = .int64(tensor)
    case .bool:
      throw KeelError(
        .shape, at: "reference value", expected: "float32 or int64 elements", found: "bool")
    }
  }

  /// The extents.
  public var shape: Shape {
    switch self {
    case .real(let tensor): tensor.shape
    case .int64(let tensor): tensor.shape
    }
  }

  /// The element type that the value stands for in a graph.
  public var elementType: ElementType {
    switch self {
    case .real: .float32
    case .int64: .int64
    }
  }
}
