import Keel

var source = RandomSource(seed: 0)
let network = ResNet18(classes: 10, using: &source)
let graph = try Graph(tracing: network, input: [.batch, 224, 224, 3])
let (folded, report) = try graph.folded()  // batch norms into weights, in Double
print(report)  // what went where, and what did not and why
let plan = try Plan(folded, inputShapes: ["x": [1, 224, 224, 3]])
let workspace = plan.makeWorkspace()  // one for each thread that runs the plan
try workspace.setInput("x", .float32(Tensor(normal: [1, 224, 224, 3], using: &source)))
try plan.run(workspace)  // allocates nothing
print(try workspace.output("y").floats(at: "y").elements)
