import Foundation
import KeelGraph
import KeelTensor

/// A value of the graph in the model that is being written.
///
/// Keel's images are channels last, ONNX's channels first. An operator that does not care leaves the order as it
/// is; one that does asks for another, and a transpose is written where the order really differs. A transpose of the
/// graph changes the order on paper only, so that pairs cancel, and weights are turned when they are written.
struct WrittenValue {
  /// The name in the model.
  var name: String
  /// Axis k in the model is axis `order[k]` in the graph.
  var order: [Int]
  /// The type in the graph.
  var type: ValueType
  /// The elements of a weight, in the model's order, which is free until the weight is first written.
  var constant: Tensor?
  /// Whether a weight or a view of it has several uses, so that its extents must stay.
  var isShared = false
  /// Whether the elements were computed, so that parts of them may take their place.
  var isComputed = false

  init(_ name: String, order: [Int], _ type: ValueType) {
    self.name = name
    self.order = order
    self.type = type
  }

  /// A weight as the graph has it.
  init(_ name: String, _ tensor: Tensor, isShared: Bool) {
    self.init(name, order: AxisOrder.plain(tensor.shape.rank), ValueType(shape: tensor.shape))
    constant = tensor
    self.isShared = isShared
  }

  /// The extents in the graph.
  var extents: [Extent] { type.extents }
  var rank: Int { type.rank }
  /// The extents in the model.
  var modelExtents: [Extent] { order.map { extents[$0] } }
  /// Whether there is one element.
  var isNumber: Bool { extents.allSatisfy { $0 == 1 } }
  /// Where an axis of the graph stands in the model.
  func position(ofAxis axis: Int) -> Int { order.firstIndex(of: axis)! }
}

extension AxisOrder {
  /// N, C, spatial… of Keel's N, spatial…, C.
  static func channelsFirst(_ rank: Int) -> [Int] { inverse(channelsLast(rank)) }
}

extension ONNXAttributeProto {
  private init(_ name: String, type: Int32) {
    self.init()
    self.name = name
    self.type = type
  }

  static func float(_ name: String, _ value: Float) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto(name, type: 1)
    attribute.f = value
    return attribute
  }
  static func int(_ name: String, _ value: Int) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto(name, type: 2)
    attribute.i = Int64(value)
    return attribute
  }
  static func string(_ name: String, _ value: String) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto(name, type: 3)
    attribute.s = Data(value.utf8)
    return attribute
  }
  static func tensor(_ name: String, _ value: ONNXTensorProto) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto(name, type: 4)
    attribute.t = value
    return attribute
  }
  static func ints(_ name: String, _ value: [Int]) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto(name, type: 7)
    attribute.ints = value.map { Int64($0) }
    return attribute
  }
}

extension ONNXTensorProto {
  /// A tensor of floats.
  init(_ tensor: Tensor) {
    self.init()
    dims = tensor.shape.extents.map { Int64($0) }
    dataType = ONNXElementType.float32.rawValue
    rawData = tensor.withSpan { span in span.withUnsafeBytes { Data($0) } }
  }

  /// A tensor of truth values.
  init(_ truth: [Bool], _ extents: [Int]) {
    self.init()
    dims = extents.map { Int64($0) }
    dataType = ONNXElementType.bool.rawValue
    rawData = Data(truth.map { $0 ? 1 : 0 })
  }

  /// A tensor of integers.
  init(_ integers: [Int], _ extents: [Int]) {
    self.init()
    dims = extents.map { Int64($0) }
    dataType = ONNXElementType.int64.rawValue
    rawData = integers.map { Int64($0).littleEndian }.withUnsafeBytes { Data($0) }
  }
}

extension ONNXValueInfoProto {
  /// An input or output of a model.
  init(_ name: String, _ type: ValueType, order: [Int]) {
    self.init()
    self.name = name
    let element: ONNXElementType =
      switch type.elementType {
      case .float32: .float32
      case .int64: .int64
      case .bool: .bool
      }
    self.type.tensorType.elemType = element.rawValue
    self.type.tensorType.shape.dim = order.map { axis in
      var dimension = ONNXTensorShapeProto.Dimension()
      switch type.extents[axis] {
      case .fixed(let extent): dimension.value = .dimValue(Int64(extent))
      case .symbol(let name): dimension.value = .dimParam(name)
      }
      return dimension
    }
  }
}
