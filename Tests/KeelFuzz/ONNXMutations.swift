import Foundation
import KeelONNX
import KeelTensor
import SwiftProtobuf

/// Damages ONNX models as messages: numbers, names, types and connections change, and what comes out is again a
/// well-formed message, which damaged bytes seldom are.
struct ONNXMutations {
  private var random: RandomSource
  private let donors: [ONNXModelProto]

  /// A model with one to four damages, as a file; the bytes themselves where they are no model.
  /// - Parameter donors: models whose nodes may take the places of its own.
  static func damaged(_ bytes: [UInt8], donors: [ONNXModelProto], seed: UInt64) -> [UInt8] {
    var mutations = ONNXMutations(random: RandomSource(seed: seed), donors: donors)
    guard var model = try? ONNXModelProto(serializedBytes: Data(bytes)) else { return bytes }
    for _ in 0...mutations.random.below(4) { mutations.damage(&model) }
    return (try? model.serializedData()).map { [UInt8]($0) } ?? bytes
  }

  private mutating func damage(_ model: inout ONNXModelProto) {
    switch random.below(16) {
    case 0: model.opsetImport = model.opsetImport.map { version($0) }
    case 1: damageInput(&model.graph)
    case 2: renameOutput(&model.graph)
    case 3...6: damageTensor(&model.graph)
    case 7: rearrange(&model.graph.node)
    default: damageNode(&model.graph)
    }
  }

  /// Small numbers for the most part, and those at the ends of what integers hold.
  private mutating func number() -> Int64 {
    if random.below(3) > 0 { return Int64(random.below(12)) - 3 }
    let values: [Int64] = [
      17, 64, 255, 1000, 65_535, 1 << 20, 1 << 24, 1 << 28, 1 << 31 - 1, 1 << 31, 1 << 32, 1 << 40,
      1 << 61, 1 << 62, .max, .max - 1, .min, .min + 1, -65_536, -(1 << 31), -(1 << 32),
    ]
    return pick(values)
  }

  private mutating func float() -> Float {
    pick([
      0, -0.0, 1, -1, 0.5, 2, 1e-30, 1e30, -1e30, .infinity, -.infinity, .nan, 3e9,
      .leastNonzeroMagnitude,
    ])
  }

  private mutating func pick<Value>(_ values: [Value]) -> Value {
    values[random.below(values.count)]
  }

  /// A position of a list that has one.
  private mutating func position(_ count: Int) -> Int? { count == 0 ? nil : random.below(count) }

  private mutating func version(_ operators: ONNXOperatorSetIdProto) -> ONNXOperatorSetIdProto {
    var changed = operators
    changed.version = random.below(4) == 0 ? number() : Int64(6 + random.below(21))
    return changed
  }

  private mutating func damageInput(_ graph: inout ONNXGraphProto) {
    guard let k = position(graph.input.count) else { return }
    switch random.below(5) {
    case 0: graph.input[k].type.tensorType.elemType = Int32(random.below(18))
    case 1: graph.input[k].type.tensorType.clearShape()
    case 2: graph.input[k].name = valueName(graph)
    default:
      var dims = graph.input[k].type.tensorType.shape.dim
      damage(&dims) { mutations in
        var dimension = ONNXTensorShapeProto.Dimension()
        switch mutations.random.below(4) {
        case 0: dimension.value = .dimParam(mutations.pick(["N", "M", ""]))
        case 1: dimension.value = nil
        default: dimension.value = .dimValue(mutations.number())
        }
        return dimension
      }
      graph.input[k].type.tensorType.shape.dim = dims
    }
  }

  private mutating func renameOutput(_ graph: inout ONNXGraphProto) {
    guard let k = position(graph.output.count) else { return }
    graph.output[k].name = valueName(graph)
  }

  private mutating func damageTensor(_ graph: inout ONNXGraphProto) {
    guard let k = position(graph.initializer.count) else { return }
    var tensor = graph.initializer[k]
    damage(&tensor)
    if random.below(16) == 0 { tensor.name = valueName(graph) }
    graph.initializer[k] = tensor
  }

  private mutating func damage(_ tensor: inout ONNXTensorProto) {
    switch random.below(8) {
    case 0: damage(&tensor.dims) { $0.number() }
    case 1: tensor.dataType = Int32(random.below(18))
    case 2: tensor.dataLocation = 1
    case 3: tensor.rawData = Data(tensor.rawData.prefix(random.below(tensor.rawData.count + 1)))
    case 4:
      // A constant of one number, or none, of whatever shape it was.
      let count = random.below(3)
      tensor.dims = random.below(2) == 0 ? [] : [Int64(count)]
      tensor.rawData = Data(tensor.rawData.prefix(max(1, count) * 8))
    default:
      let value = number()
      if tensor.dataType == 7, let k = position(tensor.rawData.count / 8) {
        let start = tensor.rawData.startIndex + 8 * k
        for i in 0..<8 {
          tensor.rawData[start + i] = UInt8(truncatingIfNeeded: value >> Int64(8 * i))
        }
      } else if tensor.dataType == 1, let k = position(tensor.rawData.count / 4) {
        let start = tensor.rawData.startIndex + 4 * k
        let bits = float().bitPattern
        for i in 0..<4 {
          tensor.rawData[start + i] = UInt8(truncatingIfNeeded: bits >> UInt32(8 * i))
        }
      } else {
        damage(&tensor.int64Data) { $0.number() }
      }
    }
  }

  private mutating func rearrange(_ nodes: inout [ONNXNodeProto]) {
    guard let k = position(nodes.count), let l = position(nodes.count) else { return }
    switch random.below(4) {
    case 0: nodes.swapAt(k, l)
    case 1: nodes.remove(at: k)
    case 2:
      // A node of another model, between the values of this.
      guard let donor = position(donors.count), let m = position(donors[donor].graph.node.count)
      else { return }
      var node = donors[donor].graph.node[m]
      node.input = nodes[k].input
      node.output = nodes[k].output
      nodes[k] = node
    default:
      var node = nodes[k]
      node.output = node.output.map { $0 + "'" }
      nodes.insert(node, at: k)
    }
  }

  private mutating func damageNode(_ graph: inout ONNXGraphProto) {
    guard let k = position(graph.node.count) else { return }
    var node = graph.node[k]
    switch random.below(8) {
    case 0:
      if let donor = position(donors.count), let m = position(donors[donor].graph.node.count) {
        node.opType = donors[donor].graph.node[m].opType
      }
    case 1: damage(&node.input) { $0.valueName(graph) }
    case 2: damage(&node.output) { mutations in mutations.pick(["", "x", "new", "y"]) }
    case 3:
      if let l = position(graph.node.count), let m = position(graph.node[l].attribute.count) {
        node.attribute.append(graph.node[l].attribute[m])
      }
    case 4: if let l = position(node.attribute.count) { node.attribute.remove(at: l) }
    default:
      if let l = position(node.attribute.count) { damage(&node.attribute[l]) }
    }
    graph.node[k] = node
  }

  private mutating func damage(_ attribute: inout ONNXAttributeProto) {
    switch random.below(12) {
    case 0: attribute.type = Int32(random.below(10))
    case 1: attribute.name = pick(["axis", "axes", "pads", "group", "perm", "value", "mode", "to"])
    case 2:
      attribute.s = Data(pick(["SAME_UPPER", "SAME_LOWER", "VALID", "edge", "wrap", ""]).utf8)
    default:
      switch attribute.type {
      case 1: attribute.f = float()
      case 4: damage(&attribute.t)
      case 6: damage(&attribute.floats) { $0.float() }
      case 7: damage(&attribute.ints) { $0.number() }
      default: attribute.i = number()
      }
    }
  }

  /// Replaces, adds or removes an element.
  private mutating func damage<Value>(
    _ list: inout [Value], by make: (inout ONNXMutations) -> Value
  ) {
    guard let k = position(list.count), random.below(4) > 0 else {
      return list.append(make(&self))
    }
    if random.below(4) == 0 { list.remove(at: k) } else { list[k] = make(&self) }
  }

  /// The name of a value of the graph, or of none.
  private mutating func valueName(_ graph: ONNXGraphProto) -> String {
    let names =
      graph.node.flatMap(\.output) + graph.input.map(\.name) + graph.initializer.map(\.name) + [
        "", "?",
      ]
    return pick(names)
  }
}
