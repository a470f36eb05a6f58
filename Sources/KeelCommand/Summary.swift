import ArgumentParser
import Keel

/// `keel summary`: what a network is made of.
struct Summary: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows a network's layers: shapes, parameters, multiply-adds, receptive fields.",
    discussion: """
      Without MODEL it lists the built-in networks. Shapes of layers are channels last, as Keel keeps them; \
      those of an ONNX file's inputs and outputs are as it declares them. Multiply-adds are those of \
      convolutions and linear layers for the whole batch. The receptive field is the side of the part of \
      the input that one position sees, padding counted; the jump is the distance of the parts of neighbours.

        keel summary
        keel summary resnet50.onnx --batch 8
        keel summary unet.onnx --extent height=256 --extent width=256
        keel summary resnet18
        keel summary resnet50 --input 96x96x3 --classes 10 --batch 8 --json
      """)

  @Argument(
    help: "An ONNX file, or a built-in network.", completion: .file(extensions: ["onnx"]),
    transform: { try Model(argument: $0) })
  var model: Model?
  @OptionGroup var open: ExtentArguments
  @Option(help: "Images in a batch (default: 1, or what the ONNX file is made for).")
  var batch: Int?
  @Option(
    help: "Height, width and channels of a built-in network's image, such as 224x224x3.",
    transform: imageShape)
  var input: Shape?
  @Option(help: "Number of a built-in network's classes.") var classes: Int?
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    try check("--batch", batch, in: 1...65536)
    try check("--classes", classes, in: 1...100_000)
    switch model {
    case .builtIn?: return
    case .file(let path)?:
      for (option, isGiven) in [("--input", input != nil), ("--classes", classes != nil)]
      where isGiven {
        throw ValidationError("\(option) is for built-in networks, found the ONNX file \(path)")
      }
    case nil:
      for (option, isGiven) in [
        ("--batch", batch != nil), ("--input", input != nil), ("--classes", classes != nil),
        ("--extent", !open.extents.isEmpty),
      ] where isGiven {
        throw ValidationError("\(option) needs a MODEL; `keel summary` lists them")
      }
    }
  }

  private static func imageShape(_ text: String) throws -> Shape {
    let extents = text.split(omittingEmptySubsequences: false) { "x×".contains($0) }.map { Int($0) }
    guard extents.count == 3, extents.allSatisfy({ (1...65536).contains($0 ?? 0) }) else {
      throw ValidationError("Expected three numbers from 1 to 65,536, such as 224x224x3.")
    }
    return Shape(extents.map { $0! })
  }

  func run() throws {
    Terminal.complainAboutSettings()
    guard let model else { return try NetworkList().print(asJSON: json) }
    let report: SummaryReport
    if case .builtIn(let network) = model, open.extents.isEmpty {
      report = try self.report(on: network)
    } else {
      var source = RandomSource(seed: 0)
      let loaded = try model.load(open.extents, using: &source)
      let shapes = try loaded.inputShapes(batch: batch)
      report = try asArguments { try SummaryReport(loaded, shapes) }
    }
    if json { try printJSON(report) } else { report.print() }
  }

  /// A built-in network with other images and classes than its own.
  private func report(on network: BuiltInNetwork) throws -> SummaryReport {
    let image = input ?? network.imageShape
    do {
      var source = RandomSource(seed: 0)
      let loaded = LoadedModel(
        name: network.rawValue,
        graph: try network.graph(imageShape: image, classes: classes, using: &source),
        isFile: false)
      return try SummaryReport(loaded, try loaded.inputShapes(batch: batch))
    } catch let error as KeelError {
      // Built-in networks are well formed: what does not fit came from the options.
      throw ValidationError("\(network.rawValue) on \(image): \(error)")
    }
  }
}

/// The built-in networks.
private struct NetworkList: Encodable {
  private struct Entry: Encodable {
    let name: String
    let input: [Int]
    let classes: Int
    let about: String
  }

  private let networks = BuiltInNetwork.allCases.map {
    Entry(
      name: $0.rawValue, input: $0.imageShape.extents, classes: $0.classes, about: $0.about)
  }

  func print(asJSON: Bool) throws {
    if asJSON { return try printJSON(self) }
    var table = TextTable([("network", .left), ("input", .left), ("classes", .right), ("", .left)])
    for entry in networks {
      table.append([
        entry.name, Shape(entry.input).description, grouped(entry.classes), entry.about,
      ])
    }
    for line in table.lines { Swift.print(line) }
  }
}

/// What `keel summary` prints of a network.
private struct SummaryReport: Encodable {
  private struct Layer: Encodable {
    let path: String
    let operation: String
    let outputShape: [Int]
    let parameters: Int
    let multiplyAdds: Int
    /// Per axis; left out where the input has no positions.
    let receptiveField: [Int]?
    let jump: [Double]?
  }

  /// An input or output.
  private struct Port: Encodable {
    let name: String
    let elementType: String
    let shape: [Int]
  }

  private let network: String
  /// The shape of the first input.
  private let input: [Int]
  private let inputs: [Port]
  private let outputs: [Port]
  private let layers: [Layer]
  private let parameters: Int
  private let runningStatistics: Int
  private let multiplyAdds: Int

  init(_ model: LoadedModel, _ shapes: [String: Shape]) throws {
    let graph = model.graph
    let summary = try GraphSummary(graph, inputShapes: shapes)
    let symbols = try graph.bindSymbols(inputShapes: shapes)
    func port(_ name: String, _ value: ValueID) throws -> Port {
      let type = graph.type(of: value)
      return Port(
        name: name, elementType: type.elementType.rawValue,
        shape: try type.shape(binding: symbols).extents)
    }
    network = model.name
    inputs = try graph.inputs.map { try port($0.name, $0.value) }
    outputs = try graph.outputs.map { try port($0.name, $0.value) }
    input = inputs.first?.shape ?? []
    layers = summary.rows.map { row in
      Layer(
        path: row.path, operation: row.operation, outputShape: row.outputShape.extents,
        parameters: row.parameters, multiplyAdds: row.multiplyAdds,
        receptiveField: row.receptiveField?.axes.map(\.size),
        jump: row.receptiveField?.axes.map(\.jump))
    }
    parameters = summary.parameters
    runningStatistics = summary.stateCount
    multiplyAdds = summary.multiplyAdds
  }

  func print() {
    Swift.print("\(network), \(listed("input", inputs))\n")
    var table = TextTable([
      ("layer", .left), ("operation", .left), ("output", .left), ("parameters", .right),
      ("multiply-adds", .right), ("field", .right), ("jump", .right),
    ])
    for layer in layers {
      table.append([
        place(of: layer), layer.operation, Shape(layer.outputShape).description,
        layer.parameters == 0 ? "" : grouped(layer.parameters),
        layer.multiplyAdds == 0 ? "" : grouped(layer.multiplyAdds),
        perAxis(layer.receptiveField?.map(String.init)),
        perAxis(layer.jump?.map(jump)),
      ])
    }
    for line in table.lines { Swift.print(line) }
    Swift.print(
      """

      \(grouped(parameters)) parameters (\(fixed(Double(4 * parameters) / 1e6, 1)) MB), \
      \(grouped(runningStatistics)) running statistics
      \(grouped(multiplyAdds)) multiply-adds
      """)
  }

  /// Inputs or outputs on a line; of one alone the shape says enough.
  private func listed(_ noun: String, _ ports: [Port]) -> String {
    ports.count == 1
      ? "\(noun) \(Shape(ports[0].shape))"
      : "\(noun)s " + ports.map { "\($0.name) \(Shape($0.shape))" }.joined(separator: ", ")
  }

  /// The path; where it only says after which layer an operation stands, without the operation's name.
  private func place(of layer: Layer) -> String {
    let prefix = "\(layer.operation) after"
    return layer.path.hasPrefix(prefix)
      ? "after" + layer.path.dropFirst(prefix.count) : layer.path
  }

  /// A vector has no neighbours.
  private func jump(_ jump: Double) -> String {
    jump == 0 ? "" : jump == jump.rounded() ? fixed(jump, 0) : fixed(jump, 3)
  }

  /// One number where all axes have the same.
  private func perAxis(_ numbers: [String]?) -> String {
    guard let numbers else { return "" }
    return Set(numbers).count == 1 ? numbers[0] : numbers.joined(separator: "×")
  }
}
