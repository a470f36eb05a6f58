import BenchmarkHarness
import Keel

/// A pass over memory: so many floats read, and so many written side by side.
struct MemoryPass: Equatable {
  let reads: Int
  let writes: Int
}

extension NormalizationCase {
  /// The floats that a pass must move through memory, in one or two goes: batch norm's statistics take a go
  /// of their own, and so do those of samples whose operands do not stay in the second level of a core.
  ///
  /// | | one go | two |
  /// |---|---|---|
  /// | forward | x and residual → y | x; x and residual → y |
  /// | backward | x, dy → dx | x, dy; x, dy → dx |
  /// | backward, add + ReLU | x, dy, y → dx, dResidual | x, dy, y → dResidual; x, dResidual → dx |
  ///
  /// Where every element of a sample has a scale and a shift, those move once, and their gradients with dx.
  func memoryPasses(_ pass: Pass, secondLevelBytes: Int) -> [MemoryPass] {
    let n = shape.elementCount
    let perElement = method == .layer && !isMatrix ? n / shape[0] : 0
    let adds = form == .addReLU
    let operands = pass == .forward ? 1 : adds ? 3 : 2
    let staysNear = method != .batch && operands * 4 * n / shape[0] <= secondLevelBytes
    if pass == .forward {
      let last = MemoryPass(reads: (adds ? 2 : 1) * n + 2 * perElement, writes: n)
      return staysNear ? [last] : [MemoryPass(reads: n, writes: 0), last]
    }
    let affine = (reads: (form == .relu ? 2 : 1) * perElement, writes: 2 * perElement)
    guard !staysNear else {
      return [
        MemoryPass(
          reads: operands * n + affine.reads, writes: (adds ? 2 : 1) * n + affine.writes)
      ]
    }
    return [
      MemoryPass(reads: operands * n, writes: adds ? n : 0),
      MemoryPass(reads: 2 * n + affine.reads, writes: n + affine.writes),
    ]
  }
}
