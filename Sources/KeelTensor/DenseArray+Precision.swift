extension DenseArray where Element == Double {
  /// Makes the Double tensor of a Float tensor's values, which are all exact in Double.
  public init(widening tensor: Tensor) {
    self.init(uninitialized: tensor.shape) { out in
      tensor.withSpan { x in
        for i in out.indices { out[i] = Double(x[i]) }
      }
    }
  }
}

extension DenseArray where Element == Float {
  /// Makes a Float tensor by rounding a Double one to the nearest values.
  public init(rounding tensor: DoubleTensor) {
    self.init(uninitialized: tensor.shape) { out in
      tensor.withSpan { x in
        for i in out.indices { out[i] = Float(x[i]) }
      }
    }
  }
}
