import KeelExecution
import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: what folding says it did, and why it did not.
@Suite struct FoldReportTests {
  private func entry(_ report: FoldReport, _ layer: String) throws -> FoldReport.Entry {
    try #require(report.entries.first { $0.layer == layer })
  }

  /// x → conv → bn → y, with a body that may do something between.
  private func network(
    _ between: (inout NetworkWriter, ValueID) throws -> ValueID = { $1 },
    finish: (inout NetworkWriter, ValueID) throws -> Void = { _, _ in }
  ) throws -> Graph {
    var writer = NetworkWriter(seed: 1)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let conv = try writer.convolution(x, sameGeometry(4, 3, 3), label: "stem.conv")
    let y = try writer.norm(between(&writer, conv), label: "stem.bn")
    writer.builder.output("y", y)
    try finish(&writer, conv)
    return try writer.builder.finish()
  }

  @Test func whatWentWhere() throws {
    var writer = NetworkWriter(seed: 2)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let body = try writer.norm(
      writer.convolution(x, sameGeometry(4, 3, 3), label: "block.conv"), label: "block.bn")
    let shortcut = writer.builder.input("shortcut", ValueType([.batch, 4, 4, 3]))
    let y = try writer.relu(writer.add(body, shortcut, label: "block.sum"), label: "block.relu")
    writer.builder.output("y", y)
    let graph = try writer.builder.finish()
    let (folded, report) = try graph.folded()
    #expect(
      report.description == """
        folded  batch norm block.bn into convolution block.conv
        fused   add block.sum into convolution block.conv
        fused   ReLU block.relu into convolution + add block.conv
        1 folded, 2 fused, 0 kept
        """)
    #expect(folded.nodes.map(\.primitive.name) == ["convolution + add + ReLU"])
    #expect(folded.nodes[0].label == "block.conv")
    // The input graph is as it was, in every weight and node.
    #expect(graph.nodes.count == 4 && graph.weights.count == 5)
    let again = try graph.folded().graph
    #expect(again.weights.map(\.tensor) == folded.weights.map(\.tensor))
  }

  @Test func operationsOfOneLabelAreNumbered() throws {
    var writer = NetworkWriter(seed: 11)
    var y = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    for _ in 0..<2 {
      y = try writer.convolution(
        y, sameGeometry(4, 3, 3),
        weight: writer.builder.graph.weight(named: "conv.weight")?.value, label: "conv")
      y = try writer.activation(.tanh, writer.norm(y, label: "bn\(y.index)"), label: "tanh")
    }
    writer.builder.output("y", y)
    let report = try writer.builder.finish().folded().report
    #expect(
      report.entries.compactMap(\.target) == [
        "convolution conv (1 of 2)", "convolution conv (2 of 2)", "convolution conv (1 of 2)",
        "convolution conv (2 of 2)",
      ])
    #expect(report.entries.suffix(2).map(\.name) == ["tanh (1 of 2)", "tanh (2 of 2)"])
  }

  @Test func inputGraphIsUnchanged() throws {
    let graph = try network()
    let (nodes, weights) = (graph.nodes, graph.weights.map(\.tensor))
    let folded = try graph.folded().graph
    #expect(graph.nodes == nodes && graph.weights.map(\.tensor) == weights)
    #expect(folded.weights[0].tensor != weights[0])
  }

  @Test func fusedFoldsNothing() throws {
    let graph = try network()
    let (fused, report) = try graph.fused()
    #expect(report.entries.isEmpty && fused.nodes.count == 2)
  }

  // MARK: Refusals

  @Test func trainingStatistics() throws {
    let (folded, report) = try network().trainingForm().folded()
    #expect(
      try entry(report, "stem.bn").outcome == .kept(reason: "it uses the statistics of the batch"))
    #expect(report.keptCount == 1 && report.foldedCount == 0)
    #expect(folded.nodes.contains { $0.primitive.name == "batch norm" })
  }

  @Test func sharedResult() throws {
    for isOutput in [true, false] {
      let graph = try network(
        finish: { (writer, conv) in
          writer.builder.output("between", isOutput ? conv : try writer.relu(conv))
        })
      let report = try graph.folded().report
      #expect(
        try entry(report, "stem.bn").outcome
          == .kept(
            reason: """
              the result of stem.conv is taken elsewhere too, and 27 multiply-adds per element cost \
              more than the norm; its result leaves the graph
              """))
      try expectFoldedEqual(graph, seed: 3, folds: 0)
    }
  }

  @Test func numbersThatAreNoWeights() throws {
    var writer = NetworkWriter(seed: 4)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let mean = writer.builder.input("mean", ValueType([3]))
    let variance = writer.builder.weight("variance", Tensor(repeating: 1, shape: [3]))
    let y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    let normalization = try Normalization(statistics: .given, recovery: .none)
    let z = try writer.builder.append(
      .normalization(normalization), [y, mean, variance], label: "bn")[0]
    writer.builder.output("y", z)
    let graph = try writer.builder.finish()
    #expect(
      try entry(graph.folded().report, "bn").outcome
        == .kept(reason: "its numbers are not weights of the graph"))
    try expectFoldedEqual(graph, seed: 5, folds: 0)
  }

  @Test func activationBetween() throws {
    let graph = try network { (writer, x) in try writer.relu(x) }
    #expect(
      try entry(graph.folded().report, "stem.bn").outcome
        == .kept(reason: "ReLU before it has no weights; its result leaves the graph"))
    // Fused into the convolution first, it stands between all the same.
    #expect(
      try entry(graph.fused().graph.folded().report, "stem.bn").outcome
        == .kept(
          reason: "convolution + ReLU stem.conv is not linear up to it; its result leaves the graph"
        ))
    try expectFoldedEqual(graph, seed: 6, folds: 0)
  }

  @Test func nothingBefore() throws {
    var writer = NetworkWriter(seed: 7)
    let x = writer.builder.input("x", ValueType([.batch, 3]))
    writer.builder.output("y", try writer.norm(x, label: "bn"))
    let graph = try writer.builder.finish()
    #expect(
      try entry(graph.folded().report, "bn").outcome
        == .kept(reason: "nothing before it has weights; its result leaves the graph"))
    try expectFoldedEqual(graph, seed: 8, folds: 0)
  }

  @Test func computedWeight() throws {
    for isBias in [false, true] {
      var writer = NetworkWriter(seed: 9)
      let x = writer.builder.input("x", ValueType([.batch, 3]))
      let weight = writer.builder.weight("w", writer.numbers([3, 3]))
      let bias = writer.builder.weight("b", writer.numbers([3]))
      let computed = try writer.builder.append(
        .activation(.relu), [isBias ? bias : weight], label: "computed")[0]
      let operands = isBias ? [x, weight, computed] : [x, computed, bias]
      let y = try writer.builder.append(
        .linear(Epilogue(hasBias: true)), operands, label: "linear")[0]
      writer.builder.output("y", try writer.norm(y, label: "bn"))
      let graph = try writer.builder.finish()
      #expect(
        try entry(graph.folded().report, "bn").outcome
          == .kept(reason: "the weight of linear is computed; its result leaves the graph"))
      try expectFoldedEqual(graph, seed: 10, folds: 0)
    }
  }

  @Test func numbersThatRunsChange() throws {
    // A norm that uses running statistics which the same graph moves on: folded, it would stand still.
    for name in ["stem.bn.runningMean", "stem.conv.weight"] {
      let graph = try network(
        finish: { (writer, conv) in
          let weight = writer.builder.graph.weight(named: name)!
          let sum = try writer.builder.append(.add, [weight.value, weight.value])[0]
          writer.builder.update(name, sum)
        })
      let (folded, report) = try graph.folded()
      let reason =
        name == "stem.conv.weight"
        ? "the weight of stem.conv changes after each run; its result leaves the graph"
        : "its numbers change after each run"
      #expect(try entry(report, "stem.bn").outcome == .kept(reason: reason))
      #expect(folded.updates.count == 1)
    }
  }
}
