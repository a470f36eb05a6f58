import KeelGraph
import KeelTensor

/// Imports a model node by node. One extension for each family of operators has the functions that
/// `operators` lists.
final class GraphImporter {
  let model: ONNXModel
  let options: ONNXImportOptions
  var builder = GraphBuilder()
  private var values: [String: ImportedValue] = [:]
  private var initializers: [String: Int] = [:]
  let outside: ExternalData
  /// The values that some node takes or the model gives.
  private let taken: Set<String>

  /// Weights that are there already, by what they were made from.
  private var weights: [String: ValueID] = [:]
  private var weightNames: Set<String> = []
  /// The elements that the results of constants may still have: eight times those of the file, and
  /// `computedElements`.
  private var constantBudget: Int
  private var decoded: Set<String> = []
  /// Transposes and reshapes that are there already: each is made once.
  private var views: [ViewKey: ValueID] = [:]
  /// What a reshape was made from, so that one of it starts there.
  private var reshaped: [ValueID: ValueID] = [:]

  private struct ViewKey: Hashable {
    let id: ValueID
    let primitive: Primitive
  }

  init(_ model: ONNXModel, _ options: ONNXImportOptions) {
    self.model = model
    self.options = options
    constantBudget = max(0, options.computedElements)
    outside = ExternalData(folder: model.folder)
    let graph = model.proto.graph
    taken = Set(graph.node.flatMap(\.input) + graph.output.map(\.name)).subtracting([""])
    for (position, tensor) in model.proto.graph.initializer.enumerated() {
      initializers[tensor.name] = position
    }
  }

  func graph() throws(KeelError) -> Graph {
    for input in model.proto.graph.input where initializers[input.name] == nil {
      values[input.name] = .graph(try importInput(input))
    }
    var failures: [KeelError] = []
    for position in model.proto.graph.node.indices {
      do throws(KeelError) {
        try importNode(position)
      } catch  where error.kind == .file {
        throw error
      } catch {
        failures.append(error)
        for output in model.proto.graph.node[position].output { values[output] = .missing }
      }
    }
    if failures.count == 1 { throw failures[0] }
    if !failures.isEmpty {
      let lines = failures.map { "\($0.place): expected \($0.expected), found \($0.found)" }
      throw KeelError(
        .graph, at: model.name, expected: "operators and attributes that Keel has",
        found: "\(failures.count) that it has not:\n" + lines.joined(separator: "\n"))
    }
    for output in model.proto.graph.output { try importOutput(output.name) }
    return try builder.finish()
  }

  private func importInput(_ input: ONNXValueInfoProto) throws(KeelError) -> OrderedValue {
    let place = "\(model.name), input \(input.name)"
    guard input.type.hasTensorType, input.type.tensorType.hasShape else {
      throw KeelError(.file, at: place, expected: "a tensor of known rank", found: "another type")
    }
    let tensor = input.type.tensorType
    let type = try ONNXElementType(number: tensor.elemType, at: place)
    var extents: [Extent] = []
    for (axis, dimension) in tensor.shape.dim.enumerated() {
      switch dimension.value {
      case .dimValue(let value)?:
        guard (1...Int64(Int32.max)).contains(value) else {
          throw KeelError(
            .file, at: place, expected: "extents from 1 to 2³¹ − 1", found: "\(value)")
        }
        extents.append(.fixed(Int(value)))
      case .dimParam(let name)? where !name.isEmpty: extents.append(try bound(name, place))
      default: extents.append(try bound("\(input.name).\(axis)", place))
      }
    }
    let turns = options.channelsLast.contains(input.name)
    let order =
      turns ? AxisOrder.channelsLast(extents.count) : AxisOrder.plain(extents.count)
    try checkSize(extents, at: place)
    let id = builder.input(
      input.name, ValueType(type.elementType, order.map { extents[$0] }))
    return OrderedValue(id, order: order)
  }

  private func bound(_ name: String, _ place: String) throws(KeelError) -> Extent {
    guard let value = options.extents[name] else { return .symbol(name) }
    guard value >= 1 else {
      throw KeelError(
        .argument, at: place, expected: "an extent of at least 1 for \(name)", found: "\(value)")
    }
    return .fixed(value)
  }

  private func importNode(_ position: Int) throws(KeelError) {
    let proto = model.proto.graph.node[position]
    let place = model.place(of: position)
    var inputs: [ImportedValue?] = []
    var isReachable = true
    for name in proto.input {
      let value = name.isEmpty ? nil : try value(named: name)
      if case .missing? = value { isReachable = false }
      inputs.append(value)
    }
    let node = try ONNXNode(
      proto, place: place,
      label: proto.name.isEmpty ? "\(proto.opType).\(position)" : proto.name,
      version: model.operatorVersion, inputs: inputs,
      taken: taken)
    let results: [ImportedValue]
    do throws(KeelError) {
      let known: [ImportedValue]? =
        switch proto.domain {
        case "", "ai.onnx": try self.results(of: node)
        case ONNXModel.trainingDomain: try trained(node)
        default: nil
        }
      guard let known else {
        isReachable = true
        let domain = proto.domain.isEmpty ? "" : " of \(proto.domain)"
        throw node.unsupported("an operator that Keel reads", found: "\(proto.opType)\(domain)")
      }
      results = known
    } catch {
      if isReachable { throw error }
      // Its operands could not be imported: that is reported where it happened.
      for output in proto.output { values[output] = .missing }
      return
    }
    try node.checkAttributes()
    for (k, name) in proto.output.enumerated() where node.hasOutput(k) {
      guard k < results.count else {
        throw node.unsupported("\(results.count) results", found: "result \(k), \(name)")
      }
      values[name] = results[k]
      if case .constant(let tensor, _) = results[k] { try charge(tensor.count, node) }
    }
  }

  /// Takes elements that are made of constants from what is left of them.
  private func charge(_ count: Int, _ node: ONNXNode) throws(KeelError) {
    constantBudget -= count
    guard constantBudget >= 0 else {
      throw KeelError(
        .file, at: node.place,
        expected:
          "computed constants of at most \(options.computedElements) elements and eight times "
          + "those of the file (computedElements)", found: "more")
    }
  }

  /// Checks the extents of a weight that is made for a node: the elements count as a quarter of a constant's, which
  /// is as much memory.
  func chargeWeight(_ extents: [Int], _ node: ONNXNode) throws(KeelError) {
    try charge(try HostTensor.checkedCount(extents, at: node.place) / 4, node)
  }

  private func importOutput(_ name: String) throws(KeelError) {
    let place = "\(model.name), output \(name)"
    let value = try ordered(try value(named: name), at: place)
    let rank = value.order.count
    let turns = options.channelsLast.contains(name)
    let order = turns ? AxisOrder.channelsLast(rank) : AxisOrder.plain(rank)
    builder.output(name, try stored(value, order, label: name))
  }

  /// A value by its name; initializers are decoded each time, so that none is held longer than it is needed.
  private func value(named name: String) throws(KeelError) -> ImportedValue {
    if let value = values[name] { return value }
    guard let position = initializers[name] else { return .missing }
    let tensor = try model.initializer(
      position, outside: outside, at: "\(model.name), initializer \(name)")
    if decoded.insert(name).inserted { constantBudget += 8 * tensor.count }
    return .constant(tensor, name: name)
  }

  /// Adds a node of one result.
  func append(_ primitive: Primitive, _ inputs: [ValueID], _ label: String) throws(KeelError)
    -> ValueID
  {
    let result = try builder.append(primitive, inputs, label: label)[0]
    try checkSize(type(result).extents, at: label)
    return result
  }

  /// Refuses extents whose product is beyond any memory, so that no product of them overflows.
  func checkSize(_ extents: [Extent], at place: String) throws(KeelError) {
    guard extents.count <= HostTensor.largestRank else {
      throw KeelError(
        .graph, at: place, expected: "at most \(HostTensor.largestRank) axes",
        found: "\(extents.count)")
    }
    var count = 1
    for extent in extents.compactMap(\.fixedValue) {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= 1 << 40 else {
        throw KeelError(
          .graph, at: place, expected: "at most 2⁴⁰ elements",
          found: extents.map(\.description).joined(separator: "×"))
      }
      count = product
    }
  }

  /// Adds a transpose or reshape, once for each value and kind.
  private func view(_ primitive: Primitive, _ id: ValueID, _ label: String) throws(KeelError)
    -> ValueID
  {
    let key = ViewKey(id: id, primitive: primitive)
    if let known = views[key] { return known }
    let result = try append(primitive, [id], label)
    views[key] = result
    return result
  }

  /// Adds a reshape, of what the value is a reshape of, if it is one.
  func reshape(_ id: ValueID, _ extents: [Extent], _ label: String) throws(KeelError) -> ValueID {
    let source = reshaped[id] ?? id
    if type(source).extents == extents { return source }
    let result = try view(.reshape(extents), source, label)
    reshaped[result] = source
    return result
  }

  /// The type of a value as it is stored.
  func type(_ id: ValueID) -> ValueType { builder.graph.type(of: id) }

  /// The extents in ONNX's order.
  func extents(_ value: OrderedValue) -> [Extent] {
    let stored = type(value.id).extents
    return AxisOrder.inverse(value.order).map { stored[$0] }
  }

  /// The value stored in an order: itself, a reshape where only extents of 1 change places, or a transpose.
  func stored(_ value: OrderedValue, _ order: [Int], label: String) throws(KeelError) -> ValueID {
    if value.order == order { return value.id }
    let permutation = order.map { value.position(ofAxis: $0) }
    let extents = type(value.id).extents
    let moved = permutation.filter { extents[$0] != .fixed(1) }
    let target = permutation.map { extents[$0] }
    if moved == moved.sorted(), type(value.id).elementType != .bool {
      return try reshape(value.id, target, label)
    }
    return try view(.transpose(permutation: permutation), value.id, "\(label).order")
  }

  /// A weight, made once for each `key`; a name that is taken gets a number.
  func weight(
    _ name: String, key: String, role: Graph.Weight.Role, _ tensor: () throws(KeelError) -> Tensor
  ) throws(KeelError) -> ValueID {
    if let known = weights[key] { return known }
    let tensor = try tensor()
    guard tensor.shape.extents.allSatisfy({ $0 > 0 }) else {
      throw KeelError(
        .graph, at: "\(model.name), \(name)", expected: "extents of at least 1",
        found: "\(tensor.shape)")
    }
    var unique = name
    var number = 2
    while !weightNames.insert(unique).inserted {
      unique = "\(name).\(number)"
      number += 1
    }
    let id = builder.weight(unique, tensor, role: role)
    weights[key] = id
    return id
  }
}
