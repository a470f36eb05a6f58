import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct WeightsTests {
  private func net(_ seed: UInt64) -> DigitsResNet {
    var source = RandomSource(seed: seed)
    return DigitsResNet(widths: [4, 8], blocksPerStage: 1, using: &source)
  }

  private func loadError(_ model: some Layer, _ weights: [String: Tensor]) -> KeelError? {
    do throws(KeelError) {
      try model.load(weights)
      return nil
    } catch { return error }
  }

  @Test func roundTrip() throws {
    let (a, b) = (net(1), net(2))
    #expect(a.weights != b.weights)
    try b.load(a.weights)
    #expect(a.weights == b.weights)
    let graph = try Graph(tracing: b, input: [.batch, 8, 8, 1])
    #expect(
      Dictionary(uniqueKeysWithValues: graph.weights.map { ($0.name, $0.tensor) }) == a.weights)
  }

  @Test func copiesShareParametersAndGraphsAreSnapshots() throws {
    var source = RandomSource(seed: 1)
    let linear = Linear(2, 2, using: &source)
    let copy = linear
    let graph = try Graph(tracing: linear, input: [.batch, 2])
    linear.weight.value = Tensor(repeating: 7, shape: [2, 2])
    #expect(copy.weight.value.elements == [7, 7, 7, 7])
    #expect(graph.weight(named: "weight")?.tensor != copy.weight.value)
  }

  @Test func everythingThatDoesNotFitIsInOneError() {
    let model = net(1)
    let before = model.weights
    var weights = net(2).weights
    weights["conv1.weight"] = nil
    weights["classifier.bias"] = Tensor(zeros: [11])
    weights["extra"] = Tensor(zeros: [1])
    let error = loadError(model, weights)
    #expect(
      error?.description
        == "argument error at weights of the model: expected a tensor of the right shape for each "
        + "of \(before.count) parameters, found missing 1: conv1.weight; unexpected 1: extra; "
        + "misshapen 1: classifier.bias 11 for 10")
    #expect(model.weights == before)
  }

  @Test func onlyShapes() {
    var weights = net(2).weights
    weights["bn1.scale"] = Tensor(zeros: [2, 2])
    let error = loadError(net(1), weights)
    #expect(error?.kind == .shape)
    #expect(error?.found == "misshapen 1: bn1.scale 2×2 for 4")
  }

  @Test func longListsAreCut() {
    let error = loadError(BatchNorm(3), [:])
    #expect(
      error?.found == "missing 4: scale, shift, runningMean, runningVariance")
    let many = loadError(net(1), [:])
    #expect(many?.found.hasPrefix("missing 47: conv1.weight, ") == true)
    #expect(many?.found.hasSuffix(" and 42 more") == true)
  }

  @Test func aParameterOfWrongSizes() {
    let error = loadError(Model(BatchNorm(-1)), [:])
    #expect(
      error?.description
        == "argument error at net.conv.scale: expected sizes of at least 1, found -1")
  }
}
