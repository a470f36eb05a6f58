import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// `Graph.run(inBatches:)`.
@Suite struct BatchesTests {
  private func graph() throws -> Graph {
    try Graph(tracing: TinyNet(), input: [.batch, 4, 4, 2])
  }

  @Test(arguments: [1, 2, 3, 5, 6, 7, 8, 64, Int.max], [1, 2])
  func equalsOneRun(_ batchSize: Int, _ threads: Int) throws {
    let samples = TinyData(7).samples
    let graph = try graph()
    let options = PlanOptions(threads: threads)
    let plan = try Plan(graph, inputShapes: ["x": samples.shape], options: options)
    let whole = try plan(["x": .float32(samples)])["y"]?.floats(at: "y")
    let joined = try graph.run(inBatches: samples, batchSize: batchSize, options: options)
    #expect(joined.shape == [7, 3])
    // Kernels choose the order of their sums by the number of rows, and so by the batch.
    expectClose(
      joined, DoubleTensor(widening: try #require(whole)), bound: Tolerance.reduction(length: 64))
  }

  @Test func otherNamesAndRanks() throws {
    var builder = GraphBuilder()
    let x = builder.input("image", ValueType([.batch, 4, 4, 2]))
    builder.output("same", try builder.append(.activation(.relu), [x])[0])
    builder.output("mean", try builder.append(.reduction(Reduction(.mean, axes: [1, 2])), [x])[0])
    let graph = try builder.finish()
    let samples = TinyData(5).samples
    let same = try graph.run(inBatches: samples, output: "same", batchSize: 2)
    #expect(same.shape == samples.shape)
    #expect(same.elements == samples.elements.map { max($0, 0) })
    #expect(try graph.run(inBatches: samples, output: "mean", batchSize: 2).shape == [5, 2])
  }

  @Test func errors() throws {
    let graph = try graph()
    let samples = TinyData(4).samples
    func expect(_ message: String, _ body: () throws -> Tensor) {
      let error = #expect(throws: KeelError.self) { try body() }
      #expect(error?.description == message)
    }
    let expected =
      "shape error at run in batches: expected one input, a sample and a batch size of at least 1, found "
    for size in [0, -1] {
      expect(expected + "1 inputs, samples 4×4×4×2, batch size \(size)") {
        try graph.run(inBatches: samples, batchSize: size)
      }
    }
    expect(expected + "1 inputs, samples 0×4×4×2, batch size 64") {
      try graph.run(inBatches: Tensor(zeros: [0, 4, 4, 2]))
    }
    expect(expected + "1 inputs, samples scalar, batch size 64") {
      try graph.run(inBatches: Tensor(zeros: []))
    }
    expect(expected + "2 inputs, samples 4×4×4×2, batch size 64") {
      try TinyNet().trainingGraph().run(inBatches: samples)
    }
    expect("shape error at input x: expected float32 batch×4×4×2, no extent 0, found 4×4×4×1") {
      try graph.run(inBatches: Tensor(zeros: [4, 4, 4, 1]))
    }
    expect(#"graph error at output z: expected one of ["y"], found z"#) {
      try graph.run(inBatches: samples, output: "z")
    }
  }

  /// An output without the batch cannot be joined.
  @Test func outputsWithoutABatch() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let weight = builder.weight("w", Tensor(repeating: 1, shape: [3, 2]))
    builder.output("y", try builder.append(.linear(Epilogue()), [x, weight])[0])
    builder.output("w", try builder.append(.activation(.relu), [weight])[0])
    let graph = try builder.finish()
    let error = #expect(throws: KeelError.self) {
      try graph.run(inBatches: Tensor(zeros: [2, 2]), output: "w")
    }
    #expect(
      error?.description
        == "shape error at output w: expected a first extent of 2, the batch, found 3×2")
  }
}
