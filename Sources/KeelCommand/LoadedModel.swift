import ArgumentParser
import Foundation
import Keel

/// A model ready for a command.
struct LoadedModel {
  /// The path or the built-in network's name.
  let name: String
  /// The graph for inference.
  let graph: Graph
  /// Whether it comes from an ONNX file, whose images have their channels behind the batch; those of Keel's own
  /// networks have them last.
  let isFile: Bool

  /// The inputs with their types, in order.
  var inputs: [(name: String, type: ValueType)] {
    graph.inputs.map { ($0.name, graph.type(of: $0.value)) }
  }

  /// The shape of each input.
  /// - Parameter batch: the first extent of inputs that leave it open; nil for 1.
  /// - Throws: a message for a batch that the model does not take, and for other extents that are open.
  func inputShapes(batch: Int?) throws -> [String: Shape] {
    let inputs = inputs
    var symbols: [String: Int] = [:]
    for (_, type) in inputs {
      if case .symbol(let name)? = type.extents.first { symbols[name] = batch ?? 1 }
    }
    if let batch, symbols.isEmpty, let first = inputs.first,
      first.type.extents.first != .fixed(batch)
    {
      throw ValidationError(
        "--batch: expected \(first.type.extents.first?.description ?? "none"), which \(name) is made for, "
          + "found \(batch)")
    }
    let open = inputs.flatMap(\.type.extents).compactMap { extent -> String? in
      if case .symbol(let name) = extent, symbols[name] == nil { name } else { nil }
    }
    guard open.isEmpty else {
      throw ValidationError(
        "\(name) leaves \(Set(open).sorted().joined(separator: ", ")) open: give --extent \(open[0])=VALUE"
      )
    }
    var shapes: [String: Shape] = [:]
    for (name, type) in inputs { shapes[name] = try type.shape(binding: symbols) }
    return shapes
  }

  /// Random inputs: standard normal numbers, integers 0 and 1, either truth value.
  func randomInputs(
    _ shapes: [String: Shape], using source: inout RandomSource
  ) throws -> [String: TensorValue] {
    var values: [String: TensorValue] = [:]
    for (name, type) in inputs {
      let shape = shapes[name]!
      switch type.elementType {
      case .float32: values[name] = .float32(Tensor(normal: shape, using: &source))
      case .int64:
        values[name] = .int64(
          try IndexTensor(
            (0..<shape.elementCount).map { _ in Int64(source.below(2)) }, shape: shape))
      case .bool:
        values[name] = .bool(
          try DenseArray((0..<shape.elementCount).map { _ in source.below(2) == 1 }, shape: shape))
      }
    }
    return values
  }

  /// The inputs as messages name them, such as `1×3×224×224` of one, `image 1×3×8×8, mask 1×1` of several.
  func described(_ shapes: [String: Shape]) -> String {
    let inputs = graph.inputs
    return inputs.count == 1
      ? shapes[inputs[0].name]!.description
      : inputs.map { "\($0.name) \(shapes[$0.name]!)" }.joined(separator: ", ")
  }
}

extension Graph {
  /// A plan of this graph for constant weights.
  /// - Throws: a message for shapes that the graph does not take, and for plans beyond `MemoryLimit.automatic`.
  func plan(_ shapes: [String: Shape], threads: Int) throws -> Plan {
    try asArguments { try Plan(self, inputShapes: shapes, options: PlanOptions(threads: threads)) }
  }
}

extension TensorValue {
  /// The elements as numbers; truth values as 0 and 1.
  var doubles: [Double] {
    switch self {
    case .float32(let tensor): tensor.elements.map { Double($0) }
    case .int64(let tensor): tensor.elements.map { Double($0) }
    case .bool(let tensor): tensor.elements.map { $0 ? 1 : 0 }
    }
  }
}
