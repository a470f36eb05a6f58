import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: which values may share memory.
@Suite struct MemoryTests {
  @Test(arguments: Array(1...200) as [UInt64])
  func arenaLayout(seed: UInt64) {
    var random = RandomSource(seed: seed)
    let buffers = (0..<random.below(40)).map { _ in
      let first = random.below(20)
      return ArenaLayout.Buffer(
        byteCount: 1 + random.below(random.below(2) == 0 ? 200 : 5000), firstStep: first,
        lastStep: first + random.below(6))
    }
    let layout = ArenaLayout(buffers)
    let ends = zip(layout.offsets, buffers).map { $0 + $1.byteCount }
    #expect(layout.offsets.count == buffers.count)
    #expect(layout.offsets.allSatisfy { $0 >= 0 && $0 % 64 == 0 }, "seed \(seed)")
    #expect(ends.allSatisfy { $0 <= layout.byteCount }, "seed \(seed)")
    #expect(layout.byteCount % 64 == 0)
    let sum = buffers.reduce(0) { $0 + ArenaLayout.aligned($1.byteCount) }
    #expect(layout.byteCount <= sum, "seed \(seed)")
    // Never below what is alive at one step.
    for step in 0..<30 {
      let alive = buffers.indices.filter {
        buffers[$0].firstStep <= step && step <= buffers[$0].lastStep
      }
      #expect(alive.reduce(0) { $0 + buffers[$1].byteCount } <= layout.byteCount)
      for (i, a) in alive.enumerated() {
        for b in alive[(i + 1)...] {
          #expect(
            ends[a] <= layout.offsets[b] || ends[b] <= layout.offsets[a],
            "seed \(seed): buffers \(a) and \(b) overlap at step \(step)")
        }
      }
    }
  }

  @Test func buffersOfAChainTakeTwo() {
    let buffers = (0..<10).map {
      ArenaLayout.Buffer(byteCount: 1000, firstStep: $0, lastStep: $0 + 1)
    }
    #expect(ArenaLayout(buffers).byteCount == 2 * 1024)
    #expect(ArenaLayout([]).byteCount == 0)
  }

  /// Add, ReLU, reshape and norms with shared values, random outputs and updates: whatever is written
  /// over while it is still wanted shows in the results.
  @Test(arguments: Array(1...400) as [UInt64])
  func nothingIsWrittenOverTooEarly(seed: UInt64) throws {
    let graph = try RandomElementwiseGraph.graph(seed: seed)
    var inputs = try graph.randomInputs(seed: seed)
    for weights in [PlanOptions.Weights.constant, .variable] {
      let plan = try Plan(
        graph, inputShapes: inputs.mapValues(\.shape),
        options: PlanOptions(threads: 1, weights: weights))
      let workspace = plan.makeWorkspace()
      var present = graph
      for round in 0..<3 {
        let expected = try Interpreter(present, parallelism: .serial).run(inputs)
        for (name, value) in inputs { try workspace.setInput(name, value) }
        try plan.run(workspace)
        for output in graph.outputs {
          #expect(
            try workspace.output(output.name).bits == expected.outputs[output.name]!.bits,
            "seed \(seed), \(weights), round \(round), \(output.name)")
        }
        if weights == .variable {
          present = try present.replacingWeights(expected.updates)
          for weight in plan.graph.weights {
            let expected = present.weight(named: weight.name)!.tensor
            #expect(
              TensorValue.float32(try workspace.weight(weight.name)).bits
                == TensorValue.float32(expected).bits,
              "seed \(seed), round \(round), weight \(weight.name)")
          }
        }
        inputs = try graph.randomInputs(seed: seed + UInt64(1000 * (round + 1)))
      }
      for (name, value) in inputs { try workspace.setInput(name, value) }
    }
  }

  @Test func elementwiseChainsTakeOneBuffer() throws {
    var writer = NetworkWriter(seed: 1)
    let x = writer.builder.input("x", ValueType([64, 64]))
    var y = try writer.add(x, x)
    for _ in 0..<10 { y = try writer.relu(writer.add(y, x)) }
    writer.builder.output("y", y)
    let plan = try Plan(writer.builder.finish(), inputShapes: ["x": [64, 64]])
    #expect(plan.arenaByteCount == 64 * 64 * 4)
  }
}

/// Random graphs of operations that may work in place.
private struct RandomElementwiseGraph {
  private var random: RandomSource
  private var writer: NetworkWriter
  private var values: [ValueID] = []

  private static let extents: [[Extent]] = [[4, 6], [24], [2, 12], [3, 2, 4]]

  static func graph(seed: UInt64) throws -> Graph {
    var made = RandomElementwiseGraph(
      random: RandomSource(seed: seed), writer: NetworkWriter(seed: seed))
    return try made.graph()
  }

  private mutating func pick() -> ValueID {
    // The latest more often than the first.
    random.below(2) == 0 ? values[values.count - 1] : values[random.below(values.count)]
  }

  private func type(_ value: ValueID) -> ValueType { writer.builder.graph.type(of: value) }

  private mutating func graph() throws -> Graph {
    for index in 0..<1 + random.below(2) {
      values.append(writer.builder.input("x\(index)", ValueType(Self.extents[0])))
    }
    for index in 0..<1 + random.below(3) {
      let extents = Self.extents[random.below(2)]
      values.append(
        writer.builder.weight(
          "w\(index)", writer.numbers(Shape(extents.map { $0.fixedValue! })), role: .state))
    }
    for _ in 0..<2 + random.below(12) { values.append(try node()) }
    let weights = writer.builder.graph.weights
    for weight in weights where values.contains(weight.value) && random.below(2) == 0 {
      let fitting = values.filter { type($0) == type(weight.value) }
      writer.builder.update(weight.name, fitting[random.below(fitting.count)])
    }
    writer.builder.output("last", values[values.count - 1])
    for (index, value) in values.enumerated() where random.below(4) == 0 {
      writer.builder.output("value \(index)", value)
    }
    return try writer.builder.finish()
  }

  private mutating func node() throws -> ValueID {
    let a = pick()
    switch random.below(6) {
    case 0: return try writer.relu(a)
    case 1, 2:
      let fitting = values.filter { type($0) == type(a) }
      let b = fitting[random.below(fitting.count)]
      return try random.below(2) == 0 ? writer.add(a, b) : writer.add(b, a)
    case 3: return try reshape(a)
    case 4 where type(a).rank > 1: return try norm(a)
    default:
      let fitting = values.filter { type($0) == type(a) }
      let y = fitting[random.below(fitting.count)]
      return try writer.builder.append(.activationGradient(.relu), [a, y])[0]
    }
  }

  private mutating func reshape(_ value: ValueID) throws -> ValueID {
    try writer.builder.append(.reshape(Self.extents[random.below(4)]), [value])[0]
  }

  private mutating func norm(_ x: ValueID) throws -> ValueID {
    let fitting = values.filter { type($0) == type(x) }
    let residual = random.below(2) == 0 ? fitting[random.below(fitting.count)] : nil
    let epilogue = Epilogue(
      hasResidual: residual != nil, activation: random.below(2) == 0 ? .relu : nil)
    if random.below(2) == 0 {
      return try writer.norm(
        x, epilogue: epilogue, residual: residual, label: "norm\(values.count)")
    }
    let normalization = try Normalization(
      statistics: .current, recovery: .none, epilogue: epilogue)
    let results = try writer.builder.append(
      .normalization(normalization), [x] + (residual.map { [$0] } ?? []))
    if random.below(3) == 0 { writer.builder.output("moments \(values.count)", results[1]) }
    return results[0]
  }
}
