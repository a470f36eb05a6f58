import Foundation
import KeelGraph
import KeelTensor

/// Momentum, Adagrad and Adam of ONNX's operators for training: (R, T, X…, G…, state…) → (X…, state…), with R the
/// rate of learning, T the number of steps before this one, X tensors and G their gradients.
extension GraphImporter {
  /// A step of one tensor, by arithmetic on values and constants.
  private struct Step {
    let importer: GraphImporter
    let node: ONNXNode
    let rate: ImportedValue
    /// The number of steps before this one.
    let count: Double

    func number(_ value: Double) -> ImportedValue {
      .constant(HostTensor(Tensor(repeating: Float(value), shape: [])), name: nil)
    }
    func combine(_ operation: Arithmetic, _ a: ImportedValue, _ b: ImportedValue)
      throws(KeelError) -> ImportedValue
    {
      try importer.combined(operation, a, b, node)
    }
    func scaled(_ a: ImportedValue, _ factor: Double) throws(KeelError) -> ImportedValue {
      factor == 1 ? a : try combine(.multiply, a, number(factor))
    }
    /// a·x + b·y.
    func sum(_ a: Double, _ x: ImportedValue, _ b: Double, _ y: ImportedValue) throws(KeelError)
      -> ImportedValue
    {
      if a == 0 { return try scaled(y, b) }
      return try combine(.add, try scaled(x, a), try scaled(y, b))
    }
    func root(_ x: ImportedValue) throws(KeelError) -> ImportedValue {
      .graph(
        try importer.apply(
          .elementwise(.squareRoot), try importer.ordered(x, at: node.label), node.label))
    }
  }

  /// The operators of the domain ai.onnx.preview.training, or nil for others.
  func trained(_ node: ONNXNode) throws(KeelError) -> [ImportedValue]? {
    switch node.proto.opType {
    case "Momentum": try momentum(node)
    case "Adagrad": try adagrad(node)
    case "Adam": try adam(node)
    default: nil
    }
  }

  /// Runs a step for each tensor.
  /// - Parameter states: the number of states of a tensor.
  private func optimized(
    _ node: ONNXNode, states: Int,
    _ step: (Step, [ImportedValue]) throws(KeelError) -> [ImportedValue]
  ) throws(KeelError) -> [ImportedValue] {
    let operands = states + 2
    let count = (node.inputs.count - 2) / operands
    guard count >= 1, node.inputs.count == 2 + count * operands else {
      throw node.unsupported(
        "R, T and \(operands) operands for each tensor", found: "\(node.inputs.count) operands")
    }
    let steps = Double(
      try node.constant(1, "the number of steps").converted(to: .float32, at: node.place)
        .number(at: node.place))
    let prepared = Step(importer: self, node: node, rate: try node.input(0), count: steps)
    var results = [ImportedValue](repeating: .missing, count: count * (states + 1))
    for k in 0..<count {
      var own: [ImportedValue] = []
      for operand in 0..<operands { own.append(try node.input(2 + operand * count + k)) }
      for (position, value) in try step(prepared, own).enumerated() {
        results[position * count + k] = value
      }
    }
    return results
  }

  /// V′ = α·V + β′·(G + c·X), with β′ = 1 in the first step; X′ = X − R·V′, by Nesterov X − R·(G + c·X + α·V′).
  private func momentum(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let alpha = Double(try node.float("alpha", 0))
    let beta = Double(try node.float("beta", 0))
    let decay = Double(try node.float("norm_coefficient", 0))
    let mode = try node.string("mode", "standard")
    guard mode == "standard" || mode == "nesterov" else {
      throw node.unsupported("mode standard or nesterov", found: mode)
    }
    return try optimized(node, states: 1) { step, x throws(KeelError) in
      let g = try step.sum(decay, x[0], 1, x[1])
      let v = try step.sum(alpha, x[2], step.count > 0 ? beta : 1, g)
      let direction = mode == "nesterov" ? try step.sum(alpha, v, 1, g) : v
      let moved = try step.combine(
        .subtract, x[0], try step.combine(.multiply, step.rate, direction))
      return [moved, v]
    }
  }

  /// H′ = H + G′² with G′ = G + c·X, X′ = X − R/(1 + T·d)·G′/(√H′ + ε).
  private func adagrad(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let epsilon = Double(try node.float("epsilon", 1e-6))
    let decay = Double(try node.float("norm_coefficient", 0))
    let factor = Double(try node.float("decay_factor", 0))
    return try optimized(node, states: 1) { step, x throws(KeelError) in
      let g = try step.sum(decay, x[0], 1, x[1])
      let h = try step.combine(.add, x[2], try step.combine(.multiply, g, g))
      let root = try step.combine(.add, try step.root(h), step.number(epsilon))
      let rate = try step.scaled(step.rate, 1 / (1 + step.count * factor))
      let change = try step.combine(
        .divide, try step.combine(.multiply, rate, g), root)
      return [try step.combine(.subtract, x[0], change), h]
    }
  }

  /// V′ = α·V + (1 − α)·G′, H′ = β·H + (1 − β)·G′², X′ = (1 − p)·(X − R′·V′/(√H′ + ε)), with
  /// R′ = R·√(1 − βᵀ)/(1 − αᵀ) from the second step on.
  private func adam(_ node: ONNXNode) throws(KeelError) -> [ImportedValue] {
    let alpha = Double(try node.float("alpha", 0.9))
    let beta = Double(try node.float("beta", 0.999))
    let epsilon = Double(try node.float("epsilon", 0))
    let decay = Double(try node.float("norm_coefficient", 0))
    let after = Double(try node.float("norm_coefficient_post", 0))
    return try optimized(node, states: 2) { step, x throws(KeelError) in
      let g = try step.sum(decay, x[0], 1, x[1])
      let v = try step.sum(alpha, x[2], 1 - alpha, g)
      let h = try step.sum(beta, x[3], 1 - beta, try step.combine(.multiply, g, g))
      let root = try step.combine(.add, try step.root(h), step.number(epsilon))
      var factor = 1.0
      if step.count > 0 {
        factor = (1 - pow(beta, step.count)).squareRoot() / (1 - pow(alpha, step.count))
      }
      let rate = try step.scaled(step.rate, factor)
      let change = try step.combine(
        .divide, try step.combine(.multiply, rate, v), root)
      let moved = try step.combine(.subtract, x[0], change)
      return [try step.scaled(moved, 1 - after), v, h]
    }
  }
}
