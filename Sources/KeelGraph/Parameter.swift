import KeelTensor
import Synchronization

/// A tensor of a network that layers hold by reference: training and loading change it in place.
///
/// Its path (`stage1.0.conv1.weight`) comes from where it stands in the model, see `ParameterNaming`.
public final class Parameter: Sendable {
  private let storage: Mutex<Tensor>
  /// What the parameter is for.
  public let role: Graph.Weight.Role
  /// What was wrong with the sizes it was made from; the trace throws it with the layer's path.
  public let failure: KeelError?

  /// The contents. A new value must have the old one's shape.
  public var value: Tensor {
    get { storage.withLock { $0 } }
    set {
      precondition(newValue.shape == shape, "expected \(shape), found \(newValue.shape)")
      storage.withLock { $0 = newValue }
    }
  }

  /// The extents, which never change.
  public let shape: Shape

  /// Makes a parameter that holds a tensor.
  public init(_ tensor: Tensor, role: Graph.Weight.Role = .trainable) {
    storage = Mutex(tensor)
    shape = tensor.shape
    self.role = role
    failure = nil
  }

  /// The most elements that a parameter can have, 8 GiB of them: more is taken for a mistake in a size.
  public static let largestCount = Int(Int32.max)

  /// Makes a parameter from sizes that a caller chose, which may be wrong: a size below 1, or more
  /// than `largestCount` elements, is kept as `failure`, and the initializer is not called.
  public init(
    shape: Shape, role: Graph.Weight.Role = .trainable, initializer: (Shape) -> Tensor
  ) {
    self.role = role
    var expected: String?
    if shape.extents.contains(where: { $0 < 1 }) {
      expected = "sizes of at least 1"
    } else if shape.extents.reduce(1, Self.saturatingProduct) > Self.largestCount {
      expected = "at most \(Self.largestCount) elements"
    }
    if let expected {
      storage = Mutex(Tensor(zeros: [0]))
      self.shape = [0]
      failure = KeelError(.argument, at: "parameter", expected: expected, found: "\(shape)")
    } else {
      storage = Mutex(initializer(shape))
      self.shape = shape
      failure = nil
    }
  }

  private static func saturatingProduct(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : product
  }
}

/// Gives every parameter of a model its path: property names and positions in arrays joined by dots,
/// as PyTorch's state dictionaries do; a superclass's properties come before those of its subclass, and
/// the payload of an enumeration goes by the name of its case. A parameter that is held twice has its
/// first path.
public enum ParameterNaming {
  /// The parameters of a model with their paths, in the order of the properties.
  public static func parameters(of model: Any) -> [(path: String, parameter: Parameter)] {
    var result: [(path: String, parameter: Parameter)] = []
    var seen: Set<ObjectIdentifier> = []
    visit(model, "", &result, &seen)
    return result
  }

  private static func visit(
    _ value: Any, _ path: String, _ result: inout [(path: String, parameter: Parameter)],
    _ seen: inout Set<ObjectIdentifier>
  ) {
    if let parameter = value as? Parameter {
      if seen.insert(ObjectIdentifier(parameter)).inserted { result.append((path, parameter)) }
      return
    }
    let mirror = Mirror(reflecting: value)
    if mirror.displayStyle == .optional {
      if let child = mirror.children.first { visit(child.value, path, &result, &seen) }
      return
    }
    if mirror.displayStyle == .class {
      // Objects can refer to each other in a ring; each is entered once.
      guard seen.insert(ObjectIdentifier(value as AnyObject)).inserted else { return }
    }
    // Sets and dictionaries have no order that a path could rest on.
    guard mirror.displayStyle != .set, mirror.displayStyle != .dictionary else { return }
    var classes = [mirror]
    while let superclass = classes[0].superclassMirror { classes.insert(superclass, at: 0) }
    for mirror in classes { visit(mirror.children, path, &result, &seen) }
  }

  private static func visit(
    _ children: Mirror.Children, _ path: String,
    _ result: inout [(path: String, parameter: Parameter)], _ seen: inout Set<ObjectIdentifier>
  ) {
    for (position, child) in children.enumerated() {
      // Elements of tuples without labels are called ".0", ".1" by reflection.
      let label = child.label.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
      let name = label ?? "\(position)"
      visit(child.value, path.isEmpty ? name : "\(path).\(name)", &result, &seen)
    }
  }
}
