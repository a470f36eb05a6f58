internal import CKeelLoops
package import KeelTensor

/// y = x·m/(1 − p), with m from the seed, the stream and each element's index alone.
package struct DropoutKernel: Sendable {
  private let dropout: DropoutMask
  private let count: Int
  private let samples: Int
  private let positions: Int
  private let channels: Int

  /// Prepares for a shape.
  package init(_ dropout: DropoutMask, _ shape: Shape) {
    self.dropout = dropout
    count = shape.elementCount
    samples = shape.extents.first ?? 1
    channels = shape.channelCount
    positions = shape.extents.dropFirst().dropLast().reduce(1, *)
  }

  /// The floats of scratch memory for `run`: a row of factors for each thread, and one of ones.
  package func scratchCount(_ parallelism: Parallelism) -> Int {
    dropout.unit == .element ? 0 : (parallelism.threadCount + 1) * paddedChannels
  }

  private var paddedChannels: Int { (channels + 15) / 16 * 16 }

  /// y = x·m/(1 − p); with dy for x, the gradient. Aliasing: y may be x.
  package func run(
    _ x: UnsafePointer<Float>, seed: Int64, into y: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    let words = dropout.key(seed: seed)
    let key = KeelKey(first: words.first, second: words.second)
    let (threshold, factor) = (dropout.threshold, dropout.factor)
    guard dropout.unit == .channel else {
      Elementwise.forEachSlice(count, work: 4 * count, parallelism) {
        loops.dropout(y + $0, x + $0, $0, $1, key, threshold, factor)
      }
      return
    }
    let ones = scratch + parallelism.threadCount * paddedChannels
    ones.update(repeating: 1, count: channels)
    let size = positions * channels
    parallelism.forEach(samples, work: count) { sample, worker in
      let factors = scratch + worker * paddedChannels
      loops.dropout(factors, ones, sample * channels, channels, key, threshold, factor)
      var a = KeelBroadcast(values: x + sample * size, row: channels, step: 1)
      var b = KeelBroadcast(values: factors, row: 0, step: 1)
      loops.arithmetic(Int32(KEEL_MULTIPLY), y + sample * size, &a, &b, positions, channels)
    }
  }
}
