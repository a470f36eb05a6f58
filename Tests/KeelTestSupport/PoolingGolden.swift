import KeelTensor

/// A pooling with its result, indices and gradient by PyTorch, see `Scripts/golden/pooling.py`.
public struct PoolingGolden: Sendable {
  /// One axis.
  public enum Axis: Sendable {
    /// Input, window, stride, padding on both sides, dilation, ceil mode.
    case sliding(Int, Int, Int, Int, Int, Bool)
    /// Input and output.
    case adaptive(Int, Int)
  }

  /// The pooling.
  public let geometry: PoolingGeometry
  /// Result, channels last.
  public let y: [Double]
  /// Positions of the maxima within the image.
  public let indices: [Int]?
  /// The gradient for `dy`.
  public let dx: [Double]

  private static let batch = 1

  internal init(
    _ kind: PoolingGeometry.Kind, _ axes: [Axis], y: [Double], indices: [Int]? = nil, dx: [Double]
  ) {
    let axes = axes.map { axis in
      switch axis {
      case .sliding(let input, let window, let stride, let padding, let dilation, let ceilMode):
        try! PoolingAxis(
          input: input, window: window, stride: stride, paddingBefore: padding,
          paddingAfter: padding, dilation: dilation, ceilMode: ceilMode)
      case .adaptive(let input, let output): try! PoolingAxis(adaptive: input, output: output)
      }
    }
    geometry = try! PoolingGeometry(kind, axes: axes, channels: 2)
    self.y = y
    self.indices = indices
    self.dx = dx
  }

  /// The input.
  public var x: DoubleTensor {
    Self.numbers(geometry.inputShape(batch: Self.batch), 37, 11, 41, 16)
  }
  /// The result's gradient.
  public var dy: DoubleTensor {
    Self.numbers(geometry.outputShape(batch: Self.batch), 29, 3, 17, 8)
  }

  /// The formula of the script.
  private static func numbers(
    _ shape: Shape, _ factor: Int, _ start: Int, _ modulus: Int, _ divisor: Int
  ) -> DoubleTensor {
    DoubleTensor(uninitialized: shape) { out in
      for i in out.indices {
        out[i] = Double((i * factor + start) % modulus - modulus / 2) / Double(divisor)
      }
    }
  }
}
