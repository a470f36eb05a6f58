internal import CKeelLoops
internal import KeelTensor

/// Where the statistics of cells are.
package enum CellStatistics {
  /// In the layout of `MomentsLayout`: 4 × cells.
  case moments(UnsafePointer<Float>)
  /// A mean and a variance per cell.
  case given(mean: UnsafePointer<Float>, variance: UnsafePointer<Float>)

  /// As leaves take them.
  func pointers(cells: Int) -> KeelMoments {
    switch self {
    case .moments(let table):
      KeelMoments(
        count: table + MomentsLayout.count * cells, mean: table + MomentsLayout.mean * cells,
        rest: table + MomentsLayout.meanResidual * cells,
        deviations: table + MomentsLayout.squaredDeviations * cells)
    case .given(let mean, let variance):
      KeelMoments(count: nil, mean: mean, rest: nil, deviations: variance)
    }
  }
}

/// What a normalization puts back, and its labels.
package struct RecoveryOperands {
  /// γ and β, of the recovery's extents; nil where absent.
  package var scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?
  /// The labels of a partition that has some.
  package var labels: UnsafePointer<Int64>?

  package init(
    scale: UnsafePointer<Float>?, shift: UnsafePointer<Float>?, labels: UnsafePointer<Int64>? = nil
  ) {
    self.scale = scale
    self.shift = shift
    self.labels = labels
  }
}

extension KeelOperation {
  internal init(_ operation: Normalization.Operation) {
    let divisor =
      switch operation.divisor {
      case .none: KEEL_NO_DIVISOR
      case .deviation(unbiased: false): KEEL_DEVIATION
      case .deviation(unbiased: true): KEEL_SAMPLE_DEVIATION
      case .rootMeanSquare: KEEL_ROOT_MEAN_SQUARE
      case .norm: KEEL_NORM
      }
    let placement =
      switch operation.placement {
      case .insideRoot: KEEL_EPSILON_INSIDE
      case .besideRoot: KEEL_EPSILON_BESIDE
      case .floor: KEEL_EPSILON_FLOOR
      }
    self.init(
      centers: operation.centers ? 1 : 0, divisor: Int32(divisor.rawValue),
      placement: Int32(placement.rawValue), epsilon: operation.epsilon)
  }
}
