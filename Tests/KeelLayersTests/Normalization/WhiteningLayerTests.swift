import KeelGraph
import KeelKernels
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Properties of whitening layers, and what they refuse.
@Suite struct WhiteningLayerTests {
  /// The covariance of some columns of rows × channels.
  private func covariance(_ rows: [[Double]]) -> SquareMatrix {
    let (n, d) = (rows.count, rows[0].count)
    let means = (0..<d).map { c in rows.reduce(0) { $0 + $1[c] } / Double(n) }
    return SquareMatrix(d) { i, j in
      rows.reduce(0) { $0 + ($1[i] - means[i]) * ($1[j] - means[j]) } / Double(n)
    }
  }

  private func largest(_ matrix: SquareMatrix) -> Double { matrix.elements.map { abs($0) }.max()! }

  @Test func groupsOfASampleAreWhite() throws {
    var source = TensorSource(seed: 61)
    let x = source.normal([2, 6, 5, 12], mean: 1)
    let y = try y(GroupWhitening(3, 12, steps: nil, epsilon: 0), x)
    for sample in 0..<2 {
      // Rows of positions and channels within a group, columns of groups.
      let rows = (0..<120).map { row in
        (0..<3).map { g in
          Double(y.elements[(sample * 30 + row / 4) * 12 + g * 4 + row % 4])
        }
      }
      #expect(largest(covariance(rows) - .identity(3)) <= 1e-5)
    }
  }

  /// Groups that are uncorrelated are normed as by group norm.
  @Test func groupWhiteningOfUncorrelatedGroupsIsGroupNorm() throws {
    // Group 0 is constant where group 1 is not, and the other way round.
    let x = Tensor(uninitialized: [1, 8, 4]) { out in
      for i in out.indices {
        let (row, c) = (i / 4, i % 4)
        let sign: Float = (row + c) % 2 == 0 ? 1 : -1
        out[i] = (c < 2) == (row < 4) ? 3 * sign : 0
      }
    }
    let whitened = try y(GroupWhitening(2, 4, steps: nil, epsilon: 1e-3), x)
    let normed = try y(GroupNorm(2, 4, epsilon: 1e-3), x)
    expectClose(whitened, DoubleTensor(widening: normed), bound: 1e-5)
  }

  @Test(arguments: [nil, 2] as [Int?])
  func transferGivesTheStylesStatistics(blockSize: Int?) throws {
    let shapes: [Shape] = [[2, 5, 4, 4], [2, 3, 9, 4]]
    let test = NormCase(
      "transfer", WhiteningColoring(blockSize: blockSize),
      [.normal(shapes[0]), .normal(shapes[1], mean: 3, seed: 62)]
    ) { $0($1[0], style: $1[1]) }
    let y = try test.graph(.inference).y(test.inputs)
    let style = try test.inputs["x1"]!.floats(at: "x1")
    let size = blockSize ?? 4
    for sample in 0..<2 {
      for first in stride(from: 0, to: 4, by: size) {
        func rows(_ tensor: Tensor, _ count: Int) -> [[Double]] {
          (0..<count).map { row in
            (first..<first + size).map { Double(tensor.elements[(sample * count + row) * 4 + $0]) }
          }
        }
        let (found, expected) = (rows(y, 20), rows(style, 27))
        #expect(largest(covariance(found) - covariance(expected)) <= 1e-5)
        for c in 0..<size {
          let means = [found, expected].map { rows in
            rows.reduce(0) { $0 + $1[c] } / Double(rows.count)
          }
          #expect(abs(means[0] - means[1]) <= 1e-5)
        }
      }
    }
  }

  private func failure(
    _ transfer: WhiteningColoring, _ content: Shape, _ style: Shape
  ) -> KeelError? {
    let test = NormCase("transfer", transfer, [.normal(content), .normal(style)]) {
      $0($1[0], style: $1[1])
    }
    do throws(KeelError) {
      _ = try test.graph(.inference)
      return nil
    } catch { return error }
  }

  @Test func stylesThatDoNotFit() {
    let channels = failure(WhiteningColoring(), [2, 5, 5, 4], [2, 5, 5, 3])
    #expect(channels?.kind == .shape)
    #expect(channels?.expected.contains("as many samples and channels as the content") == true)
    #expect(failure(WhiteningColoring(), [2, 5, 5, 4], [1, 5, 5, 4])?.kind == .shape)
    #expect(failure(WhiteningColoring(blend: 2), [1, 5, 5, 4], [1, 5, 5, 4])?.kind == .argument)
    #expect(failure(WhiteningColoring(blockSize: 5), [1, 5, 5, 4], [1, 5, 5, 4])?.kind == .shape)
    #expect(failure(WhiteningColoring(), [1, 5, 5, 4], [1, 4, 5, 4]) == nil)
  }

  @Test func badNumbers() throws {
    func failure(_ layer: some Layer, _ input: [Extent] = [32, 4]) -> KeelError? {
      do throws(KeelError) {
        _ = try Graph(tracing: Sequential(layer), input: input, mode: .training)
        return nil
      } catch { return error }
    }
    let rows = failure(DecorrelatedBatchNorm(4, epsilon: 0), [4, 4])
    #expect(rows?.kind == .shape && rows?.place == "0")
    #expect(rows?.expected == "more rows than the 4 channels of a block, or an ε")
    #expect(failure(DecorrelatedBatchNorm(4, epsilon: 0), [5, 4]) == nil)
    #expect(failure(DecorrelatedBatchNorm(4, epsilon: -1))?.kind == .argument)
    #expect(failure(DecorrelatedBatchNorm(4, blockSize: 0))?.kind == .argument)
    #expect(failure(DecorrelatedBatchNorm(4, momentum: 2))?.kind == .argument)
    #expect(failure(DecorrelatedBatchNorm(5))?.kind == .shape)
    let steps = failure(IterNorm(4, steps: 8, coupled: false))
    #expect(steps?.kind == .argument && steps?.expected.contains("coupled") == true)
    #expect(failure(IterNorm(4, steps: 0))?.kind == .argument)
    #expect(failure(IterNorm(4, steps: 50)) == nil)
    #expect(failure(CholeskyWhitening(4, shrinkage: 1.5))?.kind == .argument)
    #expect(failure(GroupWhitening(3, 4), [2, 8, 4])?.kind == .argument)
    #expect(failure(GroupWhitening(4, 4, steps: nil, epsilon: 0), [2, 3, 4])?.kind == .shape)
  }

  /// LAPACK that does not converge, injected: the error says where.
  @Test func eigenvaluesThatDoNotConverge() throws {
    let rule = try Whitening(.zca)
    let (blocks, shape) = (ChannelBlocks(2), Shape([ComomentsLayout.rows(of: 2), 4]))
    let kernel = WhiteningKernel(rule, blocks, table: shape, place: "stage1.norm") { _, _, _, _ in
      3
    }
    let table = Tensor(uninitialized: shape) { out in
      for i in out.indices {
        let (row, c) = (i / 4, i % 4)
        out[i] = row == 0 ? 8 : row - ComomentsLayout.products == c % 2 ? 8 : 0
      }
    }
    var memory = [Float](repeating: 0, count: kernel.scratchCount(.serial))
    var results = [Float](repeating: 0, count: 100)
    var found: KeelError?
    table.withSpan { span in
      span.withUnsafeBufferPointer { table in
        memory.withUnsafeMutableBufferPointer { memory in
          results.withUnsafeMutableBufferPointer { results in
            do throws(KeelError) {
              try kernel.run(
                table.baseAddress!, into: results.baseAddress!, factor: results.baseAddress! + 50,
                scratch: memory.baseAddress!, parallelism: .serial)
            } catch { found = error }
          }
        }
      }
    }
    #expect(found?.kind == .numerical)
    #expect(found?.place.hasPrefix("stage1.norm, ") == true)
    #expect(found?.found == "failure 3 of the iteration")
  }
}
