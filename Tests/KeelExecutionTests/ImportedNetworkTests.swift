import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A network made as an importer makes it, with no layer in sight: trained, folded, verified, run.
@Suite struct ImportedNetworkTests {
  private static let (size, classes, batch) = (8, 4, 24)

  /// Names and structure as in a file of another framework.
  private func importedGraph() throws -> Graph {
    var writer = NetworkWriter(seed: 21)
    let size = Self.size
    let image = writer.builder.input("input.1", ValueType([.batch, 8, 8, 1]))
    var x = try writer.convolution(image, sameGeometry(size, 1, 8), bias: true, label: "Conv_0")
    x = try writer.relu(norm(&writer, x, "BatchNormalization_1"), label: "Relu_2")
    let pooling = try PoolingGeometry(
      .maximum, inputHeight: size, inputWidth: size, channels: 8, window: (2, 2), stride: (2, 2))
    x = try writer.builder.append(.pooling(pooling), [x], label: "MaxPool_3")[0]
    var y = try writer.convolution(x, sameGeometry(4, 8, 8), label: "Conv_4")
    y = try writer.relu(norm(&writer, y, "BatchNormalization_5"), label: "Relu_6")
    y = try writer.convolution(y, sameGeometry(4, 8, 8, groups: 2), label: "Conv_7")
    y = try norm(&writer, y, "BatchNormalization_8")
    x = try writer.relu(writer.add(x, y, label: "Add_9"), label: "Relu_10")
    let features = try writer.globalAverage(x, label: "Pool_11")
    let logits = try writer.linear(features, 8, Self.classes, bias: true, label: "Gemm_12")
    writer.builder.output("logits", logits)
    return try writer.builder.finish()
  }

  /// A batch norm as training leaves it: scales near 1.
  private func norm(_ writer: inout NetworkWriter, _ x: ValueID, _ label: String) throws -> ValueID
  {
    let operands = [
      x,
      writer.builder.weight(
        "\(label).mean", writer.source.normal([8], deviation: 0.1), role: .state),
      writer.builder.weight(
        "\(label).var", writer.source.uniform([8], from: 0.5, to: 1.5), role: .state),
      writer.builder.weight("\(label).scale", writer.source.uniform([8], from: 0.8, to: 1.2)),
      writer.builder.weight("\(label).B", writer.source.normal([8], deviation: 0.1)),
    ]
    return try writer.builder.append(
      .normalization(Normalization(statistics: .given)), operands, label: label)[0]
  }

  /// Images with a bright quarter; which one is the label.
  private func data(seed: UInt64) -> [String: TensorValue] {
    var source = TensorSource(seed: seed)
    let labels = source.labels(Self.batch, classes: Self.classes)
    var images = source.normal([Self.batch, Self.size, Self.size, 1], deviation: 0.5)
    for image in 0..<Self.batch {
      let label = Int(labels[flat: image])
      for row in 0..<4 {
        for column in 0..<4 {
          images[image, row + label / 2 * 4, column + label % 2 * 4, 0] += Float(1 + label) * 0.5
        }
      }
    }
    return ["input.1": .float32(images), "labels": .int64(labels)]
  }

  @Test func trainsFoldsAndRuns() throws {
    let imported = try importedGraph()
    var builder = GraphBuilder(try imported.trainingForm(momentum: 0.2))
    let labels = builder.input("labels", ValueType(.int64, [.batch]))
    let logits = try builder.graph.output(named: "logits").value
    builder.output("loss", try builder.append(.loss(Loss(.crossEntropy())), [logits, labels])[0])
    let (training, fusion) = try builder.finish().fused()
    #expect(fusion.fusedCount == 4 && fusion.keptCount == 0)
    #expect(training.updates.count == 6)

    let plan = try Plan(
      training.differentiated(),
      inputShapes: ["input.1": [Self.batch, Self.size, Self.size, 1], "labels": [Self.batch]],
      options: PlanOptions(threads: 2, weights: .variable))
    let workspace = plan.makeWorkspace()
    var losses: [Float] = []
    for step in 0..<60 {
      for (name, value) in data(seed: UInt64(100 + step % 4)) {
        try workspace.setInput(name, value)
      }
      try plan.run(workspace)
      losses.append(try workspace.output("loss").floats(at: "loss")[flat: 0])
      for weight in training.weights where weight.role == .trainable {
        let gradient = try workspace.output(Graph.gradientName(weight.name)).floats(at: weight.name)
        var value = try workspace.weight(weight.name)
        for i in 0..<value.count { value[flat: i] -= 0.1 * gradient[flat: i] }
        try workspace.setWeight(weight.name, value)
      }
    }
    let (first, last) = (losses.prefix(4).reduce(0, +) / 4, losses.suffix(4).reduce(0, +) / 4)
    #expect(last < first / 4, "the loss went from \(first) to \(last)")
    for update in training.updates {
      let before = try #require(training.weight(named: update.weight)).tensor
      let after = try workspace.weight(update.weight)
      #expect(before != after, "\(update.weight) did not move")
    }

    let inference = try training.replacingWeights(workspace.weights).inferenceForm()
    #expect(inference.updates.isEmpty)
    let (folded, report) = try inference.folded()
    #expect(report.foldedCount == 3 && report.keptCount == 0)
    #expect(!folded.nodes.contains { $0.primitive.name.hasPrefix("batch norm") })
    #expect(folded.weights.allSatisfy { !$0.name.hasSuffix(".mean") && !$0.name.hasSuffix(".var") })

    let test = data(seed: 999)
    let expected = try inference.reference(test).outputs
    let foldedPlan = try Plan(folded, inputShapes: test.mapValues(\.shape))
    let actual = try foldedPlan(test)
    for (name, value) in expected {
      expectClose(try actual[name]!.floats(at: name), value, bound: 1e-5, name)
    }
    #expect(expected["loss"]![flat: 0] < Double(first) / 4)
  }
}
