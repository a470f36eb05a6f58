import KeelGraph
import KeelTensor

extension NodeEvaluation {
  /// x → co-moments.
  func comoments(_ blocks: ChannelBlocks) throws(KeelError) -> [ReferenceValue] {
    let reference = WhiteningReference(blocks, x: real(0).shape, at: node.label)
    return [.real(try reference.comoments(real(0)))]
  }

  /// (dCo-moments, x, co-moments, residual?) → dx, or (dCo-moments, x, co-moments, dy, matrix) → dx.
  func comomentsGradient(
    _ blocks: ChannelBlocks, _ residual: ComomentsResidual
  ) throws(KeelError) -> [ReferenceValue] {
    let reference = WhiteningReference(blocks, x: real(1).shape, at: node.label)
    let added: DoubleTensor? =
      switch residual {
      case .none: nil
      case .given: real(3)
      case .mapped:
        try reference.mapGradients(real(3), real(1), centre: nil, real(4), .none)[0]
      }
    return [
      .real(try reference.comomentsGradient(real(0), real(1), real(2), residual: added))
    ]
  }

  /// Co-moments → (matrix, factor?).
  func whitening(_ rule: Whitening, _ blocks: ChannelBlocks) throws(KeelError) -> [ReferenceValue] {
    let reference = WhiteningReference(blocks, table: real(0).shape, at: node.label)
    return try reference.matrices(real(0), rule).map(ReferenceValue.real)
  }

  /// (dMatrix, co-moments, matrix, factor?) → dCo-moments.
  func whiteningGradient(
    _ rule: Whitening, _ blocks: ChannelBlocks
  ) throws(KeelError) -> [ReferenceValue] {
    let reference = WhiteningReference(blocks, table: real(1).shape, at: node.label)
    return [
      .real(
        try reference.matrixGradient(
          real(0), real(1), real(2), rule.hasFactor ? real(3) : nil, rule))
    ]
  }

  /// (x, centre?, matrix, shift?) → y.
  func blockMap(_ map: BlockMap) throws(KeelError) -> [ReferenceValue] {
    let reference = WhiteningReference(map.blocks, x: real(0).shape, at: node.label)
    return [
      .real(
        try reference.map(
          real(0), centre: map.centers ? real(1) : nil, real(map.matrixOperand),
          shift: real(map.shiftOperand)))
    ]
  }

  /// (dy, x, centre?, matrix) → (dx?, dCentre?, dMatrix, dShift?).
  func blockMapGradient(
    _ map: BlockMap, makesInput: Bool
  ) throws(KeelError) -> [ReferenceValue] {
    let reference = WhiteningReference(map.blocks, x: real(1).shape, at: node.label)
    let gradients = try reference.mapGradients(
      real(0), real(1), centre: map.centers ? real(2) : nil, real(1 + map.matrixOperand), map.shift)
    return gradients.dropFirst(makesInput ? 0 : 1).map(ReferenceValue.real)
  }

  /// (co-moments, mean, covariance?) → (mean′, covariance′?).
  func runningComoments(
    _ momentum: Float, hasCovariance: Bool
  ) throws(KeelError) -> [ReferenceValue] {
    let (table, mean) = (real(0), real(1))
    let weight = Double(momentum)
    let channels = mean.count
    let n = table[flat: 0]
    guard n > 1 else {
      throw KeelError(
        .value, at: node.label, expected: "co-moments of more than one row", found: "\(n)")
    }
    let newMean = DoubleTensor(uninitialized: mean.shape) { out in
      for c in out.indices {
        let batch =
          table[flat: ComomentsLayout.mean * channels + c]
          + table[flat: ComomentsLayout.meanResidual * channels + c]
        out[c] = (1 - weight) * mean[flat: c] + weight * batch
      }
    }
    guard hasCovariance else { return [.real(newMean)] }
    let covariance = real(2)
    let (first, rest) = (
      ComomentsLayout.products, ComomentsLayout.productResiduals(of: covariance.shape[0])
    )
    let newCovariance = DoubleTensor(uninitialized: covariance.shape) { out in
      for i in out.indices {
        let batch = table[flat: first * channels + i] + table[flat: rest * channels + i]
        out[i] = (1 - weight) * covariance[flat: i] + weight * batch / (n - 1)
      }
    }
    return [.real(newMean), .real(newCovariance)]
  }

  /// (value, average) → average′.
  func movingAverage(_ momentum: Float) -> [ReferenceValue] {
    let (value, average) = (real(0), real(1))
    let weight = Double(momentum)
    return [
      .real(
        DoubleTensor(uninitialized: average.shape) { out in
          for i in out.indices {
            out[i] = (1 - weight) * average[flat: i] + weight * value[flat: i]
          }
        })
    ]
  }
}
