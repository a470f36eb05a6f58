import KeelTensor

/// Activations, sums and what else looks at one element at a time.
internal enum ElementwiseReference {
  /// f(x).
  static func activated(_ x: DoubleTensor, _ activation: Activation) -> DoubleTensor {
    let count = x.count
    return DoubleTensor(summing: x.shape) { y in
      x.withPointer { x in
        for i in 0..<count { y[i] = value(x[i], activation) }
      }
    }
  }

  /// f(x) of one number. NaN passes through ReLU: it is not below zero.
  static func value(_ x: Double, _ activation: Activation) -> Double {
    switch activation {
    case .relu: x < 0 ? 0 : x
    }
  }

  /// Whether f changes with its argument, told from its result y; ReLU does not at 0.
  static func isActive(_ y: Double, _ activation: Activation) -> Bool {
    switch activation {
    case .relu: y > 0
    }
  }

  /// dx = dy where f is active, otherwise 0, whatever dy is.
  static func activationGradient(_ dy: DoubleTensor, y: DoubleTensor, _ activation: Activation)
    -> DoubleTensor
  {
    let count = dy.count
    return DoubleTensor(summing: dy.shape) { dx in
      withPointers(dy, y) { dy, y in
        for i in 0..<count where isActive(y[i], activation) { dx[i] = dy[i] }
      }
    }
  }

  /// a + b.
  static func sum(_ a: DoubleTensor, _ b: DoubleTensor) -> DoubleTensor {
    let count = a.count
    return DoubleTensor(summing: a.shape) { y in
      withPointers(a, b) { a, b in
        for i in 0..<count { y[i] = a[i] + b[i] }
      }
    }
  }

  /// x + bias, one bias per channel.
  static func sum(_ x: DoubleTensor, bias: DoubleTensor) -> DoubleTensor {
    let (rows, channels) = (x.shape.rowCount, x.shape.channelCount)
    return DoubleTensor(summing: x.shape) { y in
      withPointers(x, bias) { x, bias in
        for row in 0..<rows {
          for c in 0..<channels { y[row * channels + c] = x[row * channels + c] + bias[c] }
        }
      }
    }
  }

  /// Σ over rows, per channel.
  static func channelSum(_ x: DoubleTensor) -> DoubleTensor {
    let (rows, channels) = (x.shape.rowCount, x.shape.channelCount)
    return DoubleTensor(summing: [channels]) { y in
      x.withPointer { x in
        for row in 0..<rows { addProduct(1, x + row * channels, to: y, channels) }
      }
    }
  }
}
