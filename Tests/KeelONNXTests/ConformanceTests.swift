import Foundation
import KeelExecution
import KeelGraph
import KeelReference
import KeelTensor
import SwiftProtobuf
import Testing

import KeelONNX

/// ONNX's own cases, from the folder that `KEEL_ONNX_DATA` names: onnx/backend/test/data of the Python
/// package onnx 1.22.0. What passes, and why the rest does not apply, is in Documentation/Conformance.md.
@Suite struct ConformanceTests {
  static let folder = ProcessInfo.processInfo.environment["KEEL_ONNX_DATA"]

  enum Outcome {
    case passed
    case failed(String)
    case notApplicable(String)
  }

  @Test(.enabled(if: folder != nil, "make conformance runs these"))
  func everyCase() throws {
    let folder = URL(filePath: try #require(Self.folder))
    var table = ConformanceTable()
    for suite in ["node", "pytorch-converted", "pytorch-operator", "simple"] {
      let own = folder.appendingPathComponent(suite)
      let names = try FileManager.default.contentsOfDirectory(atPath: own.path).sorted()
        .filter { $0.hasPrefix("test_") && !$0.hasSuffix("_expanded") }
      for name in names {
        table.add(
          suite, String(name.dropFirst(5)), Self.run(own.appendingPathComponent(name)))
      }
    }
    for name in Self.lightNetworks {
      table.add("light", name, Self.lightNetwork(name, in: folder.appendingPathComponent("light")))
    }
    for failure in table.failures { Issue.record("\(failure)") }
    print(table.counts)
    try table.compareWithDocumentation()
  }

  /// Whole networks with constant weights, which check the wiring: the input is a ramp, as in ONNX's own runner.
  static let lightNetworks = [
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet",
    "squeezenet", "vgg19", "zfnet512",
  ]

  static func lightNetwork(_ name: String, in folder: URL) -> Outcome {
    do {
      let file = folder.appendingPathComponent("light_\(name).onnx")
      let graph = try ONNXModel(contentsOf: file).graph()
      let shape = try graph.type(of: graph.inputs[0].value).shape(binding: [:])
      let ramp = Tensor(uninitialized: shape) { out in
        for i in out.indices { out[i] = Float(Double(i) / Double(out.count)) }
      }
      let found = try Interpreter(graph).run([graph.inputs[0].name: .float32(ramp)])
      let result = folder.appendingPathComponent("light_\(name)_output_0.pb")
      let expected = try value(try ONNXTensorProto(serializedBytes: try Data(contentsOf: result)))
      let difference = difference(
        try doubles(found.outputs[graph.outputs[0].name]!), try doubles(expected))
      return difference.map { .failed($0) } ?? .passed
    } catch {
      return .failed("\(error)")
    }
  }

  static func tensors(_ folder: URL, _ kind: String, count: Int) throws -> [ONNXTensorProto] {
    try (0..<count).map { k in
      let file = folder.appendingPathComponent("test_data_set_0/\(kind)_\(k).pb")
      return try ONNXTensorProto(serializedBytes: try Data(contentsOf: file))
    }
  }

  static func run(_ folder: URL) -> Outcome {
    do {
      let model = try ONNXModel(contentsOf: folder.appendingPathComponent("model.onnx"))
      let graph = model.proto.graph
      let initialized = Set(graph.initializer.map(\.name))
      let own = graph.input.filter { !initialized.contains($0.name) }
      let inputs = try tensors(folder, "input", count: own.count)
      let outputs = try tensors(folder, "output", count: graph.output.count)
      do {
        return try compare(model, own.map(\.name), inputs, outputs, constants: [])
      } catch let error as KeelError {
        // Operands such as shapes and axes must be known at import: they become constants.
        guard own.count > 1 else { throw error }
        return try compare(
          model, own.map(\.name), inputs, outputs, constants: Set(own.dropFirst().map(\.name)))
      }
    } catch let error as KeelError {
      // Without the place of the file on this machine.
      let found = error.found.replacing("\(folder.path)/model.onnx, ", with: "")
      return .notApplicable("expected \(error.expected), found \(found)")
    } catch {
      return .notApplicable("\(error)")
    }
  }

  /// Imports and runs; what import refuses is thrown, what the run gets wrong is a failure.
  static func compare(
    _ model: ONNXModel, _ names: [String], _ inputs: [ONNXTensorProto],
    _ outputs: [ONNXTensorProto], constants: Set<String>
  ) throws -> Outcome {
    var proto = try model.wholeMessage()
    var values: [String: TensorValue] = [:]
    for (name, input) in zip(names, inputs) {
      if constants.contains(name) {
        var initializer = input
        initializer.name = name
        proto.graph.initializer.append(initializer)
      } else {
        values[name] = try value(input)
      }
    }
    let graph = try ONNXModel(proto, name: model.name).graph()
    do {
      let fast = try Interpreter(graph).run(values).outputs
      // Written and read once more, where every operation has a form in ONNX.
      var written: [String: TensorValue]?
      if graph.nodes.allSatisfy({ ExportCase.hasForm($0.primitive) }) {
        written = try Interpreter(ONNXModel(graph).graph()).run(values).outputs
      }
      let exact = try ReferenceEvaluator(graph).run(values.mapValues { ReferenceValue($0) })
        .outputs
      for (info, output) in zip(proto.graph.output, outputs) {
        let expected = try DoubleTensor(
          widening: HostTensor(
            decoding: output, outside: ExternalData(folder: nil), at: "output"
          ).converted(to: .float32, at: "output").floats(at: "output"))
        var results = [
          ("reference", exact[info.name]!), ("kernels", try doubles(fast[info.name]!)),
        ]
        if let written {
          results.append(("kernels after writing and reading", try doubles(written[info.name]!)))
        }
        for (what, found) in results {
          if let difference = difference(found, expected) {
            return .failed("\(what), \(info.name): \(difference)")
          }
        }
      }
      return .passed
    } catch {
      return .failed("\(error)")
    }
  }

  static func value(_ proto: ONNXTensorProto) throws -> TensorValue {
    try HostTensor(decoding: proto, outside: ExternalData(folder: nil), at: "input")
      .value(at: "input")
  }

  static func doubles(_ value: TensorValue) throws -> DoubleTensor {
    switch value {
    case .float32(let tensor): return DoubleTensor(widening: tensor)
    case .int64(let tensor):
      return try DoubleTensor(tensor.elements.map(Double.init), shape: tensor.shape)
    case .bool(let tensor):
      return try DoubleTensor(tensor.elements.map { $0 ? 1 : 0 }, shape: tensor.shape)
    }
  }

  /// What exceeds the suite's own tolerance, |a − b| ≤ 1e-7 + 1e-3·|b|.
  static func difference(_ found: DoubleTensor, _ expected: DoubleTensor) -> String? {
    guard found.shape == expected.shape else {
      return "expected shape \(expected.shape), found \(found.shape)"
    }
    for (i, (a, b)) in zip(found.elements, expected.elements).enumerated()
    where !(abs(a - b) <= 1e-7 + 1e-3 * abs(b)) && !(a.isNaN && b.isNaN) && a != b {
      return "element \(i): expected \(b), found \(a)"
    }
    return nil
  }
}
