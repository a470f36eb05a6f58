import KeelTensor

/// Makes the tensors of tests from a seed; a failing test prints the seed.
public struct TensorSource {
  /// The seed that everything comes from.
  public let seed: UInt64
  private var random: RandomSource

  /// Starts from a seed.
  public init(seed: UInt64) {
    self.seed = seed
    random = RandomSource(seed: seed)
  }

  /// Independent normal numbers.
  public mutating func normal(_ shape: Shape, mean: Double = 0, deviation: Double = 1) -> Tensor {
    Tensor(normal: shape, mean: mean, deviation: deviation, using: &random)
  }

  /// Independent uniform numbers in [low, high).
  public mutating func uniform(_ shape: Shape, from low: Double = 0, to high: Double = 1) -> Tensor
  {
    Tensor(uniform: shape, from: low, to: high, using: &random)
  }

  /// Numbers of a grid around 0 in random order: no two are equal, or closer than 1/16, so that maxima
  /// stay where they are when one of them moves a little.
  public mutating func distinct(_ shape: Shape) -> Tensor {
    let count = shape.elementCount
    let order = (0..<count).shuffled(using: &random)
    return Tensor(uninitialized: shape) { out in
      for i in out.indices { out[i] = Float(order[i] - count / 2) / 16 }
    }
  }

  /// Whole numbers in 0..<classes.
  public mutating func labels(_ count: Int, classes: Int) -> IndexTensor {
    IndexTensor(uninitialized: [count]) { out in
      for i in out.indices { out[i] = Int64(random.below(classes)) }
    }
  }

  /// Whole numbers in 0..<classes; about one in four is `ignored` instead, the first never.
  public mutating func labels(_ shape: Shape, classes: Int, ignored: Int?) -> IndexTensor {
    IndexTensor(uninitialized: shape) { out in
      for i in out.indices {
        var label = random.below(classes)
        if let ignored {
          while label == ignored { label = random.below(classes) }
          if i > 0, random.below(4) == 0 { label = ignored }
        }
        out[i] = Int64(label)
      }
    }
  }

  /// Truth values.
  public mutating func truth(_ shape: Shape) -> DenseArray<Bool> {
    DenseArray(uninitialized: shape) { out in
      for i in out.indices { out[i] = random.below(2) == 1 }
    }
  }

  /// Moments of cells in the layout of `MomentsLayout`.
  public mutating func moments(_ shape: Shape) -> Tensor {
    let cells = shape.elementCount / MomentsLayout.rows
    return Tensor(uninitialized: shape) { out in
      for cell in 0..<cells {
        out[MomentsLayout.count * cells + cell] = Float(2 + random.below(9))
        out[MomentsLayout.mean * cells + cell] = Float(random.uniform())
        out[MomentsLayout.meanResidual * cells + cell] = Float(random.uniform() * 1e-8)
        out[MomentsLayout.squaredDeviations * cells + cell] = Float(0.5 + 9 * random.uniform())
      }
    }
  }

  /// Distributions along the last axis; about one number in four is 0, a row's first never.
  public mutating func probabilities(_ shape: Shape) -> Tensor {
    let columns = shape.channelCount
    return Tensor(uninitialized: shape) { out in
      for first in stride(from: 0, to: out.count, by: columns) {
        let row = (0..<columns).map { $0 > 0 && random.below(4) == 0 ? 0 : random.uniform() + 0.1 }
        let sum = row.reduce(0, +)
        for (i, value) in row.enumerated() { out[first + i] = Float(value / sum) }
      }
    }
  }

  /// One of some values at each place.
  public mutating func choice(_ shape: Shape, of values: [Float]) -> Tensor {
    Tensor(uninitialized: shape) { out in
      for i in out.indices { out[i] = values[random.below(values.count)] }
    }
  }

  /// Random numbers whose mean and population deviation over the rows are exactly the given ones, per
  /// channel, up to rounding in Double.
  public mutating func standardized(_ shape: Shape, means: [Double], deviations: [Double])
    -> DoubleTensor
  {
    precondition(means.count == shape.channelCount && deviations.count == shape.channelCount)
    var result = DoubleTensor(uninitialized: shape) { out in
      for i in out.indices { out[i] = random.normal() }
    }
    let (rows, channels) = (shape.rowCount, shape.channelCount)
    for c in 0..<channels {
      let values = (0..<rows).map { result[flat: $0 * channels + c] }
      let mean = values.reduce(0, +) / Double(rows)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
      for row in 0..<rows {
        result[flat: row * channels + c] =
          means[c] + deviations[c] * (values[row] - mean) / variance.squareRoot()
      }
    }
    return result
  }
}

extension DenseArray where Element == Double {
  /// Mean and population deviation per channel, computed in two passes.
  public var channelStatistics: (means: [Double], deviations: [Double]) {
    let (rows, channels) = (shape.rowCount, shape.channelCount)
    let values = elements
    var means: [Double] = []
    var deviations: [Double] = []
    for c in 0..<channels {
      let column = (0..<rows).map { values[$0 * channels + c] }
      let mean = column.reduce(0, +) / Double(rows)
      means.append(mean)
      let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rows)
      deviations.append(variance.squareRoot())
    }
    return (means, deviations)
  }
}
