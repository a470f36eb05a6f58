import KeelGraph
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

@Suite struct ParameterGroupTests {
  @Test(arguments: [
    ("stage1.*", "stage1.0.conv1.weight", true), ("stage1.*", "stage10.0.conv1.weight", false),
    ("stage1.*", "stage1.", true), ("stage1.*", "stage1", false), ("*.bias", "a.b.bias", true),
    ("*.bias", "bias", false), ("*bias", "bias", true), ("*.bias", "a.bias.b", false),
    ("bn.scale", "bn.scale", true), ("bn.scale", "bn.scales", false), ("bn.scale", "bn", false),
    ("*", "anything.at.all", true), ("**", "", true), ("a*b*c", "a1b2b3c", true),
    ("a*b*c", "a1b2b3", false), ("*.running*", "bn.runningMean", true), ("?n.*", "bn.x", true),
    ("?n.*", "bbn.x", false), ("?", "é", true), ("a[b].*", "a[b].c", true), ("b.*", "a.b.c", false),
  ])
  func patterns(_ pattern: String, _ path: String, _ matches: Bool) throws {
    #expect(try ParameterGroup(pattern: pattern).matches(path) == matches)
  }

  @Test func badArguments() {
    func expect(_ message: String, _ make: () throws -> ParameterGroup) {
      let error = #expect(throws: KeelError.self) { _ = try make() }
      #expect(error?.description == "argument error at " + message)
    }
    expect("ParameterGroup: expected a pattern such as *.bias, found none") {
      try ParameterGroup(pattern: "")
    }
    expect("ParameterGroup *: expected a finite learning rate factor of at least 0, found -1.0") {
      try ParameterGroup(pattern: "*", learningRateFactor: -1)
    }
    expect("ParameterGroup *: expected a finite weight decay of at least 0, found nan") {
      try ParameterGroup(pattern: "*", weightDecay: .nan)
    }
  }

  private func trainer(_ groups: [ParameterGroup], clipping: GradientClipping? = nil) throws
    -> Trainer
  {
    try Trainer(
      TinyNet().trainingGraph(),
      optimizer: SGD(learningRate: 0.1, momentum: 0.9, weightDecay: 0.01), batchSize: 4, seed: 3,
      clipping: clipping, groups: groups)
  }

  @Test func aPatternMatchesNothing() throws {
    let error = #expect(throws: KeelError.self) {
      _ = try trainer([ParameterGroup(pattern: "stage1.*", frozen: true)])
    }
    #expect(error?.place == "ParameterGroup stage1.*")
    #expect(error?.kind == .argument)
    #expect(error?.expected.contains("linear.weight") == true)
    // That an earlier group takes all that it matches is no mistake.
    _ = try trainer([ParameterGroup(pattern: "*"), ParameterGroup(pattern: "*.bias")])
  }

  /// Each set of patterns, and what it freezes.
  @Test(arguments: [
    (["conv.*"], ["conv.weight", "conv.bias"]),
    (["bn.scale", "bn.shift"], ["bn.scale", "bn.shift"]),
    (["bn.*"], ["bn.scale", "bn.shift", "bn.runningMean", "bn.runningVariance"]),
    (["*.runningMean"], ["bn.runningMean"]),
    (
      ["*"],
      [
        "conv.weight", "conv.bias", "bn.scale", "bn.shift", "bn.runningMean", "bn.runningVariance",
        "linear.weight", "linear.bias",
      ]
    ),
  ])
  func frozenWeightsKeepTheirBits(_ patterns: [String], _ frozen: [String]) throws {
    let trainer = try trainer(
      patterns.map { try ParameterGroup(pattern: $0, frozen: true) }, clipping: .norm(1))
    let before = trainer.weights
    let data = TinyData(14)
    try trainer.fit(data.samples, labels: data.labels, epochs: 2)
    let after = trainer.weights
    #expect(Set(after.keys) == Set(before.keys) && after.count == 8)
    for name in before.keys {
      #expect((after[name] == before[name]) == frozen.contains(name), "\(name)")
    }
    // No gradient is computed for them.
    let gradients = Set(trainer.graph.outputs.map(\.name)).subtracting(["loss"])
    let trained = before.keys.filter { !frozen.contains($0) && !$0.contains("running") }
    #expect(gradients == Set(trained.map(Graph.gradientName)))
    let operations = trainer.graph.nodes.map(\.primitive.name)
    #expect(
      operations.contains("convolution weight gradient") == !frozen.contains("conv.weight"))
    #expect(operations.contains("linear weight gradient") == !frozen.contains("linear.weight"))
  }

  /// Factors, decays and order, with and without clipping, against training in Double.
  @Test(arguments: [nil, .value(0.01), .norm(0.05), .norm(1e6)] as [ReferenceTraining.Clip?])
  func reference(_ clip: ReferenceTraining.Clip?) throws {
    let groups = [
      try ParameterGroup(pattern: "linear.bias", learningRateFactor: 3, weightDecay: 0.5),
      try ParameterGroup(pattern: "*.bias", weightDecay: 0),
      try ParameterGroup(pattern: "bn.scale", frozen: true),
      try ParameterGroup(pattern: "bn.*", learningRateFactor: 0.5),
    ]
    let clipping: GradientClipping? =
      switch clip {
      case .value(let limit): try .value(limit)
      case .norm(let limit): try .norm(limit)
      case nil: nil
      }
    let data = TinyData(14)
    let graph = try TinyNet().trainingGraph()
    let trainer = try trainer(groups, clipping: clipping)
    try trainer.fit(data.samples, labels: data.labels, epochs: 2)
    var expected = try ReferenceTraining(
      graph, optimizer: trainer.optimizer,
      batches: ShuffledBatches(count: 14, batchSize: 4, dropsLast: true, seed: 3), clip: clip,
      groups: groups)
    try expected.fit(data, epochs: 2)
    for (name, value) in expected.weights {
      expectClose(
        trainer.weights[name]!, value, bound: 6 * Tolerance.reduction(length: 64),
        scale: max(1, value.largestMagnitude), "\(name), \(String(describing: clip))")
    }
  }
}
