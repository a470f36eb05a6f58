import KeelTensor

/// Pooling and its gradients, window by window.
internal enum PoolingReference {
  /// x → y, of the shapes that the geometry says.
  static func forward(_ x: DoubleTensor, _ geometry: PoolingGeometry) -> DoubleTensor {
    let batch = x.shape[0]
    return DoubleTensor(summing: geometry.outputShape(batch: batch)) { y in
      x.withPointer { x in
        forEachWindow(geometry, batch) { output, inputs, counted in
          for c in 0..<geometry.channels {
            switch geometry.kind {
            case .maximum:
              y[output + c] = x[positionOfMaximum(x, c, inputs)]
            case .average:
              var sum = 0.0
              for input in inputs { sum += x[input + c] }
              y[output + c] = sum / Double(counted)
            case .l2:
              var sum = 0.0
              for input in inputs { sum += x[input + c] * x[input + c] }
              y[output + c] = sum.squareRoot()
            }
          }
        }
      }
    }
  }

  /// Where each maximum stands: its position within the image, the spatial axes in row-major order.
  static func indices(_ x: DoubleTensor, _ geometry: PoolingGeometry) -> IndexTensor {
    let batch = x.shape[0]
    return IndexTensor(uninitialized: geometry.outputShape(batch: batch)) { result in
      x.withPointer { x in
        forEachWindow(geometry, batch) { output, inputs, _ in
          for c in 0..<geometry.channels {
            let position = positionOfMaximum(x, c, inputs) / geometry.channels
            result[output + c] = Int64(position % geometry.inputPositions)
          }
        }
      }
    }
  }

  /// dy, x, y → dx: a maximum gets its window's gradient, an average spreads it evenly, a norm in
  /// proportion to x/y; overlapping windows add up.
  static func gradient(
    _ dy: DoubleTensor, x: DoubleTensor?, y: DoubleTensor?, _ geometry: PoolingGeometry
  ) -> DoubleTensor {
    let batch = dy.shape[0]
    return DoubleTensor(summing: geometry.inputShape(batch: batch)) { dx in
      // An average has no x, and reads dy in its place without using it.
      withPointers(dy, x ?? dy) { dy, x in
        forEachWindow(geometry, batch) { output, inputs, counted in
          for c in 0..<geometry.channels {
            let g = dy[output + c]
            switch geometry.kind {
            case .maximum: dx[positionOfMaximum(x, c, inputs)] += g
            case .average: for input in inputs { dx[input + c] += g / Double(counted) }
            case .l2:
              let norm = y![flat: output + c]
              for input in inputs where norm != 0 { dx[input + c] += g * x[input + c] / norm }
            }
          }
        }
      }
    }
  }

  /// Where the maximum of a channel over a window stands: the first of equals in row-major order; a
  /// NaN is above everything.
  private static func positionOfMaximum(
    _ x: UnsafePointer<Double>, _ channel: Int, _ inputs: [Int]
  ) -> Int {
    var best = inputs[0] + channel
    for input in inputs.dropFirst() {
      if x[best].isNaN { return best }
      let candidate = input + channel
      if x[candidate] > x[best] || x[candidate].isNaN { best = candidate }
    }
    return best
  }

  /// The input positions of one axis that an output position is made from, straight from the definition,
  /// and how many positions an average divides by.
  private static func taps(_ axis: PoolingAxis, _ output: Int, countsPadding: Bool)
    -> (inside: [Int], counted: Int)
  {
    guard let window = axis.window else {
      // Input i is in the bin where [i, i + 1) meets [output, output + 1)·input/output.
      let bin = (0..<axis.input).filter {
        ($0 + 1) * axis.output > output * axis.input && $0 * axis.output < (output + 1) * axis.input
      }
      return (bin, bin.count)
    }
    let all = (0..<window.window).map {
      output * window.stride + $0 * window.dilation - window.paddingBefore
    }
    let inside = all.filter { $0 >= 0 && $0 < axis.input }
    let end = axis.input + window.paddingAfter - axis.roundedUp
    return (inside, countsPadding ? all.filter { $0 < end }.count : inside.count)
  }

  /// Calls a closure for each window with where channel 0 of its output stands, channel 0 of each of its
  /// inputs in row-major order, padding left out, and what an average divides by.
  private static func forEachWindow(
    _ geometry: PoolingGeometry, _ batch: Int,
    _ body: (_ output: Int, _ inputs: [Int], _ counted: Int) -> Void
  ) {
    let countsPadding = geometry.kind == .average(countsPadding: true)
    // The windows of one image: inputs as positions.
    var windows: [(inputs: [Int], counted: Int)] = [([0], 1)]
    for axis in geometry.axes {
      let outputs = (0..<axis.output).map { taps(axis, $0, countsPadding: countsPadding) }
      windows = windows.flatMap { window in
        outputs.map { tap in
          (
            window.inputs.flatMap { outer in tap.inside.map { outer * axis.input + $0 } },
            window.counted * tap.counted
          )
        }
      }
    }
    for n in 0..<batch {
      for (position, window) in windows.enumerated() {
        let inputs = window.inputs.map { (n * geometry.inputPositions + $0) * geometry.channels }
        body((n * windows.count + position) * geometry.channels, inputs, window.counted)
      }
    }
  }
}

extension PoolingGeometry.Kind {
  /// Whether the gradient needs neither x nor y.
  internal var isAverage: Bool {
    if case .average = self { true } else { false }
  }
}
