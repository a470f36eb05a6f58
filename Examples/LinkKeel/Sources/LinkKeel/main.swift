import Keel

/// A network as a user writes one: a struct that holds layers and calls them like functions.
struct Net: Layer {
  let conv: Conv2d
  let bn: BatchNorm
  let pool = GlobalAveragePool()
  let classifier: Linear

  init(using source: inout RandomSource) {
    conv = Conv2d(3, 16, kernel: 3, padding: 1, bias: false, using: &source)
    bn = BatchNorm(16)
    classifier = Linear(16, 4, using: &source)
  }

  func callAsFunction(_ x: Variable) -> Variable { classifier(pool(bn(conv(x)).relu())) }
}

var source = RandomSource(seed: 0)
let graph = try Graph(tracing: Net(using: &source), input: [.batch, 32, 32, 3])
let (folded, report) = try graph.folded()
print(report)

let images = Tensor(normal: [2, 32, 32, 3], using: &source)
func run(_ graph: Graph) throws -> Tensor {
  let plan = try Plan(graph, inputShapes: ["x": images.shape])
  return try plan(["x": .float32(images)])["y"]!.floats(at: "y")
}
let (before, after) = (try run(graph), try run(folded))
let difference = zip(before.elements, after.elements).map { abs($0 - $1) }.max()!
print("logits \(after.shape), largest difference to the unfolded network \(difference)")
guard difference <= 1e-5 else { fatalError("the folded network differs") }
