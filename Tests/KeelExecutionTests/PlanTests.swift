import Foundation
import KeelExecution
import KeelGraph
import KeelKernels
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Synchronization
import Testing

/// Class identity: a plan is its graph, at any batch size, as often and from as many threads as wanted.
@Suite struct PlanTests {
  static func residualNetwork(
    mode: Trace.Mode = .inference, widths: [Int] = [8, 16]
  ) throws -> Graph {
    var source = RandomSource(seed: 31)
    let model = DigitsResNet(widths: widths, blocksPerStage: 1, using: &source)
    return mode == .inference
      ? try Graph(tracing: model, input: [.batch, 8, 8, 1])
      : try Graph.trainingGraph(of: model, input: [.batch, 8, 8, 1])
  }

  @Test(arguments: [1, 2, 5, 32])
  func batchSizes(batch: Int) throws {
    for graph in [try Self.residualNetwork(), try Self.residualNetwork().folded().graph] {
      let inputs = try graph.randomInputs(seed: 1, batch: batch)
      let plan = try Plan(
        graph, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(exact: true))
      let results = try plan(inputs)
      #expect(results["y"]?.shape == [batch, 10])
      expectSameBits(results, try Interpreter(graph).run(inputs).outputs, "batch \(batch)")
      let expected = try graph.reference(inputs).outputs["y"]!
      expectClose(try results["y"]!.floats(at: "y"), expected, bound: 1e-5, "batch \(batch)")
    }
  }

  @Test func repeatedRunsAndTwoWorkspaces() throws {
    let graph = try Self.residualNetwork().folded().graph
    let plan = try Plan(graph, inputShapes: ["x": [3, 8, 8, 1]])
    let (a, b) = (plan.makeWorkspace(), plan.makeWorkspace())
    var first: [UInt64: [UInt64]] = [:]
    for round in 0..<6 {
      for (workspace, seed) in [(a, UInt64(round % 3)), (b, UInt64((round + 1) % 3))] {
        try workspace.setInput("x", graph.randomInputs(seed: seed)["x"]!)
        try plan.run(workspace)
        let bits = try workspace.output("y").bits
        #expect(first[seed, default: bits] == bits, "seed \(seed), round \(round)")
        first[seed] = bits
      }
    }
    #expect(Set(first.values).count == 3)
  }

  @Test func runsAgainWithoutNewInputs() throws {
    // Inputs stay as they are: no operation writes over them.
    let graph = try Self.residualNetwork()
    let plan = try Plan(graph, inputShapes: ["x": [3, 8, 8, 1]])
    let workspace = plan.makeWorkspace()
    try workspace.setInput("x", graph.randomInputs(seed: 1)["x"]!)
    try plan.run(workspace)
    let bits = try workspace.output("y").bits
    for _ in 0..<3 { try plan.run(workspace) }
    #expect(try workspace.output("y").bits == bits)
  }

  @Test func eightThreadsAtOnce() throws {
    let graph = try Self.residualNetwork().folded().graph
    let shapes: [String: Shape] = ["x": [16, 8, 8, 1]]
    for threads in [1, 2] {
      let plan = try Plan(graph, inputShapes: shapes, options: PlanOptions(threads: threads))
      let inputs = try (0..<8).map { try graph.randomInputs(seed: UInt64($0), batch: 16)["x"]! }
      let expected = try inputs.map { try plan(["x": $0])["y"]!.bits }
      let results = Mutex<[Int: [[UInt64]]]>([:])
      let group = DispatchGroup()
      for index in 0..<8 {
        group.enter()
        Thread.detachNewThread {
          defer { group.leave() }
          let workspace = plan.makeWorkspace()
          for _ in 0..<5 {
            guard (try? workspace.setInput("x", inputs[index])) != nil,
              (try? plan.run(workspace)) != nil, let y = try? workspace.output("y")
            else { return }
            results.withLock { $0[index, default: []].append(y.bits) }
          }
        }
      }
      group.wait()
      for index in 0..<8 {
        let bits = results.withLock { $0[index] ?? [] }
        #expect(bits.count == 5 && bits.allSatisfy { $0 == expected[index] }, "thread \(index)")
      }
    }
  }

  // MARK: Outputs that are no operation's result

  /// Inputs, weights, integers and reshapes of them as outputs.
  private func aliasingGraph() throws -> Graph {
    var writer = NetworkWriter(seed: 2)
    let x = writer.builder.input("x", ValueType([.batch, 2, 3]))
    let labels = writer.builder.input("labels", ValueType(.int64, [.batch]))
    let weight = writer.builder.weight("w", writer.numbers([2, 3]))
    func reshape(_ value: ValueID, _ extents: [Extent]) throws -> ValueID {
      try writer.builder.append(.reshape(extents), [value])[0]
    }
    let flat = try reshape(x, [.batch, 6])
    let row = try reshape(weight, [1, 6])
    let product = try writer.builder.append(.linear(Epilogue()), [flat, row])[0]
    let active = try writer.relu(flat)
    let outputs: [(String, ValueID)] = [
      ("input", x), ("input again", x), ("flat", flat),
      ("back", try reshape(flat, [.batch, 3, 2])),
      ("labels", labels), ("column", try reshape(labels, [.batch, 1])), ("weight", weight),
      ("row", row), ("active", active), ("active image", try reshape(active, [.batch, 2, 3])),
      ("product", product), ("twice", try writer.relu(active)),
    ]
    for (name, value) in outputs { writer.builder.output(name, value) }
    return try writer.builder.finish()
  }

  @Test(arguments: [PlanOptions.Weights.constant, .variable])
  func outputsThatAreOperands(weights: PlanOptions.Weights) throws {
    let graph = try aliasingGraph()
    let inputs = try graph.randomInputs(seed: 3)
    let plan = try Plan(
      graph, inputShapes: inputs.mapValues(\.shape), options: PlanOptions(weights: weights))
    let results = try plan(inputs)
    expectSameBits(results, try Interpreter(graph).run(inputs).outputs, "\(weights)")
    let expected = try graph.reference(inputs).outputs
    for (name, value) in expected {
      guard case .float32(let tensor) = results[name] else { continue }
      expectClose(tensor, value, bound: Tolerance.reduction(length: 6), name)
    }
    #expect(results["input"]?.bits == inputs["x"]?.bits)
    #expect(results["column"]?.bits == inputs["labels"]?.bits)
    #expect(results["column"]?.shape == [3, 1] && results["column"]?.elementType == .int64)
  }

  @Test func reshapedLabelsReachTheLoss() throws {
    // N×1 labels, as some files have them.
    var writer = NetworkWriter(seed: 4)
    let x = writer.builder.input("x", ValueType([.batch, 5]))
    let column = writer.builder.input("labels", ValueType(.int64, [.batch, 1]))
    let labels = try writer.builder.append(.reshape([.batch]), [column])[0]
    writer.builder.output(
      "loss", try writer.builder.append(.loss(Loss(.crossEntropy())), [x, labels])[0])
    let graph = try writer.builder.finish()
    let inputs: [String: TensorValue] = [
      "x": .float32(writer.numbers([6, 5])),
      "labels": .int64(try IndexTensor([0, 1, 2, 3, 4, 0], shape: [6, 1])),
    ]
    let expected = try graph.reference(inputs).outputs["loss"]!
    let interpreted = try Interpreter(graph).run(inputs).outputs
    expectClose(
      try interpreted["loss"]!.floats(at: "loss"), expected, bound: Tolerance.elementwise)
    let plan = try Plan(graph, inputShapes: inputs.mapValues(\.shape))
    expectSameBits(try plan(inputs), interpreted, "loss")
  }
}
