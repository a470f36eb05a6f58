import KeelGraph
import KeelTensor

/// Arithmetic of constants.
extension HostTensor {
  /// The extents of two tensors broadcast against each other, and for each element the positions of the two
  /// that meet there.
  /// - Throws: `KeelError` of kind `graph` where they do not fit, or would make too many.
  func positions(with other: HostTensor, at place: String) throws(KeelError) -> (
    extents: [Int], left: [Int], right: [Int]
  ) {
    let joint = extents.map(Extent.fixed).broadcast(with: other.extents.map(Extent.fixed))
    guard let result = joint?.compactMap(\.fixedValue) else {
      throw KeelError(
        .graph, at: place, expected: "extents that broadcast",
        found: "\(extents) and \(other.extents)")
    }
    _ = try Self.checkedCount(
      result, at: place, most: Self.largestMade(from: max(count, other.count)))
    func positions(_ tensor: HostTensor) -> [Int] {
      let strides = Self.strides(tensor.extents)
      let missing = result.count - tensor.rank
      let steps = result.indices.map {
        $0 < missing || tensor.extents[$0 - missing] == 1 ? 0 : strides[$0 - missing]
      }
      var list: [Int] = []
      Self.forEachPosition(result, steps) { list.append($0) }
      return list
    }
    return (result, positions(self), positions(other))
  }

  /// a ∘ b, or nil for a power of floats, which is left to the graph.
  /// - Throws: `KeelError` of kind `graph` for extents that do not fit, a division by 0, an integer that
  ///   overflows, and an open extent that the operation would change.
  func combined(_ operation: Arithmetic, _ other: HostTensor, at place: String) throws(KeelError)
    -> HostTensor?
  {
    if case .floats(let a) = elements, case .floats(let b) = other.elements {
      guard operation != .power else { return nil }
      let (extents, left, right) = try positions(with: other, at: place)
      let result = Tensor(uninitialized: Shape(extents)) { out in
        a.withSpan { x in
          b.withSpan { y in
            for i in out.indices { out[i] = Self.value(operation, x[left[i]], y[right[i]]) }
          }
        }
      }
      return HostTensor(result)
    }
    guard case .integers(let a) = elements, case .integers(let b) = other.elements else {
      return nil
    }
    let (extents, left, right) = try positions(with: other, at: place)
    var result: [Extent] = []
    for (i, j) in zip(left, right) {
      result.append(try Self.value(operation, a[i], b[j], place))
    }
    return HostTensor(integers: result, extents)
  }

  private static func value(_ operation: Arithmetic, _ a: Float, _ b: Float) -> Float {
    switch operation {
    case .add: a + b
    case .subtract: a - b
    case .multiply: a * b
    case .divide: a / b
    case .maximum: a.isNaN || b.isNaN ? .nan : max(a, b)
    case .minimum: a.isNaN || b.isNaN ? .nan : min(a, b)
    case .power: .nan
    }
  }

  private static func value(
    _ operation: Arithmetic, _ a: Extent, _ b: Extent, _ place: String
  ) throws(KeelError) -> Extent {
    guard let x = a.fixedValue, let y = b.fixedValue else {
      switch (operation, a, b) {
      case (.add, _, 0), (.subtract, _, 0), (.multiply, _, 1), (.divide, _, 1): return a
      case (.add, 0, _), (.multiply, 1, _): return b
      case (.divide, _, _) where a == b: return 1
      case (.subtract, _, _) where a == b: return 0
      default:
        throw KeelError(
          .graph, at: place, expected: "arithmetic of known integers (give open extents by name)",
          found: "\(a) and \(b)")
      }
    }
    var result: (partialValue: Int, overflow: Bool)
    switch operation {
    case .add: result = x.addingReportingOverflow(y)
    case .subtract: result = x.subtractingReportingOverflow(y)
    case .multiply: result = x.multipliedReportingOverflow(by: y)
    case .divide: result = x.dividedReportingOverflow(by: y)
    case .maximum: result = (max(x, y), false)
    case .minimum: result = (min(x, y), false)
    case .power:
      result = (1, y < 0 || y > 64)
      if !result.overflow {
        for _ in 0..<y {
          let (next, overflow) = result.partialValue.multipliedReportingOverflow(by: x)
          result = (next, result.overflow || overflow)
        }
      }
    }
    guard !result.overflow else {
      throw KeelError(
        .graph, at: place, expected: "integers that have a 64-bit result",
        found: "\(x) \(operation.rawValue) \(y)")
    }
    return .fixed(result.partialValue)
  }

  /// The elements in Double.
  package func doubles(at place: String) throws(KeelError) -> [Double] {
    switch elements {
    case .floats(let tensor): return tensor.elements.map(Double.init)
    case .integers: return try integers(at: place).map(Double.init)
    case .booleans(let list): return list.map { $0 ? 1 : 0 }
    }
  }

  /// The elements in another type: floats are cut off to integers, and what is not 0 is true.
  package func converted(to type: ElementType, at place: String) throws(KeelError) -> HostTensor {
    if type == elementType { return self }
    switch type {
    case .float32:
      let values = try doubles(at: place)
      return HostTensor(
        Tensor(uninitialized: Shape(extents)) { out in
          for i in out.indices { out[i] = Float(values[i]) }
        })
    case .int64:
      var list: [Extent] = []
      for value in try doubles(at: place) {
        guard let integer = Int(exactly: value.rounded(.towardZero)) else {
          throw KeelError(
            .graph, at: place, expected: "numbers that integers can hold", found: "\(value)")
        }
        list.append(.fixed(integer))
      }
      return HostTensor(integers: list, extents)
    case .bool:
      return HostTensor(booleans: try doubles(at: place).map { $0 != 0 }, extents)
    }
  }

  /// The elements of several tensors of one type, one tensor after another, as one axis.
  static func joined(_ tensors: [HostTensor], at place: String) throws(KeelError) -> HostTensor {
    let count = try checkedCount([tensors.reduce(0) { $0 + $1.count }], at: place)
    switch tensors.first?.elements {
    case .integers?:
      var list: [Extent] = []
      for tensor in tensors { list += try tensor.extentList(at: place) }
      return HostTensor(integers: list, [count])
    case .booleans?:
      var list: [Bool] = []
      for tensor in tensors { list += try tensor.doubles(at: place).map { $0 != 0 } }
      return HostTensor(booleans: list, [count])
    default:
      var list: [Float] = []
      for tensor in tensors { list += try tensor.floats(at: place).elements }
      return HostTensor(try Tensor(list, shape: [count]))
    }
  }
}
