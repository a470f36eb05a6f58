import KeelTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Activations, sums and what else looks at one element at a time.
internal enum ElementwiseReference {
  /// f(x).
  static func activated(_ x: DoubleTensor, _ activation: Activation) -> DoubleTensor {
    let count = x.count
    return DoubleTensor(summing: x.shape) { y in
      x.withPointer { x in
        for i in 0..<count { y[i] = ActivationReference.value(x[i], activation) }
      }
    }
  }

  /// dx = dy·f′, from the result y or the argument x (`value`); 0 where f is flat, whatever dy is.
  static func activationGradient(
    _ dy: DoubleTensor, from value: DoubleTensor, _ activation: Activation
  ) -> DoubleTensor {
    let count = dy.count
    return DoubleTensor(summing: dy.shape) { dx in
      withPointers(dy, value) { dy, value in
        for i in 0..<count {
          if let slope = ActivationReference.slope(value[i], activation) { dx[i] = dy[i] * slope }
        }
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

  /// f(x).
  static func applied(_ x: DoubleTensor, _ function: ElementwiseFunction) -> DoubleTensor {
    DoubleTensor(uninitialized: x.shape) { y in
      for i in y.indices { y[i] = value(function, x[flat: i]) }
    }
  }

  private static func value(_ function: ElementwiseFunction, _ x: Double) -> Double {
    switch function {
    case .negate: -x
    case .absolute: abs(x)
    case .exponential: exp(x)
    case .logarithm: log(x)
    case .squareRoot: x.squareRoot()
    case .reciprocal: 1 / x
    case .square: x * x
    case .sign: x > 0 ? 1 : x < 0 ? -1 : 0
    case .errorFunction: erf(x)
    }
  }

  /// aᵇ.
  static func power(_ a: Double, _ b: Double) -> Double { pow(a, b) }

  /// log x.
  static func logarithm(_ x: Double) -> Double { log(x) }
}
