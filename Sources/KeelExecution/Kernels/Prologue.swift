package import KeelGraph
internal import KeelKernels
package import KeelTensor

/// A normalization by constant statistics that a convolution applies to the rows it reads.
package struct Prologue {
  private let normalization: Normalization
  private let constants: [Int: Tensor]

  /// - Parameter constants: all operands of the normalization but x, by position.
  /// - Precondition: the node is a normalization.
  package init(_ node: Node, constants: [Int: Tensor]) {
    guard case .normalization(let normalization) = node.primitive else {
      preconditionFailure("prologue: expected a normalization, found \(node.primitive.name)")
    }
    self.normalization = normalization
    self.constants = constants
  }

  /// The map that it is of x of a shape.
  internal func map(of shape: Shape) -> InputMap {
    let at = NormalizationOperands(normalization)
    func address(_ operand: Int?) -> UnsafePointer<Float>? {
      operand.flatMap { constants[$0] }.map { UnsafePointer($0.unsafeBase) }
    }
    defer { withExtendedLifetime(constants) {} }
    return NormalizationKernel(normalization, of: shape).inputMap(
      given: .given(mean: address(at.mean)!, variance: address(at.variance)!),
      recovery: RecoveryOperands(scale: address(at.scale), shift: address(at.shift)))
  }
}
