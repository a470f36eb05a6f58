import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

@Suite struct TrainerErrorTests {
  private func expect(
    _ message: String, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
  ) {
    let error = #expect(throws: KeelError.self, sourceLocation: sourceLocation) { try body() }
    #expect(error?.description == message, sourceLocation: sourceLocation)
  }

  private func trainer(
    batchSize: Int = 4, rate: Double = 0.1, names: Trainer.Names = Trainer.Names()
  ) throws -> Trainer {
    try Trainer(
      TinyNet().trainingGraph(), optimizer: SGD(learningRate: rate), batchSize: batchSize,
      names: names)
  }

  /// Calls `fit` on good data but for one thing.
  private func fit(
    _ trainer: Trainer, samples: Shape = [8, 4, 4, 2],
    labels: [Int64] = [0, 1, 2, 0, 1, 2, 0, 1], epochs: Int = 1
  ) throws {
    var source = TensorSource(seed: 1)
    try trainer.fit(
      source.normal(samples), labels: IndexTensor(labels, shape: [labels.count]), epochs: epochs)
  }

  @Test(arguments: [0, -1, Int.min])
  func batchSize(_ size: Int) {
    expect("argument error at batch size: expected at least 1, found \(size)") {
      _ = try trainer(batchSize: size)
    }
  }

  @Test func names() {
    expect(#"graph error at input image: expected one of ["x", "labels"], found image"#) {
      _ = try trainer(names: .init(samples: "image"))
    }
    expect(#"graph error at input class: expected one of ["labels", "x"], found class"#) {
      _ = try trainer(names: .init(labels: "class"))
    }
    expect(#"graph error at output error: expected one of ["y", "loss"], found none"#) {
      _ = try trainer(names: .init(loss: "error"))
    }
    expect("argument error at names: expected two inputs, for samples and labels, found x for both")
    {
      _ = try trainer(names: .init(labels: "x"))
    }
    expect("shape error at output y: expected float32 scalar, found float32 batch×3") {
      _ = try trainer(names: .init(loss: "y"))
    }
  }

  @Test func otherNames() throws {
    let net = TinyNet()
    let trace = Trace(model: net, mode: .training)
    let logits = net(trace.input("image", ValueType([.batch, 4, 4, 2])))
    let labels = trace.input("class", ValueType(.int64, [.batch]))
    trace.output("error", logits.crossEntropy(labels: labels))
    let trainer = try Trainer(
      trace.finish(), optimizer: SGD(learningRate: 0.1), batchSize: 4,
      names: .init(samples: "image", labels: "class", loss: "error"))
    try fit(trainer)
  }

  @Test func openExtents() throws {
    let trace = Trace(model: (), mode: .training)
    let x = trace.input("x", ValueType([.batch, .symbol("length")]))
    trace.output(
      "loss", x.crossEntropy(labels: trace.input("labels", ValueType(.int64, [.batch]))))
    let graph = try trace.finish()
    expect(
      "shape error at input x: expected known extents but for the batch, found float32 batch×length"
    ) { _ = try Trainer(graph, optimizer: SGD(learningRate: 0.1), batchSize: 4) }
  }

  @Test(arguments: [[8, 4, 4, 1], [8, 4, 5, 2], [8, 32], [8], [], [8, 4, 4, 2, 1]] as [Shape])
  func sampleShape(_ shape: Shape) throws {
    let trainer = try trainer()
    expect("shape error at training samples: expected N×4×4×2, found \(shape)") {
      try fit(trainer, samples: shape)
    }
  }

  @Test func labels() throws {
    let trainer = try trainer()
    let before = trainer.weights
    expect("shape error at training labels: expected 8 labels, found 7") {
      try fit(trainer, labels: [0, 1, 2, 0, 1, 2, 0])
    }
    expect("shape error at training labels: expected 8 labels, found 0") {
      try fit(trainer, labels: [])
    }
    for label in [3, -1, Int64.max, Int64.min] {
      expect(
        "value error at training labels: expected labels from 0 to 2, found \(label) for sample 7"
      ) { try fit(trainer, labels: [0, 1, 2, 0, 1, 2, 0, label]) }
    }
    // All is checked before the first step.
    #expect(trainer.weights == before)
  }

  @Test func tooFewSamples() throws {
    expect(
      "argument error at ShuffledBatches: expected a batch size of at most 8, the number of samples, "
        + "found 9"
    ) { try fit(trainer(batchSize: 9)) }
    expect("argument error at ShuffledBatches: expected samples of at least 1, found 0") {
      try fit(trainer(), samples: [0, 4, 4, 2], labels: [])
    }
    try fit(trainer(batchSize: 8))
  }

  @Test(arguments: [-1, Int.min, Int.max])
  func epochs(_ count: Int) throws {
    expect(
      "argument error at epochs: expected at least 0 and fewer than 2⁶³ steps, found \(count)"
    ) { try fit(trainer(), epochs: count) }
  }

  @Test func theLossIsNotFinite() throws {
    let trainer = try trainer(rate: 1e38)
    let error = #expect(throws: KeelError.self) { try fit(trainer, epochs: 50) }
    #expect(error?.kind == .numerical)
    #expect(error?.place.hasPrefix("training step ") == true)
    #expect(error?.place != "training step 0")
    #expect(error?.expected == "a finite loss (a lower learning rate?)")
    #expect(["nan", "-nan", "inf"].contains(error?.found))
  }
}
