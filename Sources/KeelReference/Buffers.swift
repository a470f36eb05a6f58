import KeelTensor

// The loops of the reference run on bare pointers: a network on hundreds of images is billions of
// multiply-adds, and bounds checks in the innermost loop cost several times that. Every pointer is
// that of a tensor whose shape drives the loop.

extension DenseArray where Element == Double {
  /// Calls a closure with a pointer to the elements, valid during the call.
  internal func withPointer<R>(_ body: (UnsafePointer<Double>) -> R) -> R {
    withSpan { span in
      span.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("an empty tensor") }
        return body(base)
      }
    }
  }

  /// Makes a tensor of zeros and has a closure add to it.
  internal init(summing shape: Shape, _ body: (UnsafeMutablePointer<Double>) -> Void) {
    self.init(uninitialized: shape) { out in
      out.initialize(repeating: 0)
      if let base = out.baseAddress { body(base) }
    }
  }
}

/// Calls a closure with pointers to the elements of two tensors.
internal func withPointers<R>(
  _ a: DoubleTensor, _ b: DoubleTensor,
  _ body: (UnsafePointer<Double>, UnsafePointer<Double>) -> R
) -> R {
  a.withPointer { a in b.withPointer { b in body(a, b) } }
}

/// Σ a[i]·b[i], in four interleaved sums so that additions do not wait for each other.
@inline(__always)
internal func dotProduct(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ count: Int)
  -> Double
{
  var sums = SIMD4<Double>()
  let whole = count & ~3
  for i in stride(from: 0, to: whole, by: 4) {
    for lane in 0..<4 { sums[lane] += a[i + lane] * b[i + lane] }
  }
  var tail = 0.0
  for i in whole..<count { tail += a[i] * b[i] }
  return sums.sum() + tail
}

/// y[i] += factor·x[i].
@inline(__always)
internal func addProduct(
  _ factor: Double, _ x: UnsafePointer<Double>, to y: UnsafeMutablePointer<Double>, _ count: Int
) {
  for i in 0..<count { y[i] += factor * x[i] }
}
