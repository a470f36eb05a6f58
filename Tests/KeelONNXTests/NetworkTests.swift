import Foundation
import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelONNX
import KeelTestSupport
import SwiftProtobuf
import Testing

/// Whole networks against Keel's own layers.
@Suite struct NetworkTests {
  static let seed: UInt64 = 20_261_121

  /// conv 3×3 + BN + ReLU + max pool + conv + residual + global average + flatten + Gemm.
  static func network(batch: Any) -> ONNXModelProto {
    var source = RandomSource(seed: seed)
    func weight(_ name: String, _ extents: [Int]) -> ONNXTensorProto {
      Messages.tensor(name, Messages.random(extents, &source))
    }
    var variance = Messages.random([4], &source)
    for i in 0..<4 { variance[flat: i] = abs(variance[flat: i]) + 0.5 }
    return Messages.model(
      [
        Messages.node(
          "Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], name: "conv1",
          [
            Messages.attribute("kernel_shape", ints: [3, 3]),
            Messages.attribute("pads", ints: [1, 1, 1, 1]),
          ]),
        Messages.node(
          "BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.variance"], ["b"],
          [Messages.attribute("epsilon", float: 1e-5)]),
        Messages.node("Relu", ["b"], ["c"]),
        Messages.node(
          "MaxPool", ["c"], ["d"],
          [
            Messages.attribute("kernel_shape", ints: [2, 2]),
            Messages.attribute("strides", ints: [2, 2]),
          ]),
        Messages.node("Conv", ["d", "conv2.weight"], ["e"], name: "conv2"),
        Messages.node("Add", ["e", "d"], ["f"]),
        Messages.node("Flatten", ["f"], ["g"]),
        Messages.node(
          "Gemm", ["g", "fc.weight", "fc.bias"], ["y"], [Messages.attribute("transB", int: 1)]),
      ],
      inputs: [Messages.input("x", [batch, 3, 6, 4])], outputs: ["y"],
      initializers: [
        weight("conv1.weight", [4, 3, 3, 3]), weight("conv1.bias", [4]), weight("bn.weight", [4]),
        weight("bn.bias", [4]), weight("bn.mean", [4]), Messages.tensor("bn.variance", variance),
        weight("conv2.weight", [4, 4, 1, 1]), weight("fc.weight", [5, 24]),
        weight("fc.bias", [5]),
      ])
  }

  /// The same by the definitions, channels first, in Double.
  static func expected(_ proto: ONNXModelProto, _ x: Tensor) throws -> [Double] {
    var w: [String: [Double]] = [:]
    for tensor in proto.graph.initializer {
      w[tensor.name] = try HostTensor(
        decoding: tensor, outside: ExternalData(folder: nil), at: tensor.name
      ).doubles(at: tensor.name)
    }
    func pixel(_ n: Int, _ c: Int, _ i: Int, _ j: Int) -> Double {
      (0..<6).contains(i) && (0..<4).contains(j) ? Double(x[n, c, i, j]) : 0
    }
    var y: [Double] = []
    for n in 0..<x.shape[0] {
      var pooled = [Double](repeating: 0, count: 24)
      for o in 0..<4 {
        for i in 0..<6 {
          for j in 0..<4 {
            var a = w["conv1.bias"]![o]
            for c in 0..<3 {
              for u in 0..<3 {
                for v in 0..<3 {
                  a +=
                    w["conv1.weight"]![((o * 3 + c) * 3 + u) * 3 + v]
                    * pixel(n, c, i + u - 1, j + v - 1)
                }
              }
            }
            let scale =
              w["bn.weight"]![o] / (w["bn.variance"]![o] + Double(Float(1e-5))).squareRoot()
            let b = (a - w["bn.mean"]![o]) * scale + w["bn.bias"]![o]
            let k = (o * 3 + i / 2) * 2 + j / 2
            // After ReLU nothing is below 0, so 0 is a start for the maximum.
            pooled[k] = max(pooled[k], b)
          }
        }
      }
      var features = pooled
      for o in 0..<4 {
        for p in 0..<6 {
          for c in 0..<4 {
            features[o * 6 + p] += w["conv2.weight"]![o * 4 + c] * pooled[c * 6 + p]
          }
        }
      }
      for o in 0..<5 {
        y.append(
          (0..<24).reduce(w["fc.bias"]![o]) { $0 + w["fc.weight"]![o * 24 + $1] * features[$1] })
      }
    }
    return y
  }

  @Test(arguments: [1, 3])
  func networkEqualsItsDefinition(batch: Int) throws {
    let proto = Self.network(batch: "N")
    let model = try ONNXModel(try proto.serializedData())
    var source = RandomSource(seed: Self.seed + 1)
    let x = Messages.random([batch, 3, 6, 4], &source)
    let expected = try DoubleTensor(try Self.expected(proto, x), shape: [batch, 5])

    let graph = try model.graph()
    #expect(graph.inputs.map(\.name) == ["x"])
    #expect(graph.type(of: graph.inputs[0].value) == ValueType([.symbol("N"), 3, 6, 4]))
    let exact = try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(widening: x))])
    expectClose(exact.outputs["y"]!, expected, bound: 1e-12, "seed \(Self.seed)")
    let fast = try Interpreter(graph).run(["x": .float32(x)])
    expectClose(try fast.outputs["y"]!.floats(at: "y"), expected, bound: 1e-5, "seed \(Self.seed)")

    // Given as Keel's own networks take images, nothing is transposed before the flattening.
    let turned = try model.graph(ONNXImportOptions(channelsLast: ["x"]))
    #expect(turned.type(of: turned.inputs[0].value) == ValueType([.symbol("N"), 6, 4, 3]))
    let nhwc = try Tensor(nchw: x.elements, batch: batch, channels: 3, height: 6, width: 4)
    let last = try Interpreter(turned).run(["x": .float32(nhwc)])
    #expect(last.outputs["y"] == fast.outputs["y"])
    #expect(Self.transposes(turned) == 1)
    #expect(Self.transposes(graph) == 2)
  }

  static func transposes(_ graph: Graph) -> Int {
    graph.nodes.count { if case .transpose = $0.primitive { true } else { false } }
  }

  @Test func weightsKeepNamesAndRoles() throws {
    let graph = try ONNXModel(Self.network(batch: 2), name: "m").graph()
    #expect(
      Set(graph.weights.map(\.name)) == Set(Self.network(batch: 2).graph.initializer.map(\.name)))
    #expect(graph.weight(named: "conv1.weight")?.tensor.shape == [4, 3, 3, 3])
    #expect(graph.weight(named: "bn.mean")?.role == .state)
    #expect(graph.weight(named: "bn.weight")?.role == .trainable)
  }

  @Test func everythingFolds() throws {
    let graph = try ONNXModel(Self.network(batch: 2), name: "m").graph()
    let folded = try graph.folded()
    #expect(
      !folded.graph.nodes.contains { if case .normalization = $0.primitive { true } else { false } }
    )
  }

  /// A transpose and its inverse leave nothing; the shape of a dynamic batch is no obstacle.
  @Test func pairsOfTransposesCancel() throws {
    let proto = Messages.model(
      [
        Messages.node("Transpose", ["x"], ["a"], [Messages.attribute("perm", ints: [0, 2, 3, 1])]),
        Messages.node("Relu", ["a"], ["b"]),
        Messages.node("Transpose", ["b"], ["c"], [Messages.attribute("perm", ints: [0, 3, 1, 2])]),
        Messages.node("Shape", ["c"], ["s"]),
        Messages.node("Gather", ["s", "zero"], ["n"]),
        Messages.node("Concat", ["n", "rest"], ["t"], [Messages.attribute("axis", int: 0)]),
        Messages.node("Reshape", ["c", "t"], ["y"]),
      ], inputs: [Messages.input("x", ["N", 2, 3, 4])], outputs: ["y"],
      initializers: [Messages.integers("zero", [0]), Messages.integers("rest", [-1])])
    let graph = try ONNXModel(proto, name: "m").graph()
    #expect(Self.transposes(graph) == 0)
    #expect(graph.type(of: graph.outputs[0].value) == ValueType([.symbol("N"), 24]))
    var source = RandomSource(seed: Self.seed)
    let x = Messages.random([2, 2, 3, 4], &source)
    let y = try Interpreter(graph).run(["x": .float32(x)]).outputs["y"]!.floats(at: "y")
    #expect(y.elements == x.elements.map { max($0, 0) })
  }

  /// A channel shuffle between convolutions' layouts needs no way back to channels first.
  @Test func channelShuffleKeepsChannelsLast() throws {
    let proto = Messages.model(
      [
        Messages.node("Reshape", ["x", "split"], ["a"]),
        Messages.node(
          "Transpose", ["a"], ["b"], [Messages.attribute("perm", ints: [0, 2, 1, 3, 4])]),
        Messages.node("Reshape", ["b", "join"], ["y"]),
      ], inputs: [Messages.input("x", ["N", 6, 2, 2])], outputs: ["y"],
      initializers: [
        Messages.integers("split", [0, 2, 3, 2, 2]), Messages.integers("join", [0, 6, 2, 2]),
      ])
    let graph = try ONNXModel(proto, name: "m").graph(
      ONNXImportOptions(channelsLast: ["x", "y"]))
    #expect(Self.transposes(graph) == 1)
    var source = RandomSource(seed: Self.seed)
    let x = Messages.random([2, 2, 2, 6], &source)
    let y = try Interpreter(graph).run(["x": .float32(x)]).outputs["y"]!.floats(at: "y")
    for row in 0..<8 {
      for c in 0..<6 {
        #expect(y.elements[row * 6 + c] == x.elements[row * 6 + c % 2 * 3 + c / 2])
      }
    }
  }
}
