import KeelGraph
import KeelTensor

/// x for x > 0, otherwise slope·x, with slopes that are learned (He et al. 2015, 1502.01852).
public struct PReLU: Layer {
  /// One slope, or one per channel.
  public let slope: Parameter
  /// The number of slopes.
  public let count: Int

  /// Makes the activation. Counts that are neither 1 nor the channels are thrown when the graph is made.
  ///
  /// - Parameters:
  ///   - count: 1, or the number of channels.
  ///   - initial: what each slope starts from; 0.25 is PyTorch's.
  public init(_ count: Int = 1, initial: Float = 0.25) {
    self.count = count
    slope = Parameter(shape: [count]) { Tensor(repeating: initial, shape: $0) }
  }

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable {
    let place = x.trace.place(of: slope, kind: "PReLU")
    guard count >= 1 else {
      x.trace.fail(
        KeelError(.argument, at: place, expected: "at least 1 slope", found: "\(count)"))
      return x.trace.nothing()
    }
    return x.trace.apply(.parametricReLU, [x, x.trace.variable(slope)], label: place)[0]
  }
}

/// Takes the largest of each `pieces` neighbouring channels (Goodfellow et al. 2013, 1302.4389).
public struct Maxout: Layer {
  /// The channels that become one.
  public var pieces: Int

  /// Makes the activation. Pieces that do not divide the channels are thrown when the graph is made.
  public init(pieces: Int = 2) { self.pieces = pieces }

  /// Records the activation.
  public func callAsFunction(_ x: Variable) -> Variable { x.maxout(pieces: pieces) }
}

/// Units that are the largest of several linear ones: y = max over k of x·weight_kᵀ + bias_k.
public struct MaxoutLinear: Layer {
  /// The linear pieces: unit o is made from its outputs o·pieces to (o + 1)·pieces.
  public let linear: Linear
  /// The linear pieces of a unit.
  public let pieces: Int

  /// Makes units for rows of `inputFeatures`. Sizes below 1 are thrown when the graph is made.
  public init(
    _ inputFeatures: Int, _ units: Int, pieces: Int = 2, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    linear = Linear(
      inputFeatures, units * pieces, bias: bias, initializer: initializer, using: &source)
    self.pieces = pieces
  }

  /// Records the units.
  public func callAsFunction(_ x: Variable) -> Variable { linear(x).maxout(pieces: pieces) }
}
