import ArgumentParser
import Keel

/// `keel summary`: what a network is made of.
struct Summary: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows a network's layers: shapes, parameters, multiply-adds, receptive fields.",
    discussion: """
      Without MODEL it lists the built-in networks. Multiply-adds are those of convolutions and linear \
      layers for the whole batch. The receptive field is the side of the part of the input that one \
      position sees, padding counted; the jump is the distance of the parts of neighbours.

        keel summary
        keel summary resnet18
        keel summary resnet50 --input 96x96x3 --classes 10 --batch 8 --json
      """)

  @Argument(help: "A built-in network.", transform: BuiltInNetwork.named)
  var model: BuiltInNetwork?
  @Option(help: "Images in a batch.") var batch: Int?
  @Option(
    help: "Height, width and channels of an image, such as 224x224x3.", transform: imageShape)
  var input: Shape?
  @Option(help: "Number of classes.") var classes: Int?
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    try check("--batch", batch, in: 1...65536)
    try check("--classes", classes, in: 1...100_000)
    guard model == nil else { return }
    for (option, isGiven) in [
      ("--batch", batch != nil), ("--input", input != nil), ("--classes", classes != nil),
    ] where isGiven {
      throw ValidationError("\(option) needs a MODEL; `keel summary` lists them")
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
    let image = input ?? model.imageShape
    do {
      var source = RandomSource(seed: 0)
      let graph = try model.graph(imageShape: image, classes: classes, using: &source)
      let shape = Shape([batch ?? 1] + image.extents)
      let report = SummaryReport(
        model.rawValue, shape, try GraphSummary(graph, inputShapes: ["x": shape]))
      if json { try printJSON(report) } else { report.print() }
    } catch let error as KeelError {
      // Built-in networks are well formed: what does not fit came from the options.
      throw ValidationError("\(model.rawValue) on \(image): \(error)")
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

  private let network: String
  private let input: [Int]
  private let layers: [Layer]
  private let parameters: Int
  private let runningStatistics: Int
  private let multiplyAdds: Int

  init(_ network: String, _ input: Shape, _ summary: GraphSummary) {
    self.network = network
    self.input = input.extents
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
    Swift.print("\(network), input \(Shape(input))\n")
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
