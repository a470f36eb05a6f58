import KeelGraph
import KeelTensor
import Testing

@Suite struct GraphSummaryTests {
  /// A convolution with bias, its ReLU, a sum of two branches, pooling, flattening and a linear layer.
  private func graph(batch: Extent = .batch) throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([batch, 8, 6, 2]))
    let weight = builder.weight("conv.weight", Tensor(zeros: [4, 3, 3, 2]))
    let bias = builder.weight("conv.bias", Tensor(zeros: [4]))
    let short = builder.weight("short.weight", Tensor(zeros: [4, 1, 1, 2]))
    let geometry = try ConvolutionGeometry(
      inputHeight: 8, inputWidth: 6, inputChannels: 2, outputChannels: 4, kernel: (3, 3),
      padding: (1, 1))
    let point = try ConvolutionGeometry(
      inputHeight: 8, inputWidth: 6, inputChannels: 2, outputChannels: 4, kernel: (1, 1))
    let y = try builder.append(
      .convolution(geometry, Epilogue(hasBias: true)), [x, weight, bias], label: "conv")[0]
    let side = try builder.append(.convolution(point, Epilogue()), [x, short], label: "short")[0]
    let sum = try builder.append(.add, [side, y], label: "sum")[0]
    let pooling = try PoolingGeometry(
      .maximum, inputHeight: 8, inputWidth: 6, channels: 4, window: (2, 2), stride: (2, 2))
    let pooled = try builder.append(.pooling(pooling), [sum], label: "pool")[0]
    let flat = try builder.append(.reshape([batch, 48]), [pooled], label: "flat")[0]
    let matrix = builder.weight("fc.weight", Tensor(zeros: [5, 48]))
    let logits = try builder.append(.linear(Epilogue()), [flat, matrix], label: "fc")[0]
    builder.output("y", logits)
    return try builder.finish()
  }

  @Test func rows() throws {
    let summary = try GraphSummary(graph(), inputShapes: ["x": [3, 8, 6, 2]])
    #expect(summary.rows.map(\.path) == ["conv", "short", "sum", "pool", "flat", "fc"])
    #expect(
      summary.rows.map(\.operation) == [
        "convolution", "convolution", "add", "max pooling", "reshape", "linear",
      ])
    #expect(
      summary.rows.map(\.outputShape) == [
        [3, 8, 6, 4], [3, 8, 6, 4], [3, 8, 6, 4], [3, 4, 3, 4], [3, 48], [3, 5],
      ])
    #expect(summary.rows.map(\.parameters) == [76, 8, 0, 0, 0, 240])
    #expect(
      summary.rows.map(\.multiplyAdds) == [3 * 48 * 4 * 18, 3 * 48 * 4 * 2, 0, 0, 0, 3 * 240])
    #expect(summary.parameters == 324)
    #expect(summary.stateCount == 0)
    #expect(summary.multiplyAdds == 3 * (48 * 4 * 20 + 240))
    // 4 + 3·2 positions high and 4 + 2·2 wide: the padding is counted.
    #expect(
      summary.rows.map { $0.receptiveField?.axes.map(\.size) } == [
        [3, 3], [1, 1], [3, 3], [4, 4], [10, 8], [10, 8],
      ])
    #expect(
      summary.rows.map { $0.receptiveField?.axes.map(\.jump) } == [
        [1, 1], [1, 1], [1, 1], [2, 2], [0, 0], [0, 0],
      ])
  }

  @Test func sharedWeightsCountOnce() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 3]))
    let weight = builder.weight("weight", Tensor(zeros: [3, 3]))
    let state = builder.weight("state", Tensor(zeros: [3, 3]), role: .state)
    let first = try builder.append(.linear(Epilogue()), [x, weight], label: "a")[0]
    let second = try builder.append(.linear(Epilogue()), [first, weight], label: "b")[0]
    builder.output("y", try builder.append(.linear(Epilogue()), [second, state], label: "c")[0])
    let summary = try GraphSummary(builder.finish(), inputShapes: ["x": [2, 3]])
    #expect(summary.rows.map(\.parameters) == [9, 0, 0])
    #expect(summary.rows.map(\.multiplyAdds) == [18, 18, 18])
    #expect(summary.parameters == 9 && summary.stateCount == 9)
    // Vectors have no positions.
    #expect(summary.rows.allSatisfy { $0.receptiveField == nil })
  }

  @Test func inputsThatDoNotFit() throws {
    for (shapes, kind) in [
      ([:], KeelError.Kind.graph), (["x": Shape([3, 8, 6, 1])], .shape),
      (["z": Shape([3, 8, 6, 2])], .graph), (["x": Shape([0, 8, 6, 2])], .shape),
    ] as [([String: Shape], KeelError.Kind)] {
      let error = #expect(throws: KeelError.self) {
        try GraphSummary(graph(), inputShapes: shapes)
      }
      #expect(error?.kind == kind)
    }
  }

  @Test func tooManyMultiplyAdds() throws {
    let error = #expect(throws: KeelError.self) {
      try GraphSummary(graph(), inputShapes: ["x": [1 << 52, 8, 6, 2]])
    }
    #expect(
      error
        == KeelError(
          .argument, at: "conv", expected: "fewer than 2⁶³ multiply-adds", found: "more"))
  }
}
