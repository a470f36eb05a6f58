import KeelGraph
import KeelTensor

/// Maps rows N×in to rows N×out: y = x·weightᵀ + bias.
public struct Linear: Layer {
  /// out×in.
  public let weight: Parameter
  /// out; nil without a bias.
  public let bias: Parameter?
  /// The number of columns of x.
  public let inputFeatures: Int
  /// The number of columns of y.
  public let outputFeatures: Int

  /// Makes a linear layer. Sizes below 1 are thrown when the graph is made.
  ///
  /// - Parameters:
  ///   - bias: whether there is a bias. It starts as PyTorch's, uniform in ±1/√in.
  ///   - initializer: what the weight starts from; `.standard` is PyTorch's.
  ///   - source: where random numbers come from.
  public init(
    _ inputFeatures: Int, _ outputFeatures: Int, bias: Bool = true,
    initializer: any Initializer = .standard, using source: inout RandomSource
  ) {
    weight = Parameter(shape: [outputFeatures, inputFeatures]) {
      initializer.tensor($0, using: &source)
    }
    self.bias =
      bias
      ? Parameter(shape: [outputFeatures]) {
        standardBias($0, fanIn: inputFeatures, using: &source)
      } : nil
    self.inputFeatures = inputFeatures
    self.outputFeatures = outputFeatures
  }

  /// Records the map.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: weight, kind: "Linear")
    for (what, value) in [("input features", inputFeatures), ("output features", outputFeatures)]
    where value < 1 {
      trace.fail(
        KeelError(.argument, at: place, expected: "\(what) at least 1", found: "\(value)"))
      return trace.nothing()
    }
    let operands = [x, trace.variable(weight)] + (bias.map { [trace.variable($0)] } ?? [])
    return trace.apply(.linear(Epilogue(hasBias: bias != nil)), operands, label: place)[0]
  }
}
