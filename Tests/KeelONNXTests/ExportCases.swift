import Foundation
import KeelExecution
import KeelFormats
import KeelGraph
import KeelLayers
import KeelTensor
import KeelONNX
import KeelTestSupport
import SwiftProtobuf
import Testing

/// A graph to write, with values for its inputs.
struct ExportCase: CustomTestStringConvertible, Sendable {
  let name: String
  let graph: Graph
  let inputs: [String: TensorValue]

  var testDescription: String { name }

  /// One operation: its first operand is an input, and so are integers; the others and tables are weights.
  init(_ test: PrimitiveCase, seed: UInt64) throws {
    var builder = GraphBuilder()
    var operands: [ValueID] = []
    var inputs: [String: TensorValue] = [:]
    for (operand, value) in zip(test.operands, test.values(seed: seed)) {
      if case .float32(let tensor) = value, !operands.isEmpty || test.primitive == .selection {
        operands.append(builder.weight(operand.name, tensor))
      } else {
        operands.append(
          builder.input(operand.name, ValueType(value.elementType, shape: value.shape)))
        inputs[operand.name] = value
      }
    }
    let results = try builder.append(test.primitive, operands, label: "layer")
    builder.output("result", results[0])
    name = test.name
    graph = try builder.finish()
    self.inputs = inputs
  }

  /// A network of one image input, of so many images.
  init(_ name: String, _ graph: Graph, _ shape: Shape, seed: UInt64) {
    var source = RandomSource(seed: seed)
    self.name = name
    self.graph = graph
    inputs = [graph.inputs[0].name: .float32(Tensor(normal: shape, using: &source))]
  }

  /// The inputs and outputs.
  var interface: Set<String> { Set(graph.inputs.map(\.name) + graph.outputs.map(\.name)) }

  func outputs() throws -> [String: TensorValue] { try Interpreter(graph).run(inputs).outputs }

  /// What the graph gives after it was written and read, its interface in Keel's order both times or turned
  /// both times.
  func outputsAfterReading(turns: Bool) throws -> [String: TensorValue] {
    let model = try ONNXModel(
      graph, name: name, options: ONNXExportOptions(channelsLast: turns ? [] : interface))
    let bytes: Data = try model.proto.serializedBytes()
    let read = try ONNXModel(bytes, name: name)
      .graph(ONNXImportOptions(channelsLast: turns ? interface : []))
    return try Interpreter(read).run(inputs).outputs
  }

  /// Networks of layers, unfolded and folded.
  static let networks: [ExportCase] = models.flatMap { name, shape, make in
    var source = RandomSource(seed: 31)
    let extents = [.batch] + shape.dropFirst().map(Extent.fixed)
    let graph = try! Graph(tracing: make(&source), input: extents).randomized(seed: 32)
    return [
      ExportCase(name, graph, Shape(shape), seed: 7),
      ExportCase("\(name), folded", try! graph.folded().graph, Shape(shape), seed: 7),
    ]
  }

  private static let models:
    [(name: String, shape: [Int], make: @Sendable (inout RandomSource) -> any Layer)] = [
      ("LeNet", [2, 28, 28, 1], { LeNet(using: &$0) }),
      (
        "BatchNormNet", [2, 10, 12, 1],
        { BatchNormNet(classes: 4, imageSize: PerAxis(height: 10, width: 12), using: &$0) }
      ),
      (
        "PlainCIFARNet", [2, 20, 16, 3],
        { PlainCIFARNet(imageSize: PerAxis(height: 20, width: 16), using: &$0) }
      ),
      ("DigitsResNet", [3, 8, 8, 1], { DigitsResNet(classes: 10, inputChannels: 1, using: &$0) }),
      ("CIFARResNet", [2, 12, 12, 3], { CIFARResNet(depth: 14, using: &$0) }),
      ("ResNet18", [2, 32, 48, 3], { ResNet18(classes: 5, using: &$0) }),
      ("ResNet50", [1, 40, 32, 3], { ResNet50(classes: 5, using: &$0) }),
      (
        "DenseNet", [1, 33, 40, 3],
        { DenseNet(classes: 3, growth: 8, blocks: [2, 3, 2], stemWidth: 12, using: &$0) }
      ),
      ("MobileNetV2", [2, 33, 32, 3], { MobileNetV2(classes: 5, using: &$0) }),
      (
        "UNet", [2, 24, 24, 2],
        {
          UNet(
            classes: 3, inputChannels: 2, width: 4, levels: 2, padded: true, batchNorm: true,
            using: &$0)
        }
      ),
      (
        "norms", [2, 6, 4, 8],
        {
          Sequential(
            Conv2d(8, 12, kernel: 3, padding: 1, using: &$0), GroupNorm(3, 12), GELU(),
            InstanceNorm(12), LayerNorm(12), SiLU(), RMSNorm(12), L2Norm(), PixelNorm(),
            LayerNorm([6, 4, 12]), PReLU(12), Softmax())
        }
      ),
      (
        "movements", [2, 6, 4, 8],
        {
          Sequential(
            Conv2d(8, 8, kernel: 1, using: &$0), PixelShuffle(2),
            Conv2d(2, 4, kernel: 3, padding: 1, using: &$0),
            Upsample(by: 2, .linear), Pad2d(1, mode: .reflect), PixelUnshuffle(2),
            AdaptiveAveragePool2d(5), MaxPool2d(3, stride: 2, padding: 1, ceilMode: true),
            ConvTranspose2d(16, 6, kernel: 3, stride: 2, padding: 1, using: &$0), Flatten())
        }
      ),
      (
        "whitening", [3, 5, 4, 6],
        {
          Sequential(
            Conv2d(6, 8, kernel: 3, padding: 1, using: &$0), DecorrelatedBatchNorm(8, blockSize: 4),
            ReLU(), IterNorm(8, blockSize: 3), Conv2d(8, 4, kernel: 3, using: &$0))
        }
      ),
    ]

  /// Operations of every kind, with and without a form in ONNX.
  static let primitives: [PrimitiveCase] =
    PrimitiveCase.convolutions + PrimitiveCase.transposedConvolutions + PrimitiveCase.linears
    + PrimitiveCase.gatheringMoments(PrimitiveCase.convolutions)
    + PrimitiveCase.combinedGeometries.map {
      PrimitiveCase.transposedConvolution("transposed \($0)", $0, Epilogue(hasBias: true))
    }
    + PrimitiveCase.normalizations + PrimitiveCase.momentTables + PrimitiveCase.mixtures
    + PrimitiveCase.blockMaps + PrimitiveCase.poolings + PrimitiveCase.activations
    + PrimitiveCase.movements + PrimitiveCase.selections + PrimitiveCase.arithmetic
    + PrimitiveCase.functions + PrimitiveCase.reductions + PrimitiveCase.choices
    + PrimitiveCase.learnedActivations
    + PrimitiveCase.softmaxes([3, 5]) + PrimitiveCase.softmaxes([2, 3, 4, 5])
    + PrimitiveCase.others + PrimitiveCase.dropouts
    // ONNX has losses of N×C alone.
    + PrimitiveCase.losses.filter { $0.operands[0].shape.rank > 1 || !hasForm($0.primitive) }

  /// What Keel writes but does not read: padding of more than half a window, as one axis of this pooling is rounded
  /// up, and the other is not although it could be; numbers as conditions, which are cast to truth values.
  static let unreadable: Set<String> = Set(
    PrimitiveCase.choices.map(\.name).filter { $0.hasPrefix("choice by binary") }
  ).union(["average without padding, rounded up over padding"])

  /// Whether ONNX has a form for an operation.
  static func hasForm(_ primitive: Primitive) -> Bool {
    func isPlain(_ partition: Partition) -> Bool {
      switch partition.rows {
      case .shards, .labels: false
      default: true
      }
    }
    switch primitive {
    case .normalization(let normalization): return isPlain(normalization.partition)
    case .moments(let partition, let isWeighted): return isPlain(partition) && !isWeighted
    case .blockMap(let map): return map.blocks.rows == .all
    case .loss(let loss):
      switch loss.kind {
      case .negativeLogLikelihood, .crossEntropy(smoothing: 0, _):
        return loss.reduction != .batchMean
      default: return false
      }
    case .comoments, .dropout: return false
    default: return !primitive.name.hasSuffix("gradient")
    }
  }
}

extension Graph {
  /// Random running statistics, scales and shifts: those of a new network would hide mistakes.
  fileprivate func randomized(seed: UInt64) -> Graph {
    var source = RandomSource(seed: seed)
    var tensors: [String: Tensor] = [:]
    for weight in weights {
      let name = weight.name.split(separator: ".").last ?? ""
      var tensor = Tensor(normal: weight.tensor.shape, using: &source)
      switch name {
      case "runningMean", "scale", "shift", "bias": break
      case "runningVariance":
        for i in 0..<tensor.count { tensor[flat: i] = abs(tensor[flat: i]) + 0.5 }
      default: continue
      }
      tensors[weight.name] = tensor
    }
    return try! replacingWeights(tensors)
  }
}
