import KeelTensor

/// Whitening and coloring of blocks of channels as variables.
extension Variable {
  /// The co-moments of blocks of channels, in the layout of `ComomentsLayout`.
  public func comoments(_ blocks: ChannelBlocks, label: String? = nil) -> Variable {
    trace.apply(.comoments(blocks), [self], label: label)[0]
  }

  /// The matrices that whiten or color blocks, from their co-moments: d×C, or d×N×C for samples by
  /// themselves, as `mapped` takes them.
  public func whiteningMatrix(
    _ rule: Whitening, _ blocks: ChannelBlocks, label: String? = nil
  ) -> Variable {
    trace.apply(.whitening(rule, blocks), [self], label: label)[0]
  }

  /// The means of co-moments as two rows, whose sum is the mean: what `mapped` takes for a centre.
  public var comomentsCentre: Variable {
    sliced(axis: 0, from: ComomentsLayout.mean, count: 2)
  }

  /// A mean, in the extents of the cells, as a centre of two rows.
  public var asCentre: Variable {
    guard let cells = type?.extents else { return self }
    let row = trace.apply(.reshape([1] + cells), [self])[0]
    return Variable.concatenation([row, trace.apply(.fill(0, [1] + cells), [])[0]], axis: 0)
  }

  /// The mean of co-moments in the extents of the cells.
  public var comomentsMean: Variable {
    momentsRow(ComomentsLayout.mean) + momentsRow(ComomentsLayout.meanResidual)
  }

  /// Each block of channels through its matrix: y = matrix·(x − centre) + shift.
  /// - Parameters:
  ///   - centre: 2 × cells × C; nil for none.
  ///   - shift: C, or the cells' extents.
  public func mapped(
    by matrix: Variable, _ blocks: ChannelBlocks, centre: Variable? = nil, shift: Variable? = nil,
    label: String? = nil
  ) -> Variable {
    var extent = BlockMap.Shift.none
    if let shift { extent = shift.type?.rank == 1 ? .channels : .cells }
    let map = BlockMap(blocks, centers: centre != nil, shift: extent)
    let operands = [self, centre, matrix, shift].compactMap { $0 }
    return trace.apply(.blockMap(map), operands, label: label)[0]
  }

  /// Co-moments from a mean and a covariance, packed as a matrix, such as running ones. They count for as many
  /// rows as make no difference between dividing by n and by n − 1.
  public static func comoments(
    mean: Variable, covariance: Variable, _ blocks: ChannelBlocks
  ) -> Variable {
    let trace = mean.trace
    guard let cells = mean.type?.extents else { return mean }
    func constant(_ value: Float, _ rows: Int) -> Variable {
      trace.apply(.fill(value, [.fixed(rows)] + cells), [])[0]
    }
    let count = ComomentsLayout.countOfGiven
    return concatenation(
      [
        constant(count, 1), trace.apply(.reshape([1] + cells), [mean])[0], constant(0, 1),
        covariance * count, constant(0, blocks.size),
      ], axis: 0)
  }
}
