import KeelGraph
import KeelTensor

/// The block of MobileNetV2: a 1×1 convolution that widens (left out where the expansion is 1), a depthwise
/// 3×3 and a 1×1 convolution that narrows, each with a batch norm, the first two with ReLU6 = min(max(x, 0),
/// 6); where stride and width allow, x is added to the result.
///
/// Sandler et al. 2018, arXiv 1801.04381.
public struct InvertedResidual: Layer {
  /// The layers: `0` and `1` widen and filter (`0` filters where nothing widens), then the narrowing
  /// convolution and its norm.
  public var conv: Sequential
  /// Whether x is added.
  public let isResidual: Bool

  /// Makes a block.
  /// - Parameter expansion: how much wider than x the depthwise convolution is.
  public init(
    _ inputChannels: Int, _ outputChannels: Int, stride: Int, expansion: Int,
    initializer: any Initializer = .residual, using source: inout RandomSource
  ) {
    let (product, overflows) = inputChannels.multipliedReportingOverflow(by: expansion)
    // Too wide for any convolution, which says so.
    let wide = overflows ? .max : product
    var layers: [any Layer] = []
    if expansion != 1 {
      layers.append(
        Self.unit(inputChannels, wide, kernel: 1, initializer: initializer, using: &source))
    }
    layers.append(
      Self.unit(
        wide, wide, kernel: 3, stride: stride, groups: wide, initializer: initializer,
        using: &source))
    layers.append(
      Conv2d(
        wide, outputChannels, kernel: 1, bias: false, initializer: initializer, using: &source))
    layers.append(BatchNorm(outputChannels))
    conv = Sequential(layers)
    isResidual = stride == 1 && inputChannels == outputChannels
  }

  /// A convolution that keeps the size at stride 1, its norm and ReLU6.
  internal static func unit(
    _ inputChannels: Int, _ outputChannels: Int, kernel: Int, stride: Int = 1, groups: Int = 1,
    initializer: any Initializer, using source: inout RandomSource
  ) -> Sequential {
    Sequential(
      Conv2d(
        inputChannels, outputChannels, kernel: kernel, stride: stride, padding: (kernel - 1) / 2,
        groups: groups, bias: false, initializer: initializer, using: &source),
      BatchNorm(outputChannels), Clip(low: 0, high: 6))
  }

  /// Records the block.
  public func callAsFunction(_ x: Variable) -> Variable {
    isResidual ? conv(x).addingResidual(x) : conv(x)
  }
}
