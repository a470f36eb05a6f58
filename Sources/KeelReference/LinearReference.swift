import KeelTensor

/// Fully connected layers: y = x·weightᵀ and its gradients, entry by entry.
internal enum LinearReference {
  /// x N×in, weight out×in → y N×out: y[n, o] = Σ_i x[n, i]·weight[o, i].
  static func forward(_ x: DoubleTensor, _ weight: DoubleTensor) -> DoubleTensor {
    let (rows, inputs, outputs) = (x.shape[0], x.shape[1], weight.shape[0])
    return DoubleTensor(summing: [rows, outputs]) { y in
      withPointers(x, weight) { x, weight in
        for n in 0..<rows {
          for o in 0..<outputs {
            y[n * outputs + o] = dotProduct(x + n * inputs, weight + o * inputs, inputs)
          }
        }
      }
    }
  }

  /// dy N×out, weight out×in → dx N×in: dx[n, i] = Σ_o dy[n, o]·weight[o, i].
  static func inputGradient(_ dy: DoubleTensor, _ weight: DoubleTensor) -> DoubleTensor {
    let (rows, inputs, outputs) = (dy.shape[0], weight.shape[1], weight.shape[0])
    return DoubleTensor(summing: [rows, inputs]) { dx in
      withPointers(dy, weight) { dy, weight in
        for n in 0..<rows {
          for o in 0..<outputs {
            addProduct(dy[n * outputs + o], weight + o * inputs, to: dx + n * inputs, inputs)
          }
        }
      }
    }
  }

  /// x N×in, dy N×out → dWeight out×in: dWeight[o, i] = Σ_n dy[n, o]·x[n, i].
  static func weightGradient(_ x: DoubleTensor, _ dy: DoubleTensor) -> DoubleTensor {
    let (rows, inputs, outputs) = (x.shape[0], x.shape[1], dy.shape[1])
    return DoubleTensor(summing: [outputs, inputs]) { dWeight in
      withPointers(x, dy) { x, dy in
        for n in 0..<rows {
          for o in 0..<outputs {
            addProduct(dy[n * outputs + o], x + n * inputs, to: dWeight + o * inputs, inputs)
          }
        }
      }
    }
  }
}
