import KeelTensor
import KeelTestSupport

extension KernelCases {
  /// Blocks around the edges of vectors, register tiles, rows at once and parts.
  static let blockMaps: [PrimitiveCase] =
    [
      (17, 400, 1), (16, 97, 2), (15, 96, 3), (33, 130, 1), (64, 95, 1), (70, 193, 1), (4, 700, 5),
    ].flatMap { (size: Int, rows: Int, more: Int) in
      ChannelBlocks.Rows.allCases.flatMap { cells in
        PrimitiveCase.blockMaps(
          "blocks of \(size) of \(size + more) channels, \(rows) rows, \(cells)",
          ChannelBlocks(size, over: cells), [2, rows, size + more])
      }
    }
}
