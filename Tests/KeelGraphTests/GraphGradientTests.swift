import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct GraphGradientTests {
  /// loss = Σ over both of w·x, and what else a body makes of the weight.
  private func scalar(
    _ body: (inout GraphBuilder, _ weight: ValueID) throws -> ValueID
  ) throws -> Graph {
    var builder = GraphBuilder()
    let weight = builder.weight("w", try Tensor([1, -2], shape: [1, 2]))
    _ = builder.weight("unused", Tensor(zeros: [3]))
    let row = try body(&builder, weight)
    let ones = builder.weight("ones", Tensor(repeating: 1, shape: [1, 2]), role: .state)
    let product = try builder.append(.linear(Epilogue()), [row, ones])[0]
    builder.output("loss", try builder.append(.reshape([]), [product])[0])
    builder.output("row", row)
    return try builder.finish()
  }

  private func gradients(_ graph: Graph) throws -> [String: DoubleTensor] {
    try ReferenceEvaluator(graph).run([:]).outputs
  }

  @Test func fanOutAddsUp() throws {
    // loss = Σ (w + w + ReLU(w)): 3 where w is positive, otherwise 2.
    let graph = try scalar { (builder, w) in
      let double = try builder.append(.add, [w, w])[0]
      let active = try builder.append(.activation(.relu), [w])[0]
      return try builder.append(.add, [double, active])[0]
    }
    let results = try gradients(graph.differentiated())
    #expect(results[Graph.gradientName("w")]?.elements == [3, 2])
    #expect(results["row"]?.elements == [3, -4])
  }

  @Test func nothingDependsOnAnUnusedWeight() throws {
    let results = try gradients(scalar { (_, w) in w }.differentiated())
    #expect(results[Graph.gradientName("unused")]?.elements == [0, 0, 0])
    // State is not differentiated unless it is named.
    #expect(results[Graph.gradientName("ones")] == nil)
    let named = try gradients(
      scalar { (_, w) in w }.differentiated(withRespectTo: .named(["ones"])))
    #expect(named[Graph.gradientName("ones")]?.elements == [1, -2])
    #expect(named[Graph.gradientName("w")] == nil)
  }

  @Test func onlyTheWayToTheTargetIsDifferentiated() throws {
    // A gradient has no gradient, but nothing asked for lies behind it.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([2, 3]))
    let soft = try builder.append(.softmaxGradient, [x, x])[0]
    let weight = builder.weight("w", Tensor(repeating: 1, shape: [3, 3]))
    let labels = builder.input("labels", ValueType(.int64, [2]))
    let logits = try builder.append(.linear(Epilogue()), [soft, weight])[0]
    builder.output("loss", try builder.append(.loss(Loss(.crossEntropy())), [logits, labels])[0])
    let graph = try builder.finish()
    #expect(try graph.differentiated().outputs.map(\.name) == ["loss", Graph.gradientName("w")])
    let error = #expect(throws: KeelError.self) {
      try graph.differentiated(withRespectTo: .named(["x"]))
    }
    #expect(error?.kind == .graph && error?.place == "softmax gradient")
  }

  @Test func inputsCanBeNamed() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([1, 2]))
    let weight = builder.weight("w", try Tensor([3, 4], shape: [1, 2]))
    let product = try builder.append(.linear(Epilogue()), [x, weight])[0]
    builder.output("loss", try builder.append(.reshape([]), [product])[0])
    let graph = try builder.finish().differentiated(withRespectTo: .named(["x"]))
    let outputs = try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(zeros: [1, 2]))])
    #expect(outputs.outputs[Graph.gradientName("x")]?.elements == [3, 4])
  }

  // MARK: Errors

  @Test func lossErrors() throws {
    let graph = try scalar { (_, w) in w }
    let unknown = #expect(throws: KeelError.self) { try graph.differentiated("cost") }
    #expect(unknown?.kind == .graph && unknown?.place == "output cost")
    let row = #expect(throws: KeelError.self) { try graph.differentiated("row") }
    #expect(row?.kind == .shape && row?.place == "output row" && row?.found == "float32 1×2")
    let target = #expect(throws: KeelError.self) {
      try graph.differentiated(withRespectTo: .named(["w", "v"]))
    }
    #expect(target?.kind == .graph && target?.place == "gradient of v")
  }

  @Test func givenStatisticsHaveNoGradient() throws {
    for name in ["mean", "variance"] {
      var builder = GraphBuilder()
      let x = builder.weight("x", Tensor(zeros: [1, 2]))
      let mean = builder.weight("mean", Tensor(zeros: [2]))
      let variance = builder.weight("variance", Tensor(repeating: 1, shape: [2]))
      let normalization = try Normalization(statistics: .given, recovery: .none)
      let y = try builder.append(
        .normalization(normalization), [x, mean, variance], label: "stage1.bn")[0]
      let ones = builder.weight("ones", Tensor(repeating: 1, shape: [1, 2]))
      let product = try builder.append(.linear(Epilogue()), [y, ones])[0]
      builder.output("loss", try builder.append(.reshape([]), [product])[0])
      let graph = try builder.finish()
      let error = #expect(throws: KeelError.self) {
        try graph.differentiated(withRespectTo: .named([name]))
      }
      #expect(error?.kind == .graph && error?.place == "stage1.bn")
      #expect(throws: Never.self) { try graph.differentiated(withRespectTo: .named(["x"])) }
    }
  }

  @Test func momentsHaveAGradientOfTheirOwn() throws {
    var builder = GraphBuilder()
    let x = builder.weight("x", Tensor(zeros: [2, 2]))
    let results = try builder.append(
      .normalization(Normalization(statistics: .current, recovery: .none)), [x], label: "bn")
    let row = try builder.append(.reshape([1, 8]), [results[1]])[0]
    let ones = builder.weight("ones", Tensor(repeating: 1, shape: [1, 8]), role: .state)
    let product = try builder.append(.linear(Epilogue()), [row, ones])[0]
    builder.output("loss", try builder.append(.reshape([]), [product])[0])
    let graph = try builder.finish()
    let names = try graph.differentiated(withRespectTo: .named(["x"])).nodes.map(\.primitive.name)
    #expect(names.contains("moments gradient") && !names.contains("batch norm gradient"))
  }
}
