import KeelGraph
import KeelTensor

/// One step of a gated recurrent network (Cho et al. 2014, arXiv 1406.1078, in PyTorch's form):
///
/// r = σ(x·W_irᵀ + b_ir + h·W_hrᵀ + b_hr), z = σ(x·W_izᵀ + b_iz + h·W_hzᵀ + b_hz),
/// n = tanh(x·W_inᵀ + b_in + r∘(h·W_hnᵀ + b_hn)), h′ = n + z∘(h − n).
///
/// x is N×in, h and h′ are N×hidden. A sequence is a loop over steps, see `Variable.unrolled(_:)`. The rows
/// of a weight are those of r, of z, then of n, as PyTorch's.
public struct GRUCell: Sendable {
  /// 3·hidden×in.
  public let weightIH: Parameter
  /// 3·hidden×hidden.
  public let weightHH: Parameter
  /// 3·hidden; nil without biases.
  public let biasIH: Parameter?
  /// 3·hidden; nil without biases.
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
      rows: hiddenFeatures.multipliedReportingOverflow(by: 3).partialValue, inputFeatures,
      hiddenFeatures, bias: bias, using: &source)
    self.hiddenFeatures = hiddenFeatures
  }

  /// Records a step; without a state, the first one, from h = 0.
  public func callAsFunction(_ x: Variable, _ state: Variable? = nil) -> Variable {
    let place = x.trace.place(of: weightIH, kind: "GRUCell")
    let input = x.product(weightIH, biasIH, at: place)
    guard let type = input.type else { return input }
    let extents = [type.extents[0], .fixed(hiddenFeatures)]
    let state = state ?? x.trace.apply(.fill(0, extents), [], label: place)[0]
    let parts = [Int](repeating: hiddenFeatures, count: 3)
    let fromInput = input.split(axis: 1, into: parts)
    let fromState = state.product(weightHH, biasHH, at: place).split(axis: 1, into: parts)
    let reset = (fromInput[0] + fromState[0]).sigmoid()
    let update = (fromInput[1] + fromState[1]).sigmoid()
    let proposed = (fromInput[2] + reset * fromState[2]).tanh()
    return proposed + update * (state - proposed)
  }
}
