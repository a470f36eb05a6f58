import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct ReferenceEvaluatorTests {
  /// A residual network of 6×6 images with three classes: strided convolution, batch norms with every
  /// epilogue, a shortcut with its own batch norm, max and global pooling, cross-entropy.
  static func network(seed: UInt64) throws -> Graph {
    var source = TensorSource(seed: seed)
    var builder = GraphBuilder()
    let images = builder.input("images", ValueType([.batch, 6, 6, 2]))
    let labels = builder.input("labels", ValueType(.int64, [.batch]))

    func convolved(
      _ x: ValueID, _ name: String, size: Int, channels: (Int, Int), kernel: Int, stride: Int
    ) throws -> ValueID {
      let geometry = try ConvolutionGeometry(
        inputHeight: size, inputWidth: size, inputChannels: channels.0,
        outputChannels: channels.1, kernel: (kernel, kernel), stride: (stride, stride),
        padding: (kernel / 2, kernel / 2))
      let weight = builder.weight(
        "\(name).weight", source.normal(geometry.weightShape, deviation: 0.5))
      return try builder.append(.convolution(geometry, Epilogue()), [x, weight], label: name)[0]
    }
    func normalized(
      _ x: ValueID, _ name: String, channels: Int, residual: ValueID? = nil, isActive: Bool
    ) throws -> ValueID {
      let scale = builder.weight(
        "\(name).scale", source.uniform([channels], from: 0.5, to: 1.5))
      let shift = builder.weight("\(name).shift", source.normal([channels]))
      let mean = builder.weight("\(name).mean", Tensor(zeros: [channels]), role: .state)
      let variance = builder.weight(
        "\(name).variance", Tensor(repeating: 1, shape: [channels]), role: .state)
      let epilogue = Epilogue(
        hasResidual: residual != nil, activation: isActive ? .relu : nil)
      let results = try builder.append(
        .normalization(Normalization(statistics: .current, epilogue: epilogue)),
        [x, scale, shift] + (residual.map { [$0] } ?? []), label: name)
      let running = try builder.append(
        .runningStatistics(.momentum(0.1)), [results[1], mean, variance], label: name)
      builder.update("\(name).mean", running[0])
      builder.update("\(name).variance", running[1])
      return results[0]
    }

    let stem = try normalized(
      convolved(images, "stem", size: 6, channels: (2, 3), kernel: 3, stride: 1), "stem.bn",
      channels: 3, isActive: true)
    let shortcut = try normalized(
      convolved(stem, "shortcut", size: 6, channels: (3, 4), kernel: 1, stride: 2), "shortcut.bn",
      channels: 4, isActive: false)
    let inner = try normalized(
      convolved(stem, "conv1", size: 6, channels: (3, 4), kernel: 3, stride: 2), "bn1",
      channels: 4, isActive: true)
    let block = try normalized(
      convolved(inner, "conv2", size: 3, channels: (4, 4), kernel: 3, stride: 1), "bn2",
      channels: 4, residual: shortcut, isActive: true)
    let pooling = try PoolingGeometry(
      .maximum, inputHeight: 3, inputWidth: 3, channels: 4, window: (2, 2), stride: (1, 1))
    let pooled = try builder.append(.pooling(pooling), [block])[0]
    let features = try builder.append(.reduction(Reduction(.mean, axes: [1, 2])), [pooled])[0]
    let weight = builder.weight("head.weight", source.normal([3, 4]))
    let bias = builder.weight("head.bias", source.normal([3]))
    let logits = try builder.append(
      .linear(Epilogue(hasBias: true)), [features, weight, bias], label: "head")[0]
    builder.output("logits", logits)
    builder.output("loss", try builder.append(.loss(Loss(.crossEntropy())), [logits, labels])[0])
    return try builder.finish()
  }

  static func batch(seed: UInt64) -> [String: ReferenceValue] {
    var source = TensorSource(seed: seed)
    return [
      "images": .real(DoubleTensor(widening: source.normal([4, 6, 6, 2]))),
      "labels": .int64(source.labels(4, classes: 3)),
    ]
  }

  @Test(arguments: [31, 32] as [UInt64])
  func wholeNetworkGradients(seed: UInt64) throws {
    let graph = try Self.network(seed: seed)
    let names = graph.weights.filter { $0.role == .trainable }.map(\.name) + ["images"]
    try expectGradients(
      of: "loss", in: graph, withRespectTo: names, inputs: Self.batch(seed: seed), seed: seed)
  }

  @Test(arguments: [33] as [UInt64])
  func wholeNetworkGradientsWithFrozenStatistics(seed: UInt64) throws {
    let graph = try Self.network(seed: seed).inferenceForm()
    let names = graph.weights.filter { $0.role == .trainable }.map(\.name) + ["images"]
    try expectGradients(
      of: "loss", in: graph, withRespectTo: names, inputs: Self.batch(seed: seed), seed: seed)
  }

  @Test func weightsAreReplacedByName() throws {
    var builder = GraphBuilder()
    let a = builder.weight("a", try Tensor([1, 2], shape: [2]))
    let b = builder.weight("b", try Tensor([10, 20], shape: [2]))
    builder.output("y", try builder.append(.add, [a, b])[0])
    builder.output("a", a)
    let evaluator = ReferenceEvaluator(try builder.finish())
    #expect(try evaluator.run([:]).outputs["y"]?.elements == [11, 22])
    let changed = try evaluator.run([:], weights: ["a": DoubleTensor([0.5, 1e-9], shape: [2])])
    #expect(changed.outputs["y"]?.elements == [10.5, 20 + 1e-9])
    #expect(changed.outputs["a"]?.elements == [0.5, 1e-9])
    #expect(try evaluator.run([:]).outputs["y"]?.elements == [11, 22])
  }

  // MARK: Errors

  private func errorOf(
    _ inputs: [String: ReferenceValue], weights: [String: DoubleTensor] = [:]
  ) throws -> KeelError {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let weight = builder.weight("weight", Tensor(zeros: [3, 2]))
    builder.output("y", try builder.append(.linear(Epilogue()), [x, weight])[0])
    let evaluator = ReferenceEvaluator(try builder.finish())
    return try #require(
      #expect(throws: KeelError.self) { try evaluator.run(inputs, weights: weights) })
  }

  @Test func inputErrors() throws {
    let x = ReferenceValue.real(DoubleTensor(zeros: [1, 2]))
    let missing = try errorOf([:])
    #expect(missing.kind == .graph && missing.place == "input x")
    let unknown = try errorOf(["x": x, "z": x])
    #expect(unknown.kind == .graph && unknown.place == "input z")
    let empty = try errorOf(["x": .real(DoubleTensor(zeros: [0, 2]))])
    #expect(empty.kind == .shape && empty.found == "0×2")
    let wrong = try errorOf(["x": .real(DoubleTensor(zeros: [1, 3]))])
    #expect(wrong.kind == .shape && wrong.expected.contains("batch×2"))
    let integers = try errorOf(["x": .int64(IndexTensor(zeros: [1, 2]))])
    #expect(integers.kind == .shape && integers.found == "int64 1×2")
  }

  @Test func weightErrors() throws {
    let x = ["x": ReferenceValue.real(DoubleTensor(zeros: [1, 2]))]
    let unknown = try errorOf(x, weights: ["bias": DoubleTensor(zeros: [3])])
    #expect(unknown.kind == .graph && unknown.place == "weight bias")
    let wrong = try errorOf(x, weights: ["weight": DoubleTensor(zeros: [2, 3])])
    #expect(wrong.kind == .shape && wrong.expected == "3×2" && wrong.found == "2×3")
  }

  @Test func valueConversion() throws {
    let floats = try Tensor([0.1, -3], shape: [2])
    let widened = try DoubleTensor([0.10000000149011612, -3], shape: [2])
    #expect(ReferenceValue(.float32(floats)) == .real(widened))
    let labels = try IndexTensor([4], shape: [1])
    #expect(ReferenceValue(.int64(labels)) == .int64(labels))
    let truth = DenseArray<Bool>(zeros: [1])
    #expect(ReferenceValue(.bool(truth)) == .bool(truth))
  }
}
