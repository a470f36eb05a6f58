import KeelExecution
import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: which operation takes an add or an activation in.
@Suite struct FusionTests {
  private func residualBlock(shortcutFirst: Bool, swapped: Bool) throws -> Graph {
    var writer = NetworkWriter(seed: 1)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    func body(_ writer: inout NetworkWriter) throws -> ValueID {
      let first = try writer.norm(
        writer.convolution(x, sameGeometry(4, 3, 5), label: "conv1"), label: "bn1")
      let second = try writer.convolution(
        writer.relu(first, label: "relu1"), sameGeometry(4, 5, 5), label: "conv2")
      return try writer.norm(second, label: "bn2")
    }
    func shortcut(_ writer: inout NetworkWriter) throws -> ValueID {
      try writer.norm(
        writer.convolution(x, sameGeometry(4, 3, 5, kernel: 1), label: "projection"),
        label: "projection.bn")
    }
    let (a, b): (ValueID, ValueID)
    if shortcutFirst {
      b = try shortcut(&writer)
      a = try body(&writer)
    } else {
      a = try body(&writer)
      b = try shortcut(&writer)
    }
    let sum = try swapped ? writer.add(b, a) : writer.add(a, b)
    writer.builder.output("y", try writer.relu(sum))
    return try writer.builder.finish()
  }

  @Test(arguments: [false, true], [false, true])
  func laterOfTwoHostsTakesTheAdd(shortcutFirst: Bool, swapped: Bool) throws {
    let graph = try residualBlock(shortcutFirst: shortcutFirst, swapped: swapped)
    let (folded, report) = try graph.folded()
    #expect(report.foldedCount == 3 && report.fusedCount == 3 && report.keptCount == 0)
    let host = shortcutFirst ? "conv2" : "projection"
    let add = try #require(report.entries.first { $0.operation == "add" })
    #expect(add.target == "convolution \(host)" && add.outcome == .fused)
    let last = try #require(folded.nodes.last)
    #expect(last.label == host && last.primitive.name == "convolution + add + ReLU")
    #expect(folded.nodes.count == 3)
    try expectFoldedEqual(graph, seed: 2, folds: 3)
  }

  @Test func addOfAValueWithItself() throws {
    var writer = NetworkWriter(seed: 3)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let y = try writer.norm(
      writer.convolution(x, sameGeometry(4, 3, 3), label: "conv"), label: "bn")
    writer.builder.output("y", try writer.add(y, y, label: "double"))
    let graph = try writer.builder.finish()
    let report = try graph.folded().report
    let add = try #require(report.entries.first { $0.operation == "add" })
    #expect(add.outcome == .kept(reason: "no operation before it can take it in"))
    try expectFoldedEqual(graph, seed: 4, folds: 1)
  }

  @Test func secondAddIsKept() throws {
    var writer = NetworkWriter(seed: 5)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    let other = writer.builder.input("other", ValueType([.batch, 4, 4, 3]))
    let sum = try writer.add(writer.add(y, other, label: "first"), other, label: "second")
    writer.builder.output("y", sum)
    let graph = try writer.builder.finish()
    let report = try graph.folded().report
    #expect(report.entries.map(\.layer) == ["first", "second"])
    #expect(report.fusedCount == 1 && report.keptCount == 1)
    try expectFoldedEqual(graph, seed: 6)
  }

  @Test func activationBeforeTheAddStaysBefore() throws {
    var writer = NetworkWriter(seed: 7)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let y = try writer.relu(writer.convolution(x, sameGeometry(4, 3, 3), label: "conv"))
    writer.builder.output("y", try writer.relu(writer.add(y, x)))
    let graph = try writer.builder.finish()
    let (folded, report) = try graph.folded()
    #expect(folded.nodes.map(\.primitive.name) == ["convolution + ReLU", "add", "ReLU"])
    #expect(report.keptCount == 2)
    try expectFoldedEqual(graph, seed: 8)
  }

  @Test func activationAfterPoolingIsKept() throws {
    var writer = NetworkWriter(seed: 9)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let pooling = try PoolingGeometry(
      .maximum, inputHeight: 4, inputWidth: 4, channels: 3, window: (2, 2), stride: (2, 2))
    let y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    let pooled = try writer.builder.append(.pooling(pooling), [y], label: "pool")[0]
    writer.builder.output("y", try writer.relu(pooled, label: "relu"))
    let graph = try writer.builder.finish()
    let report = try graph.folded().report
    #expect(report.entries.count == 1)
    #expect(report.entries[0].operation == "ReLU" && report.entries[0].layer == "relu")
    #expect(
      report.entries[0].outcome == .kept(reason: "the operation before it cannot take it in"))
    try expectFoldedEqual(graph, seed: 10)
  }

  @Test func resultsThatAreTakenTwiceAreLeft() throws {
    var writer = NetworkWriter(seed: 11)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    writer.builder.output("between", y)
    writer.builder.output("y", try writer.relu(y))
    let graph = try writer.builder.finish()
    #expect(try graph.folded().report.keptCount == 1)
    try expectFoldedEqual(graph, seed: 12)
  }

  @Test func residualMadeFromTheMomentsOfItsHost() throws {
    // The other operand of the add needs the moments of the norm: fused, the norm would wait for itself.
    var writer = NetworkWriter(seed: 13)
    let x = writer.builder.input("x", ValueType([4, 3]))
    let first = try writer.builder.append(
      .normalization(Normalization(statistics: .current, recovery: .none)), [x], label: "bn")
    let zero = writer.builder.weight("zero", Tensor(zeros: [3]), role: .state)
    let one = writer.builder.weight("one", Tensor(repeating: 1, shape: [3]), role: .state)
    let running = try writer.builder.append(
      .runningStatistics(.momentum(0.5)), [first[1], zero, one], label: "running")
    let second = try writer.builder.append(
      .normalization(Normalization(statistics: .given, recovery: .none)), [x] + running,
      label: "other")[0]
    let third = try writer.relu(second)
    writer.builder.output("y", try writer.add(first[0], third))
    let graph = try writer.builder.finish()
    let (fused, report) = try graph.fused()
    #expect(report.entries.last?.outcome == .kept(reason: "no operation before it can take it in"))
    let inputs = try graph.randomInputs(seed: 14)
    let expected = try graph.reference(inputs).outputs["y"]!
    expectClose(try fused.reference(inputs).outputs["y"]!, expected, bound: Tolerance.double)
  }
}
