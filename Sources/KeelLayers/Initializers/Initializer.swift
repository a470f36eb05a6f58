import KeelGraph
import KeelTensor

/// How a weight is filled before training.
public protocol Initializer: Sendable {
  /// A new weight Cout×…×(Cin/G).
  func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor
}

/// Fills normally with mean 0 and deviation gain/√fan.
///
/// He et al. 2015, arXiv 1502.01852.
public struct KaimingNormal: Initializer, Hashable {
  /// The number of weights to scale by.
  public var fan: Fan
  /// The activation's gain.
  public var gain: Gain

  /// Makes the initializer.
  public init(fan: Fan = .input, gain: Gain = .relu) {
    self.fan = fan
    self.gain = gain
  }

  /// gain/√fan.
  public func deviation(of shape: Shape) -> Double {
    gain.value / Double(fan.count(of: shape)).squareRoot()
  }

  /// A new weight.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    Tensor(normal: shape, deviation: deviation(of: shape), using: &source)
  }
}

/// Fills uniformly in ±bound with bound = gain·√(3/fan), so with deviation gain/√fan.
///
/// He et al. 2015, arXiv 1502.01852.
public struct KaimingUniform: Initializer, Hashable {
  /// The number of weights to scale by.
  public var fan: Fan
  /// The activation's gain.
  public var gain: Gain

  /// Makes the initializer.
  public init(fan: Fan = .input, gain: Gain = .relu) {
    self.fan = fan
    self.gain = gain
  }

  /// gain·√(3/fan).
  public func bound(of shape: Shape) -> Double {
    gain.value * (3 / Double(fan.count(of: shape))).squareRoot()
  }

  /// A new weight.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    let bound = bound(of: shape)
    return Tensor(uniform: shape, from: -bound, to: bound, using: &source)
  }
}

/// Fills normally with mean 0 and deviation gain·√(2/(fan in + fan out)).
///
/// Glorot and Bengio 2010.
public struct XavierNormal: Initializer, Hashable {
  /// The activation's gain.
  public var gain: Gain

  /// Makes the initializer.
  public init(gain: Gain = .linear) { self.gain = gain }

  /// gain·√(2/(fan in + fan out)).
  public func deviation(of shape: Shape) -> Double {
    let fans = Double(Fan.input.count(of: shape) + Fan.output.count(of: shape))
    return gain.value * (2 / fans).squareRoot()
  }

  /// A new weight.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    Tensor(normal: shape, deviation: deviation(of: shape), using: &source)
  }
}

/// Fills uniformly in ±bound with bound = gain·√(6/(fan in + fan out)).
///
/// Glorot and Bengio 2010.
public struct XavierUniform: Initializer, Hashable {
  /// The activation's gain.
  public var gain: Gain

  /// Makes the initializer.
  public init(gain: Gain = .linear) { self.gain = gain }

  /// gain·√(6/(fan in + fan out)).
  public func bound(of shape: Shape) -> Double {
    let fans = Double(Fan.input.count(of: shape) + Fan.output.count(of: shape))
    return gain.value * (6 / fans).squareRoot()
  }

  /// A new weight.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    let bound = bound(of: shape)
    return Tensor(uniform: shape, from: -bound, to: bound, using: &source)
  }
}

/// Fills normally with mean 0 and one deviation, whatever the weight's size.
public struct NormalInitializer: Initializer, Hashable {
  /// The deviation.
  public var deviation: Double

  /// Makes the initializer.
  public init(deviation: Double) { self.deviation = deviation }

  /// A new weight.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    Tensor(normal: shape, deviation: deviation, using: &source)
  }
}

/// Fills with one value.
public struct ConstantInitializer: Initializer, Hashable {
  /// The value.
  public var value: Float

  /// Makes the initializer.
  public init(_ value: Float) { self.value = value }

  /// A new weight.
  public func tensor(_ shape: Shape, using source: inout RandomSource) -> Tensor {
    Tensor(repeating: value, shape: shape)
  }
}

extension Initializer where Self == KaimingUniform {
  /// Uniform in ±1/√(fan in): what PyTorch gives convolutions and linear layers.
  public static var standard: KaimingUniform { KaimingUniform(gain: Gain((1.0 / 3).squareRoot())) }
}

extension Initializer where Self == KaimingNormal {
  /// Normal with deviation √(2/fan out): what residual networks start from.
  public static var residual: KaimingNormal { KaimingNormal(fan: .output, gain: .relu) }
}

/// A bias as PyTorch fills it: uniform in ±1/√(fan in of the weight).
internal func standardBias(_ shape: Shape, fanIn: Int, using source: inout RandomSource) -> Tensor {
  let bound = 1 / Double(max(fanIn, 1)).squareRoot()
  return Tensor(uniform: shape, from: -bound, to: bound, using: &source)
}

extension Parameter {
  /// Fills with zeros: biases of networks that do not start from PyTorch's usual ones.
  internal func fillWithZeros() { value = Tensor(zeros: shape) }
}
