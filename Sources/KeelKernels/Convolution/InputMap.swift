internal import CKeelLoops
internal import KeelTensor

/// A map of a convolution's input, applied to the pixels of a task before they are multiplied:
/// act(scale·(x − pivot) + shift) with one pivot, scale and shift per channel.
///
/// It is the map of a normalization by constant statistics, and the same loop applies it: the results are those of
/// a step of its own, bit for bit.
package struct InputMap: Sendable {
  /// Pivot, scale and shift, each padded to whole cache lines.
  private let table: Tensor
  private let isReLU: Bool
  let channels: Int

  fileprivate init(_ table: Tensor, channels: Int, isReLU: Bool) {
    self.table = table
    self.channels = channels
    self.isReLU = isReLU
  }

  /// Maps rows that lie `stride` floats apart to rows that follow each other.
  func apply(
    _ x: UnsafePointer<Float>, stride: Int, rows: Int, into y: UnsafeMutablePointer<Float>
  ) {
    let padded = ChannelRows.padded(channels)
    let pivot = table.unsafeBase
    let map = KeelMap(
      pivot: pivot, scale: pivot + padded, shift: pivot + 2 * padded, rowScale: nil, rowShift: nil,
      scaleStride: 0, shiftStride: 0)
    withUnsafePointer(to: map) {
      loops.normalize($0, y, channels, x, stride, rows, channels, nil, 0, isReLU ? 1 : 0, 0)
    }
  }
}

extension NormalizationKernel {
  /// The map that a run with given statistics applies to every row.
  /// - Precondition: one map serves all rows, and there is no residual.
  package func inputMap(given: CellStatistics, recovery: RecoveryOperands) -> InputMap {
    precondition(
      tables.count == 1 && !recoversByRow && !normalization.epilogue.hasResidual,
      "input map: expected one table per channel, found \(normalization) of \(shape)")
    var table = Tensor(zeros: [mapCount])
    var worker = Tensor(zeros: [fillCount])
    let statistics = given.pointers(cells: cellCount)
    table.withMutableSpan { table in
      table.withUnsafeMutableBufferPointer { table in
        worker.withMutableSpan { worker in
          worker.withUnsafeMutableBufferPointer { worker in
            fill(table.baseAddress!, table: 0, statistics, recovery, worker.baseAddress!)
          }
        }
      }
    }
    return InputMap(table, channels: channels, isReLU: isReLU)
  }
}
