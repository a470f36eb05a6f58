import BenchmarkHarness
import Keel

/// Checks and times one shape after the other.
struct Suite {
  let threads: Int
  let sampling: Sampling

  /// The checks and times of one shape.
  func run(_ shape: ConvolutionShape) throws -> ShapeResult {
    let data = ShapeData(shape)
    let plain = try planned(data.convolutionGraph(), data)
    let unfusedGraph = try data.unfusedGraph()
    let unfused = try planned(unfusedGraph, data)
    let fusedGraph = try unfusedGraph.folded().graph
    guard fusedGraph.nodes.count == 1 else {
      throw Mismatch(
        description: "\(shape.line): folding left \(fusedGraph.nodes.map(\.primitive.name)),"
          + " expected one convolution")
    }
    let fused = try planned(fusedGraph, data)

    for graph in [plain, unfused, fused] { try graph.run() }
    try Checks.convolution(plain.output(), data)
    let difference = try Checks.equal(
      fused.output(), unfused.output(), depth: shape.depth,
      what: "\(shape.line): fused against unfused")

    var contenders = [
      contender(.convolution, plain), contender(.unfused, unfused), contender(.fused, fused),
    ]
    if shape.isDense {
      let product = ReferenceProduct(data, threads: threads)
      try product.check(line: shape.line)
      contenders.append(
        Contender(
          Name.gemm.rawValue, settles: threads > 1, consume: product.checksum,
          repeating: product.run(repetitions:)))
    }
    let comparison = try compare(contenders, sampling: sampling)
    guard comparison.timings.allSatisfy(\.checksum.isFinite) else {
      throw Mismatch(description: "\(shape.line): a result was not finite after timing")
    }
    return ShapeResult(shape, comparison, threads: threads, difference: difference)
  }

  private func planned(_ graph: Graph, _ data: ShapeData) throws(KeelError) -> PlannedGraph {
    try PlannedGraph(graph, inputs: ["x": data.input], threads: threads)
  }

  private func contender(_ name: Name, _ graph: PlannedGraph) -> Contender {
    Contender(name.rawValue, consume: graph.checksum, body: graph.run)
  }
}

/// The names of the contenders, as tables and JSON have them.
enum Name: String, CaseIterable {
  /// The convolution alone.
  case convolution
  /// Convolution, batch norm, ReLU, one after the other.
  case unfused
  /// The three as one convolution with bias and ReLU.
  case fused
  /// One matrix product of the same size.
  case gemm
}
