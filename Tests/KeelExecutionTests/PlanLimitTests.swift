import CAllocationCounter
import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: memory limits, plans that share weights, cancellation, runs from and into the caller's memory.
@Suite struct PlanLimitTests {
  private func network() throws -> Graph {
    try PlanTests.residualNetwork(widths: [16, 32]).folded().graph
  }

  private func shapes(batch: Int) -> [String: Shape] { ["x": [batch, 8, 8, 1]] }

  // MARK: Memory

  @Test func memoryLimits() throws {
    let graph = try network()
    let plan = try Plan(graph, inputShapes: shapes(batch: 4))
    let needed = plan.byteCount + plan.weightByteCount
    func make(_ limit: Int) throws -> Plan {
      try Plan(graph, inputShapes: shapes(batch: 4), options: PlanOptions(memoryLimit: limit))
    }
    #expect(try make(needed).byteCount == plan.byteCount)
    for limit in [0, 1000, plan.byteCount, needed - 4096] {
      let error = #expect(throws: KeelError.self) { try make(limit) }
      #expect(error?.kind == .memory)
      #expect(error?.expected == "at most \(limit) bytes")
    }
    #expect(MemoryLimit.automatic > 1 << 20)
  }

  /// Beyond the machine's memory, without a limit of the caller's; nothing of it is taken.
  @Test func plansBeyondTheMachine() throws {
    let graph = try network()
    for batch in [1 << 33, 1 << 45] {
      let error = #expect(throws: KeelError.self) {
        try Plan(graph, inputShapes: shapes(batch: batch))
      }
      #expect(error?.kind == .memory || error?.kind == .shape)
    }
  }

  // MARK: Sharing

  /// An exact plan takes no algorithm that is not from the plan whose weights it shares.
  @Test func exactPlansShareWhatIsExact() throws {
    let graph = try PooledConvolutionTests.graph(
      PooledConvolutionTests.Case(name: "shared", steps: 1), pools: true)
    let inputs = try graph.randomInputs(seed: 8, batch: 2)
    let shapes = inputs.mapValues(\.shape)
    let plan = try Plan(graph, inputShapes: shapes)
    #expect(plan.stepAlgorithm(0) == "winograd4x4")
    let exact = try Plan(
      graph, inputShapes: shapes, options: PlanOptions(exact: true), sharing: plan)
    #expect(exact.stepAlgorithm(0) == "indirect")
    #expect(exact.sharedWeightBytes(with: plan) == 0)
    expectSameBits(try exact(inputs), try Interpreter(graph).run(inputs).outputs, "exact")
  }

  @Test func plansOfSeveralBatchesShareWeights() throws {
    let graph = try network()
    let plan = try Plan(
      graph, inputShapes: shapes(batch: 8), options: PlanOptions(exact: true))
    for batch in [1, 3, 16] {
      let other = try Plan(
        graph, inputShapes: shapes(batch: batch), options: plan.options, sharing: plan)
      #expect(other.weightByteCount == plan.weightByteCount)
      #expect(other.sharedWeightBytes(with: plan) == plan.weightByteCount)
      let inputs = try graph.randomInputs(seed: 7, batch: batch)
      let alone = try Plan(graph, inputShapes: shapes(batch: batch), options: plan.options)
      let (found, expected) = (try other(inputs)["y"]!, try alone(inputs)["y"]!)
      #expect(found.bits == expected.bits)
    }
  }

  @Test func aSharingPlanTakesNoMoreThanItsWorkspace() throws {
    let graph = try network()
    let alone = try Plan(graph, inputShapes: shapes(batch: 2))
    let limit = alone.byteCount + alone.weightByteCount
    let plan = try Plan(
      graph, inputShapes: shapes(batch: 2), options: PlanOptions(memoryLimit: limit))
    // More than before without the weights, which it does not pack again.
    let larger = try Plan(
      graph, inputShapes: shapes(batch: 3), options: plan.options, sharing: plan)
    #expect(larger.byteCount > plan.byteCount)
  }

  // MARK: Cancellation

  @Test func cancellation() throws {
    let graph = try network()
    let plan = try Plan(graph, inputShapes: shapes(batch: 4))
    let inputs = try graph.randomInputs(seed: 9, batch: 4)
    let workspace = plan.makeWorkspace()
    for (name, value) in inputs { try workspace.setInput(name, value) }
    for stop in 0..<plan.stepCount {
      var asked = 0
      let error = #expect(throws: KeelError.self) {
        try plan.run(workspace) {
          asked += 1
          return asked > stop
        }
      }
      #expect(error?.kind == .cancelled)
      #expect(error?.place == plan.stepName(stop))
      #expect(asked == stop + 1)
    }
    try plan.run(workspace) { false }
    let expected = try plan(inputs)["y"]!
    #expect(try workspace.output("y").bits == expected.bits)
  }

  // MARK: The caller's memory

  @Test(arguments: [1, 2]) func runsIntoTheCallersMemory(threads: Int) throws {
    let graph = try network()
    let plan = try Plan(
      graph, inputShapes: shapes(batch: 4), options: PlanOptions(threads: threads))
    let workspace = plan.makeWorkspace()
    let inputs = try graph.randomInputs(seed: 11, batch: 4)
    let x = try inputs["x"]!.floats(at: "x")
    let expected = try plan(inputs)["y"]!.floats(at: "y")
    var y = Tensor(repeating: .nan, shape: expected.shape)
    var allocations: [UInt] = []
    for _ in 0..<3 {
      try x.withSpan { x in
        try y.withMutableSpan { y in
          let before = keel_allocation_count()
          try plan.run(x, into: &y, workspace: workspace)
          allocations.append(keel_allocation_count() - before)
        }
      }
    }
    #expect(y == expected)
    if keel_counts_allocations() != 0 { #expect(allocations.last == 0) }
  }

  @Test func wrongCountsAndGraphs() throws {
    let graph = try network()
    let plan = try Plan(graph, inputShapes: shapes(batch: 1))
    let workspace = plan.makeWorkspace()
    func run(_ plan: Plan, _ workspace: Workspace, _ inputs: Int, _ outputs: Int) throws {
      var y = Tensor(zeros: [outputs])
      try Tensor(zeros: [inputs]).withSpan { x in
        try y.withMutableSpan { try plan.run(x, into: &$0, workspace: workspace) }
      }
    }
    let input = #expect(throws: KeelError.self) { try run(plan, workspace, 63, 10) }
    #expect(input?.place == "input x")
    #expect(input?.expected == "64 elements, 1×8×8×1")
    #expect(input?.found == "63")
    let output = #expect(throws: KeelError.self) { try run(plan, workspace, 64, 11) }
    #expect(output?.kind == .shape)
    let training = try PlanTests.residualNetwork(mode: .training).differentiated()
    let trained = try Plan(training, inputShapes: ["x": [4, 8, 8, 1], "labels": [4]])
    let several = #expect(throws: KeelError.self) {
      try run(trained, trained.makeWorkspace(), 256, 1)
    }
    #expect(several?.place == "inputs")
  }
}
