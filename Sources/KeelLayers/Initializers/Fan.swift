import KeelTensor

/// The number of weights that meet in one unit, by which initial weights are scaled.
///
/// A transposed convolution's weight Cin×…×(Cout/G) is counted as that of the convolution which it
/// transposes, as PyTorch does: fan in Cout/G·kH·kW, fan out Cin·kH·kW.
public enum Fan: Hashable, Sendable {
  /// The terms behind one output, Cin/G·kH·kW: keeps the variance of activations.
  case input
  /// The terms behind one input, Cout·kH·kW (as PyTorch counts it, whatever the groups): keeps the
  /// variance of gradients.
  case output

  /// The number of weights for a weight Cout×…×(Cin/G).
  /// - Precondition: the weight has at least two axes.
  public func count(of weight: Shape) -> Int {
    precondition(weight.rank >= 2, "a fan needs a weight of at least two axes, found \(weight)")
    let window = weight.extents.dropFirst().dropLast().reduce(1, *)
    switch self {
    case .input: return window * weight[weight.rank - 1]
    case .output: return window * weight[0]
    }
  }
}
