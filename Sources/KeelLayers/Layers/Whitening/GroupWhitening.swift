import KeelGraph
import KeelTensor

/// Whitens the groups of channels of each sample against each other: with x_n as G rows of C/G·S values, one row
/// for each group of neighbouring channels at all S positions, y_n = scale·W·(x_n − mean) + shift, W·Σ·Wᵀ = I.
///
/// Σ is the G×G covariance of a sample's groups with ε on its diagonal; with its off-diagonal left out this is
/// group norm. Samples do not see each other: training and inference are the same. By steps of Newton and Schulz
/// (coupled), or exactly by ZCA. C/G·S must be at least G to be of use. Channels go to the groups' axis and back:
/// four passes over x more than the other whitening layers take.
///
/// Huang, Zhou, Liu and Shao 2021, arXiv 2009.13333.
public struct GroupWhitening: Layer {
  /// γ, C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// G.
  public let groups: Int
  /// C.
  public let channels: Int
  /// T of Newton and Schulz; nil for ZCA.
  public let steps: Int?
  /// ε on the diagonal of Σ.
  public let epsilon: Float

  /// Makes a group whitening. Groups that do not divide the channels, and fewer values than groups without ε,
  /// are thrown when the graph is made.
  public init(
    _ groups: Int, _ channels: Int, steps: Int? = 5, epsilon: Float = 1e-5, affine: Bool = true
  ) {
    scale = affine ? filled(1, [channels]) : nil
    shift = affine ? filled(0, [channels]) : nil
    self.groups = groups
    self.channels = channels
    self.steps = steps
    self.epsilon = epsilon
  }

  /// Records the whitening.
  public func callAsFunction(_ x: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "GroupWhitening")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      try trace.check(
        groups >= 1 && channels.isMultiple(of: max(groups, 1)), at: place,
        expected: "groups that divide \(channels) channels", found: "\(groups)")
      let rule = try Whitening(
        steps.map { .newtonSchulz(steps: $0, coupled: true) } ?? .zca, epsilon: epsilon,
        place: place)
      guard let type = x.type else { return x }
      let inner = type.extents.dropLast()
      let grouped = x.reshaped(inner + [.fixed(groups), .fixed(channels / groups)])
      let order = Array(0..<inner.count) + [inner.count + 1, inner.count]
      let rows = trace.apply(.transpose(permutation: order), [grouped], label: place)[0]
      let blocks = ChannelBlocks(groups, over: .sample)
      try rows.checkRows(for: rule, blocks, at: place)
      let table = rows.comoments(blocks, label: place)
      let matrix = table.whiteningMatrix(rule, blocks, label: place)
      let whitened = rows.mapped(
        by: matrix, blocks, centre: table.comomentsCentre, label: place)
      var y = trace.apply(.transpose(permutation: order), [whitened], label: place)[0]
        .reshaped(type.extents)
      if let scale = trace.variable(scale) { y = y * scale }
      if let shift = trace.variable(shift) { y = y + shift }
      return y
    }
  }
}
