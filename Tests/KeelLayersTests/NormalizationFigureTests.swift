import Foundation
import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A norm as PyTorch computes it in double, trained over some batches (Scripts/golden/normalization.py).
struct NormFigure: Decodable, Sendable, CustomTestStringConvertible {
  struct Numbers: Decodable, Sendable {
    let shape: [Int]
    let values: [Double]

    func double() throws -> DoubleTensor { try DoubleTensor(values, shape: Shape(shape)) }
    func float() throws -> Tensor { Tensor(rounding: try double()) }
  }
  let name: String
  let kind: String
  let options: [String: Double]
  let parameters: [String: Numbers]
  let batches: [Numbers]
  let dy: Numbers
  let y: Numbers
  let dx: Numbers
  let gradients: [String: Numbers]
  let states: [String: Numbers]
  let evaluation: Numbers
  var testDescription: String { name }

  static let all: [NormFigure] = try! String(
    decoding: Figures.data("normalization.jsonl"), as: UTF8.self
  ).split(separator: "\n").map { try JSONDecoder().decode(NormFigure.self, from: Data($0.utf8)) }

  private func number(_ name: String) -> Int { Int(options[name] ?? 0) }

  /// The layer, without the values of its parameters.
  func layer() throws -> any Layer {
    let epsilon = Float(options["epsilon"] ?? 0)
    let channels = number("channels")
    let momentum = options["momentum"].map { Float($0) }
    let last = Shape(batches[0].shape.suffix(number("axes")))
    var source = RandomSource(seed: 1)
    switch kind {
    case "batch":
      return BatchNorm(
        channels, momentum: momentum, epsilon: epsilon, affine: number("affine") == 1,
        tracksRunningStatistics: number("tracks") == 1)
    case "instance":
      return InstanceNorm(
        channels, epsilon: epsilon, momentum: momentum!, affine: number("affine") == 1,
        tracksRunningStatistics: number("tracks") == 1)
    case "group": return GroupNorm(number("groups"), channels, epsilon: epsilon)
    case "layer": return LayerNorm(last, epsilon: epsilon, shift: parameters["shift"] != nil)
    case "RMS": return RMSNorm(last, epsilon: epsilon)
    default: break
    }
    let (inputs, outputs) = (batches[0].shape.last!, number("outputs"))
    // PyTorch stepped before each batch; the figures are those of the last.
    let steps = number("steps") * number("batches")
    switch kind {
    case "spectralLinear":
      let linear = Linear(inputs, outputs, bias: false, using: &source)
      return SpectralNorm(linear, weight: linear.weight, iterations: steps, using: &source)
    case "spectralConvolution":
      let layer = Conv2d(inputs, outputs, kernel: 2, bias: false, using: &source)
      return SpectralNorm(layer, weight: layer.weight, iterations: steps, using: &source)
    default:
      try #require(kind == "spectralTransposed")
      let layer = ConvTranspose2d(inputs, outputs, kernel: 2, bias: false, using: &source)
      return SpectralNorm(
        layer, weight: layer.weight, axis: -1, iterations: steps, using: &source)
    }
  }
}

/// Class golden: norms forward, backward, their running statistics and evaluation against PyTorch, of the
/// Double reference and of the kernels.
@Suite struct NormalizationFigureTests {
  @Test func thereAreFigures() {
    #expect(NormFigure.all.count >= 50)
    #expect(Set(NormFigure.all.map(\.kind)).count == 8)
  }

  /// What the reference and the interpreter find for an input.
  private func results(
    _ graph: Graph, _ x: Tensor
  ) throws -> (reference: ReferenceResults, kernels: Interpreter.Results) {
    try (
      graph.reference(["x": .float32(x)]), Interpreter(graph).run(["x": .float32(x)])
    )
  }

  private func expect(
    _ found: (reference: DoubleTensor, kernels: Tensor), _ expected: NormFigure.Numbers,
    _ what: String
  ) throws {
    let expected = try expected.double()
    // Running statistics are handed on as Floats from batch to batch.
    expectClose(found.reference, expected, bound: 2e-7, "\(what), reference")
    expectClose(found.kernels, expected, bound: 3e-6, "\(what), kernels")
  }

  @Test(arguments: NormFigure.all)
  func asInPyTorch(_ figure: NormFigure) throws {
    let layer = try figure.layer()
    var parameters: [String: Parameter] = [:]
    for (path, parameter) in layer.parameters {
      let name = String(path.split(separator: ".").last!)
      parameters[name] = parameter
      if let value = figure.parameters[name] { parameter.value = try value.float() }
    }
    let names = figure.gradients.keys.sorted()
    #expect(Set(figure.states.keys).isSubset(of: parameters.keys))
    for (index, batch) in figure.batches.enumerated() {
      let input = batch.shape.map(Extent.fixed)
      var graph = try Graph(tracing: layer, input: input, mode: .training)
      guard index == figure.batches.count - 1 else {
        let updates = try Interpreter(graph).run(["x": .float32(batch.float())]).updates
        for (path, parameter) in layer.parameters {
          if let value = updates[path] { parameter.value = value }
        }
        continue
      }
      graph = try graph.contracted(with: figure.dy.float())
      let paths = Dictionary(
        uniqueKeysWithValues: layer.parameters.map {
          (String($0.path.split(separator: ".").last!), $0.path)
        })
      let differentiated = try graph.differentiated(
        contractedName, withRespectTo: .named(["x"] + names.map { paths[$0]! }))
      let (reference, kernels) = try results(differentiated, batch.float())
      func output(_ name: String) throws -> (DoubleTensor, Tensor) {
        try (reference.outputs[name]!, kernels.outputs[name]!.floats(at: name))
      }
      try expect(output("y"), figure.y, "y")
      try expect(output(Graph.gradientName("x")), figure.dx, "dx")
      for name in names {
        try expect(output(Graph.gradientName(paths[name]!)), figure.gradients[name]!, "d \(name)")
      }
      for (name, value) in figure.states {
        try expect(
          (reference.updates[paths[name]!]!, kernels.updates[paths[name]!]!), value, name)
        parameters[name]!.value = kernels.updates[paths[name]!]!
      }
      let evaluation = try results(Graph(tracing: layer, input: input), batch.float())
      try expect(
        (
          evaluation.reference.outputs["y"]!,
          evaluation.kernels.outputs["y"]!.floats(at: "y")
        ), figure.evaluation, "evaluation")
    }
  }
}

extension Graph {
  /// The graph with a further scalar output, Σ cotangent·y.
  fileprivate func contracted(with cotangent: Tensor) throws -> Graph {
    var builder = GraphBuilder(self)
    let y = try output(named: "y").value
    let count = Extent.fixed(cotangent.count)
    let weight = builder.weight(
      "cotangent", try cotangent.reshaped(to: [1, cotangent.count]), role: .state)
    let row = try builder.append(.reshape([1, count]), [y])
    let product = try builder.append(.linear(Epilogue()), [row[0], weight])
    builder.output(contractedName, try builder.append(.reshape([]), product)[0])
    return try builder.finish()
  }
}
