import KeelGraph
import KeelTensor

/// Sets elements to 0 with probability p in training and scales the others by 1/(1 − p); does nothing in
/// inference (Srivastava et al. 2014).
///
/// Each run draws from the graph's input `seed`, an int64 scalar: the same seed drops the same elements, on
/// every machine and for any number of threads.
public struct Dropout: Layer {
  /// The probability of an element to be dropped, from 0 to 1.
  public var probability: Float

  /// Makes a dropout. A probability out of range is thrown when the graph is made.
  public init(_ probability: Float = 0.5) { self.probability = probability }

  /// Records the dropout.
  public func callAsFunction(_ x: Variable) -> Variable { x.dropout(probability) }
}

/// Sets whole channels of a sample to 0 with probability p in training, at all positions, and scales the
/// others by 1/(1 − p); does nothing in inference (Tompson et al. 2015, 1411.4280).
public struct Dropout2d: Layer {
  /// The probability of a channel to be dropped, from 0 to 1.
  public var probability: Float

  /// Makes a dropout. A probability out of range is thrown when the graph is made.
  public init(_ probability: Float = 0.5) { self.probability = probability }

  /// Records the dropout.
  public func callAsFunction(_ x: Variable) -> Variable {
    x.dropout(probability, unit: .channel)
  }
}
