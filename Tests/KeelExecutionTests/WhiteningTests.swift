import Foundation
import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// What whitening promises: the covariance of its output, its invariances, its gradients where eigenvalues
/// meet, and its refusals.
@Suite struct WhiteningTests {
  /// Rows of normal numbers whose covariance has eigenvalues from 1 down to 1/condition.
  private func data(
    rows: Int, channels: Int, condition: Double, seed: UInt64, mean: Double = 0
  ) -> Tensor {
    var source = TensorSource(seed: seed)
    let z = DoubleTensor(widening: source.normal([rows, channels]))
    let g = DoubleTensor(widening: source.normal([channels, channels]))
    let axes = SquareMatrix(channels) { i, j in
      g[flat: i * channels + j] + g[flat: j * channels + i]
    }
    .eigen.vectors
    return Tensor(uninitialized: [rows, channels]) { out in
      for row in 0..<rows {
        for c in 0..<channels {
          var sum = mean
          for k in 0..<channels {
            let deviation = pow(condition, -Double(k) / Double(2 * max(channels - 1, 1)))
            sum += axes[c, k] * deviation * z[flat: row * channels + k]
          }
          out[row * channels + c] = Float(sum)
        }
      }
    }
  }

  private func covariance(_ x: DoubleTensor, _ columns: Range<Int>? = nil) -> SquareMatrix {
    let (rows, channels) = (x.shape.rowCount, x.shape.channelCount)
    let columns = columns ?? 0..<channels
    let means = columns.map { c in
      (0..<rows).reduce(0) { $0 + x[flat: $1 * channels + c] } / Double(rows)
    }
    return SquareMatrix(columns.count) { i, j in
      (0..<rows).reduce(0) {
        $0 + (x[flat: $1 * channels + columns.lowerBound + i] - means[i])
          * (x[flat: $1 * channels + columns.lowerBound + j] - means[j])
      } / Double(rows)
    }
  }

  /// Σ·(Σ + εI)⁻¹.
  private func expected(_ sigma: SquareMatrix, epsilon: Double) -> SquareMatrix {
    let (values, u) = sigma.eigen
    let middle = SquareMatrix(sigma.order) {
      $0 == $1 ? values[$0] / (values[$0] + epsilon) : 0
    }
    return u * middle * u.transposed
  }

  private func relativeError(_ a: SquareMatrix, _ b: SquareMatrix) -> Double {
    ((a - b).dot(a - b) / b.dot(b)).squareRoot()
  }

  private func graph(_ rule: Whitening, _ blocks: ChannelBlocks, _ x: Tensor) throws -> Graph {
    var builder = GraphBuilder()
    let value = builder.weight("x", x)
    let table = try builder.append(.comoments(blocks), [value])[0]
    let results = try builder.append(.whitening(rule, blocks), [table], label: "matrix")
    var axes = [AxisMovement](repeating: .whole, count: builder.graph.type(of: table).rank)
    axes[0] = .slice(start: ComomentsLayout.mean, count: 2, step: 1)
    let centre = try builder.append(.movement(Movement(axes)), [table])[0]
    let y = try builder.append(.blockMap(BlockMap(blocks)), [value, centre, results[0]])[0]
    builder.output("y", y)
    builder.output("matrix", results[0])
    return try builder.finish()
  }

  private func run(_ graph: Graph) throws -> (y: DoubleTensor, matrix: DoubleTensor) {
    let results = try Interpreter(graph, parallelism: Parallelism(threads: 2)).run([:]).outputs
    return (
      DoubleTensor(widening: try results["y"]!.floats(at: "y")),
      DoubleTensor(widening: try results["matrix"]!.floats(at: "matrix"))
    )
  }

  /// Whitening of x, and x added to it before or after.
  private func addingItself(_ x: Tensor, isFirst: Bool) throws -> Graph {
    var builder = GraphBuilder()
    let value = builder.weight("x", x)
    let root = isFirst ? try builder.append(.elementwise(.exponential), [value])[0] : nil
    let table = try builder.append(.comoments(ChannelBlocks(3)), [value])[0]
    let rule = try Whitening(.zca, epsilon: 1e-3)
    let matrix = try builder.append(.whitening(rule, ChannelBlocks(3)), [table])[0]
    let map = BlockMap(ChannelBlocks(3), centers: false)
    let y = try builder.append(.blockMap(map), [value, matrix])[0]
    let sum = try builder.append(.arithmetic(.add), [y, root ?? value])[0]
    builder.output("y", sum)
    return try builder.finish()
  }

  @Test func gradientOfTheMapIsLeftToThatOfTheCoMoments() throws {
    let x = data(rows: 40, channels: 7, condition: 100, seed: 34)
    var source = TensorSource(seed: 35)
    let dy = source.normal(x.shape)
    for (isFirst, residual) in [(true, ComomentsResidual.mapped), (false, .given)] {
      let graph = try addingItself(x, isFirst: isFirst)
        .differentiated("y", from: "dy", withRespectTo: .named(["x"]))
      let residuals = graph.nodes.compactMap {
        if case .comomentsGradient(_, let found) = $0.primitive { found } else { nil }
      }
      #expect(residuals == [residual])
      let name = Graph.gradientName("x")
      let expected = try ReferenceEvaluator(graph).run(["dy": .real(DoubleTensor(widening: dy))])
        .outputs[name]!
      let actual = try Interpreter(graph, parallelism: Parallelism(threads: 2)).run([
        "dy": .float32(dy)
      ])
      expectClose(
        try actual.outputs[name]!.floats(at: name), expected, bound: 1e-5, "first \(isFirst)")
    }
  }

  private static let exactMethods: [Whitening.Method] = [.pca, .zca, .cholesky]

  @Test(arguments: [1.0, 100, 10_000], [0.0, 1e-5, 1e-2])
  func covarianceOfTheOutput(condition: Double, epsilon: Double) throws {
    for (rows, channels, mean) in [(4096, 16, 0.0), (1000, 8, 3), (3000, 64, 0)] {
      let x = data(rows: rows, channels: channels, condition: condition, seed: 31, mean: mean)
      let sigma = covariance(DoubleTensor(widening: x))
      let rule = try Whitening(.zca, epsilon: Float(epsilon))
      let y = try run(graph(rule, ChannelBlocks(channels), x)).y
      let error = relativeError(covariance(y), expected(sigma, epsilon: Double(Float(epsilon))))
      #expect(error <= 1e-5, "\(rows)×\(channels), mean \(mean)")
    }
  }

  @Test(arguments: exactMethods)
  func exactFormsGiveTheIdentityInDouble(_ method: Whitening.Method) throws {
    let x = data(rows: 200, channels: 7, condition: 10_000, seed: 32)
    let graph = try graph(Whitening(method, epsilon: 0), ChannelBlocks(4), x)
    let y = try ReferenceEvaluator(graph).run([:]).outputs["y"]!
    for block in [0..<4, 4..<7] {
      #expect(relativeError(covariance(y, block), .identity(block.count)) <= 1e-9)
    }
  }

  @Test func matricesHaveTheirForms() throws {
    let x = data(rows: 100, channels: 6, condition: 100, seed: 33)
    func matrix(_ method: Whitening.Method) throws -> SquareMatrix {
      let table = try run(graph(Whitening(method), ChannelBlocks(6), x)).matrix
      return SquareMatrix(6) { table[flat: $1 * 6 + $0] }
    }
    let (zca, cholesky) = (try matrix(.zca), try matrix(.cholesky))
    for i in 0..<6 {
      for j in 0..<6 {
        #expect(abs(zca[i, j] - zca[j, i]) <= 1e-6)
        if j > i { #expect(cholesky[i, j] == 0) }
      }
    }
  }

  /// The three outputs differ by a rotation, and an invertible map of x does not show in y·yᵀ.
  @Test func outputsDifferByARotation() throws {
    let x = data(rows: 40, channels: 5, condition: 100, seed: 34)
    var source = TensorSource(seed: 35)
    let a = DoubleTensor(widening: source.normal([5, 5]))
    let mixed = Tensor(uninitialized: [40, 5]) { out in
      for row in 0..<40 {
        for c in 0..<5 {
          out[row * 5 + c] = Float(
            (0..<5).reduce(0) { $0 + Double(x.elements[row * 5 + $1]) * a[flat: $1 * 5 + c] })
        }
      }
    }
    func products(_ method: Whitening.Method, _ x: Tensor) throws -> SquareMatrix {
      let graph = try graph(Whitening(method, epsilon: 0), ChannelBlocks(5), x)
      let y = try ReferenceEvaluator(graph).run([:]).outputs["y"]!
      return SquareMatrix(40) { i, j in
        (0..<5).reduce(0) { $0 + y[flat: i * 5 + $1] * y[flat: j * 5 + $1] }
      }
    }
    let first = try products(.zca, x)
    for method in Self.exactMethods {
      #expect(relativeError(try products(method, x), first) <= 1e-10)
      // Rounding x·A to Float moves it, times the condition.
      #expect(relativeError(try products(method, mixed), first) <= 1e-4)
    }
  }

  @Test func blocksOfOneAreBatchNorm() throws {
    let x = data(rows: 50, channels: 4, condition: 100, seed: 36, mean: 2)
    let y = try run(graph(Whitening(.zca, epsilon: 1e-3), ChannelBlocks(1), x)).y
    let norm = try evaluate(
      .normalization(
        Normalization(
          statistics: .current, operation: .standardize(epsilon: 1e-3), recovery: .none)),
      [DoubleTensor(widening: x)])[0]
    expectClose(y, norm, bound: Tolerance.normalization(rows: 50))
  }

  @Test func coloringGivesTheCovarianceBack() throws {
    let x = data(rows: 300, channels: 6, condition: 100, seed: 37)
    let sigma = covariance(DoubleTensor(widening: x))
    for method in Self.exactMethods {
      let table = try evaluate(.comoments(ChannelBlocks(6)), [DoubleTensor(widening: x)])[0]
      let packed = try evaluate(
        .whitening(Whitening(method, .coloring, epsilon: 0), ChannelBlocks(6)), [table])[0]
      let m = SquareMatrix(6) { packed[flat: $1 * 6 + $0] }
      #expect(relativeError(m * m.transposed, sigma) <= 1e-12)
    }
  }

  /// Condition 100: five steps are partial, plain ones agree with coupled ones up to seven, and coupled ones
  /// arrive at any number.
  @Test func newtonAndSchulz() throws {
    let x = data(rows: 500, channels: 4, condition: 100, seed: 38)
    func distance(_ steps: Int, _ coupled: Bool) throws -> Double {
      let rule = try Whitening(.newtonSchulz(steps: steps, coupled: coupled), epsilon: 0)
      let y = try run(graph(rule, ChannelBlocks(4), x)).y
      let difference = covariance(y) - .identity(4)
      return difference.elements.map { abs($0) }.max()!
    }
    #expect(try distance(5, true) > 0.1)
    for steps in [1, 3, 5, 7] {
      let (plain, coupled) = (try distance(steps, false), try distance(steps, true))
      #expect(abs(plain - coupled) <= 1e-5)
    }
    for steps in [12, 20, 100, 1000] { #expect(try distance(steps, true) <= 1e-5) }
    do throws(KeelError) {
      _ = try Whitening(.newtonSchulz(steps: 8, coupled: false))
      Issue.record("expected a refusal")
    } catch {
      #expect(error.kind == .argument)
      #expect(error.expected.contains("rounding errors grow"))
    }
  }

  /// Channels that are equal up to a permutation, constant, or copies of each other.
  @Test(arguments: ["repeated", "deficient", "constant", "identity"])
  func gradientsWhereEigenvaluesMeet(_ kind: String) throws {
    let (rows, channels) = (24, 4)
    var source = TensorSource(seed: 39)
    let free = source.normal([rows, channels])
    var x = free
    switch kind {
    case "deficient":
      x = Tensor(uninitialized: free.shape) { out in
        for i in out.indices { out[i] = free.elements[i % channels == 3 ? i - 1 : i] }
      }
    case "constant":
      x = Tensor(uninitialized: free.shape) { out in
        for i in out.indices { out[i] = i % channels == 2 ? 0.5 : free.elements[i] }
      }
    default:
      // Whitened data has Σ = I; with two channels scaled alike, eigenvalues in pairs.
      let y = try run(graph(Whitening(.zca, epsilon: 0), ChannelBlocks(channels), free)).y
      x = Tensor(uninitialized: free.shape) { out in
        for i in out.indices {
          out[i] = Float(y[flat: i] * (kind == "repeated" && i % channels < 2 ? 3 : 1))
        }
      }
    }
    for method in [Whitening.Method.zca, .cholesky, .newtonSchulz(steps: 6, coupled: true)] {
      let rule = try Whitening(method, epsilon: 1e-2)
      let graph = try WhiteningGraphs.whitened(rule, ChannelBlocks(channels), x, seed: 40)
      try expectGradients(in: graph, withRespectTo: ["x", "scale", "shift"], seed: 40)
      let differentiated = try graph.contracted("y", seed: 41)
        .differentiated(contractedName, withRespectTo: .named(["x"]))
      let name = Graph.gradientName("x")
      let exact = try ReferenceEvaluator(differentiated).run([:]).outputs[name]!
      let actual = try Interpreter(differentiated, parallelism: .serial).run([:]).outputs[name]!
      expectClose(try actual.floats(at: name), exact, bound: 1e-3, "\(kind), \(method)")
    }
  }

  private func failure(_ rule: Whitening, _ x: Tensor, blocks: Int) throws -> KeelError? {
    let graph = try graph(rule, ChannelBlocks(blocks), x)
    var found: [KeelError] = []
    do throws(KeelError) {
      _ = try Interpreter(graph, parallelism: .serial).run([:])
    } catch { found.append(error) }
    do throws(KeelError) {
      _ = try ReferenceEvaluator(graph).run([:])
    } catch { found.append(error) }
    #expect(found.count != 1)
    #expect(found.first == found.last, "kernel and reference say the same")
    return found.first
  }

  @Test func refusals() throws {
    var source = TensorSource(seed: 42)
    let few = source.normal([3, 4])
    for method in Self.exactMethods {
      let error = try failure(Whitening(method, epsilon: 0), few, blocks: 4)
      #expect(error?.kind == .numerical)
      #expect(error?.place == "matrix")
      #expect(error?.found == "3 in channels 0..<4")
      #expect(try failure(Whitening(method, epsilon: 1e-3), few, blocks: 4) == nil)
      #expect(try failure(Whitening(method, epsilon: 0), few, blocks: 2) == nil)
    }
    let bad = Tensor(uninitialized: [9, 4]) { out in
      for i in out.indices { out[i] = i == 11 ? .nan : Float(i * i % 7) }
    }
    let error = try failure(Whitening(.zca), bad, blocks: 2)
    #expect(error?.kind == .numerical)
    #expect(error?.found.contains("in channels 2..<4") == true)
  }

  /// A covariance that is none: Cholesky fails, or takes a larger shrinkage where asked to, and says so.
  @Test func retriesWithLargerShrinkage() throws {
    let blocks = ChannelBlocks(2)
    var table = DoubleTensor(zeros: [ComomentsLayout.rows(of: 2), 2])
    for c in 0..<2 {
      table[flat: c] = 10
      for i in 0..<2 { table[flat: (ComomentsLayout.products + i) * 2 + c] = i == c ? 10 : 10.004 }
    }
    func results(_ rule: Whitening) throws(KeelError) -> [Tensor] {
      var builder = GraphBuilder()
      let value = builder.weight("table", Tensor(rounding: table))
      let results = try builder.append(.whitening(rule, blocks), [value], label: "matrix")
      for (i, result) in results.enumerated() { builder.output("\(i)", result) }
      let graph = try builder.finish()
      let reference = try ReferenceEvaluator(graph).run([:]).outputs
      let outputs = try Interpreter(graph, parallelism: .serial).run([:]).outputs
      var found: [Tensor] = []
      for i in results.indices {
        let value = try outputs["\(i)"]!.floats(at: "\(i)")
        expectClose(value, reference["\(i)"]!, bound: 1e-5)
        found.append(value)
      }
      return found
    }
    #expect(throws: KeelError.self) { try results(Whitening(.cholesky, epsilon: 0)) }
    #expect(throws: KeelError.self) { try results(Whitening(.cholesky, epsilon: 0, retries: 2)) }
    let found = try results(Whitening(.cholesky, epsilon: 0, retries: 5))
    #expect(found[1].elements.suffix(2).allSatisfy { abs($0 - 1e-3) <= 1e-9 })
  }
}
