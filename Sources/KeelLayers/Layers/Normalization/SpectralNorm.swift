import KeelGraph
import KeelTensor

/// Divides a layer's weight by its largest singular value: W̄ = W/σ, σ = uᵀWv.
///
/// The weight is a matrix rows×rest, its output axis first: `axis` 0 of a convolution's or linear layer's
/// weight, the last of a transposed convolution's. In training, u and v take steps of power iteration,
/// v ← Wᵀu/max(‖Wᵀu‖, ε) and u ← Wv/max(‖Wv‖, ε), and are kept; in inference they stand still. No gradient
/// flows through them: dW = (dW̄ − ⟨dW̄, W̄⟩·uvᵀ)/σ. They start from random u and 15 steps, as PyTorch's do.
///
/// For discriminators, and wherever a layer's gain is to be bounded. σ of the matrix bounds a convolution's gain from input to output, but is not it. A run of training takes
/// the steps once, however often the layer is used in it.
///
/// Miyato et al. 2018, arXiv 1802.05957.
public struct SpectralNorm<Wrapped: Layer>: Layer {
  /// The layer whose weight is divided.
  public let layer: Wrapped
  /// Its weight as it is trained.
  public let weight: Parameter
  /// The left singular vector, 1×rows.
  public let u: Parameter
  /// The right singular vector, 1×rest.
  public let v: Parameter
  /// The weight's axis of outputs.
  public let axis: Int
  /// The steps of a training run.
  public let iterations: Int
  /// The least norm that is divided by.
  public let epsilon: Float

  /// Wraps a layer. A weight that is not the layer's, an axis that it does not have and iterations below 1 are
  /// thrown when the graph is made.
  /// - Parameters:
  ///   - weight: the layer's weight.
  ///   - axis: the weight's axis of outputs; below 0 it counts from the last.
  public init(
    _ layer: Wrapped, weight: Parameter, axis: Int = 0, iterations: Int = 1,
    epsilon: Float = 1e-12, using source: inout RandomSource
  ) {
    self.layer = layer
    self.weight = weight
    self.iterations = iterations
    self.epsilon = epsilon
    let rank = weight.shape.rank
    self.axis = axis < 0 ? axis + rank : axis
    let hasAxis = (0..<rank).contains(self.axis)
    let start = PowerIteration(
      weight.value, axis: hasAxis ? self.axis : 0, epsilon: Double(epsilon), using: &source)
    u = Parameter(start.u, role: .state)
    v = Parameter(start.v, role: .state)
  }

  /// Records the layer with its weight divided.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: u, kind: "SpectralNorm")
    let divided = trace.recording { () throws(KeelError) in try normalized(trace, at: place) }
    guard divided.type != nil else { return divided }
    return trace.substituting(divided, for: weight) { layer(x) }
  }

  private func normalized(_ trace: Trace, at place: String) throws(KeelError) -> Variable {
    let shape = weight.shape
    try trace.check(
      (0..<shape.rank).contains(axis), at: place, expected: "an axis of a weight \(shape)",
      found: "\(axis)")
    try trace.check(
      layer.parameters.contains { $0.parameter === weight }, at: place,
      expected: "a weight of the layer that is wrapped", found: "another parameter")
    try trace.check(
      iterations >= 1, at: place, expected: "at least 1 iteration", found: "\(iterations)")
    try Normalization.Operation.norm(epsilon: epsilon, placement: .floor).validate(at: place)
    let w = trace.variable(weight)
    let order = [axis] + (0..<shape.rank).filter { $0 != axis }
    let front =
      axis == 0 ? w : trace.apply(.transpose(permutation: order), [w], label: place)[0]
    let matrix = front.reshaped([.fixed(u.shape[1]), .fixed(v.shape[1])])
    let fixed = matrix.detached()
    let isFirst = trace.latest(u).value == trace.variable(u).value
    var (left, right) = (trace.latest(u), trace.latest(v))
    if trace.mode == .training, isFirst {
      func unit(_ x: Variable) -> Variable {
        x.normalized(
          .position, operation: .norm(epsilon: epsilon, placement: .floor), label: place)
      }
      for _ in 0..<iterations {
        right = unit(trace.apply(.linearInputGradient, [left, fixed], label: place)[0])
        left = unit(trace.apply(.linear(Epilogue()), [right, fixed], label: place)[0])
      }
      trace.update(u, left)
      trace.update(v, right)
    }
    // One row, 1×rows: Wv.
    let product = trace.apply(.linear(Epilogue()), [right, matrix], label: place)[0]
    return w / (product * left).sum()
  }
}

/// The singular vectors that a weight starts with.
private struct PowerIteration {
  let u: Tensor
  let v: Tensor

  init(_ weight: Tensor, axis: Int, epsilon: Double, using source: inout RandomSource) {
    // Outputs are `inner` apart, and there are `outer` blocks of all of them.
    let extents = weight.shape.extents
    let rows = extents.isEmpty ? 1 : extents[axis]
    let inner = extents.dropFirst(axis + 1).reduce(1, *)
    let rest = rows == 0 ? 0 : weight.count / rows
    func position(_ row: Int, _ column: Int) -> Int {
      (column / inner * rows + row) * inner + column % inner
    }
    func unit(_ x: [Double]) -> [Double] {
      let norm = max(x.reduce(0) { $0 + $1 * $1 }.squareRoot(), epsilon)
      return x.map { $0 / norm }
    }
    var left = unit((0..<rows).map { _ in source.normal() })
    var right = [Double](repeating: 0, count: rest)
    let elements = weight.elements.map(Double.init)
    for _ in 0..<15 {
      right = unit(
        (0..<rest).map { c in
          (0..<rows).reduce(0) { $0 + left[$1] * elements[position($1, c)] }
        })
      left = unit(
        (0..<rows).map { r in
          (0..<rest).reduce(0) { $0 + right[$1] * elements[position(r, $1)] }
        })
    }
    func row(_ x: [Double]) -> Tensor {
      Tensor(uninitialized: [1, x.count]) { out in
        for i in out.indices { out[i] = Float(x[i]) }
      }
    }
    (u, v) = (row(left), row(right))
  }
}
