import Foundation
import KeelExecution
import KeelFormats
import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// Loading PyTorch's state dicts; Scripts/golden/formats.py made one, an image and the network's result.
@Suite struct PyTorchTests {
  /// The network of the script.
  private struct Network: Layer {
    let conv1, conv2: Conv2d
    let bn1 = BatchNorm(4)
    let act = PReLU(4)
    let up: ConvTranspose2d
    let ln = LayerNorm([4, 6, 4])
    let bn2: BatchNorm
    let fc: Linear

    init(seed: UInt64 = 1, momentum: Float? = 0.1) {
      var source = RandomSource(seed: seed)
      conv1 = Conv2d(
        2, 4, kernel: AxisNumbers(height: 3, width: 2), padding: 1, bias: false, using: &source)
      conv2 = Conv2d(4, 6, kernel: 3, groups: 2, using: &source)
      up = ConvTranspose2d(6, 4, kernel: 2, stride: 2, groups: 2, using: &source)
      bn2 = BatchNorm(96, momentum: momentum)
      fc = Linear(96, 5, using: &source)
    }

    func callAsFunction(_ x: Variable) -> Variable {
      fc(bn2(ln(up(conv2(act(bn1(conv1(x)))))).flattened()))
    }
  }

  private let flattened = ["bn2": 4, "fc": 4]

  private func path(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Figures/formats/\(name)").path()
  }

  private func state() throws -> [String: TensorValue] {
    try SafeTensorsFile(path: path("network.safetensors")).values()
  }

  private func loadError(
    _ model: some Layer, _ weights: [String: TensorValue], _ flattened: [String: Int] = [:]
  ) -> KeelError? {
    do throws(KeelError) {
      try model.loadPyTorch(weights, flattened: flattened)
      return nil
    } catch { return error }
  }

  /// Error at most 1e-5 of the largest output: products of up to 96 terms.
  @Test(arguments: ["network.safetensors", "network.npz"])
  func computesWhatPyTorchDoes(_ name: String) throws {
    let network = Network()
    let values =
      name.hasSuffix("npz")
      ? try NumPyArchive(path: path(name)).values() : try SafeTensorsFile(path: path(name)).values()
    try network.loadPyTorch(values, flattened: flattened)
    let run = try NumPyArchive(path: path("run.npz"))
    let image = try run.value(named: "x").floats(at: "x")
    let x = try Tensor(nchw: image.elements, batch: 2, channels: 2, height: 4, width: 4)
    let graph = try Graph(tracing: network, input: [.batch, 4, 4, 2])
    let results = try Interpreter(graph).run(["x": .float32(x)])
    let y = try #require(results.outputs["y"]).floats(at: "y").elements
    let expected = try run.value(named: "y").floats(at: "y").elements
    let largest = expected.map(abs).max()!
    #expect(y.count == expected.count)
    for (found, meant) in zip(y, expected) { #expect(abs(found - meant) <= 1e-5 * largest) }
  }

  @Test func givesBackWhatItLoaded() throws {
    let network = Network()
    var state = try state()
    try network.loadPyTorch(state, flattened: flattened)
    let weights = try network.pyTorchWeights(flattened: flattened)
    for name in ["bn1", "bn2"] { state["\(name).num_batches_tracked"] = nil }
    #expect(weights.mapValues(TensorValue.float32) == state)
  }

  @Test func countsOfBatches() throws {
    let network = Network(momentum: nil)
    var state = try state()
    state["bn2.num_batches_tracked"] = .int64(IndexTensor(repeating: 12, shape: []))
    try network.loadPyTorch(state, flattened: flattened)
    #expect(network.bn2.batchCount?.value == Tensor(repeating: 12, shape: [96]))
    state["bn2.num_batches_tracked"] = nil
    #expect(
      loadError(network, state, flattened)?.found == "missing 1: bn2.num_batches_tracked")
  }

  @Test func everythingThatDoesNotFitIsInOneError() throws {
    let network = Network()
    let before = network.weights
    var state = try state()
    state["conv1.weight"] = .float32(Tensor(zeros: [4, 3, 2, 2]))
    state["fc.bias"] = .int64(IndexTensor(zeros: [5]))
    state["bn1.running_var"] = nil
    state["more"] = .float32(Tensor(zeros: []))
    let error = loadError(network, state, flattened)
    #expect(error?.kind == .argument)
    #expect(
      error?.found == "missing 1: bn1.running_var; unexpected 1: more; misshapen 2: "
        + "conv1.weight float32 4×3×2×2 for 4×2×3×2, fc.bias int64 5 for 5")
    #expect(network.weights == before)
  }

  @Test func flatteningsThatDoNotFit() throws {
    let state = try state()
    #expect(loadError(Network(), state, ["head": 4])?.found == "head")
    #expect(loadError(Network(), state, ["fc": 5])?.place == "fc.weight")
    #expect(loadError(Network(), state, ["fc": 0])?.kind == .argument)
    #expect(loadError(Network(), state, ["conv1": 2])?.kind == .argument)
    #expect(loadError(BatchNorm(-1), state)?.place == "scale")
  }

  @Test func namesOfRecurrentCellsAndResidualNetworks() {
    struct Recurrent: Layer {
      let cell: GRUCell
      func callAsFunction(_ x: Variable) -> Variable { cell(x) }
    }
    var source = RandomSource(seed: 1)
    let net = Recurrent(cell: GRUCell(2, 3, using: &source))
    #expect(
      loadError(net, [:])?.found
        == "missing 4: cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh")
    let names = [
      "stage1.0.conv1.weight", "stage2.0.shortcut.conv.weight", "stage2.0.shortcut.bn.running_var",
      "classifier.bias", "bn1.weight",
    ]
    #expect(
      names.map(ResNet.torchvisionName) == [
        "layer1.0.conv1.weight", "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.running_var", "fc.bias", "bn1.weight",
      ])
  }
}
