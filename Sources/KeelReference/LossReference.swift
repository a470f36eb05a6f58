import KeelTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Softmax and the loss on it.
internal enum LossReference {
  /// p[n, k] = exp(z[n, k] − m) / Σ_l exp(z[n, l] − m), with m the row's maximum.
  static func softmax(_ z: DoubleTensor) -> DoubleTensor {
    let (rows, classes) = (z.shape[0], z.shape[1])
    return DoubleTensor(summing: z.shape) { p in
      z.withPointer { z in
        for n in 0..<rows {
          let logSum = logSumExp(z + n * classes, classes)
          for k in 0..<classes { p[n * classes + k] = exp(z[n * classes + k] - logSum) }
        }
      }
    }
  }

  /// The mean over n of −log softmax(z)[n, label[n]], as log Σ exp(z) − z[label].
  static func crossEntropy(_ z: DoubleTensor, _ labels: [Int]) -> DoubleTensor {
    let (rows, classes) = (z.shape[0], z.shape[1])
    var sum = 0.0
    z.withPointer { z in
      for n in 0..<rows {
        sum += logSumExp(z + n * classes, classes) - z[n * classes + labels[n]]
      }
    }
    return DoubleTensor(repeating: sum / Double(rows), shape: [])
  }

  /// dz = dLoss·(softmax(z) − onehot(label)) / N.
  static func crossEntropyGradient(_ z: DoubleTensor, _ labels: [Int], dLoss: Double)
    -> DoubleTensor
  {
    let (rows, classes) = (z.shape[0], z.shape[1])
    let p = softmax(z)
    return DoubleTensor(summing: z.shape) { dz in
      p.withPointer { p in
        for n in 0..<rows {
          for k in 0..<classes {
            let target = k == labels[n] ? 1.0 : 0.0
            dz[n * classes + k] = dLoss * (p[n * classes + k] - target) / Double(rows)
          }
        }
      }
    }
  }

  /// log Σ exp(z), without overflow.
  private static func logSumExp(_ z: UnsafePointer<Double>, _ count: Int) -> Double {
    var maximum = z[0]
    for k in 1..<max(count, 1) where z[k] > maximum { maximum = z[k] }
    var sum = 0.0
    for k in 0..<count { sum += exp(z[k] - maximum) }
    return maximum + log(sum)
  }
}
