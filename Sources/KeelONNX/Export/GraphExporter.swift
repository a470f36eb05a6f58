import Foundation
import KeelGraph
import KeelTensor

/// Writes a graph node by node. One extension for each family of operations has the functions that `write` lists.
final class GraphExporter {
  let graph: Graph
  private let modelName: String
  private let options: ONNXExportOptions
  private let images: InterfaceImages
  private let uses: [Int]
  private var proto = ONNXGraphProto()
  private var values: [ValueID: WrittenValue] = [:]
  /// Moments, which are written as mean, variance and count, by the value of their table.
  var cellStatistics: [ValueID: CellStatistics] = [:]

  /// What nodes are called after: the path of the layer.
  private var label = ""
  private var names: Set<String> = []
  /// How each initializer that is there already is turned.
  private var permutations: [String: [Int]] = [:]
  /// Nodes that are there already: each is made once.
  private var known: [ONNXNodeProto: [String]] = [:]
  /// What values that are outputs are to be called.
  private var renamed: [String: String] = [:]
  /// Where an open extent can be found: an input and its axis.
  private var symbols: [String: (input: String, axis: Int)] = [:]

  init(_ graph: Graph, name: String, _ options: ONNXExportOptions) throws(KeelError) {
    guard graph.updates.isEmpty else {
      throw KeelError(
        .graph, at: name, expected: "a graph for inference (take its inference form)",
        found: "updates of \(graph.updates.map(\.weight).joined(separator: ", "))")
    }
    // Without what leads nowhere.
    self.graph = try GraphEditor(graph).finish()
    modelName = name
    self.options = options
    images = InterfaceImages(self.graph)
    uses = self.graph.consumerCounts()
  }

  func model() throws(KeelError) -> ONNXModelProto {
    let computed = try ComputedConstants(graph)
    try checkOperations(except: computed.nodes)
    names = Set(graph.inputs.map(\.name) + graph.outputs.map(\.name))
    for input in graph.inputs { write(input) }
    for weight in graph.weights { define(weight.value, weight.name, weight.tensor) }
    for (i, node) in graph.nodes.enumerated() {
      label = node.label
      if computed.nodes.contains(i) {
        for output in node.outputs {
          guard let tensor = computed.tensors[output] else { continue }
          define(output, node.label, tensor)
          values[output]?.isComputed = true
        }
      } else {
        for (output, value) in zip(node.outputs, write(node)) { values[output] = value }
      }
    }
    for output in graph.outputs { try write(output) }
    renameOutputs()
    removeUnused()
    proto.name = modelName
    var model = ONNXModelProto()
    model.irVersion = Int64(ONNXModel.writtenFormatVersion)
    model.producerName = "Keel"
    var operators = ONNXOperatorSetIdProto()
    operators.domain = ""
    operators.version = Int64(ONNXModel.writtenOperatorVersion)
    model.opsetImport = [operators]
    model.graph = proto
    return model
  }

  /// - Throws: `KeelError` of kind `graph` that lists every node without a form in ONNX.
  private func checkOperations(except computed: Set<Int>) throws(KeelError) {
    var lines: [String] = []
    for (i, node) in graph.nodes.enumerated() where !computed.contains(i) {
      if let reason = refusal(of: node) {
        lines.append("\(node.label): \(node.primitive.name)\(reason.isEmpty ? "" : ", \(reason)")")
      }
    }
    guard lines.isEmpty else {
      throw KeelError(
        .graph, at: modelName, expected: "operations that have a form in ONNX",
        found: "\(lines.count) that have none:\n" + lines.joined(separator: "\n"))
    }
  }

  // MARK: the interface

  /// The order in which an input or output is written.
  private func order(_ name: String, _ value: ValueID) -> [Int] {
    let rank = graph.type(of: value).rank
    let turns =
      options.channelsFirst.contains(name)
      || (images.contains(value) && !options.channelsLast.contains(name))
    return turns ? AxisOrder.channelsFirst(rank) : AxisOrder.plain(rank)
  }

  private func write(_ input: Graph.Input) {
    let value = WrittenValue(
      input.name, order: order(input.name, input.value), graph.type(of: input.value))
    values[input.value] = value
    proto.input.append(ONNXValueInfoProto(input.name, value.type, order: value.order))
    for (axis, extent) in value.modelExtents.enumerated() {
      if case .symbol(let symbol) = extent, symbols[symbol] == nil {
        symbols[symbol] = (input.name, axis)
      }
    }
  }

  private func write(_ output: Graph.Output) throws(KeelError) {
    let order = self.order(output.name, output.value)
    let type = graph.type(of: output.value)
    label = output.name
    let made = name(value(output.value), in: order)
    proto.output.append(ONNXValueInfoProto(output.name, type, order: order))
    if made == output.name { return }
    if proto.input.contains(where: { $0.name == output.name }) {
      throw KeelError(
        .graph, at: "output \(output.name)", expected: "a name that no input has, as ONNX wants it",
        found: "an input of that name")
    }
    let isNode = proto.node.contains { $0.output.contains(made) }
    if isNode, renamed[made] == nil {
      renamed[made] = output.name
    } else {
      var node = ONNXNodeProto()
      node.name = unique("Identity")
      node.opType = "Identity"
      node.input = [made]
      node.output = [output.name]
      proto.node.append(node)
    }
  }

  /// Gives the values that are outputs the names of those.
  private func renameOutputs() {
    for i in proto.node.indices {
      proto.node[i].input = proto.node[i].input.map { renamed[$0] ?? $0 }
      proto.node[i].output = proto.node[i].output.map { renamed[$0] ?? $0 }
    }
  }

  /// Takes away nodes and initializers that lead to no output.
  private func removeUnused() {
    var wanted = Set(proto.output.map(\.name))
    var kept: [ONNXNodeProto] = []
    for node in proto.node.reversed() where node.output.contains(where: wanted.contains) {
      wanted.formUnion(node.input)
      kept.append(node)
    }
    proto.node = kept.reversed()
    proto.initializer.removeAll { !wanted.contains($0.name) }
  }

  // MARK: values

  /// Whether a weight may still be given other extents.
  func isFree(_ value: WrittenValue) -> Bool {
    !value.isShared && permutations[value.name] == nil
  }

  /// A value of the graph.
  func value(_ id: ValueID) -> WrittenValue {
    if let value = values[id] { return value }
    guard let statistics = cellStatistics[id] else {
      preconditionFailure("value \(id.index) is taken before it is made")
    }
    let table = table(of: statistics)
    values[id] = table
    return table
  }

  /// An operand of a node.
  func operand(_ node: Node, _ k: Int) -> WrittenValue { value(node.inputs[k]) }

  /// Whether a result is taken by anything.
  func isTaken(_ id: ValueID) -> Bool { uses[id.index] > 0 }

  /// Whether a value has several uses.
  func isShared(_ id: ValueID) -> Bool { uses[id.index] > 1 }

  private func define(_ id: ValueID, _ name: String, _ tensor: Tensor) {
    values[id] = WrittenValue(unique(name), tensor, isShared: isShared(id))
  }

  /// A part of a constant that was computed.
  func part(of value: WrittenValue, _ tensor: Tensor) -> WrittenValue {
    var part = WrittenValue(unique("\(value.name).part"), tensor, isShared: false)
    part.isComputed = true
    return part
  }

  /// A name that nothing has yet.
  private func unique(_ name: String) -> String {
    var free = name
    var number = 2
    while !names.insert(free).inserted {
      free = "\(name).\(number)"
      number += 1
    }
    return free
  }

  /// Adds a node, once for each kind and operands. The first one of a layer has the layer's path as its name,
  /// others the operator as well.
  func emit(
    _ type: String, _ inputs: [String], _ attributes: [ONNXAttributeProto] = [], results: Int = 1
  ) -> [String] {
    var node = ONNXNodeProto()
    node.opType = type
    node.input = inputs
    node.attribute = attributes
    let key = node
    if let made = known[key], made.count == results { return made }
    let isView = type == "Transpose" || type == "Constant" || type == "Unsqueeze"
    let isFree = !isView && !names.contains(label)
    node.name = unique(isFree ? label : "\(label)/\(type)")
    node.output = [node.name] + (1..<results).map { unique("\(node.name).\($0)") }
    proto.node.append(node)
    known[key] = node.output
    return node.output
  }

  /// The name of a value whose axes stand in an order; in its own, if none is given. Writes the initializer of a
  /// weight that is not there yet, or a transpose where one is needed.
  func name(_ value: WrittenValue, in order: [Int]? = nil) -> String {
    var permutation = (order ?? value.order).map { value.position(ofAxis: $0) }
    if let tensor = value.constant {
      guard let present = permutations[value.name] else {
        if case .floats(let turned) = HostTensor(tensor).permuted(permutation).elements {
          var initializer = ONNXTensorProto(turned)
          initializer.name = value.name
          proto.initializer.append(initializer)
        }
        permutations[value.name] = permutation
        return value.name
      }
      precondition(
        present.count == permutation.count, "\(value.name) is written with \(present.count) axes")
      permutation = permutation.map { axis in present.firstIndex(of: axis)! }
    }
    if permutation == AxisOrder.plain(permutation.count) { return value.name }
    return emit("Transpose", [value.name], [.ints("perm", permutation)])[0]
  }

  /// A constant operand of integers.
  func integers(_ list: [Int], isScalar: Bool = false) -> String {
    constantNode(ONNXTensorProto(list, isScalar ? [] : [list.count]))
  }

  /// A constant operand that is no weight.
  func constantNode(_ tensor: ONNXTensorProto) -> String {
    emit("Constant", [], [.tensor("value", tensor)])[0]
  }

  /// An operand of extents, of which open ones are found when the model runs.
  func shape(_ extents: [Extent]) -> String {
    let fixed = extents.compactMap(\.fixedValue)
    if fixed.count == extents.count { return integers(fixed) }
    let parts = extents.map { extent in
      switch extent {
      case .fixed(let value): return integers([value])
      case .symbol(let symbol):
        guard let (input, axis) = symbols[symbol] else {
          preconditionFailure("no input has the extent \(symbol)")
        }
        return emit("Shape", [input], [.int("start", axis), .int("end", axis + 1)])[0]
      }
    }
    return parts.count == 1 ? parts[0] : emit("Concat", parts, [.int("axis", 0)])[0]
  }
}
