import KeelKernels
import KeelTensor
import Testing

/// Class contract: cuts of rows and products.
@Suite struct TilingTests {
  @Test(arguments: [0, 1, 2, 7, 63, 64, 65, 1000, 4097], [1, 2, 48, 64, 256, 10_000])
  func rowTiles(rows: Int, target: Int) {
    let tiles = RowTiles(rows: rows, target: target)
    var next = 0
    var sizes: Set<Int> = []
    for tile in 0..<tiles.count {
      #expect(tiles[tile].lowerBound == next)
      next = tiles[tile].upperBound
      sizes.insert(tiles[tile].count)
      #expect(tiles[tile].count >= 1 && tiles[tile].count <= min(target, tiles.largest))
    }
    #expect(next == rows)
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
    #expect(tiles.largest == sizes.max() ?? 0)
  }

  @Test(arguments: [1, 3, 10, 16, 63, 64, 65, 100, 512, 1000, 2048, 4096])
  func productBlocking(n: Int) {
    for k in [1, 3, 9, 27, 64, 147, 383, 384, 385, 576, 4608, 25_088] {
      let small = ProductBlocking(n: n, k: k, smallPath: true)
      #expect(small.panelWidth >= 1 && small.panelWidth <= min(n, 64))
      #expect(small.depth >= 1 && small.depth <= min(k, 384))
      #expect(small.panelWidth == n || small.panelWidth % 16 == 0)
      #expect(small.depth == k || small.depth % 8 == 0)
      #expect(small.rows >= 8 && small.rows <= 256 && small.rows % 8 == 0)
      #expect(
        small.rows * small.panelWidth * small.depth <= ProductBlocking.smallProduct,
        "n \(n), k \(k): \(small)")
      let packing = ProductBlocking(n: n, k: k, smallPath: false)
      #expect(packing.panelWidth >= 1 && packing.panelWidth <= min(n, 512))
      #expect(packing.panelWidth == n || packing.panelWidth % 16 == 0)
      #expect(packing.depth == k && packing.rows >= 8)
    }
  }

  @Test(arguments: [1, 15, 16, 17, 63, 64, 65, 128, 129, 1000], [16, 64, 384])
  func evenParts(total: Int, limit: Int) {
    for multiple in [1, 8, 16] {
      let part = ProductBlocking.evenPart(of: total, atMost: limit, multiple: multiple)
      #expect(part >= 1 && part <= total && part <= limit)
      let parts = (total + part - 1) / part
      #expect(parts == (total + limit - 1) / limit, "no more parts than needed")
      #expect(part == total || part % multiple == 0)
    }
  }

  @Test func vectorLevels() {
    let supported = VectorLevel.supported
    #expect(supported.first?.name == "baseline" || supported.first?.name == "neon")
    #expect(Set(supported.map(\.name)).count == supported.count)
    #expect(supported.contains { $0.name == VectorLevel.current.name })
    #expect(VectorLevel.current.description == VectorLevel.current.name)
    let order = ["baseline", "neon", "avx2", "avx512"]
    let positions = supported.compactMap { order.firstIndex(of: $0.name) }
    #expect(positions == positions.sorted() && positions.count == supported.count)
    if let wanted = KeelEnvironment.current.vectorLevel {
      let isKnown = supported.contains { $0.name == wanted.lowercased() }
      #expect((VectorLevel.complaint == nil) == isKnown)
      if isKnown { #expect(VectorLevel.current.name == wanted.lowercased()) }
    } else {
      #expect(VectorLevel.complaint == nil && VectorLevel.current.name == supported.last?.name)
    }
  }
}
