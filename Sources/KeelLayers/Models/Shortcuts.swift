import KeelGraph
import KeelTensor

extension ResNet {
  /// What fits the input of a block to its result where they differ in shape.
  public enum Shortcut: Hashable, Sendable {
    /// A 1×1 convolution with a batch norm: `Projection`.
    case projection
    /// Every other position and channels of zeros, without weights: `PaddedShortcut`.
    case padding

    /// The layer; nil where the shapes are equal.
    internal func layer(
      _ inputChannels: Int, _ outputChannels: Int, stride: Int, initializer: any Initializer,
      norm: ChannelNorm, using source: inout RandomSource
    ) -> (any Layer)? {
      guard stride != 1 || inputChannels != outputChannels else { return nil }
      switch self {
      case .projection:
        return Projection(
          inputChannels, outputChannels, stride: stride, initializer: initializer, norm: norm,
          using: &source)
      case .padding: return PaddedShortcut(outputChannels, stride: stride)
      }
    }
  }
}

/// Takes every `stride`-th position of an image and puts channels of zeros around its own, half of them
/// before and half, and the odd one, after: what fits the input of a residual block to its result without
/// weights.
///
/// He et al. 2016, arXiv 1512.03385, option A.
public struct PaddedShortcut: Layer {
  /// The channels of the result.
  public let channels: Int
  /// The step from one position to the next.
  public let stride: Int

  /// Makes a shortcut. Fewer channels than those of the input are thrown when the graph is made.
  public init(_ channels: Int, stride: Int) {
    self.channels = channels
    self.stride = stride
  }

  /// Records the shortcut.
  public func callAsFunction(_ x: Variable) -> Variable {
    let place = "shortcut after \(x.trace.lastLayer)"
    guard let image = x.spatialExtents(axisCount: 2, at: place) else {
      return x.trace.nothing()
    }
    guard channels >= image.channels else {
      x.trace.fail(
        KeelError(
          .argument, at: place, expected: "at least the input's \(image.channels) channels",
          found: "\(channels)"))
      return x.trace.nothing()
    }
    let added = channels - image.channels
    let strided =
      stride == 1 ? x : x.sliced(axis: 1, step: stride).sliced(axis: 2, step: stride)
    return strided.padded([3: (before: added / 2, after: added - added / 2)])
  }
}
