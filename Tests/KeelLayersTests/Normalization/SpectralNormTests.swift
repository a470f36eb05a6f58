import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// The spectral norm of a linear layer's weight, which is what it does to any.
@Suite struct SpectralNormTests {
  /// A linear layer without bias of a given weight, normalized.
  private func norm(
    _ weight: [Float], rows: Int, iterations: Int = 1, seed: UInt64 = 81
  ) throws -> SpectralNorm<Linear> {
    var source = RandomSource(seed: seed)
    let linear = Linear(weight.count / rows, rows, bias: false, using: &source)
    linear.weight.value = try Tensor(weight, shape: linear.weight.shape)
    return SpectralNorm(linear, weight: linear.weight, iterations: iterations, using: &source)
  }

  /// The layer's result for the rows of the unit matrix: the transpose of the weight that it uses.
  private func divided(_ norm: SpectralNorm<Linear>, mode: Trace.Mode = .training) throws
    -> DoubleTensor
  {
    let n = norm.layer.inputFeatures
    let unit = Tensor(uninitialized: [n, n]) { out in
      for i in out.indices { out[i] = i / n == i % n ? 1 : 0 }
    }
    return try Graph(tracing: norm, input: [.fixed(n), .fixed(n)], mode: mode)
      .reference(["x": .float32(unit)]).outputs["y"]!
  }

  private static let weight: [Float] = [2, -1, 0.5, 0, 1, 3, -2, 0.25, 1, 1, -1, 4]

  @Test func aDiagonalByHand() throws {
    // Singular values 4 and 3: what remains is 3/4 and 1.
    let y = try divided(norm([3, 0, 0, -4], rows: 2, iterations: 40))
    expectClose(y.elements, [0.75, 0, 0, -1], within: 1e-6)
  }

  @Test func rankOneTakesOneStep() throws {
    // (1, 2)·(3, 4): the only singular value is 5·√5.
    let norm = try norm([3, 4, 6, 8], rows: 2)
    norm.u.value = try Tensor([0.6, 0.8], shape: [1, 2])
    let y = try divided(norm).elements
    let value = 5 * 5.0.squareRoot()
    expectClose(y, [3, 6, 4, 8].map { $0 / value }, within: 1e-7)
  }

  @Test func theScaleOfTheWeightDoesNotMatter() throws {
    let y = try divided(norm(Self.weight, rows: 3))
    let scaled = try divided(norm(Self.weight.map { $0 * 8 }, rows: 3))
    expectClose(scaled, y, bound: 1e-6)
  }

  @Test func theLargestSingularValueBecomesOne() throws {
    let y = try divided(norm(Self.weight, rows: 3, iterations: 60))
    // Of y, 4×3: power iteration on yᵀy in Double.
    var v = [1.0, 0.5, -0.25]
    var value = 0.0
    for _ in 0..<200 {
      let left = (0..<4).map { i in (0..<3).reduce(0) { $0 + y[i, $1] * v[$1] } }
      let right = (0..<3).map { j in (0..<4).reduce(0) { $0 + y[$1, j] * left[$1] } }
      value = right.reduce(0) { $0 + $1 * $1 }.squareRoot()
      v = right.map { $0 / value }
    }
    #expect(abs(value.squareRoot() - 1) <= 1e-6)
  }

  @Test func stepsAreKeptAndInferenceTakesNone() throws {
    let norm = try norm(Self.weight, rows: 3)
    randomizeState(norm)
    let graph = try Graph(tracing: norm, input: [1, 4], mode: .training)
    #expect(graph.updates.map(\.weight) == ["u", "v"])
    let x = TensorValue.normal([1, 4])
    let updates = try Interpreter(graph).run(["x": x]).updates
    // v = Wᵀu/‖Wᵀu‖, u = Wv/‖Wv‖.
    let (w, u) = (norm.weight.value, norm.u.value)
    func unit(_ x: [Double]) -> [Double] {
      let length = x.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return x.map { $0 / length }
    }
    let right = unit((0..<4).map { c in (0..<3).reduce(0) { $0 + Double(w[$1, c] * u[0, $1]) } })
    let left = unit((0..<3).map { r in (0..<4).reduce(0) { $0 + Double(w[r, $1]) * right[$1] } })
    expectNumbers(updates["v"]!, right)
    expectNumbers(updates["u"]!, left)
    // Inference uses those that are there.
    let inference = try Graph(tracing: norm, input: [1, 4])
    #expect(inference.updates.isEmpty)
    let before = try inference.y(["x": x])
    norm.u.value = updates["u"]!
    norm.v.value = updates["v"]!
    #expect(try Graph(tracing: norm, input: [1, 4]).y(["x": x]) != before)
    expectNumbers(
      try Graph(tracing: norm, input: [1, 4]).y(["x": x]),
      try graph.y(["x": x]).elements.map(Double.init))
  }

  private func randomizeState(_ norm: SpectralNorm<Linear>) {
    var source = TensorSource(seed: 82)
    for parameter in [norm.u, norm.v] {
      let x = source.normal(parameter.shape)
      let length = x.elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
      parameter.value = Tensor(uninitialized: x.shape) { out in
        for i in out.indices { out[i] = x[flat: i] / length }
      }
    }
  }

  @Test func aLayerUsedTwiceStepsOnce() throws {
    struct Twice: Layer {
      let norm: SpectralNorm<Linear>
      func callAsFunction(_ x: Variable) -> Variable { norm(norm(x)) }
    }
    let inner = try norm([1, 2, 3, 4], rows: 2)
    randomizeState(inner)
    let once = try Graph(tracing: inner, input: [1, 2], mode: .training)
    let twice = try Graph(tracing: Twice(norm: inner), input: [1, 2], mode: .training)
    let x = ["x": TensorValue.normal([1, 2])]
    let (a, b) = try (Interpreter(once).run(x).updates, Interpreter(twice).run(x).updates)
    #expect(a["u"] == b["norm.u"] && a["v"] == b["norm.v"])
  }

  /// dW = (dW̄ − ⟨dW̄, W̄⟩·uvᵀ)/σ in training, whatever the steps were; with converged u and v it is the
  /// gradient of the division by the true singular value.
  @Test func gradientIsThatOfConstantVectors() throws {
    let norm = try norm(Self.weight, rows: 3, iterations: 60)
    let graph = try Graph(tracing: norm, input: [2, 4], mode: .training)
    try expectGradients(
      in: graph, withRespectTo: ["layer.weight", "x"],
      inputs: ["x": ReferenceValue(.normal([2, 4]))], seed: 83, bound: 1e-5)
    // Without convergence, the formula.
    randomizeState(norm)
    let rough = try self.norm(Self.weight, rows: 3)
    randomizeState(rough)
    let x = TensorValue.normal([2, 4])
    let training = try Graph(tracing: rough, input: [2, 4], mode: .training)
    let updates = try training.reference(["x": x]).updates
    rough.u.value = Tensor(rounding: updates["u"]!)
    rough.v.value = Tensor(rounding: updates["v"]!)
    let gradients = try [training, Graph(tracing: rough, input: [2, 4])].map { graph in
      try graph.contracted("y", seed: 84)
        .differentiated(contractedName, withRespectTo: .named(["layer.weight"]))
        .reference(["x": x]).outputs[Graph.gradientName("layer.weight")]!
    }
    expectClose(gradients[0], gradients[1], bound: 1e-6)
  }

  @Test func aConvolutionIsItsMatrix() throws {
    var source = RandomSource(seed: 85)
    let convolution = Conv2d(2, 3, kernel: 2, bias: false, using: &source)
    let norm = SpectralNorm(convolution, weight: convolution.weight, using: &source)
    #expect(norm.u.shape == [1, 3] && norm.v.shape == [1, 8])
    let transposed = ConvTranspose2d(2, 3, kernel: 2, bias: false, using: &source)
    let other = SpectralNorm(transposed, weight: transposed.weight, axis: -1, using: &source)
    #expect(other.axis == 3 && other.u.shape == [1, 3] && other.v.shape == [1, 8])
    // After 15 steps at the start, u and v are σ's: uᵀWv/‖W‖ is close to the largest share.
    let values = norm.weight.value.elements.map(Double.init)
    let product = (0..<3).reduce(0.0) { sum, r in
      sum + Double(norm.u.value[0, r])
        * (0..<8).reduce(0.0) { $0 + values[r * 8 + $1] * Double(norm.v.value[0, $1]) }
    }
    let frobenius = values.reduce(0) { $0 + $1 * $1 }
    #expect(product * product <= frobenius && product * product >= frobenius / 3)
  }
}
