import KeelGraph
import KeelTensor

/// Standardizes each sample, or each position, over its last axes:
/// y = scale·(x − mean)/√(variance + ε) + shift.
///
/// Made with a shape, the last axes of x must have it, and scale and shift have it too (PyTorch's
/// normalized_shape, channels last: `[C]` for vectors and tokens, `[H, W, C]` for images). Made with
/// `perChannel`, statistics are over a whole sample N×…×C, and scale and shift per channel, which is group
/// norm of one group. Samples do not see each other: training and inference are the same. For transformers and
/// recurrent networks, and for batches of any size.
///
/// Ba, Kiros and Hinton 2016, arXiv 1607.06450.
public struct LayerNorm: Layer {
  /// γ; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// The last axes, where statistics and affine are over them; nil for a sample with an affine per channel.
  public let shape: Shape?
  /// ε under the root.
  public let epsilon: Float
  private let channels: Int

  /// Makes a layer norm over the last axes, with a scale and shift per element of them. An empty shape and
  /// sizes below 1 are thrown when the graph is made.
  public init(_ shape: Shape, epsilon: Float = 1e-5, affine: Bool = true, shift: Bool = true) {
    scale = affine ? filled(1, shape.extents) : nil
    self.shift = affine && shift ? filled(0, shape.extents) : nil
    self.shape = shape
    self.epsilon = epsilon
    channels = shape.extents.last ?? 0
  }

  /// Makes a layer norm of N×C or N×…×C over the channels of each position.
  public init(_ channels: Int, epsilon: Float = 1e-5, affine: Bool = true, shift: Bool = true) {
    self.init([channels], epsilon: epsilon, affine: affine, shift: shift)
  }

  /// Makes a layer norm over all of a sample with a scale and shift per channel.
  public init(perChannel channels: Int, epsilon: Float = 1e-5, affine: Bool = true) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    shape = nil
    self.epsilon = epsilon
    self.channels = channels
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "LayerNorm")
    return trace.recording { () throws(KeelError) in
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      guard let shape else {
        try x.checkChannels(channels, at: place)
        return x.normalized(
          .layer, operation: operation, scale: trace.variable(scale), shift: trace.variable(shift),
          label: place)
      }
      return try x.normalized(
        overLast: shape, operation, scale: trace.variable(scale), shift: trace.variable(shift),
        at: place)
    }
  }
}

/// Divides each sample, or each position, by the root mean square over its last axes: y = scale·x/√(mean x² + ε).
///
/// The last axes of x must have the shape, and scale has it too. The mean is not subtracted. ε starts as
/// PyTorch's, the distance from 1 to the next Float. For transformers; it saves the mean of `LayerNorm`.
///
/// Zhang and Sennrich 2019, arXiv 1910.07467.
public struct RMSNorm: Layer {
  /// γ; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// The last axes, which the mean square is over.
  public let shape: Shape
  /// ε under the root.
  public let epsilon: Float

  /// Makes an RMS norm over the last axes. An empty shape and sizes below 1 are thrown when the graph is made.
  public init(_ shape: Shape, epsilon: Float = .ulpOfOne, affine: Bool = true) {
    scale = affine ? filled(1, shape.extents) : nil
    self.shape = shape
    self.epsilon = epsilon
  }

  /// Makes an RMS norm over the channels of each position.
  public init(_ channels: Int, epsilon: Float = .ulpOfOne, affine: Bool = true) {
    self.init([channels], epsilon: epsilon, affine: affine)
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "RMSNorm")
    return trace.recording { () throws(KeelError) in
      try x.normalized(
        overLast: shape, .rootMeanSquare(epsilon: epsilon), scale: trace.variable(scale),
        shift: nil, at: place)
    }
  }
}

extension Variable {
  /// Normalizes over the last axes, with scale and shift of their extents.
  /// - Throws: `KeelError` for axes that are not those of the shape.
  fileprivate func normalized(
    overLast shape: Shape, _ operation: Normalization.Operation, scale: Variable?,
    shift: Variable?, at place: String
  ) throws(KeelError) -> Variable {
    try trace.check(
      shape.rank >= 1 && shape.extents.allSatisfy { $0 >= 1 }, at: place,
      expected: "a shape of at least one axis, sizes at least 1", found: "\(shape)")
    guard let type else { return self }
    guard type.rank > shape.rank,
      Array(type.extents.suffix(shape.rank)) == shape.extents.map(Extent.fixed)
    else {
      throw KeelError(
        .shape, at: place, expected: "an input whose last axes are \(shape)", found: "\(type)")
    }
    if shape.rank == 1 {
      return normalized(
        .position, operation: operation, scale: scale, shift: shift, label: place)
    }
    if shape.rank == type.rank - 1 {
      return normalized(
        .layer, operation: operation, scale: scale, shift: shift, per: .elements, label: place)
    }
    let rows = Partition.Rows.axes(Array(0..<type.rank - shape.rank))
    var y = normalized(
      Partition(rows: rows, channels: .all), operation: operation, label: place)
    if let scale { y = y * scale }
    if let shift { y = y + shift }
    return y
  }
}
