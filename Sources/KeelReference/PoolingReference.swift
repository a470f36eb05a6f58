import KeelTensor

/// Pooling and its gradients, window by window.
internal enum PoolingReference {
  /// x → y, of the shapes that the geometry says.
  static func forward(_ x: DoubleTensor, _ geometry: PoolingGeometry) -> DoubleTensor {
    let batch = x.shape[0]
    return DoubleTensor(summing: geometry.outputShape(batch: batch)) { y in
      x.withPointer { x in
        forEachWindow(geometry, batch) { output, inputs in
          for c in 0..<geometry.channels {
            switch geometry.kind {
            case .maximum:
              y[output + c] = x[positionOfMaximum(x, c, inputs)]
            case .average(let countsPadding):
              var sum = 0.0
              for input in inputs { sum += x[input + c] }
              y[output + c] = sum / divisor(geometry, inputs.count, countsPadding)
            }
          }
        }
      }
    }
  }

  /// dy, x → dx: each window's gradient goes to its maximum; overlapping windows add up.
  static func maximumGradient(_ dy: DoubleTensor, x: DoubleTensor, _ geometry: PoolingGeometry)
    -> DoubleTensor
  {
    let batch = dy.shape[0]
    return DoubleTensor(summing: geometry.inputShape(batch: batch)) { dx in
      withPointers(dy, x) { dy, x in
        forEachWindow(geometry, batch) { output, inputs in
          for c in 0..<geometry.channels {
            dx[positionOfMaximum(x, c, inputs)] += dy[output + c]
          }
        }
      }
    }
  }

  /// dy → dx: each window's gradient is spread evenly.
  static func averageGradient(
    _ dy: DoubleTensor, _ geometry: PoolingGeometry, countsPadding: Bool
  ) -> DoubleTensor {
    let batch = dy.shape[0]
    return DoubleTensor(summing: geometry.inputShape(batch: batch)) { dx in
      dy.withPointer { dy in
        forEachWindow(geometry, batch) { output, inputs in
          let divisor = divisor(geometry, inputs.count, countsPadding)
          for input in inputs {
            for c in 0..<geometry.channels { dx[input + c] += dy[output + c] / divisor }
          }
        }
      }
    }
  }

  /// x N×H×W×C → y N×C: the mean over H·W positions.
  static func globalAverage(_ x: DoubleTensor) -> DoubleTensor {
    let (batch, positions, channels) = (x.shape[0], x.shape[1] * x.shape[2], x.shape[3])
    return DoubleTensor(summing: [batch, channels]) { y in
      x.withPointer { x in
        for n in 0..<batch {
          for position in 0..<positions {
            addProduct(1, x + (n * positions + position) * channels, to: y + n * channels, channels)
          }
        }
        for i in 0..<batch * channels { y[i] /= Double(positions) }
      }
    }
  }

  /// dy N×C → dx N×H×W×C: dy / (H·W) at every position.
  static func globalAverageGradient(_ dy: DoubleTensor, _ height: Int, _ width: Int)
    -> DoubleTensor
  {
    let (batch, positions, channels) = (dy.shape[0], height * width, dy.shape[1])
    return DoubleTensor(summing: [batch, height, width, channels]) { dx in
      dy.withPointer { dy in
        for n in 0..<batch {
          for position in 0..<positions {
            for c in 0..<channels {
              dx[(n * positions + position) * channels + c] =
                dy[n * channels + c] / Double(positions)
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

  private static func divisor(_ geometry: PoolingGeometry, _ count: Int, _ countsPadding: Bool)
    -> Double
  {
    Double(countsPadding ? geometry.tapCount : count)
  }

  /// Calls a closure for each window with where channel 0 of its output stands, and channel 0 of each
  /// of its inputs in row-major order, padding left out.
  private static func forEachWindow(
    _ geometry: PoolingGeometry, _ batch: Int, _ body: (_ output: Int, _ inputs: [Int]) -> Void
  ) {
    let (depth, height, width) = (geometry.depth, geometry.height, geometry.width)
    let (planes, rows, columns) = (depth.insideTaps, height.insideTaps, width.insideTaps)
    var output = 0
    for n in 0..<batch {
      for k in 0..<depth.output {
        for i in 0..<height.output {
          for j in 0..<width.output {
            var inputs: [Int] = []
            for (_, plane) in planes[k] {
              for (_, row) in rows[i] {
                for (_, column) in columns[j] {
                  let input =
                    ((n * depth.input + plane) * height.input + row) * width.input + column
                  inputs.append(input * geometry.channels)
                }
              }
            }
            body(output, inputs)
            output += geometry.channels
          }
        }
      }
    }
  }
}
