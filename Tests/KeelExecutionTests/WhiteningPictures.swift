import Foundation
import KeelExecution
import KeelGraph
import KeelLinearAlgebra
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// What the picture of the article on gradients of whitening shows: `KEEL_PICTURES=FOLDER` writes gaps and
/// errors, `Scripts/draw-whitening.py FOLDER` draws.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["KEEL_PICTURES"] != nil))
struct WhiteningPictures {
  private let order = 8

  /// Errors of dΣ relative to the largest element of the exact one, the largest of five covariances with
  /// eigenvalues 1, 1 + gap, 1 + 2·gap…
  @Test func gradients() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["KEEL_PICTURES"])
    var lines: [String] = []
    for exponent in stride(from: 0.0, through: 9, by: 0.5) {
      let gap = exponent == 9 ? 0 : pow(10, -exponent)
      var (textbook, keel) = (0.0, 0.0)
      for seed in 1...5 as ClosedRange<UInt64> {
        let errors = try errors(gap: gap, seed: seed)
        textbook = errors.textbook.isNaN ? .nan : max(textbook, errors.textbook)
        keel = max(keel, errors.keel)
      }
      lines.append("\(gap),\(textbook),\(keel)")
      #expect(keel <= 1e-6)
    }
    let url = URL(fileURLWithPath: folder).appendingPathComponent("gradients.csv")
    try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
  }

  private func errors(gap: Double, seed: UInt64) throws -> (textbook: Double, keel: Double) {
    var source = TensorSource(seed: seed)
    func random() -> SquareMatrix {
      SquareMatrix(
        order, DoubleTensor(widening: source.normal([order, order])).elements.map { $0 })
    }
    let u = random().symmetric.eigen.vectors
    let g = random().symmetric
    let sigma = u * SquareMatrix(order) { $0 == $1 ? 1 + Double($0) * gap : 0 } * u.transposed
    let exact = try gradient(sigma, g)
    let largest = exact.elements.map { abs($0) }.max()!
    func error(_ found: SquareMatrix) -> Double {
      (found - exact).elements.reduce(0) { $1.isNaN ? .nan : max($0, abs($1)) } / largest
    }
    return (error(try textbook(sigma, g)), error(try kernel(sigma, g)))
  }

  /// The closed form in Double, from the eigenvalues of the matrix.
  private func gradient(_ sigma: SquareMatrix, _ g: SquareMatrix) throws -> SquareMatrix {
    let (values, u) = sigma.eigen
    let turned = u.transposed * g * u
    return u
      * SquareMatrix(order) {
        let (a, b) = (values[$0].squareRoot(), values[$1].squareRoot())
        return -turned[$0, $1] / (a * b * (a + b))
      } * u.transposed
  }

  /// U·(K ∘ (Uᵀ·dU) + diag dΛ)·Uᵀ in Float throughout.
  private func textbook(_ sigma: SquareMatrix, _ g: SquareMatrix) throws -> SquareMatrix {
    let d = order
    var v = sigma.elements.map { Float($0) }
    var values = [Float](repeating: 0, count: d)
    var workspace = EigenWorkspace<Float>(order: d)
    var matrix = v.mutableSpan
    var numbers = values.mutableSpan
    try symmetricEigen(n: d, a: &matrix, values: &numbers, workspace: &workspace)
    func product(_ a: [Float], _ b: [Float]) -> [Float] {
      (0..<d * d).map { at in
        (0..<d).reduce(0) { $0 + a[at / d * d + $1] * b[$1 * d + at % d] }
      }
    }
    func transposed(_ a: [Float]) -> [Float] { (0..<d * d).map { a[$0 % d * d + $0 / d] } }
    let u = transposed(v)
    let gu = product(g.elements.map { Float($0) }, u)
    // W = U·f(Λ)·Uᵀ: dU = 2·G·U·f(Λ), dλ = f′(λ)·(Uᵀ·G·U).
    let dU = (0..<d * d).map { 2 * gu[$0] / values[$0 % d].squareRoot() }
    let (turned, diagonal) = (product(v, dU), product(v, gu))
    let inner = (0..<d * d).map { at -> Float in
      let (i, j) = (at / d, at % d)
      guard i == j else { return turned[at] / (values[j] - values[i]) }
      return -0.5 * diagonal[at] / (values[i] * values[i].squareRoot())
    }
    let result = product(product(u, inner), v)
    return SquareMatrix(d, result.map { Double($0) }).symmetric
  }

  /// Keel's: co-moments to matrix and back.
  private func kernel(_ sigma: SquareMatrix, _ g: SquareMatrix) throws -> SquareMatrix {
    let (d, blocks) = (order, ChannelBlocks(order))
    let rule = try Whitening(.zca, epsilon: 0)
    let count = Double(ComomentsLayout.countOfGiven)
    let rows = ComomentsLayout.rows(of: d)
    let table = Tensor(uninitialized: [rows, d]) { out in
      for i in out.indices {
        let (row, c) = (i / d, i % d)
        let product = (row - ComomentsLayout.products) % d
        let value = row < ComomentsLayout.products ? 0 : sigma[product, c] * count
        out[i] =
          row == ComomentsLayout.count
          ? Float(count)
          : row < ComomentsLayout.productResiduals(of: d)
            ? Float(value) : Float(value - Double(Float(value)))
      }
    }
    var builder = GraphBuilder()
    let operand = builder.weight("table", table)
    let dMatrix = builder.weight(
      "dMatrix",
      Tensor(
        rounding: DoubleTensor(uninitialized: [d, d]) { out in
          for i in out.indices { out[i] = g[i / d, i % d] }
        }))
    let results = try builder.append(.whitening(rule, blocks), [operand])
    builder.output(
      "y", try builder.append(.whiteningGradient(rule, blocks), [dMatrix, operand] + results)[0])
    let y = try Interpreter(builder.finish()).run([:]).outputs["y"]!.floats(at: "y")
    return SquareMatrix(d) {
      Double(y.elements[(ComomentsLayout.products + $1) * d + $0]) * count
    }
  }
}
