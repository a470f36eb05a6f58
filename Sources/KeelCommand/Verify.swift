import ArgumentParser
import Keel

/// `keel verify`: the folded network against the unfolded one.
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Proves a folded network equal to the unfolded one, which is run in Double.",
    discussion: """
      The unfolded graph is evaluated in Double by the definitions of its operations, the folded one as \
      `keel run` does, on the same random inputs or on those of --input. Status 1 says that an output \
      differs by more than the tolerance, relative to its largest magnitude.

        keel verify resnet50.onnx
        keel verify resnet50.onnx --batch 2 --runs 3 --tolerance 1e-5 --json
        keel verify resnet50.onnx --input cat.npy
      """)

  @OptionGroup var model: ModelArguments
  @Option(
    help: ArgumentHelp(
      "An input from a file, as of `keel run`, instead of random numbers; may be repeated.",
      valueName: "file"),
    completion: .file(extensions: ["npy", "npz", "png"]))
  var input: [String] = []
  @OptionGroup var pictures: PictureArguments
  @Option(help: "Images in a batch (default: 1, or what the ONNX file is made for).")
  var batch: Int?
  @Option(help: "Runs on inputs of their own (default: 1).") var runs: Int?
  @Option(help: "Largest difference, relative to the largest output, that passes.")
  var tolerance = 1e-4
  @Option(help: "Threads (default: what this process may use).") var threads: Int?
  @Option(help: "Seed of random weights and inputs.") var seed: UInt64 = 0
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    try check("--batch", batch, in: 1...65536)
    try check("--runs", runs, in: 1...100_000)
    try check("--threads", threads, in: 1...1024)
    guard tolerance >= 0, tolerance.isFinite else {
      throw ValidationError("--tolerance: expected a number from 0, found \(tolerance)")
    }
    guard !input.isEmpty else { return try pictures.check(isUsed: false) }
    for (option, isGiven) in [("--batch", batch != nil), ("--runs", runs != nil)] where isGiven {
      throw ValidationError("\(option) is for random inputs, found --input")
    }
  }

  private struct Result: Encodable {
    struct Output: Encodable {
      let name: String
      let shape: [Int]
      let maxDifference: Double
      let maxRelativeDifference: Double
      /// Of outputs N×K alone.
      let top1Agreement: Double?
    }
    let network: String
    let runs: Int
    let seed: UInt64?
    let threads: Int
    let tolerance: Double
    let passed: Bool
    let maxDifference: Double
    let maxRelativeDifference: Double
    let top1Agreement: Double?
    let outputs: [Output]
  }

  func run() throws {
    Terminal.complainAboutSettings()
    let threads = Parallelism(threads: threads).threadCount
    var source = RandomSource(seed: seed)
    let model = try model.load(using: &source)
    let given = input.isEmpty ? nil : try InputFiles(input, for: model, pictures).values
    let shapes = try given?.mapValues(\.shape) ?? model.inputShapes(batch: batch)
    let folded = try Terminal.during("folding \(model.name)") { try model.graph.folded().graph }
    var verification = try Verification(model.graph, folded, shapes: shapes, threads: threads)
    let runs = given == nil ? runs ?? 1 : 1
    var bar = ProgressBar("verifying")
    for run in 0..<runs {
      let inputs = try given ?? model.randomInputs(shapes, using: &source)
      try asArguments {
        try verification.run(inputs) { done, operations in
          bar.show(
            run * operations + done, of: runs * operations, "run \(run + 1) of \(runs), in Double")
        }
      }
    }
    bar.finish()
    let passed = verification.maxRelativeDifference <= tolerance
    let result = Result(
      network: model.name, runs: runs, seed: given == nil ? seed : nil, threads: threads,
      tolerance: tolerance, passed: passed, maxDifference: verification.maxDifference,
      maxRelativeDifference: verification.maxRelativeDifference,
      top1Agreement: verification.topOneAgreement,
      outputs: verification.outputs.map { output in
        Result.Output(
          name: output.name, shape: output.shape.extents,
          maxDifference: output.difference.absolute,
          maxRelativeDifference: output.difference.relative, top1Agreement: output.topOneAgreement)
      })
    if json { try printJSON(result) } else { show(result, model.described(shapes)) }
    guard passed else {
      throw CheckFailure(
        message: "the folded network differs from the unfolded one by "
          + "\(scientific(result.maxRelativeDifference, 2)) of the largest output, which is more than "
          + "\(tolerance)")
    }
  }

  private func show(_ result: Result, _ inputs: String) {
    print(
      """
      \(result.network), input \(inputs), \(count(result.runs, "run")): folded in Float against \
      unfolded in Double

      """)
    var table = TextTable([
      ("output", .left), ("shape", .left), ("largest difference", .right), ("relative", .right),
      ("same class", .right),
    ])
    for output in result.outputs {
      table.append([
        output.name, Shape(output.shape).description, scientific(output.maxDifference, 2),
        scientific(output.maxRelativeDifference, 2),
        output.top1Agreement.map { fixed($0 * 100, 2) + " %" } ?? "",
      ])
    }
    for line in table.lines { print(line) }
    print(
      """

      \(result.passed ? "passed" : "failed"): \(scientific(result.maxRelativeDifference, 2)) of the \
      largest output, at most \(result.tolerance)
      """)
  }
}
