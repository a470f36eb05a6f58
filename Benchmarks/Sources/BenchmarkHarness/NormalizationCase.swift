public import Keel

/// One line of the normalization benchmarks: a method, what is fused with it, and the shape of x.
public struct NormalizationCase: Hashable, Sendable {
  /// The methods that are timed.
  public enum Method: String, Codable, CaseIterable, Sendable {
    /// Statistics per channel over the batch, scale and shift per channel.
    case batch
    /// Images: statistics per sample, scale and shift per element of a sample (PyTorch's layer norm over
    /// all axes but the batch's). Matrices: statistics per row, scale and shift per channel.
    case layer
    /// Statistics per sample and channel, scale and shift per channel.
    case instance
    /// Statistics per sample and group of channels, scale and shift per channel.
    case group
  }

  /// What is fused with a normalization.
  public enum Form: String, Codable, CaseIterable, Sendable {
    /// Nothing: y = norm(x).
    case plain
    /// y = ReLU(norm(x)).
    case relu
    /// y = ReLU(norm(x) + residual).
    case addReLU = "add_relu"

    /// For tables.
    public var title: String {
      switch self {
      case .plain: ""
      case .relu: " + ReLU"
      case .addReLU: " + add + ReLU"
      }
    }
  }

  /// What a run computes.
  public enum Pass: String, Codable, CaseIterable, Sendable {
    /// y, with the statistics of x.
    case forward
    /// dx, dScale, dShift and dResidual from dy and what the forward pass left.
    case backward
    /// Both.
    case training
  }

  /// The method.
  public let method: Method
  /// What is fused with it.
  public let form: Form
  /// The shape of x: N×C or N×H×W×C.
  public let shape: Shape
  /// Groups of channels of the method `group`.
  public let groups: Int

  /// Makes a case; group norm has 32 groups of at least two channels where they divide C, else 8.
  public init(_ method: Method, _ form: Form, _ shape: Shape) {
    self.method = method
    self.form = form
    self.shape = shape
    let channels = shape.channelCount
    groups = channels % 32 == 0 && channels > 32 ? 32 : 8
  }

  /// Whether rows are all that samples have.
  public var isMatrix: Bool { shape.rank == 2 }

  /// The normalization, with statistics of x.
  public func normalization() throws(KeelError) -> Normalization {
    let partition: Partition
    switch method {
    case .batch: partition = .batch
    case .layer: partition = isMatrix ? .position : .layer
    case .instance: partition = .instance
    case .group: partition = .group(groups)
    }
    return try Normalization(
      partition: partition, statistics: .current,
      recovery: method == .layer && !isMatrix ? Recovery(.elements) : .affine,
      epilogue: Epilogue(
        hasBias: false, hasResidual: form == .addReLU, activation: form == .plain ? nil : .relu))
  }

  private typealias Recovery = Normalization.Recovery

  /// The shape of scale and shift.
  public func affineShape() throws(KeelError) -> Shape {
    Shape(try normalization().recovery.operandExtents(of: shape.extents))
  }

  /// The graph of a pass: inputs `x`, `scale`, `shift`, `residual` and `dy` as the pass needs them, and for
  /// `backward` those results of the forward pass that it reads, `moments` and `y`; outputs `y`, `moments`,
  /// `dx`, `dscale`, `dshift`, `dresidual`.
  public func graph(_ pass: Pass) throws(KeelError) -> Graph {
    let normalization = try normalization()
    let affine = ValueType(shape: try affineShape())
    let image = ValueType(shape: shape)
    var builder = GraphBuilder()
    let x = builder.input("x", image)
    let scale = builder.input("scale", affine)
    let shift = builder.input("shift", affine)
    let y: ValueID?
    let moments: ValueID
    if pass == .backward {
      let cells = normalization.partition.cellExtents(
        of: shape.extents, channels: shape.channelCount, fixed: { $0 })
      moments = builder.input("moments", ValueType(shape: Shape([MomentsLayout.rows] + cells)))
      y = form == .addReLU ? builder.input("y", image) : nil
    } else {
      let residual = form == .addReLU ? [builder.input("residual", image)] : []
      let results = try builder.append(.normalization(normalization), [x, scale, shift] + residual)
      moments = results[1]
      y = results[0]
      builder.output("y", results[0])
      if pass == .forward { builder.output("moments", results[1]) }
    }
    guard pass != .forward else { return try builder.finish() }
    let dy = builder.input("dy", image)
    let output = form == .addReLU ? [y!] : []
    let gradients = try builder.append(
      .normalizationGradient(normalization), [dy, x, moments, scale, shift] + output)
    for (name, gradient) in zip(["dx", "dscale", "dshift", "dresidual"], gradients) {
      builder.output(name, gradient)
    }
    return try builder.finish()
  }

  /// The shapes of a graph's inputs, by name.
  public static func inputShapes(of graph: Graph) -> [String: Shape] {
    Dictionary(
      uniqueKeysWithValues: graph.inputs.map { input in
        (input.name, Shape(graph.type(of: input.value).extents.map { $0.fixedValue! }))
      })
  }
}
