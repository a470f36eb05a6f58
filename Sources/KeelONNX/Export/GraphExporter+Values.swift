import KeelGraph
import KeelTensor

/// Values made of values: what operations are composed of.
extension GraphExporter {
  /// f(x) in the order of x.
  func apply(
    _ type: String, _ x: WrittenValue, _ others: [String] = [],
    _ attributes: [ONNXAttributeProto] = []
  ) -> WrittenValue {
    WrittenValue(emit(type, [name(x)] + others, attributes)[0], order: x.order, x.type)
  }

  /// A number as a value without axes.
  func number(_ value: Float) -> WrittenValue {
    let tensor = Tensor(repeating: value, shape: [])
    return WrittenValue(constantNode(ONNXTensorProto(tensor)), order: [], ValueType([]))
  }

  /// x ∘ number.
  func apply(_ type: String, _ x: WrittenValue, _ value: Float) -> WrittenValue {
    combine(type, x, number(value))
  }

  /// a ∘ b, broadcast, in the order of the one with more axes or fewer of extent 1.
  func combine(_ type: String, _ a: WrittenValue, _ b: WrittenValue) -> WrittenValue {
    func rank(_ value: WrittenValue) -> (Int, Int, Int) {
      (
        value.rank, value.extents.count { $0 != 1 }, value.constant == nil ? 1 : 0
      )
    }
    let leads = rank(a) >= rank(b)
    let lead = leads ? a : b
    let other = aligned(leads ? b : a, with: lead)
    let names = leads ? [name(lead), other] : [other, name(lead)]
    guard let extents = a.extents.broadcast(with: b.extents) else {
      preconditionFailure("\(a.type) and \(b.type) do not broadcast")
    }
    return WrittenValue(
      emit(type, names)[0], order: lead.order, ValueType(a.type.elementType, extents))
  }

  /// The name of a value that broadcasts with another one, which has as many axes or more.
  func aligned(_ value: WrittenValue, with lead: WrittenValue) -> String {
    if value.isNumber, value.rank <= 1 { return name(value) }
    let missing = lead.rank - value.rank
    let own = lead.order.filter { $0 >= missing }.map { $0 - missing }
    // Where the model has axes of the lead that the value has not, but for leading ones.
    let present = lead.order.drop { $0 < missing }
    let gaps = present.indices.filter { present[$0] < missing }.map { $0 - present.startIndex }
    if gaps.isEmpty { return name(value, in: own) }
    if let tensor = value.constant, isFree(value) {
      let turned = HostTensor(tensor).permuted(own.map { value.position(ofAxis: $0) })
      let shape = present.map {
        $0 < missing ? 1 : turned.extents[own.firstIndex(of: $0 - missing)!]
      }
      if case .floats(let raised) = turned.reshaped(shape).elements {
        return name(WrittenValue(value.name, raised, isShared: false))
      }
    }
    return emit("Unsqueeze", [name(value, in: own), integers(gaps)])[0]
  }

  /// A reduction along axes of the graph.
  func reduce(_ type: String, _ x: WrittenValue, axes: [Int], keeps: Bool) -> WrittenValue {
    let positions = axes.map { x.position(ofAxis: $0) }.sorted()
    let made = emit(type, [name(x), integers(positions)], [.int("keepdims", keeps ? 1 : 0)])[0]
    if keeps {
      let extents = x.extents.enumerated().map { axes.contains($0.offset) ? 1 : $0.element }
      return WrittenValue(made, order: x.order, ValueType(extents))
    }
    let extents = x.extents.enumerated().filter { !axes.contains($0.offset) }.map(\.element)
    let order = x.order.filter { !axes.contains($0) }.map { axis in
      axis - axes.count { $0 < axis }
    }
    return WrittenValue(made, order: order, ValueType(extents))
  }

  /// A value under other extents. Runs of axes that become each other keep their place in the order, so that a
  /// transpose is written only where a run's own axes do not stand one after another.
  func reshaped(_ x: WrittenValue, to extents: [Extent], isShared: Bool = false) -> WrittenValue {
    if x.extents == extents { return x }
    let groups = inOrder(AxisGroup.matching(x.extents, extents), of: x)
    let (before, after) = (groups.flatMap(\.old), groups.flatMap(\.new))
    let type = ValueType(x.type.elementType, extents)
    let target = after.map { extents[$0] }
    if let tensor = x.constant, isFree(x) {
      let turned = HostTensor(tensor).permuted(before.map { x.position(ofAxis: $0) })
      if case .floats(let floats) = turned.reshaped(target.compactMap(\.fixedValue)).elements {
        var view = WrittenValue(x.name, order: after, type)
        view.constant = floats
        view.isShared = isShared
        return view
      }
    }
    // Axes of extent 1 may stand anywhere.
    let moves = x.order.filter { x.extents[$0] != 1 } != before.filter { x.extents[$0] != 1 }
    let order = moves ? before : x.order
    let source = name(x, in: order)
    let old = order.map { x.extents[$0] }
    if old == target { return WrittenValue(source, order: after, type) }
    return WrittenValue(
      emit("Reshape", [source, shape(target, of: old)])[0], order: after, type)
  }

  /// Groups of axes as their elements stand in the model; one without elements of its own stays before the group
  /// that follows it in the graph.
  private func inOrder(_ groups: [AxisGroup], of x: WrittenValue) -> [AxisGroup] {
    var next = Int.max
    var keys: [Int] = []
    for group in groups.reversed() {
      let axes = group.old.filter { x.extents[$0] != 1 }
      next = axes.map { x.position(ofAxis: $0) }.min() ?? next
      keys.insert(next, at: 0)
    }
    return groups.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.map { groups[$0] }
  }

  /// The shape operand of Reshape: 0 for an open extent in its place, −1 for one elsewhere.
  private func shape(_ extents: [Extent], of old: [Extent]) -> String {
    var list: [Int] = []
    var open = 0
    for (axis, extent) in extents.enumerated() {
      if let value = extent.fixedValue {
        list.append(value)
      } else if axis < old.count, old[axis] == extent {
        list.append(0)
      } else {
        list.append(-1)
        open += 1
      }
    }
    return open <= 1 ? integers(list) : shape(extents)
  }

  /// Some elements of a computed constant along an axis of the graph, or nil for another value.
  private func computedPart(_ x: WrittenValue, axis: Int, _ positions: [Int]) -> Tensor? {
    guard x.isComputed, let tensor = x.constant else { return nil }
    let plain = HostTensor(tensor).permuted(AxisOrder.inverse(x.order))
    guard case .floats(let part) = plain.taking(positions, axis: axis).elements else { return nil }
    return part
  }

  /// Some elements along an axis.
  func sliced(_ x: WrittenValue, axis: Int, start: Int, count: Int) -> WrittenValue {
    if let part = computedPart(x, axis: axis, Array(start..<start + count)) {
      return self.part(of: x, part)
    }
    var type = x.type
    type.extents[axis] = .fixed(count)
    let operands = [[start], [start + count], [x.position(ofAxis: axis)]].map { integers($0) }
    return WrittenValue(emit("Slice", [name(x)] + operands)[0], order: x.order, type)
  }

  /// One element along the first axis of the graph, which goes.
  func row(_ x: WrittenValue, _ index: Int) -> WrittenValue {
    if let row = computedPart(x, axis: 0, [index]),
      let part = try? row.reshaped(to: Shape(Array(row.shape.extents.dropFirst())))
    {
      return self.part(of: x, part)
    }
    let made = emit(
      "Gather", [name(x), integers([index], isScalar: true)],
      [.int("axis", x.position(ofAxis: 0))])[0]
    return WrittenValue(
      made, order: x.order.filter { $0 != 0 }.map { $0 - 1 },
      ValueType(Array(x.extents.dropFirst())))
  }

  /// Values one after another along an axis, in the order of the first that is no constant.
  func concatenated(_ parts: [WrittenValue], axis: Int, _ type: ValueType) -> WrittenValue {
    let order = (parts.first { $0.constant == nil } ?? parts[0]).order
    let made = emit(
      "Concat", parts.map { name($0, in: order) }, [.int("axis", order.firstIndex(of: axis)!)])[0]
    return WrittenValue(made, order: order, type)
  }

  /// A value broadcast to extents.
  func expanded(_ x: WrittenValue, to extents: [Extent]) -> WrittenValue {
    let missing = extents.count - x.rank
    let raised = reshaped(x, to: [Extent](repeating: 1, count: missing) + x.extents)
    // An extent of 1 leaves that of the operand.
    let target = raised.order.map { raised.extents[$0] == extents[$0] ? 1 : extents[$0] }
    return WrittenValue(
      emit("Expand", [name(raised), shape(target)])[0], order: raised.order,
      ValueType(x.type.elementType, extents))
  }
}
