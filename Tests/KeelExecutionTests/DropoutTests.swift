import KeelExecution
import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// The mask as a random variable, the mask shared by forward and backward, and where seeds must come from.
@Suite struct DropoutTests {
  private func mask(
    _ probability: Float, seed: Int64, stream: Int = 0, shape: Shape,
    unit: DropoutMask.Unit = .element
  ) throws -> [Float] {
    let primitive = Primitive.dropout(
      DropoutMask(probability: probability, stream: stream, unit: unit))
    return try apply(
      primitive,
      [
        .float32(Tensor(repeating: 1, shape: shape)),
        .int64(IndexTensor(repeating: seed, shape: [])),
      ]
    ).elements
  }

  /// Deviations of a share from p, in units of what chance gives.
  private func deviation(_ count: Int, of total: Int, _ p: Double) -> Double {
    (Double(count) - p * Double(total)) / (Double(total) * p * (1 - p)).squareRoot()
  }

  @Test(arguments: [0.1, 0.25, 0.5, 0.9] as [Float], [0, 1, -7, .max] as [Int64])
  func shareOfZeros(_ p: Float, seed: Int64) throws {
    let total = 200_000
    let y = try mask(p, seed: seed, shape: [total])
    let factor = 1 / (1 - p)
    #expect(y.allSatisfy { $0 == 0 || $0 == factor })
    let zeros = y.filter { $0 == 0 }.count
    #expect(abs(deviation(zeros, of: total, Double(p))) <= 4.5, "p \(p), seed \(seed): \(zeros)")
    // Neighbours, and elements a power of two apart, know nothing of each other.
    for lag in [1, 2, 3, 16, 64, 1024, 65_536] {
      let both = (0..<total - lag).filter { y[$0] == 0 && y[$0 + lag] == 0 }.count
      #expect(
        abs(deviation(both, of: total - lag, Double(p * p))) <= 5.5,
        "p \(p), seed \(seed), lag \(lag): \(both)")
    }
  }

  @Test func streamsAndSeedsAreIndependent() throws {
    let total = 100_000
    var masks: [[Float]] = []
    for seed in [0, 1, 2, 1 << 32, -1] as [Int64] {
      for stream in [0, 1, 2] {
        masks.append(try mask(0.5, seed: seed, stream: stream, shape: [total]))
      }
    }
    for i in masks.indices {
      for j in 0..<i {
        let agreeing = zip(masks[i], masks[j]).filter { $0 == $1 }.count
        #expect(abs(deviation(agreeing, of: total, 0.5)) <= 5, "masks \(i) and \(j): \(agreeing)")
      }
    }
  }

  @Test func firstBitsOfAMask() throws {
    // The same on every machine and at every vector level.
    let y = try mask(0.5, seed: 42, stream: 1, shape: [32])
    #expect(y.map { $0 == 0 ? "0" : "1" }.joined() == "11110101011010110110111111001100")
  }

  @Test func edges() throws {
    let x = try Tensor([1, -2, .nan, .infinity], shape: [4])
    let seed = TensorValue.int64(IndexTensor(repeating: 5, shape: []))
    let none = try apply(
      .dropout(DropoutMask(probability: 0, stream: 0)), [.float32(x), seed]
    ).elements
    #expect(none[0] == 1 && none[1] == -2 && none[2].isNaN && none[3] == .infinity)
    // p = 1 multiplies by 0, as PyTorch does.
    let all = try apply(
      .dropout(DropoutMask(probability: 1, stream: 0)), [.float32(x), seed]
    ).elements
    #expect(all[0] == 0 && all[1] == 0 && all[2].isNaN && all[3].isNaN)
  }

  @Test func channelsGoAsAWhole() throws {
    let y = try mask(0.5, seed: 9, shape: [40, 3, 5, 33], unit: .channel)
    var dropped = 0
    for n in 0..<40 {
      for c in 0..<33 {
        let values = (0..<15).map { y[(n * 15 + $0) * 33 + c] }
        #expect(Set(values).count == 1)
        if values[0] == 0 { dropped += 1 }
      }
    }
    #expect(abs(deviation(dropped, of: 40 * 33, 0.5)) <= 4.5)
  }

  @Test(arguments: [DropoutMask.Unit.element, .channel])
  func gradientHasTheForwardMask(_ unit: DropoutMask.Unit) throws {
    var builder = GraphBuilder()
    let x = builder.weight("x", Tensor(repeating: 1, shape: [6, 5, 4, 7]))
    let seed = builder.input("seed", ValueType(.int64, []))
    let mask = DropoutMask(probability: 0.4, stream: 2, unit: unit)
    let y = try builder.append(.dropout(mask), [x, seed])[0]
    builder.output("y", y)
    builder.output(
      "loss", try builder.append(.reduction(Reduction(.sum, axes: 0..<4)), [y])[0])
    let graph = try builder.finish().differentiated()
    let plan = try Plan(graph, inputShapes: ["seed": []])
    let outputs = try plan(["seed": .int64(IndexTensor(repeating: 77, shape: []))])
    let (value, gradient) = (outputs["y"]!, outputs[Graph.gradientName("x")]!)
    #expect(try value.floats(at: "y").elements == gradient.floats(at: "x").elements)
  }

  // MARK: Graphs

  private func model() -> Sequential {
    var source = RandomSource(seed: 3)
    return Sequential(
      Linear(4, 8, using: &source), Dropout(0.5), ReLU(), Dropout(0.25),
      Linear(8, 3, using: &source))
  }

  @Test func aTraceForTrainingHasOneSeed() throws {
    let graph = try Graph.trainingGraph(of: model(), input: [.batch, 4])
    #expect(graph.inputs.map(\.name).sorted() == ["labels", "seed", "x"])
    #expect(graph.seedNames == ["seed"])
    var streams: [Int] = []
    for case .dropout(let mask) in graph.nodes.map(\.primitive) { streams.append(mask.stream) }
    #expect(streams == [0, 1])
  }

  @Test func inferenceHasNoDropout() throws {
    let traced = try Graph(tracing: model(), input: [.batch, 4])
    let form = try Graph(tracing: model(), input: [.batch, 4], mode: .training).inferenceForm()
    for graph in [traced, form] {
      #expect(graph.inputs.map(\.name) == ["x"])
      #expect(!graph.nodes.contains { $0.primitive.name == "dropout" })
    }
    var source = TensorSource(seed: 5)
    let x = source.normal([6, 4])
    #expect(try traced.run(inBatches: x).elements == form.run(inBatches: x).elements)
  }

  @Test func aSeedThatIsTakenOtherwiseStays() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2]))
    let seed = builder.input("seed", ValueType(.int64, []))
    let mask = DropoutMask(probability: 0.5, stream: 0)
    let y = try builder.append(.dropout(mask), [x, seed])[0]
    builder.output("y", try builder.append(.dropout(mask), [y, seed])[0])
    builder.output("seed", seed)
    let graph = try builder.finish().inferenceForm()
    #expect(graph.inputs.map(\.name) == ["x", "seed"] && graph.nodes.isEmpty)
    #expect(graph.outputs.map(\.value) == graph.inputs.map(\.value))
  }

  @Test func aMissingSeedIsNamed() throws {
    let graph = try Graph(tracing: model(), input: [2, 4], mode: .training)
    let shapes: [String: Shape] = ["x": [2, 4], "seed": []]
    let x = TensorValue.float32(Tensor(zeros: [2, 4]))
    for run in [
      { _ = try Interpreter(graph).run(["x": x]) },
      { _ = try Plan(graph, inputShapes: ["x": [2, 4]]) },
      { _ = try Plan(graph, inputShapes: shapes)(["x": x]) },
      {
        let plan = try Plan(graph, inputShapes: shapes)
        let workspace = plan.makeWorkspace()
        try workspace.setInput("x", x)
        try plan.run(workspace)
      },
    ] {
      let error = #expect(throws: KeelError.self) { try run() }
      #expect(error?.kind == .graph && error?.place == "input seed", "\(String(describing: error))")
    }
  }
}
