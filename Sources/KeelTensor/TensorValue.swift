/// The element types that graph values can have.
public enum ElementType: String, Hashable, Sendable {
  /// 32-bit floating point.
  case float32
  /// 64-bit signed integers.
  case int64
  /// Truth values.
  case bool
}

/// A tensor of any of the element types, as graphs take and give it.
public enum TensorValue: Hashable, Sendable {
  /// A Float tensor.
  case float32(Tensor)
  /// An integer tensor.
  case int64(IndexTensor)
  /// A tensor of truth values.
  case bool(DenseArray<Bool>)

  /// The element type.
  public var elementType: ElementType {
    switch self {
    case .float32: .float32
    case .int64: .int64
    case .bool: .bool
    }
  }

  /// The extents.
  public var shape: Shape {
    switch self {
    case .float32(let t): t.shape
    case .int64(let t): t.shape
    case .bool(let t): t.shape
    }
  }

  /// The Float tensor.
  /// - Throws: `KeelError` of kind `shape` for another element type.
  public func floats(at place: String) throws(KeelError) -> Tensor {
    guard case .float32(let tensor) = self else {
      throw KeelError(.shape, at: place, expected: "float32 elements", found: elementType.rawValue)
    }
    return tensor
  }
}
