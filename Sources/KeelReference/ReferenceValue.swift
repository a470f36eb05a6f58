import KeelTensor

/// A value as the reference takes it: real numbers in Double, or integers.
public enum ReferenceValue: Hashable, Sendable {
  /// Real numbers; stands for the graph's float32.
  case real(DoubleTensor)
  /// Integers, such as labels.
  case int64(IndexTensor)
  /// Truth values, such as conditions.
  case bool(DenseArray<Bool>)

  /// Widens a Float tensor to Double and keeps integers and truth values.
  public init(_ value: TensorValue) {
    switch value {
    case .float32(let tensor): self = .real(DoubleTensor(widening: tensor))
    case .int64(let tensor): self = .int64(tensor)
    case .bool(let tensor): self = .bool(tensor)
    }
  }

  /// The extents.
  public var shape: Shape {
    switch self {
    case .real(let tensor): tensor.shape
    case .int64(let tensor): tensor.shape
    case .bool(let tensor): tensor.shape
    }
  }

  /// The element type that the value stands for in a graph.
  public var elementType: ElementType {
    switch self {
    case .real: .float32
    case .int64: .int64
    case .bool: .bool
    }
  }
}
