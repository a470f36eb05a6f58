import KeelGraph
import KeelTensor

/// Standardizes each channel over each region of all images, with a scale and shift of each region:
/// y = scale[r]·(x − m_r)/√(v_r + ε·T/n_r) + shift[r], with r the region of the position, n_r its positions in
/// the batch, and T all positions.
///
/// Regions are int64, one per position (N×…), from 0 to regions − 1; of a mask they are 0 and 1. ε grows with
/// T/n_r, as it does where a region is normalized by filling the rest with its mean: the published form.
/// Statistics are those of the batch in training and inference. Everything in one region is batch norm. For
/// inpainting, where the statistics of holes would spoil those around them.
///
/// Regions out of range are thrown when the graph is run; an empty region is no matter.
///
/// Yu et al. 2020, arXiv 1911.10375 (RN-B).
public struct RegionNorm: Sendable {
  /// γ, regions×C; starts at 1; nil where the layer is not affine.
  public let scale: Parameter?
  /// β, regions×C; starts at 0; nil where the layer is not affine.
  public let shift: Parameter?
  /// C.
  public let channels: Int
  /// The number of regions.
  public let regions: Int
  /// ε under the root.
  public let epsilon: Float

  /// Makes a region norm. Sizes below 1 and an ε that is negative or not finite are thrown when the graph is
  /// made.
  public init(_ channels: Int, regions: Int = 2, epsilon: Float = 1e-5, affine: Bool = true) {
    scale = affine ? filled(1, [regions, channels]) : nil
    shift = affine ? filled(0, [regions, channels]) : nil
    self.channels = channels
    self.regions = regions
    self.epsilon = epsilon
  }

  /// Records the normalization.
  public func callAsFunction(_ x: Variable, regions labels: Variable) -> Variable {
    let trace = x.trace
    let place = trace.place(of: [scale], kind: "RegionNorm")
    return trace.recording { () throws(KeelError) in
      try x.checkChannels(channels, at: place)
      let operation = Normalization.Operation.standardize(epsilon: epsilon)
      try operation.validate(at: place)
      if let type = x.type, let found = labels.type {
        let expected = ValueType(.int64, Array(type.extents.dropLast()))
        try trace.check(
          found == expected, .shape, at: place, expected: "regions \(expected)",
          found: "\(found)")
      }
      let partition = Partition(rows: .labels(regions), channels: .each)
      let moments = x.moments(partition, labels: labels, label: place)
      guard moments.type != nil else { return moments }
      // ε·T more in Σ(x − m)² is ε·T/n more in the variance.
      let counts = moments.sliced(axis: 0, from: MomentsLayout.count, count: 1)
      let total = counts.sum(axes: [1], keepsAxes: true).detached() * epsilon
      let more = total.padded([0: (before: MomentsLayout.squaredDeviations, after: 0)])
      return x.normalized(
        by: moments + more, partition, operation: .standardize(epsilon: 0),
        scale: trace.variable(scale)?.selected(labels),
        shift: trace.variable(shift)?.selected(labels), per: .positions, labels: labels,
        label: place)
    }
  }
}
