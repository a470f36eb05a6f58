import KeelGraph
import KeelTensor

/// A value of a model while it is imported.
enum ImportedValue {
  /// Elements that are known already: they need no node.
  case constant(HostTensor, name: String?)
  /// A value of the graph.
  case graph(OrderedValue)
  /// Values of a sequence of ONNX.
  case sequence([ImportedValue])
  /// What a node that could not be imported should have made.
  case missing
}

/// A value of the graph and the order in which its axes are stored.
///
/// ONNX's activations are channels first; Keel's are stored channels last. An operator that does not care
/// leaves the order as it is; one that does asks for another, and a transpose is made where the order really
/// differs. A Transpose of the model changes the order on paper only, so that pairs cancel.
struct OrderedValue {
  /// The value as it is stored.
  var id: ValueID
  /// Axis k of what is stored is axis `order[k]` in ONNX.
  var order: [Int]

  init(_ id: ValueID, order: [Int]) {
    self.id = id
    self.order = order
  }

  /// Where an axis of ONNX is stored.
  func position(ofAxis axis: Int) -> Int { order.firstIndex(of: axis)! }
}

/// Orders of axes.
enum AxisOrder {
  /// ONNX's own.
  static func plain(_ rank: Int) -> [Int] { Array(0..<rank) }

  /// N, spatial…, C of ONNX's N, C, spatial….
  static func channelsLast(_ rank: Int) -> [Int] {
    rank < 3 ? plain(rank) : [0] + Array(2..<rank) + [1]
  }

  /// The inverse permutation.
  static func inverse(_ order: [Int]) -> [Int] {
    var result = [Int](repeating: 0, count: order.count)
    for (position, axis) in order.enumerated() { result[axis] = position }
    return result
  }
}
