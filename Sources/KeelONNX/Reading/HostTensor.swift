import KeelGraph
import KeelTensor

/// A tensor whose elements are known while a model is read: an initializer, or what was computed from
/// initializers and shapes. Integers may be open extents of the graph.
package struct HostTensor: Sendable {
  /// The elements in row-major order.
  package enum Elements: Sendable {
    case floats(Tensor)
    case integers([Extent])
    case booleans([Bool])
  }

  /// The elements in row-major order.
  package let elements: Elements
  /// The extents, outermost first; some may be 0.
  package let extents: [Int]

  /// More elements than any constant of a network has: what asks for more is taken for a mistake.
  static let largestCount = 1 << 28
  /// The most axes that a value may have; NumPy's limit, too.
  static let largestRank = 64

  /// The most elements of what is made from constants of so many: a file of a few bytes must not fill the memory.
  static func largestMade(from count: Int = 0) -> Int { max(1 << 20, 8 * count) }

  private init(_ elements: Elements, _ extents: [Int]) {
    self.elements = elements
    self.extents = extents
  }

  init(_ tensor: Tensor) { self.init(.floats(tensor), tensor.shape.extents) }
  /// - Precondition: the counts agree.
  init(integers: [Extent], _ extents: [Int]) {
    precondition(integers.count == extents.reduce(1, *))
    self.init(.integers(integers), extents)
  }
  /// - Precondition: the counts agree.
  init(booleans: [Bool], _ extents: [Int]) {
    precondition(booleans.count == extents.reduce(1, *))
    self.init(.booleans(booleans), extents)
  }
  /// A list of integers.
  init(list: [Int]) { self.init(integers: list.map(Extent.fixed), [list.count]) }

  var count: Int { extents.reduce(1, *) }
  var rank: Int { extents.count }

  var elementType: ElementType {
    switch elements {
    case .floats: .float32
    case .integers: .int64
    case .booleans: .bool
    }
  }

  /// The number of elements of these extents.
  /// - Throws: `KeelError` of kind `graph` for negative extents, more than `most` elements and more than
  ///   `largestRank` axes.
  static func checkedCount(
    _ extents: [Int], at place: String, most: Int = largestCount
  ) throws(KeelError) -> Int {
    guard extents.count <= largestRank else {
      throw KeelError(
        .graph, at: place, expected: "at most \(largestRank) axes", found: "\(extents.count)")
    }
    var count = 1
    for extent in extents {
      // As if none were 0, so that the product of some of them does not overflow either.
      let (product, overflow) = count.multipliedReportingOverflow(by: max(1, extent))
      guard extent >= 0, !overflow, product <= most else {
        throw KeelError(
          .graph, at: place, expected: "extents of at most \(most) elements", found: "\(extents)")
      }
      count = product
    }
    return extents.contains(0) ? 0 : count
  }

  /// The elements at these positions, under these extents.
  func selecting(_ positions: [Int], _ extents: [Int]) -> HostTensor {
    switch elements {
    case .floats(let tensor):
      let result = Tensor(uninitialized: Shape(extents)) { out in
        tensor.withSpan { x in for (i, p) in positions.enumerated() { out[i] = x[p] } }
      }
      return HostTensor(result)
    case .integers(let x): return HostTensor(integers: positions.map { x[$0] }, extents)
    case .booleans(let x): return HostTensor(booleans: positions.map { x[$0] }, extents)
    }
  }

  /// The same elements under other extents of the same count.
  func reshaped(_ extents: [Int]) -> HostTensor {
    switch elements {
    case .floats(let tensor):
      // The caller has checked the count.
      (try? tensor.reshaped(to: Shape(extents))).map { HostTensor($0) } ?? self
    case .integers, .booleans: HostTensor(elements, extents)
    }
  }

  /// The tensor with axis k being axis `order[k]`.
  func permuted(_ order: [Int]) -> HostTensor {
    if order == Array(0..<rank) { return self }
    let (shape, steps) = Self.permutation(extents, order)
    // Extents of 1 may stand anywhere.
    let moved = order.filter { extents[$0] != 1 }
    if moved == moved.sorted() { return reshaped(shape) }
    if case .floats(let tensor) = elements, let parts = Self.swap(extents, moved) {
      return HostTensor(Self.swapped(tensor, parts, Shape(shape)))
    }
    guard case .floats(let tensor) = elements else {
      var positions: [Int] = []
      Self.forEachPosition(shape, steps) { positions.append($0) }
      return selecting(positions, shape)
    }
    let result = Tensor(uninitialized: Shape(shape)) { out in
      tensor.withSpan { x in
        var next = 0
        Self.forEachPosition(shape, steps) {
          out[next] = x[$0]
          next += 1
        }
      }
    }
    return HostTensor(result)
  }

  /// The numbers of elements of three runs of axes of which the last two change places; nil for another order.
  private static func swap(_ extents: [Int], _ moved: [Int]) -> (outer: Int, a: Int, b: Int)? {
    let sorted = moved.sorted()
    guard let first = moved.indices.first(where: { moved[$0] != sorted[$0] }),
      let turn = sorted.firstIndex(of: moved[first])
    else { return nil }
    let ends = Array(sorted[turn...]) + Array(sorted[first..<turn])
    guard Array(moved[first...]) == ends else { return nil }
    func count(_ axes: ArraySlice<Int>) -> Int { axes.reduce(1) { $0 * extents[$1] } }
    return (count(sorted[..<first]), count(sorted[first..<turn]), count(sorted[turn...]))
  }

  /// outer×a×b as outer×b×a.
  private static func swapped(
    _ tensor: Tensor, _ parts: (outer: Int, a: Int, b: Int), _ shape: Shape
  ) -> Tensor {
    let (outer, a, b) = parts
    return Tensor(uninitialized: shape) { out in
      tensor.withSpan { span in
        span.withUnsafeBufferPointer { x in
          for o in 0..<outer {
            let (from, to) = (o * a * b, o * a * b)
            for j in 0..<b {
              for i in 0..<a { out[to + j * a + i] = x[from + i * b + j] }
            }
          }
        }
      }
    }
  }

  private static func permutation(_ extents: [Int], _ order: [Int]) -> ([Int], [Int]) {
    let strides = strides(extents)
    return (order.map { extents[$0] }, order.map { strides[$0] })
  }

  /// The distance in elements from one index of each axis to the next.
  static func strides(_ extents: [Int]) -> [Int] {
    var result = [Int](repeating: 1, count: extents.count)
    for axis in extents.indices.dropLast().reversed() {
      result[axis] = result[axis + 1] * extents[axis + 1]
    }
    return result
  }

  /// Calls a closure with the position Σ index·step of every index of these extents, in row-major order.
  static func forEachPosition(_ extents: [Int], _ steps: [Int], _ body: (Int) -> Void) {
    func visit(_ axis: Int, _ position: Int) {
      if axis == extents.count { return body(position) }
      if axis == extents.count - 1 {
        for i in 0..<extents[axis] { body(position + i * steps[axis]) }
        return
      }
      for i in 0..<extents[axis] { visit(axis + 1, position + i * steps[axis]) }
    }
    visit(0, 0)
  }
}

extension HostTensor {
  /// The Float elements.
  /// - Throws: `KeelError` of kind `graph` for others.
  package func floats(at place: String) throws(KeelError) -> Tensor {
    guard case .floats(let tensor) = elements else {
      throw KeelError(
        .graph, at: place, expected: "a constant of floats", found: elementType.rawValue)
    }
    return tensor
  }

  /// The integers, of which some may be open extents.
  /// - Throws: `KeelError` of kind `graph` for others.
  func extentList(at place: String) throws(KeelError) -> [Extent] {
    guard case .integers(let list) = elements else {
      throw KeelError(
        .graph, at: place, expected: "a constant of integers", found: elementType.rawValue)
    }
    return list
  }

  /// The integers, all known.
  /// - Throws: `KeelError` of kind `graph` for others and for open extents.
  package func integers(at place: String) throws(KeelError) -> [Int] {
    var result: [Int] = []
    for extent in try extentList(at: place) {
      guard let value = extent.fixedValue else {
        throw KeelError(
          .graph, at: place, expected: "known integers", found: "the open extent \(extent)")
      }
      result.append(value)
    }
    return result
  }

  /// The tensor as a value.
  /// - Throws: `KeelError` of kind `graph` where an integer is an open extent.
  package func value(at place: String) throws(KeelError) -> TensorValue {
    switch elements {
    case .floats(let tensor): .float32(tensor)
    case .integers:
      .int64(
        try IndexTensor(try integers(at: place).map { Int64($0) }, shape: Shape(extents)))
    case .booleans(let list): .bool(try DenseArray(list, shape: Shape(extents)))
    }
  }

  /// The one element as a Float.
  /// - Throws: `KeelError` of kind `graph` for more or fewer, and an open extent.
  package func number(at place: String) throws(KeelError) -> Float {
    guard count == 1 else {
      throw KeelError(.graph, at: place, expected: "one number", found: "\(count) elements")
    }
    switch elements {
    case .floats(let tensor): return tensor[flat: 0]
    case .integers: return Float(try integers(at: place)[0])
    case .booleans(let list): return list[0] ? 1 : 0
    }
  }
}
