import KeelGraph
import KeelReference
import KeelTensor
import Testing

/// Expects the gradient transform of a graph to agree with finite differences of the graph itself, both
/// in Double.
///
/// The loss is Σ cotangent·output with a random cotangent, written in the graph's own vocabulary (a
/// matrix product with one row). A sum without it would prove nothing for a normalization, whose
/// outputs add up to a constant. Differences are four-point central ones; where one misses, smaller
/// steps are tried, since a step may cross the corner of a ReLU or move a maximum. The expected
/// gradient must not be near zero.
///
/// - Parameters:
///   - output: the name of a float output whose extents are all fixed.
///   - names: the weights and inputs to differentiate with respect to.
///   - inputs: values for the graph's inputs.
///   - seed: where the cotangent comes from; printed on failure.
///   - bound: the largest error, relative to the largest expected component of each gradient.
public func expectGradients(
  of output: String = "y", in graph: Graph, withRespectTo names: [String],
  inputs: [String: ReferenceValue] = [:], seed: UInt64, bound: Double = Tolerance.differences,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let contracted = try graph.contracted(output, seed: seed)
  let differentiated = try contracted.differentiated(
    contractedName, withRespectTo: .named(names))
  let gradients = try ReferenceEvaluator(differentiated).run(inputs).outputs
  let differences = Differences(evaluator: ReferenceEvaluator(contracted), inputs: inputs)
  for name in names {
    let what = "gradient of \(name), seed \(seed)"
    let point: DoubleTensor
    if case .real(let value) = inputs[name] {
      point = value
    } else {
      point = DoubleTensor(widening: try #require(graph.weight(named: name)).tensor)
    }
    let gradient = try #require(gradients[Graph.gradientName(name)])
    try #require(gradient.shape == point.shape, sourceLocation: sourceLocation)
    var expected = try differences.gradient(name, point, step: 1e-3)
    let scale = expected.largestMagnitude
    #expect(
      scale > 1e-3, "\(what) is near zero and would prove nothing", sourceLocation: sourceLocation)
    for index in 0..<expected.count {
      for step in [1e-4, 1e-5]
      where !(abs(expected[flat: index] - gradient[flat: index]) <= bound * scale) {
        expected[flat: index] = try differences.derivative(name, point, index, step: step)
      }
    }
    expectClose(gradient, expected, bound: bound, what, sourceLocation: sourceLocation)
  }
}

/// Expects the gradient of one operation with respect to each of its operands that has one.
public func expectGradients(
  of test: PrimitiveCase, seed: UInt64, bound: Double = Tolerance.differences,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  try expectGradients(
    in: test.graph(seed: seed), withRespectTo: test.differentiableNames,
    inputs: test.inputs(seed: seed), seed: seed, bound: bound, sourceLocation: sourceLocation)
}

/// The name of the scalar output that `Graph.contracted` adds.
public let contractedName = "contracted"

extension Graph {
  /// The graph with a further scalar output, Σ cotangent·output.
  public func contracted(_ output: String, seed: UInt64) throws(KeelError) -> Graph {
    let value = try self.output(named: output).value
    let count = try type(of: value).shape(binding: [:]).elementCount
    var source = TensorSource(seed: seed ^ 0x5EED)
    var builder = GraphBuilder(self)
    let cotangent = builder.weight("cotangent", source.normal([1, count]), role: .state)
    let row = try builder.append(.reshape([1, .fixed(count)]), [value])
    let product = try builder.append(.linear(Epilogue()), [row[0], cotangent])
    builder.output(contractedName, try builder.append(.reshape([]), product)[0])
    return try builder.finish()
  }
}

/// Finite differences of the contracted output.
private struct Differences {
  let evaluator: ReferenceEvaluator
  let inputs: [String: ReferenceValue]

  func gradient(_ name: String, _ point: DoubleTensor, step: Double) throws(KeelError)
    -> DoubleTensor
  {
    var result = DoubleTensor(zeros: point.shape)
    for index in 0..<point.count {
      result[flat: index] = try derivative(name, point, index, step: step)
    }
    return result
  }

  /// (f(x − 2h) − 8f(x − h) + 8f(x + h) − f(x + 2h)) / 12h, along one component.
  func derivative(_ name: String, _ point: DoubleTensor, _ index: Int, step: Double)
    throws(KeelError) -> Double
  {
    var sum = 0.0
    for (offset, factor) in [(-2.0, 1.0), (-1, -8), (1, 8), (2, -1)] {
      var moved = point
      moved[flat: index] += offset * step
      sum += factor * (try loss(name, moved))
    }
    return sum / (12 * step)
  }

  private func loss(_ name: String, _ value: DoubleTensor) throws(KeelError) -> Double {
    var inputs = inputs
    var weights: [String: DoubleTensor] = [:]
    if inputs[name] == nil { weights[name] = value } else { inputs[name] = .real(value) }
    return try evaluator.run(inputs, weights: weights).outputs[contractedName]![flat: 0]
  }
}
