import KeelGraph
import KeelTensor

/// A node of a model as an importing function sees it: its operands, and its attributes by type.
///
/// Attributes that no function asked for are reported: they would change what the node means.
final class ONNXNode {
  let proto: ONNXNodeProto
  /// What messages and the graph call it.
  let place: String
  /// The label in the graph.
  let label: String
  /// The version of ONNX's operators.
  let version: Int
  /// The operands; nil for one that is left out.
  let inputs: [ImportedValue?]
  /// The values that some node takes or the model gives.
  private let taken: Set<String>
  private let attributes: [String: ONNXAttributeProto]
  private var asked: Set<String> = []

  init(
    _ proto: ONNXNodeProto, place: String, label: String, version: Int, inputs: [ImportedValue?],
    taken: Set<String>
  ) throws(KeelError) {
    self.proto = proto
    self.place = place
    self.label = label
    self.version = version
    self.inputs = inputs
    self.taken = taken
    var attributes: [String: ONNXAttributeProto] = [:]
    for attribute in proto.attribute {
      guard attributes.updateValue(attribute, forKey: attribute.name) == nil else {
        throw KeelError(
          .graph, at: place, expected: "each attribute once", found: "\(attribute.name) twice")
      }
    }
    self.attributes = attributes
  }

  /// Whether result k is taken by anybody.
  func hasOutput(_ k: Int) -> Bool { k < proto.output.count && taken.contains(proto.output[k]) }

  /// The error that something is not supported.
  func unsupported(_ expected: String, found: String) -> KeelError {
    KeelError(.graph, at: place, expected: expected, found: found.isEmpty ? "nothing" : found)
  }

  /// Operand k, or nil where it is left out.
  func optional(_ k: Int) -> ImportedValue? { k < inputs.count ? inputs[k] : nil }

  /// Operand k.
  /// - Throws: `KeelError` of kind `graph` where it is left out.
  func input(_ k: Int) throws(KeelError) -> ImportedValue {
    guard let value = optional(k) else {
      throw unsupported("operand \(k)", found: "\(inputs.count) operands")
    }
    return value
  }

  /// Operand k where it is a constant, nil where it is left out.
  /// - Throws: `KeelError` of kind `graph` where it is not known before the network is run.
  func optionalConstant(_ k: Int, _ what: String) throws(KeelError) -> HostTensor? {
    switch optional(k) {
    case nil: return nil
    case .constant(let tensor, _): return tensor
    default: throw unsupported("\(what) that is known before the network runs", found: "a value")
    }
  }

  /// Operand k, a constant.
  /// - Throws: `KeelError` of kind `graph` where it is left out or not known.
  func constant(_ k: Int, _ what: String) throws(KeelError) -> HostTensor {
    _ = try input(k)
    return try optionalConstant(k, what)!
  }

  private func attribute(_ name: String, type: Int32) throws(KeelError) -> ONNXAttributeProto? {
    asked.insert(name)
    guard let attribute = attributes[name] else { return nil }
    guard attribute.type == type || attribute.type == 0 else {
      throw unsupported(
        "attribute \(name) of type \(type)", found: "type \(attribute.type)")
    }
    return attribute
  }

  /// Whether there is an attribute, without asking for it.
  func has(_ name: String) -> Bool { attributes[name] != nil }

  /// Counts an attribute as asked for that changes nothing.
  func ignore(_ names: String...) { asked.formUnion(names) }

  func float(_ name: String) throws(KeelError) -> Float? { try attribute(name, type: 1)?.f }
  func float(_ name: String, _ otherwise: Float) throws(KeelError) -> Float {
    try float(name) ?? otherwise
  }
  func int(_ name: String) throws(KeelError) -> Int? {
    try attribute(name, type: 2).map { Int($0.i) }
  }
  func int(_ name: String, _ otherwise: Int) throws(KeelError) -> Int {
    try int(name) ?? otherwise
  }
  func flag(_ name: String, _ otherwise: Bool = false) throws(KeelError) -> Bool {
    try int(name).map { $0 != 0 } ?? otherwise
  }
  func string(_ name: String, _ otherwise: String) throws(KeelError) -> String {
    try attribute(name, type: 3).map { String(decoding: $0.s, as: UTF8.self) } ?? otherwise
  }
  func tensor(_ name: String) throws(KeelError) -> ONNXTensorProto? {
    try attribute(name, type: 4)?.t
  }
  func floats(_ name: String) throws(KeelError) -> [Float]? {
    try attribute(name, type: 6)?.floats
  }
  func ints(_ name: String) throws(KeelError) -> [Int]? {
    try attribute(name, type: 7).map { $0.ints.map { Int($0) } }
  }

  /// A list with one number for each of `count` axes.
  /// - Throws: `KeelError` of kind `graph` for another number of them.
  func ints(_ name: String, count: Int, _ otherwise: Int) throws(KeelError) -> [Int] {
    let list = try ints(name) ?? [Int](repeating: otherwise, count: count)
    guard list.count == count else {
      throw unsupported("attribute \(name) of \(count) numbers", found: "\(list)")
    }
    return list
  }

  /// An axis from 0, of one that may count from the last.
  /// - Throws: `KeelError` of kind `graph` for an axis that the rank does not have.
  func axis(_ axis: Int, rank: Int) throws(KeelError) -> Int {
    guard (-rank..<rank).contains(axis) else {
      throw unsupported("an axis of \(rank)", found: "\(axis)")
    }
    return axis < 0 ? axis + rank : axis
  }

  /// Axes from 0, each once.
  /// - Throws: `KeelError` of kind `graph` for axes that the rank does not have and for one twice.
  func axes(_ axes: [Int], rank: Int) throws(KeelError) -> [Int] {
    var result: [Int] = []
    for axis in axes { result.append(try self.axis(axis, rank: rank)) }
    guard Set(result).count == result.count else {
      throw unsupported("each axis once", found: "\(axes)")
    }
    return result
  }

  /// Checks that all attributes were asked for.
  /// - Throws: `KeelError` of kind `graph` that names the others.
  func checkAttributes() throws(KeelError) {
    let others = attributes.keys.filter { !asked.contains($0) }.sorted()
    guard others.isEmpty else {
      throw unsupported(
        "attributes that Keel reads of \(proto.opType)", found: others.joined(separator: ", "))
    }
  }
}
