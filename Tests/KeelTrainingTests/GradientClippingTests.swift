import KeelGraph
import KeelKernels
import KeelLayers
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

@Suite struct GradientClippingTests {
  @Test(arguments: Array(0...35) + [63, 64, 65, 1000])
  func byValue(_ count: Int) {
    var source = TensorSource(seed: 3)
    let before = source.normal([count])
    var after = before
    after.withMutableSpan { GradientKernel.clip(&$0, limit: 0.5) }
    for i in 0..<count { #expect(after[flat: i] == min(max(before[flat: i], -0.5), 0.5)) }
  }

  @Test func valuesThatAreNotFinite() {
    var gradient = Tensor(uninitialized: [20]) { out in
      for i in out.indices { out[i] = [Float.nan, .infinity, -.infinity, -0.25][i % 4] }
    }
    gradient.withMutableSpan { GradientKernel.clip(&$0, limit: 2) }
    for i in 0..<20 {
      let value = gradient[flat: i]
      #expect(i % 4 == 0 ? value.isNaN : value == [0, 2, -2, -0.25][i % 4])
    }
  }

  /// The squares are exact, the sums in Double; the largest Floats do not overflow it.
  @Test(arguments: Array(0...35) + [63, 64, 65, 1000, 100_000])
  func squareSums(_ count: Int) {
    var source = TensorSource(seed: 4)
    let gradient = source.normal([count], mean: 1e4)
    let exact = gradient.elements.reduce(0) { $0 + Double($1) * Double($1) }
    let sum = gradient.withSpan { GradientKernel.squareSum($0) }
    #expect(abs(sum - exact) <= Tolerance.double * exact)
    let large = Tensor(repeating: .greatestFiniteMagnitude, shape: [count])
    #expect(large.withSpan { GradientKernel.squareSum($0) }.isFinite)
    // Sixteen sums, added by halves: what every vector level must give, to the last bit.
    var sums = [Double](repeating: 0, count: 16)
    for (i, value) in gradient.elements.enumerated() {
      sums[i % 16] += Double(value) * Double(value)
    }
    for half in [8, 4, 2, 1] { for i in 0..<half { sums[i] += sums[i + half] } }
    #expect(sum == sums[0])
  }

  @Test func badArguments() {
    for limit in [0, -1, .nan, .infinity, 1e60, 1e-60] {
      let message =
        "argument error at GradientClipping: expected a finite limit above 0, found \(limit)"
      let value = #expect(throws: KeelError.self) { _ = try GradientClipping.value(limit) }
      #expect(value?.description == message)
      let norm = #expect(throws: KeelError.self) { _ = try GradientClipping.norm(limit) }
      #expect(norm?.description == message)
    }
  }

  /// With a step of rate 1 weights move by the clipped gradient: by the limit, over all weights.
  @Test func theStepHasTheNorm() throws {
    let data = TinyData(8)
    func step(_ clipping: GradientClipping?) throws -> (weights: [String: Tensor], length: Double) {
      let trainer = try Trainer(
        TinyNet().trainingGraph(), optimizer: SGD(learningRate: 1), batchSize: 8,
        clipping: clipping)
      let before = trainer.weights
      try trainer.fit(data.samples, labels: data.labels, epochs: 1)
      let after = trainer.weights
      var total = 0.0
      for (name, old) in before where !name.contains("running") {
        for i in 0..<old.count {
          let difference = Double(after[name]![flat: i]) - Double(old[flat: i])
          total += difference * difference
        }
      }
      return (after, total.squareRoot())
    }
    let free = try step(nil)
    #expect(free.length > 0.1)
    #expect(abs(try step(.norm(0.01)).length - 0.01) <= 1e-5)
    // Weights, not lengths: a dictionary's order, and with it a sum over it, differs from run to run.
    #expect(try step(.norm(2 * free.length)).weights == free.weights)
  }

  /// Two weights that are added have one gradient in one place, which is scaled once and counted twice.
  @Test func sharedGradients() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([4, 3]))
    let labels = builder.input("labels", ValueType(.int64, [4]))
    let a = builder.weight("a", Tensor(zeros: [4, 3]))
    let b = builder.weight("b", Tensor(zeros: [4, 3]))
    let sum = try builder.append(.add, [a, b])[0]
    let logits = try builder.append(.add, [x, sum])[0]
    builder.output("loss", try builder.append(.loss(Loss(.crossEntropy())), [logits, labels])[0])
    let trainer = try Trainer(
      builder.finish(), optimizer: SGD(learningRate: 1), batchSize: 4, clipping: .norm(0.01))
    try trainer.fit(
      Tensor(zeros: [4, 3]), labels: IndexTensor([0, 1, 2, 0], shape: [4]), epochs: 1)
    let weights = trainer.weights
    #expect(weights["a"] == weights["b"])
    let squares = weights.values.flatMap(\.elements).reduce(0) { $0 + Double($1) * Double($1) }
    #expect(abs(squares.squareRoot() - 0.01) <= 1e-6)
  }

  struct TwoLinear: Layer {
    let first: Linear
    let second: Linear

    init() {
      var source = RandomSource(seed: 1)
      first = Linear(2, 2, using: &source)
      second = Linear(2, 2, using: &source)
    }

    func callAsFunction(_ x: Variable) -> Variable { second(first(x)) }
  }

  /// All logits are 0, the loss is ln 2; the gradient of the first weight overflows. No weight moves.
  @Test func theNormIsNotFinite() throws {
    let net = TwoLinear()
    try net.load([
      "first.weight": Tensor(zeros: [2, 2]), "first.bias": Tensor(zeros: [2]),
      "second.weight": Tensor([1e20, 0, 0, 1e20], shape: [2, 2]), "second.bias": Tensor(zeros: [2]),
    ])
    let trainer = try Trainer(
      Graph.trainingGraph(of: net, input: [.batch, 2]), optimizer: SGD(learningRate: 0.1),
      batchSize: 2, clipping: .norm(1))
    let before = trainer.weights
    let error = #expect(throws: KeelError.self) {
      try trainer.fit(
        Tensor(repeating: 1e30, shape: [2, 2]), labels: IndexTensor([0, 0], shape: [2]), epochs: 1)
    }
    #expect(error?.kind == .numerical)
    #expect(error?.place == "training step 0")
    #expect(error?.expected == "a finite norm of the gradients")
    #expect(trainer.weights == before)
  }
}
