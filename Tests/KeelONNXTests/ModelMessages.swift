import Foundation
import KeelTensor
import SwiftProtobuf

import KeelONNX

/// Models made in the tests.
enum Messages {
  static func model(
    _ nodes: [ONNXNodeProto], inputs: [ONNXValueInfoProto], outputs: [String],
    initializers: [ONNXTensorProto] = [], version: Int64 = 17
  ) -> ONNXModelProto {
    var model = ONNXModelProto()
    model.irVersion = 8
    var operators = ONNXOperatorSetIdProto()
    operators.version = version
    model.opsetImport = [operators]
    model.graph.node = nodes
    model.graph.input = inputs
    model.graph.output = outputs.map { name in
      var value = ONNXValueInfoProto()
      value.name = name
      return value
    }
    model.graph.initializer = initializers
    return model
  }

  static func node(
    _ type: String, _ inputs: [String], _ outputs: [String], name: String = "",
    _ attributes: [ONNXAttributeProto] = []
  ) -> ONNXNodeProto {
    var node = ONNXNodeProto()
    node.opType = type
    node.input = inputs
    node.output = outputs
    node.name = name
    node.attribute = attributes
    return node
  }

  /// An extent is a number, or a name for an open one.
  static func input(_ name: String, _ extents: [Any], type: Int32 = 1) -> ONNXValueInfoProto {
    var value = ONNXValueInfoProto()
    value.name = name
    value.type.tensorType.elemType = type
    value.type.tensorType.shape.dim = extents.map { extent in
      var dimension = ONNXTensorShapeProto.Dimension()
      if let number = extent as? Int { dimension.value = .dimValue(Int64(number)) }
      if let name = extent as? String { dimension.value = .dimParam(name) }
      return dimension
    }
    return value
  }

  static func tensor(_ name: String, _ tensor: Tensor) -> ONNXTensorProto {
    var proto = ONNXTensorProto()
    proto.name = name
    proto.dims = tensor.shape.extents.map { Int64($0) }
    proto.dataType = 1
    proto.rawData = tensor.elements.withUnsafeBytes { Data($0) }
    return proto
  }

  static func integers(_ name: String, _ list: [Int64]) -> ONNXTensorProto {
    var proto = ONNXTensorProto()
    proto.name = name
    proto.dims = [Int64(list.count)]
    proto.dataType = 7
    proto.int64Data = list
    return proto
  }

  static func attribute(_ name: String, ints: [Int]) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.type = 7
    attribute.ints = ints.map { Int64($0) }
    return attribute
  }

  static func attribute(_ name: String, int: Int) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.type = 2
    attribute.i = Int64(int)
    return attribute
  }

  static func attribute(_ name: String, float: Float) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.type = 1
    attribute.f = float
    return attribute
  }

  static func attribute(_ name: String, string: String) -> ONNXAttributeProto {
    var attribute = ONNXAttributeProto()
    attribute.name = name
    attribute.type = 3
    attribute.s = Data(string.utf8)
    return attribute
  }

  static func random(_ extents: [Int], _ source: inout RandomSource) -> Tensor {
    let shape = Shape(extents)
    var elements: [Float] = []
    for _ in 0..<shape.elementCount { elements.append(Float(source.normal())) }
    return try! Tensor(elements, shape: shape)
  }
}
