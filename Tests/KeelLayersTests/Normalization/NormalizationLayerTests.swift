import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Every named norm in every way to run it: gradients, kernels, plan, inference form.
@Suite struct NormalizationLayerTests {
  @Test(arguments: NormCase.all, [Trace.Mode.training, .inference])
  func gradients(_ test: NormCase, mode: Trace.Mode) throws {
    if mode == .training, test.stepsOutsideGradient { return }
    let graph = try test.graph(mode)
    var inputs: [String: ReferenceValue] = [:]
    for (name, value) in test.inputs { inputs[name] = ReferenceValue(value) }
    try expectGradients(
      in: graph, withRespectTo: test.differentiableNames(graph), inputs: inputs, seed: 35)
  }

  @Test(arguments: NormCase.all, [Trace.Mode.training, .inference])
  func kernelsAgreeWithTheReference(_ test: NormCase, mode: Trace.Mode) throws {
    let graph = try test.graph(mode)
    let differentiated = try graph.contracted("y", seed: 36).differentiated(
      contractedName, withRespectTo: .named(test.differentiableNames(graph)))
    let expected = try differentiated.reference(test.inputs)
    for threads in [1, 2] {
      let actual = try Interpreter(differentiated, parallelism: Parallelism(threads: threads))
        .run(test.inputs)
      let what = "\(test.name), \(threads) threads"
      for name in expected.outputs.keys.sorted() {
        expectClose(
          try actual.outputs[name]!.floats(at: name), expected.outputs[name]!, bound: 1e-5,
          scale: name == contractedName ? 5 : nil, "\(what): \(name)")
      }
      #expect(actual.updates.keys.sorted() == expected.updates.keys.sorted())
      for (name, value) in expected.updates {
        expectClose(actual.updates[name]!, value, bound: 1e-6, "\(what): update of \(name)")
      }
      let plan = try Plan(
        differentiated, inputShapes: test.inputs.mapValues(\.shape),
        options: PlanOptions(threads: threads, weights: .variable))
      let workspace = plan.makeWorkspace()
      for (name, value) in test.inputs { try workspace.setInput(name, value) }
      try plan.run(workspace)
      for (name, value) in actual.outputs {
        #expect(try workspace.output(name) == value, "\(what): \(name) by a plan")
      }
      for (name, value) in actual.updates {
        #expect(try workspace.weight(name) == value, "\(what): update of \(name) by a plan")
      }
    }
  }

  @Test(arguments: NormCase.all)
  func theInferenceFormIsTheInferenceMode(_ test: NormCase) throws {
    let form = try test.graph(.training).inferenceForm()
    let inference = try test.graph(.inference)
    #expect(form.updates.isEmpty && inference.updates.isEmpty)
    let results = try [form, inference].map { try $0.reference(test.inputs).outputs["y"]! }
    expectClose(results[0], results[1], bound: Tolerance.double, test.name)
    // Folded, too.
    expectClose(
      try form.folded().graph.y(test.inputs), results[1], bound: 1e-5, "\(test.name), folded")
    let plan = try Plan(inference, inputShapes: test.inputs.mapValues(\.shape))
    let y = try plan(test.inputs)["y"]!.floats(at: "y")
    expectClose(y, results[1], bound: 1e-5, "\(test.name), plan of constants")
  }

  /// NaN in one element makes NaN of what the reference makes NaN of, and of nothing else.
  /// Whitening refuses it.
  @Test(
    arguments: NormCase.all.filter { test in !NormCase.whitening.contains { $0.name == test.name }
    },
    [Float.nan, .infinity])
  func whatIsNotFiniteStaysInItsCell(_ test: NormCase, value: Float) throws {
    var x = try test.inputs["x"]!.floats(at: "x")
    x[flat: 3] = value
    var inputs = test.inputs
    inputs["x"] = .float32(x)
    for mode in [Trace.Mode.training, .inference] {
      let graph = try test.graph(mode)
      let (found, expected) = (try graph.y(inputs), try graph.reference(inputs).outputs["y"]!)
      #expect(
        found.elements.map(\.isFinite) == expected.elements.map(\.isFinite),
        "\(test.name), \(mode)")
      #expect(found.elements.contains { !$0.isFinite })
    }
  }
}
