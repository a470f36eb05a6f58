import ArgumentParser
import Foundation
import Keel

/// `keel run`: a network on files.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs a network on .npy, .npz or .png files; writes one .npy for each output.",
    discussion: """
      INPUT is a file, for the next input without one, or name=file. An array has the shape that the ONNX \
      file declares, an npz file an array for each input by its name. Several pictures for one input are \
      its batch; their pixels are 0 to 1, then (x − mean)/std; grey ones stand for every channel. The \
      network is folded first. Built-in networks have random weights and take images N×H×W×C.

        keel run resnet50.onnx x.npy -o results
        keel run resnet50.onnx cat.png dog.png -o results --mean 0.5 --std 0.25
        keel run detector.onnx image=x.npy sizes=sizes.npy -o results --json
      """)

  @OptionGroup var model: ModelArguments
  @Argument(
    help: "Files for the network's inputs.", completion: .file(extensions: ["npy", "npz", "png"]))
  var inputs: [String] = []
  @Option(
    name: .shortAndLong, help: "The folder to write to; it is made where there is none.",
    completion: .directory)
  var output: String
  @OptionGroup var pictures: PictureArguments
  @Option(help: "Threads (default: what this process may use).") var threads: Int?
  @Option(help: "Seed of a built-in network's random weights.") var seed: UInt64 = 0
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws { try check("--threads", threads, in: 1...1024) }

  private struct Result: Encodable {
    struct Port: Encodable {
      let name: String
      let elementType: String
      let shape: [Int]
      let files: [String]
    }
    let network: String
    let threads: Int
    let runMs: Double
    let inputs: [Port]
    let outputs: [Port]
  }

  func run() throws {
    Terminal.complainAboutSettings()
    let threads = Parallelism(threads: threads).threadCount
    var source = RandomSource(seed: seed)
    let model = try model.load(using: &source)
    let given = try InputFiles(inputs, for: model, pictures)
    let plan = try Terminal.during("folding \(model.name)") {
      try model.graph.folded().graph.plan(given.values.mapValues(\.shape), threads: threads)
    }
    let workspace = plan.makeWorkspace()
    for (name, value) in given.values { try workspace.setInput(name, value) }
    let start = ContinuousClock.now
    try Terminal.during("running \(model.name)") {
      try asArguments { try plan.run(workspace) }
    }
    let seconds = (ContinuousClock.now - start).seconds
    let result = Result(
      network: model.name, threads: threads, runMs: seconds * 1000,
      inputs: model.inputs.map { name, _ in port(name, given.values[name]!, given.paths[name]!) },
      outputs: try write(model.graph.outputs.map(\.name), of: workspace))
    if json { try printJSON(result) } else { show(result) }
  }

  private func port(_ name: String, _ value: TensorValue, _ files: [String]) -> Result.Port {
    Result.Port(
      name: name, elementType: value.elementType.rawValue, shape: value.shape.extents, files: files)
  }

  private func write(_ names: [String], of workspace: Workspace) throws -> [Result.Port] {
    let folder = URL(filePath: output)
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw FileFailure(message: "\(output): expected a folder that can be written to")
    }
    return try zip(names, Self.fileNames(names)).map { name, fileName in
      let path = folder.appending(path: fileName).path(percentEncoded: false)
      let value = try workspace.output(name)
      try NumPyFile.write(value, to: path)
      return port(name, value, [path])
    }
  }

  /// A name of a file for each output: its own, with `_` for what is no letter, digit, point or dash, and a number
  /// where that makes two the same.
  static func fileNames(_ outputs: [String]) -> [String] {
    var taken: Set<String> = []
    return outputs.map { output in
      var name = String(output.map { $0.isLetter || $0.isNumber || "._-".contains($0) ? $0 : "_" })
      if name.isEmpty || name.hasPrefix(".") { name = "_" + name }
      var (unique, number) = (name, 2)
      // Some file systems do not tell letters' cases apart.
      while !taken.insert(unique.lowercased()).inserted {
        unique = "\(name)-\(number)"
        number += 1
      }
      return unique + ".npy"
    }
  }

  private func show(_ result: Result) {
    var table = TextTable([("", .left), ("name", .left), ("type", .left), ("file", .left)])
    for (kind, ports) in [("input", result.inputs), ("output", result.outputs)] {
      for port in ports {
        table.append([
          kind, port.name, "\(port.elementType) \(Shape(port.shape))",
          port.files.joined(separator: ", "),
        ])
      }
    }
    for line in table.lines { print(line) }
    print(
      "\n\(result.network) in \(milliseconds(result.runMs)) ms on \(count(result.threads, "thread"))"
    )
  }
}
