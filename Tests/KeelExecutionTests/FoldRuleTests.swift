import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class reference: each folding rule against numbers worked out by hand, and what it leaves of the graph.
@Suite struct FoldRuleTests {
  /// A norm y = a·x + t with ε 0, mean 0 and variance 1.
  private func affine(
    _ builder: inout GraphBuilder, _ x: ValueID, _ factors: [Float], _ offsets: [Float],
    label: String = "bn"
  ) throws -> ValueID {
    let channels = Shape([factors.count])
    let operands = [
      x, builder.weight("\(label).mean", Tensor(zeros: channels), role: .state),
      builder.weight("\(label).variance", Tensor(repeating: 1, shape: channels), role: .state),
      builder.weight("\(label).scale", try Tensor(factors, shape: channels)),
      builder.weight("\(label).shift", try Tensor(offsets, shape: channels)),
    ]
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: 0))
    return try builder.append(.normalization(normalization), operands, label: label)[0]
  }

  @Test func normBeforeLinear() throws {
    // W′[o, i] = W[o, i]·a[i], b′ = b + W·t.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([1, 2]))
    let y = try affine(&builder, x, [2, -3], [1, 10])
    let operands = [
      y, builder.weight("w", try Tensor([1, 2, 3, 4], shape: [2, 2])),
      builder.weight("b", try Tensor([100, 200], shape: [2])),
    ]
    builder.output("y", try builder.append(.linear(Epilogue(hasBias: true)), operands)[0])
    let (folded, report) = try builder.finish().folded()
    #expect(report.description.hasPrefix("folded  batch norm bn into linear"))
    #expect(folded.nodes.count == 1 && folded.weights.count == 2)
    #expect(folded.weight(named: "w")?.tensor.elements == [2, -6, 6, -12])
    #expect(folded.weight(named: "b")?.tensor.elements == [121, 243])
  }

  /// x 1×4×1 → norm 2·x + 6 → convolution of weights 1, 10, 100 with padding 1.
  private func paddedConvolution(residual: Bool, factor: Float = 2) throws -> Graph {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 4, 1]))
    let y = try affine(&builder, x, [factor], [6])
    let geometry = try ConvolutionGeometry(
      axes: [SpatialAxis(input: 4, window: 3, paddingBefore: 1, paddingAfter: 1)],
      inputChannels: 1, outputChannels: 1)
    var operands = [y, builder.weight("conv.weight", try Tensor([1, 10, 100], shape: [1, 3, 1]))]
    if residual { operands.append(builder.input("r", ValueType([.batch, 4, 1]))) }
    builder.output(
      "y",
      try builder.append(
        .convolution(geometry, Epilogue(hasResidual: residual)), operands, label: "conv")[0])
    return try builder.finish()
  }

  @Test func zeroPaddingByAMap() throws {
    let graph = try paddedConvolution(residual: false)
    let (folded, report) = try graph.folded()
    #expect(
      report.entries[0].description
        == "folded  batch norm bn into convolution conv, with a map for the zero padding")
    #expect(folded.weight(named: "conv.weight")?.tensor.elements == [2, 20, 200])
    #expect(folded.weight(named: "conv.border")?.tensor.elements == [6, 60, 600])
    // An input of 0 leaves the map: the taps that lie inside, times 6.
    let zero: [String: TensorValue] = ["x": .float32(Tensor(zeros: [2, 4, 1]))]
    let map: [Float] = [660, 666, 666, 66]
    let plan = try Plan(folded, inputShapes: ["x": [2, 4, 1]])
    #expect(try plan(zero)["y"]?.floats(at: "y").elements == map + map)
    // The map depends on no input: the plan has computed it, and runs the convolution alone.
    #expect(folded.nodes.count == 3 && plan.stepCount == 1)
  }

  @Test func zeroPaddingByWhatBecomesZero() throws {
    let graph = try paddedConvolution(residual: true)
    #expect(
      try graph.folded().report.entries[0].outcome
        == .kept(
          reason: "nothing before it has weights; the zero padding of convolution + add conv "
            + "would need a copy of its input"))
    let (folded, report) = try graph.folded(.everywhere)
    #expect(report.entries[0].detail == "padded with what the norm maps to zero")
    #expect(folded.weight(named: "conv.weight")?.tensor.elements == [2, 20, 200])
    #expect(folded.weight(named: "conv.bias")?.tensor.elements == [666])
    // −t/a = −3 along the border.
    #expect(folded.weight(named: "conv.pad.border.bias")?.tensor.elements == [-3])
    let zero: [String: TensorValue] = [
      "x": .float32(Tensor(zeros: [1, 4, 1])), "r": .float32(Tensor(zeros: [1, 4, 1])),
    ]
    let plan = try Plan(folded, inputShapes: ["x": [1, 4, 1], "r": [1, 4, 1]])
    #expect(try plan(zero)["y"]?.floats(at: "y").elements == [660, 666, 666, 66])
    #expect(plan.stepCount == 2)
    // A norm that maps everything to 6 maps nothing to 0.
    let report0 = try paddedConvolution(residual: true, factor: 0).folded(.everywhere).report
    #expect(
      report0.entries[0].outcome
        == .kept(
          reason:
            "nothing before it has weights; convolution + add conv pads with 0, has a residual "
            + "already, and the norm maps nothing to 0"))
  }

  @Test func paddingThatIsNeverReadNeedsNothing() throws {
    // Padding of 1 after 4 positions, which windows of 2 at stride 2 do not reach.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 4, 1]))
    let geometry = try ConvolutionGeometry(
      axes: [SpatialAxis(input: 4, window: 2, stride: 2, paddingAfter: 1)], inputChannels: 1,
      outputChannels: 1)
    let weight = builder.weight("w", try Tensor([1, 10], shape: [1, 2, 1]))
    let y = try affine(&builder, x, [2], [6])
    builder.output(
      "y", try builder.append(.convolution(geometry, Epilogue()), [y, weight], label: "conv")[0])
    let (folded, report) = try builder.finish().folded()
    #expect(report.foldedCount == 1 && report.entries[0].detail == nil)
    #expect(folded.nodes.count == 1)
    #expect(folded.weights.map(\.tensor.elements) == [[2, 20], [66]])
  }

  @Test func branchesOfOneInput() throws {
    // RepVGG's block: 3×3, 1×1 and the input itself, each behind a norm; all end in the 3×3.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 5, 5, 2]))
    func convolution(_ kernel: Int, _ value: Float) throws -> ValueID {
      let geometry = try sameGeometry(5, 2, 2, kernel: kernel)
      let weight = builder.weight(
        "conv\(kernel).weight", Tensor(repeating: value, shape: geometry.weightShape))
      return try builder.append(
        .convolution(geometry, Epilogue()), [x, weight], label: "conv\(kernel)")[0]
    }
    let large = try affine(&builder, convolution(3, 1), [1, 2], [10, 20], label: "bn3")
    let small = try affine(&builder, convolution(1, 0.5), [4, 2], [1, 2], label: "bn1")
    let itself = try affine(&builder, x, [8, 16], [100, 200], label: "bn0")
    let sum = try builder.append(.add, [small, large], label: "first")
    let y = try builder.append(.add, [itself, sum[0]], label: "second")
    builder.output("y", try builder.append(.activation(.relu), y, label: "relu")[0])
    let graph = try builder.finish()
    let (folded, report) = try graph.folded()
    #expect(
      report.description == """
        folded  batch norm bn3 into convolution conv3
        folded  convolution conv1 into convolution conv3
        folded  batch norm bn1 into convolution conv1
        folded  batch norm bn0 into convolution conv3
        folded  add second into convolution conv3
        fused   ReLU relu into convolution conv3
        5 folded, 1 fused, 0 kept
        """)
    #expect(folded.nodes.count == 1 && folded.weights.count == 2)
    #expect(folded.weight(named: "conv3.bias")?.tensor.elements == [111, 222])
    let weight = try #require(folded.weight(named: "conv3.weight")).tensor
    let centres: [Float] = [
      weight[0, 1, 1, 0], weight[0, 1, 1, 1], weight[1, 1, 1, 0], weight[1, 1, 1, 1],
    ]
    // 1·1 + 4·0.5 + 8, 1·1 + 4·0.5, and with the second channel's factors.
    #expect(centres == [11, 3, 3, 19])
    #expect(weight[1, 0, 1, 0] == 2)
    #expect(weight[0, 2, 2, 1] == 1)
    try expectFoldedEqual(graph, seed: 1, folds: 5)
  }

  @Test func branchesThatDoNotFit() throws {
    // 1×3 beside 3×1: neither window holds the other. And 1×1 across the groups of a 3×3.
    for (first, second, groups) in [((1, 3), (3, 1), 1), ((3, 3), (1, 1), 2)] {
      var writer = NetworkWriter(seed: 2)
      let x = writer.builder.input("x", ValueType([.batch, 5, 5, 2]))
      func convolution(_ kernel: (Int, Int), groups: Int, _ label: String) throws -> ValueID {
        let geometry = try ConvolutionGeometry(
          inputHeight: 5, inputWidth: 5, inputChannels: 2, outputChannels: 2, kernel: kernel,
          padding: (kernel.0 / 2, kernel.1 / 2), groups: groups)
        return try writer.convolution(x, geometry, label: label)
      }
      let sum = try writer.add(
        convolution(first, groups: groups, "first"), convolution(second, groups: 1, "second"))
      writer.builder.output("y", sum)
      let (folded, report) = try writer.builder.finish().folded()
      #expect(folded.nodes.count == 2 && report.foldedCount == 0 && report.fusedCount == 1)
    }
  }

  @Test func cheapProducersAreRepeated() throws {
    // Nine multiply-adds per element: less than a pass over memory.
    var writer = NetworkWriter(seed: 3)
    let x = writer.builder.input("x", ValueType([.batch, 5, 5, 4]))
    let y = try writer.convolution(x, sameGeometry(5, 4, 4, groups: 4), label: "depthwise")
    writer.builder.output("raw", y)
    writer.builder.output("y", try writer.norm(y, label: "bn"))
    let graph = try writer.builder.finish()
    let (folded, report) = try graph.folded()
    #expect(report.entries[0].detail == "computed a second time")
    #expect(
      folded.weights.map(\.name)
        == ["depthwise.weight", "depthwise.weight.folded", "depthwise.bias"])
    #expect(folded.nodes.count == 2)
    try expectFoldedEqual(graph, seed: 4, folds: 1)
  }

  @Test func identitiesGo() throws {
    var writer = NetworkWriter(seed: 5)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    let one = try PoolingGeometry(
      .maximum, inputHeight: 4, inputWidth: 4, channels: 3, window: (1, 1), stride: (1, 1))
    var y = try writer.builder.append(.pooling(one), [x], label: "pool")[0]
    y = try writer.builder.append(.reshape([.batch, 4, 4, 3]), [y], label: "reshape")[0]
    y = try writer.activation(.clip(low: -.infinity, high: .infinity), y, label: "clip")
    y = try affine(&writer.builder, y, [1, 1, 1], [0, 0, 0], label: "fresh")
    writer.builder.output("same", y)
    writer.builder.output("y", try writer.relu(y))
    let (folded, report) = try writer.builder.finish().folded()
    #expect(folded.nodes.map(\.primitive) == [.activation(.relu)])
    #expect(folded.weights.isEmpty)
    #expect(report.removedCount == 4 && report.keptCount == 1)
    #expect(report.description.contains("removed max pooling pool\nremoved reshape\n"))
    let inputs = try folded.randomInputs(seed: 6)
    #expect(try Plan(folded, inputShapes: inputs.mapValues(\.shape))(inputs)["same"] == inputs["x"])
  }

  @Test func frozenNormsOfATrainingGraph() throws {
    var writer = NetworkWriter(seed: 7)
    let x = writer.builder.input("x", ValueType([4, 4, 4, 3]))
    var y = try writer.norm(
      writer.convolution(x, sameGeometry(4, 3, 3), label: "a"), label: "frozen")
    y = try writer.norm(writer.convolution(y, sameGeometry(4, 3, 3), label: "b"), label: "live")
    writer.builder.output("y", y)
    let training = try writer.builder.finish().trainingForm(frozen: ["frozen"])
    let (folded, report) = try training.folded()
    #expect(
      report.description == """
        folded  batch norm frozen into convolution a
        kept    batch norm live: it uses the statistics of the batch
        1 folded, 0 fused, 1 kept
        """)
    #expect(folded.updates.count == 2)
    let inputs = try training.randomInputs(seed: 8)
    let (expected, actual) = try (training.reference(inputs), folded.reference(inputs))
    expectClose(actual.outputs["y"]!, expected.outputs["y"]!, bound: 1e-6)
    for (name, value) in expected.updates {
      expectClose(actual.updates[name]!, value, bound: 1e-6, name)
    }
  }

  @Test func severalFoldsRoundOnce() throws {
    // Three norms behind a convolution: the folded weight is the Double product, rounded.
    var writer = NetworkWriter(seed: 9)
    let x = writer.builder.input("x", ValueType([.batch, 4, 4, 3]))
    var y = try writer.convolution(x, sameGeometry(4, 3, 3), label: "conv")
    for i in 0..<3 { y = try writer.norm(y, label: "bn\(i)") }
    writer.builder.output("y", y)
    let (folded, _, weights) = try writer.builder.finish().foldedExactly()
    #expect(weights.keys.sorted() == ["conv.bias", "conv.weight"])
    for (name, exact) in weights {
      #expect(folded.weight(named: name)?.tensor == Tensor(rounding: exact), "\(name)")
    }
  }

  @Test func arithmeticWithConstantsIsANorm() throws {
    // (W·x)·a + c, as importers write a batch norm: into the weights.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let weight = builder.weight("w", try Tensor([1, 2, 3, 4], shape: [2, 2]))
    var y = try builder.append(.linear(Epilogue()), [x, weight], label: "linear")[0]
    let factors = builder.weight("a", try Tensor([2, -1], shape: [2]))
    let offsets = builder.weight("c", try Tensor([5, 6], shape: [1, 2]))
    y = try builder.append(.arithmetic(.multiply), [factors, y], label: "scale")[0]
    y = try builder.append(.arithmetic(.add), [y, offsets], label: "shift")[0]
    builder.output("y", y)
    let (folded, report) = try builder.finish().folded()
    #expect(
      report.description == """
        folded  multiply scale into linear
        folded  add shift into linear
        2 folded, 0 fused, 0 kept
        """)
    #expect(folded.nodes.count == 1)
    #expect(folded.weight(named: "w")?.tensor.elements == [2, 4, -3, -4])
    #expect(folded.weights.last?.tensor.elements == [5, 6])
  }

  @Test func arithmeticThatNothingTakesInIsOnePass() throws {
    // (3 − x)/4 + c with nothing beside it: one norm in place of three operations.
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let three = builder.weight("three", Tensor(repeating: 3, shape: []))
    let four = try builder.append(.fill(4, [1]), [], label: "four")[0]
    let c = builder.weight("c", try Tensor([1, 2], shape: [2]))
    var y = try builder.append(.arithmetic(.subtract), [three, x], label: "first")[0]
    y = try builder.append(.arithmetic(.divide), [y, four], label: "second")[0]
    y = try builder.append(.arithmetic(.add), [y, c], label: "third")[0]
    builder.output("y", y)
    let (folded, report) = try builder.finish().folded()
    #expect(report.foldedCount == 2 && report.keptCount == 1)
    #expect(folded.nodes.map(\.primitive.name) == ["batch norm"])
    let inputs: [String: TensorValue] = ["x": .float32(try Tensor([7, 11], shape: [1, 2]))]
    #expect(try Interpreter(folded).run(inputs).outputs["y"]?.floats(at: "y").elements == [0, 0])
  }

  @Test func divisionByZeroAndByAValueStay() throws {
    var builder = GraphBuilder()
    let x = builder.input("x", ValueType([.batch, 2]))
    let weight = builder.weight("w", try Tensor([1, 2, 3, 4], shape: [2, 2]))
    let y = try builder.append(.linear(Epilogue()), [x, weight], label: "linear")[0]
    let zero = builder.weight("zero", try Tensor([1, 0], shape: [2]))
    builder.output("a", try builder.append(.arithmetic(.divide), [y, zero], label: "zero")[0])
    builder.output("b", try builder.append(.arithmetic(.divide), [zero, x], label: "by")[0])
    builder.output("c", try builder.append(.arithmetic(.multiply), [x, x], label: "square")[0])
    let (folded, report) = try builder.finish().folded()
    #expect(report.entries.isEmpty && folded.nodes.count == 4)
  }

  @Test func dropoutOfProbabilityZeroGoes() throws {
    for probability in [0, 0.5] as [Float] {
      var builder = GraphBuilder()
      let x = builder.input("x", ValueType([4, 3]))
      let seed = builder.input("seed", ValueType(.int64, []))
      let mask = DropoutMask(probability: probability, stream: 0)
      builder.output("y", try builder.append(.dropout(mask), [x, seed], label: "dropout")[0])
      let (folded, report) = try builder.finish().folded()
      #expect(report.removedCount == (probability == 0 ? 1 : 0))
      #expect(folded.inputs.map(\.name) == (probability == 0 ? ["x"] : ["x", "seed"]))
      if probability > 0 {
        #expect(
          report.description.hasPrefix(
            "kept    dropout: it is for training: take the inference form first"))
      }
    }
  }
}
