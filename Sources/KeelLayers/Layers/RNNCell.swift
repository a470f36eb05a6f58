import KeelGraph
import KeelTensor

/// One step of a recurrent network: h′ = tanh(x·weightIHᵀ + biasIH + h·weightHHᵀ + biasHH).
///
/// x is N×in, h and h′ are N×hidden. A sequence is a loop that calls the cell with each step's x: it
/// unrolls in the trace, and the weights are shared (Elman 1990). Weights are laid out as PyTorch's.
public struct RNNCell: Sendable {
  /// hidden×in.
  public let weightIH: Parameter
  /// hidden×hidden.
  public let weightHH: Parameter
  /// hidden; nil without biases.
  public let biasIH: Parameter?
  /// hidden; nil without biases.
  public let biasHH: Parameter?
  /// The number of columns of h.
  public let hiddenFeatures: Int

  /// Makes a cell whose weights start as PyTorch's, uniform in ±1/√hidden. Sizes below 1 are thrown when
  /// the graph is made.
  public init(
    _ inputFeatures: Int, _ hiddenFeatures: Int, bias: Bool = true,
    using source: inout RandomSource
  ) {
    (weightIH, weightHH, biasIH, biasHH) = recurrentParameters(
      rows: hiddenFeatures, inputFeatures, hiddenFeatures, bias: bias, using: &source)
    self.hiddenFeatures = hiddenFeatures
  }

  /// Records a step; without a state, the first one, from h = 0.
  public func callAsFunction(_ x: Variable, _ state: Variable? = nil) -> Variable {
    let place = x.trace.place(of: weightIH, kind: "RNNCell")
    let input = x.product(weightIH, biasIH, at: place)
    guard let type = input.type else { return input }
    let state = state ?? x.trace.apply(.fill(0, type.extents), [], label: place)[0]
    return input.addingResidual(state.product(weightHH, biasHH, at: place)).tanh()
  }
}

/// The weights and biases of a cell as PyTorch's start: uniform in ±1/√hidden.
/// - Parameter rows: the rows of both weights: hidden, times the number of gates.
internal func recurrentParameters(
  rows: Int, _ inputFeatures: Int, _ hiddenFeatures: Int, bias: Bool,
  using source: inout RandomSource
) -> (weightIH: Parameter, weightHH: Parameter, biasIH: Parameter?, biasHH: Parameter?) {
  let bound = 1 / Double(max(hiddenFeatures, 1)).squareRoot()
  func parameter(_ shape: Shape) -> Parameter {
    Parameter(shape: shape) { Tensor(uniform: $0, from: -bound, to: bound, using: &source) }
  }
  return (
    parameter([rows, inputFeatures]), parameter([rows, hiddenFeatures]),
    bias ? parameter([rows]) : nil, bias ? parameter([rows]) : nil
  )
}

extension Variable {
  /// The product with a weight, and its bias, of a cell at `place`.
  internal func product(_ weight: Parameter, _ bias: Parameter?, at place: String) -> Variable {
    let operands = [self, trace.variable(weight)] + (bias.map { [trace.variable($0)] } ?? [])
    return trace.apply(.linear(Epilogue(hasBias: bias != nil)), operands, label: place)[0]
  }

  /// The states of a cell after each step of this sequence N×L×C, whose length must be known.
  /// - Parameter cell: called with a step's N×C and the state before, nil for the first.
  public func unrolled(_ cell: (_ x: Variable, _ state: Variable?) -> Variable) -> [Variable] {
    let place = "sequence after \(trace.lastLayer)"
    guard let (axes, channels) = spatialExtents(axisCount: 1, at: place), let type else {
      return []
    }
    var states: [Variable] = []
    for step in 0..<axes[0] {
      let x = sliced(axis: 1, from: step, count: 1).reshaped([type.extents[0], .fixed(channels)])
      states.append(cell(x, states.last))
    }
    return states
  }
}
