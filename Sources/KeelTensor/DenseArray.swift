/// An element type that graph values or reference values can have.
public protocol ArrayElement: BitwiseCopyable, Hashable, Sendable {
  /// The additive identity, used to fill new arrays.
  static var zeroElement: Self { get }
}

extension Float: ArrayElement {
  /// Zero.
  public static var zeroElement: Float { 0 }
}
extension Double: ArrayElement {
  /// Zero.
  public static var zeroElement: Double { 0 }
}
extension Int64: ArrayElement {
  /// Zero.
  public static var zeroElement: Int64 { 0 }
}
extension Bool: ArrayElement {
  /// False.
  public static var zeroElement: Bool { false }
}

/// A dense array with value semantics: copies share storage until one of them is written.
///
/// Storage is contiguous, row-major and aligned to 64 bytes, so that vector loads of any width are
/// aligned at the start of the array.
///
/// Sendable although it holds a class with a raw pointer: the storage is written only after
/// `isKnownUniquelyReferenced` has shown that no other array sees it.
@frozen
public struct DenseArray<Element: ArrayElement>: @unchecked Sendable {
  /// The extents, outermost first.
  public let shape: Shape
  @usableFromInline internal var storage: AlignedStorage<Element>

  /// The number of elements.
  public var count: Int { shape.elementCount }

  /// Makes an array of zeros.
  /// - Precondition: no extent is negative.
  public init(zeros shape: Shape) {
    self.init(repeating: .zeroElement, shape: shape)
  }

  /// Makes an array whose elements all have one value.
  /// - Precondition: no extent is negative.
  public init(repeating value: Element, shape: Shape) {
    precondition(shape.extents.allSatisfy { $0 >= 0 }, "extents must not be negative: \(shape)")
    self.shape = shape
    storage = AlignedStorage(count: shape.elementCount)
    storage.base.initialize(repeating: value, count: shape.elementCount)
  }

  /// Makes an array from elements in row-major order.
  /// - Throws: `KeelError` of kind `shape` where the count does not equal the product of the extents.
  public init(_ elements: some Collection<Element>, shape: Shape) throws(KeelError) {
    guard elements.count == shape.elementCount, shape.extents.allSatisfy({ $0 >= 0 }) else {
      throw KeelError(
        .shape, at: "array elements", expected: "\(shape.elementCount) elements for shape \(shape)",
        found: "\(elements.count)")
    }
    self.shape = shape
    storage = AlignedStorage(count: shape.elementCount)
    _ = UnsafeMutableBufferPointer(start: storage.base, count: shape.elementCount)
      .initialize(from: elements)
  }

  /// Makes an array whose elements a closure writes; every element must be written.
  public init<Failure: Error>(
    uninitialized shape: Shape,
    _ body: (UnsafeMutableBufferPointer<Element>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(shape.extents.allSatisfy { $0 >= 0 }, "extents must not be negative: \(shape)")
    self.shape = shape
    storage = AlignedStorage(count: shape.elementCount)
    try body(UnsafeMutableBufferPointer(start: storage.base, count: shape.elementCount))
  }

  /// The same elements under another shape of the same element count.
  /// - Throws: `KeelError` of kind `shape` where the counts differ.
  public func reshaped(to shape: Shape) throws(KeelError) -> DenseArray {
    guard shape.elementCount == count, shape.extents.allSatisfy({ $0 >= 0 }) else {
      throw KeelError(
        .shape, at: "reshape", expected: "a shape of \(count) elements",
        found: "\(shape) with \(shape.elementCount)")
    }
    return DenseArray(shape: shape, storage: storage)
  }

  /// Calls a closure with the elements in row-major order.
  @inlinable
  public func withSpan<R: ~Copyable, Failure: Error>(
    _ body: (Span<Element>) throws(Failure) -> R
  ) throws(Failure) -> R {
    defer { withExtendedLifetime(storage) {} }
    let buffer = UnsafeBufferPointer(start: storage.base, count: count)
    return try body(buffer.span)
  }

  /// Calls a closure with the elements for writing, after copying them if they are shared.
  @inlinable
  public mutating func withMutableSpan<R: ~Copyable, Failure: Error>(
    _ body: (inout MutableSpan<Element>) throws(Failure) -> R
  ) throws(Failure) -> R {
    makeUnique()
    defer { withExtendedLifetime(storage) {} }
    let buffer = UnsafeMutableBufferPointer(start: storage.base, count: count)
    var span = buffer.mutableSpan
    return try body(&span)
  }

  /// The address of the first element, valid while this array is alive and not written through another
  /// way; for plans, which keep both promises.
  package var unsafeBase: UnsafeMutablePointer<Element> { storage.base }

  /// The elements in row-major order, copied into a Swift array.
  public var elements: [Element] {
    withExtendedLifetime(storage) {
      Array(UnsafeBufferPointer(start: storage.base, count: count))
    }
  }

  /// One element, by its position in row-major order.
  @inlinable
  public subscript(flat index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count, "index \(index) outside 0..<\(count)")
      return withExtendedLifetime(storage) { storage.base[index] }
    }
    set {
      precondition(index >= 0 && index < count, "index \(index) outside 0..<\(count)")
      makeUnique()
      withExtendedLifetime(storage) { storage.base[index] = newValue }
    }
  }

  /// One element, by its index along each axis.
  public subscript(indices: Int...) -> Element {
    get { self[flat: flatIndex(indices)] }
    set { self[flat: flatIndex(indices)] = newValue }
  }

  private func flatIndex(_ indices: [Int]) -> Int {
    precondition(indices.count == shape.rank, "\(indices.count) indices for shape \(shape)")
    var flat = 0
    for (axis, index) in indices.enumerated() {
      precondition(index >= 0 && index < shape[axis], "index \(index) on axis \(axis) of \(shape)")
      flat = flat * shape[axis] + index
    }
    return flat
  }

  @usableFromInline
  internal init(shape: Shape, storage: AlignedStorage<Element>) {
    self.shape = shape
    self.storage = storage
  }

  @usableFromInline
  internal mutating func makeUnique() {
    guard !isKnownUniquelyReferenced(&storage) else { return }
    let copy = AlignedStorage<Element>(count: count)
    copy.base.initialize(from: storage.base, count: count)
    storage = copy
  }
}

extension DenseArray: Hashable {
  /// Whether shapes are equal and all elements compare equal (so an array with a NaN is not equal
  /// to itself).
  public static func == (left: DenseArray, right: DenseArray) -> Bool {
    guard left.shape == right.shape else { return false }
    defer { withExtendedLifetime((left.storage, right.storage)) {} }
    for i in 0..<left.count where left.storage.base[i] != right.storage.base[i] { return false }
    return true
  }

  /// Feeds the shape and the elements to a hasher.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(shape)
    defer { withExtendedLifetime(storage) {} }
    for i in 0..<count { hasher.combine(storage.base[i]) }
  }
}

/// Memory of a fixed number of elements, aligned to 64 bytes, freed with the last reference.
@usableFromInline
internal final class AlignedStorage<Element: BitwiseCopyable> {
  @usableFromInline internal let base: UnsafeMutablePointer<Element>
  private let byteCount: Int

  @usableFromInline
  internal init(count: Int) {
    byteCount = max(count, 1) * MemoryLayout<Element>.stride
    base = LargeMemory.allocate(byteCount)
      .bindMemory(to: Element.self, capacity: max(count, 1))
  }

  deinit { LargeMemory.free(UnsafeMutableRawPointer(base), byteCount) }
}

/// A dense array of Float: what kernels compute on.
public typealias Tensor = DenseArray<Float>
/// A dense array of 64-bit integers: labels and indices.
public typealias IndexTensor = DenseArray<Int64>
/// A dense array of Double: what the reference evaluator computes on.
public typealias DoubleTensor = DenseArray<Double>
