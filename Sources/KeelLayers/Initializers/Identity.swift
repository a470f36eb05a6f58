import KeelTensor

/// Fills so that what goes in comes out: 1 where output and input of a group have the same number, at the
/// window's center (at the right or lower of the middle two of an even one), 0 elsewhere. A linear layer has
/// the identity matrix; a convolution with "same" padding passes its input on (PyTorch's `eye_` and `dirac_`).
public struct Identity: Initializer, Hashable {
  /// The groups of the convolution.
  public var groups: Int

  /// Makes the initializer.
  public init(groups: Int = 1) { self.groups = groups }

  /// A new weight.
  /// - Precondition: the weight has at least two axes, and its outputs divide into the groups.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    precondition(
      shape.rank >= 2 && groups >= 1 && shape[0] % groups == 0,
      "Identity: expected Cout×…×(Cin/\(groups)), found \(shape)")
    let inputs = shape[shape.rank - 1]
    let window = shape.extents.dropFirst().dropLast()
    let center = window.reduce(0) { $0 * $1 + $1 / 2 }
    let outputs = shape[0] / groups
    var result = Tensor(zeros: shape)
    result.withMutableSpan { span in
      for output in 0..<shape[0] where output % outputs < inputs {
        span[(output * window.reduce(1, *) + center) * inputs + output % outputs] = 1
      }
    }
    return result
  }
}
