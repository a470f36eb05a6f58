import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct BatchNormTests {
  static let input: [Extent] = [.batch, 4, 4, 8]

  @Test func training() throws {
    let graph = try Graph(
      tracing: Model(BatchNorm(8, momentum: 0.25)), input: Self.input, mode: .training)
    #expect(operations(graph) == ["batch norm", "running statistics"])
    let norm = graph.nodes[0]
    #expect(norm.label == "net.conv")
    #expect(norm.primitive == .normalization(try Normalization(statistics: .current)))
    #expect(norm.inputs.count == 3)
    let update = graph.nodes[1]
    #expect(update.primitive == .runningStatistics(.momentum(0.25)))
    #expect(update.inputs[0] == norm.outputs[1])
    #expect(graph.updates.map(\.weight) == ["net.conv.runningMean", "net.conv.runningVariance"])
    #expect(graph.updates.map(\.value) == update.outputs)
    #expect(
      graph.weights.filter { $0.role == .trainable }.map(\.name)
        == ["net.conv.scale", "net.conv.shift"])
  }

  @Test(arguments: [(Trace.Mode.inference, false), (.inference, true), (.training, true)])
  func givenStatistics(_ mode: Trace.Mode, _ frozen: Bool) throws {
    let graph = try Graph(
      tracing: Model(BatchNorm(8, epsilon: 1e-3, frozen: frozen)), input: Self.input, mode: mode)
    #expect(operations(graph) == ["batch norm"])
    #expect(graph.updates.isEmpty)
    let normalization = try Normalization(
      statistics: .given, operation: .standardize(epsilon: 1e-3))
    #expect(graph.nodes[0].primitive == .normalization(normalization))
    let at = NormalizationOperands(normalization)
    let names = Dictionary(uniqueKeysWithValues: graph.weights.map { ($0.value, $0.name) })
    let operands = graph.nodes[0].inputs
    #expect(names[operands[at.mean!]] == "net.conv.runningMean")
    #expect(names[operands[at.variance!]] == "net.conv.runningVariance")
    #expect(names[operands[at.scale!]] == "net.conv.scale")
    #expect(names[operands[at.shift!]] == "net.conv.shift")
  }

  @Test func withoutAffine() throws {
    for mode in [Trace.Mode.training, .inference] {
      let graph = try Graph(tracing: BatchNorm(8, affine: false), input: [.batch, 8], mode: mode)
      guard case .normalization(let normalization) = graph.nodes[0].primitive else {
        Issue.record("no normalization")
        return
      }
      #expect(normalization.recovery == .none)
      #expect(graph.nodes[0].label == "BatchNorm")
      #expect(graph.weights.map(\.name) == ["runningMean", "runningVariance"])
    }
  }

  @Test func decayIsTheOppositeOfMomentum() {
    #expect(BatchNorm(1, decay: 0.75).momentum == 0.25)
    #expect(abs(BatchNorm(1, decay: 0.9).momentum! - 0.1) <= 1e-7)
    #expect(BatchNorm(1).momentum == 0.1)
    #expect(BatchNorm(1).epsilon == 1e-5)
  }

  /// The layer's two modes are the graph's two forms.
  @Test func modesAgreeWithTheGraphTransforms() throws {
    var source = RandomSource(seed: 1)
    let net = DigitsResNet(blocksPerStage: 1, using: &source)
    let training = try Graph(tracing: net, input: [.batch, 8, 8, 1], mode: .training)
    let inference = try Graph(tracing: net, input: [.batch, 8, 8, 1])
    let derived = try training.inferenceForm()
    #expect(derived.nodes.map(\.primitive) == inference.nodes.map(\.primitive))
    #expect(derived.nodes.map(\.label) == inference.nodes.map(\.label))
    let back = try inference.trainingForm()
    #expect(back.nodes.map(\.primitive) == training.nodes.map(\.primitive))
    #expect(back.updates.map(\.weight) == training.updates.map(\.weight))
  }

  @Test func aNegativeRunningVarianceIsNamed() {
    let norm = BatchNorm(2)
    norm.runningVariance?.value = try! Tensor([1, -0.5], shape: [2])
    let error = failure(Model(norm), [.batch, 2])
    #expect(error?.place == "net.conv, net.conv.runningVariance")
    #expect(error?.found == "-0.5 in channel 1")
  }
}
