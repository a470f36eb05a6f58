import Foundation
import Keel
import KeelData
import KeelONNX

// Fine-tuning: a network that knows the digits 0 to 4 is read from an ONNX file, gets a head for all ten, keeps its
// early layers as they are, and goes back to ONNX and to safetensors.
//
//     swift run -c release FineTune [FOLDER]

let folder = URL(
  filePath: CommandLine.arguments.dropFirst().first ?? NSTemporaryDirectory(),
  directoryHint: .isDirectory)
let digits = Digits.splits

/// The share of images whose class a network knows.
func accuracy(_ graph: Graph, _ data: LabelledImages) throws -> Double {
  let plan = try Plan(graph.folded().graph, inputShapes: ["x": data.images.shape])
  let logits = try plan(["x": .float32(data.images)])["y"]!.floats(at: "y")
  return try Metrics.accuracy(logits, labels: data.labels)
}

// 1. The network of somebody else, as a file.
let pretrained = folder.appendingPathComponent("digits-0-to-4.onnx")
do {
  var source = RandomSource(seed: 1)
  let network = DigitsResNet(widths: [8, 16, 32], blocksPerStage: 1, classes: 5, using: &source)
  let known = digits.train.subset(
    (0..<digits.train.count).filter { digits.train.labels[flat: $0] < 5 })
  let graph = try Graph.trainingGraph(of: network, input: [.batch, 8, 8, 1])
  let trainer = try Trainer(
    graph, optimizer: AdamW(learningRate: 3e-3), batchSize: 32, seed: 1)
  try trainer.fit(known.images, labels: known.labels, epochs: 6)
  let inference = try Graph(tracing: network, input: [.batch, 8, 8, 1])
    .replacingWeights(trainer.weights)
  try ONNXModel(inference, name: "digits 0 to 4").write(to: pretrained)
}

// 2. Read it. Its images are N×C×H×W in the file, and N×H×W×C in this program.
let imported = try ONNXModel(contentsOf: pretrained).graph(
  ONNXImportOptions(channelsLast: ["x"]))

// 3. A new head in place of the old one, which `keel summary` would show under this label.
guard let classifier = imported.weight(named: "classifier.weight") else {
  fatalError("the file has no classifier")
}
var source = RandomSource(seed: 2)
let network = try imported.replacing(
  "classifier", by: Linear(classifier.tensor.shape[1], 10, using: &source), name: "head")

// 4. A loss on it. Norms go on using their running statistics; `network.trainingForm()` would train those too.
var builder = GraphBuilder(network)
let logits = try network.output(named: "y").value
let labels = builder.input("labels", ValueType(.int64, [network.type(of: logits).extents[0]]))
let loss = try builder.append(.loss(Loss(.crossEntropy())), [logits, labels], label: "loss")
builder.output("loss", loss[0])

// 5. Train what is not frozen.
let frozen = try ["conv1.*", "bn1.*", "stage1.*"].map {
  try ParameterGroup(pattern: $0, frozen: true)
}
let trainer = try Trainer(
  builder.finish(), optimizer: AdamW(learningRate: 3e-3), batchSize: 32, seed: 3, groups: frozen)
print("accuracy with the new head: \(try accuracy(network, digits.test))")
try trainer.fit(digits.train.images, labels: digits.train.labels, epochs: 12) { event in
  if case .epoch(let epoch) = event { print("epoch \(epoch.index + 1): loss \(epoch.meanLoss)") }
}

// 6. Write it back.
let tuned = try network.replacingWeights(trainer.weights)
let file = folder.appendingPathComponent("digits.onnx")
try ONNXModel(tuned, name: "digits").write(to: file)
try SafeTensorsFile.write(
  Dictionary(uniqueKeysWithValues: tuned.weights.map { ($0.name, $0.tensor) }),
  to: folder.appendingPathComponent("digits.safetensors").path)

// 7. What was written is what was trained.
let again = try ONNXModel(contentsOf: file).graph(ONNXImportOptions(channelsLast: ["x"]))
let (before, after) = (try accuracy(tuned, digits.test), try accuracy(again, digits.test))
print("accuracy after fine-tuning: \(before), read again: \(after)")
let isFrozen = tuned.weights.allSatisfy { weight in
  !weight.name.hasPrefix("stage1.") || imported.weight(named: weight.name)?.tensor == weight.tensor
}
guard before > 0.9, before == after, isFrozen else { fatalError("fine-tuning failed") }
