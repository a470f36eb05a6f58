import Foundation
import KeelData
import KeelExecution
import KeelFormats
import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import KeelTraining
import KeelONNX
import Testing

/// An imported network with another head, partly frozen, trained and written back: Examples/FineTune in small.
@Suite struct FineTuneTests {
  @Test func importedNetworkLearnsOtherClasses() throws {
    let folder = try TemporaryFolder()
    var source = RandomSource(seed: 1)
    let model = DigitsResNet(widths: [4, 8], blocksPerStage: 1, classes: 3, using: &source)
    let file = URL(filePath: folder.file("old.onnx"))
    try ONNXModel(Graph(tracing: model, input: [.batch, 8, 8, 1])).write(to: file)

    let options = ONNXImportOptions(channelsLast: ["x"])
    let imported = try ONNXModel(contentsOf: file).graph(options)
    let features = try #require(imported.weight(named: "classifier.weight")).tensor.shape[1]
    let network = try imported.replacing(
      "classifier", by: Linear(features, 10, using: &source), name: "head")
    #expect(network.type(of: network.outputs[0].value) == ValueType([.batch, 10]))
    #expect(network.weight(named: "classifier.weight") == nil)
    #expect(network.weight(named: "head.weight")?.tensor.shape == [10, features])

    var builder = GraphBuilder(network)
    let y = network.outputs[0].value
    let labels = builder.input("labels", ValueType(.int64, [.batch]))
    builder.output(
      "loss",
      try builder.append(.loss(Loss(.crossEntropy())), [y, labels], label: "loss")[0])
    let trainer = try Trainer(
      builder.finish(), optimizer: AdamW(learningRate: 1e-2), batchSize: 32, seed: 3,
      groups: ["conv1.*", "bn1.*"].map { try ParameterGroup(pattern: $0, frozen: true) })
    let data = Digits.splits.train
    var losses: [Double] = []
    try trainer.fit(data.images, labels: data.labels, epochs: 6) { event in
      if case .epoch(let epoch) = event { losses.append(epoch.meanLoss) }
    }
    #expect(losses.last! < losses[0] / 2, "\(losses)")

    let tuned = try network.replacingWeights(trainer.weights)
    for weight in imported.weights where weight.name.hasPrefix("conv1.") {
      #expect(tuned.weight(named: weight.name)?.tensor == weight.tensor, "\(weight.name)")
    }
    #expect(
      tuned.weight(named: "stage1.0.conv1.weight")?.tensor
        != imported.weight(named: "stage1.0.conv1.weight")?.tensor)
    try ONNXModel(tuned).write(to: URL(filePath: folder.file("new.onnx")))
    let again = try ONNXModel(contentsOf: URL(filePath: folder.file("new.onnx"))).graph(options)
    let inputs = ["x": TensorValue.float32(Digits.splits.test.images)]
    try expectSame(
      try Interpreter(again).run(inputs).outputs, try Interpreter(tuned).run(inputs).outputs,
      bound: 1e-6, "tuned")

    try SafeTensorsFile.write(
      Dictionary(uniqueKeysWithValues: tuned.weights.map { ($0.name, $0.tensor) }),
      to: folder.file("new.safetensors"))
    let tensors = try SafeTensorsFile(path: folder.file("new.safetensors")).values()
    for weight in again.weights {
      #expect(try tensors[weight.name]?.floats(at: weight.name) == weight.tensor, "\(weight.name)")
    }
  }
}
