import KeelGraph
import KeelTensor

/// Divides the channels of each position by the root of their mean square, or of their sum of squares:
/// y = x/√(mean x² + ε) or y = x/√(Σ x² + ε).
///
/// x is N×C or N×…×C. With the mean, as in the paper, a position's length becomes √C; with the sum, 1. For
/// generators, whose signals would otherwise grow from layer to layer.
///
/// Karras et al. 2018, arXiv 1710.10196.
public struct PixelNorm: Layer {
  /// What squares are gathered by.
  public enum Form: Hashable, Sendable {
    /// The mean over the channels.
    case mean
    /// The sum over the channels.
    case sum
  }

  /// What squares are gathered by.
  public let form: Form
  /// ε under the root.
  public let epsilon: Float

  /// Makes a pixel norm. An ε that is negative or not finite is thrown when the graph is made.
  public init(_ form: Form = .mean, epsilon: Float = 1e-8) {
    self.form = form
    self.epsilon = epsilon
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.normalized(
      .position,
      operation: form == .mean ? .rootMeanSquare(epsilon: epsilon) : .norm(epsilon: epsilon))
  }
}

/// Divides the channels of each position by their length: y = scale·x/max(‖x‖, ε) + shift.
///
/// x is N×C or N×…×C; scale and shift, if any, are per channel. For embeddings that are compared by their
/// angle; after an instance norm without affine it is
/// domain normalization (Zhang et al. 2020, arXiv 1911.13287).
public struct L2Norm: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// The least length that is divided by.
  public let epsilon: Float
  private let affineChannels: Int?

  /// Makes a norm of positions without scale and shift.
  public init(epsilon: Float = 1e-12) {
    (scale, shift, affineChannels) = (nil, nil, nil)
    self.epsilon = epsilon
  }

  /// Makes a norm of positions with a scale and shift per channel.
  public init(affine channels: Int, epsilon: Float = 1e-12) {
    scale = filled(1, [channels])
    shift = filled(0, [channels])
    affineChannels = channels
    self.epsilon = epsilon
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "L2Norm")
    return trace.recording { () throws(KeelError) in
      if let affineChannels { try x.checkChannels(affineChannels, at: place) }
      return x.normalized(
        .position, operation: .norm(epsilon: epsilon, placement: .floor),
        scale: trace.variable(scale), shift: trace.variable(shift), label: place)
    }
  }
}

/// Standardizes over any axes: y = (x − mean)/(√variance + ε), with mean and variance over the axes named.
///
/// Axes below 0 count from the last, which is that of the channels; `[0, 1, 2]` of images is batch norm's
/// statistics. ε stands beside the root, as in ONNX's MeanVarianceNormalization. Statistics are those of the
/// input in training and inference. For networks that come with it, and for inputs standardized in the graph.
public struct MeanVarianceNorm: Layer {
  /// The axes that statistics are over.
  public let axes: [Int]
  /// ε beside the root.
  public let epsilon: Float

  /// Makes a norm over axes. Axes that x does not have, or has twice, are thrown when the graph is made.
  public init(axes: [Int], epsilon: Float = 1e-9) {
    self.axes = axes
    self.epsilon = epsilon
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = "MeanVarianceNorm after \(trace.lastLayer)"
    guard let type = x.type else { return x }
    return trace.recording { () throws(KeelError) in
      let gone = axes.map { $0 < 0 ? $0 + type.rank : $0 }
      guard !gone.isEmpty, Set(gone).count == gone.count,
        gone.allSatisfy(type.extents.indices.contains)
      else {
        throw KeelError(
          .argument, at: place, expected: "at least one axis, each once, of \(type)",
          found: "axes \(axes)")
      }
      let kept = (0..<max(type.rank - 1, 0)).filter { !gone.contains($0) }
      let rows: Partition.Rows =
        switch kept.count {
        case 0: .all
        case type.rank - 1: .position
        default: kept == [0] ? .sample : .axes(kept)
        }
      return x.normalized(
        Partition(rows: rows, channels: gone.contains(type.rank - 1) ? .all : .each),
        operation: .init(
          centers: true, divisor: .deviation(unbiased: false), epsilon: epsilon,
          placement: .besideRoot), label: place)
    }
  }
}

/// Subtracts from each element of a matrix the means of its row and its column and adds the mean of all.
///
/// x is rows×columns; all rows and columns of the result add up to 0. On squared distances, times −1/2, it is
/// the first step of classical scaling (Torgerson 1952).
public struct DoubleCentering: Layer {
  /// Makes the operation.
  public init() {}

  /// Records it.
  public func callAsFunction(_ x: Variable) -> Variable { x.doubleCentered() }
}
