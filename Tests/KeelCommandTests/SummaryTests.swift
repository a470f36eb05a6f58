import Testing

@Suite struct SummaryTests {
  private struct Report: Decodable {
    struct Layer: Decodable {
      let path: String
      let operation: String
      let outputShape: [Int]
      let parameters: Int
      let multiplyAdds: Int
      let receptiveField: [Int]?
      let jump: [Double]?
    }
    let network: String
    let input: [Int]
    let layers: [Layer]
    let parameters: Int
    let runningStatistics: Int
    let multiplyAdds: Int
  }

  private struct List: Decodable {
    struct Network: Decodable {
      let name: String
      let input: [Int]
      let classes: Int
      let about: String
    }
    let networks: [Network]
  }

  @Test func json() async throws {
    let run = try await CommandRun("summary", "lenet", "--json")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let report = try run.json(Report.self)
    #expect(report.network == "lenet")
    #expect(report.input == [1, 28, 28, 1])
    #expect(report.parameters == 1_256_080)
    #expect(report.runningStatistics == 0)
    #expect(report.multiplyAdds == 6_522_000)
    let layers = report.layers
    #expect(
      layers.map(\.operation) == [
        "convolution", "ReLU", "max pooling", "convolution", "ReLU", "max pooling", "reshape",
        "linear", "ReLU", "linear",
      ])
    #expect(layers[0].path == "conv1" && layers[0].outputShape == [1, 28, 28, 20])
    #expect(layers.map(\.parameters) == [520, 0, 0, 25050, 0, 0, 0, 1_225_500, 0, 5010])
    #expect(
      layers.map(\.multiplyAdds) == [392_000, 0, 0, 4_900_000, 0, 0, 0, 1_225_000, 0, 5000])
    #expect(layers[5].receptiveField == [16, 16] && layers[5].jump == [4, 4])
    #expect(
      try run.keys() == [
        "network", "input", "inputs", "outputs", "layers", "parameters", "running_statistics",
        "multiply_adds",
      ])
  }

  @Test func options() async throws {
    let report = try await CommandRun(
      "summary", "resnet20", "--json", "--batch", "4", "--input", "16x24x1", "--classes", "7"
    ).json(Report.self)
    #expect(report.input == [4, 16, 24, 1])
    #expect(report.layers[0].outputShape == [4, 16, 24, 16])
    #expect(report.layers[0].multiplyAdds == 4 * 16 * 24 * 16 * 9)
    #expect(report.layers.last?.outputShape == [4, 7])
    #expect(report.runningStatistics > 0)
  }

  /// Columns stand under their titles.
  @Test func text() async throws {
    let run = try await CommandRun("summary", "cifar-plain")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines[0] == "cifar-plain, input 1×32×32×3")
    #expect(
      lines[2]
        == "layer        operation    output      parameters  multiply-adds  field  jump")
    #expect(
      lines[3]
        == "conv1        convolution  1×28×28×6          456        352,800      5     1")
    #expect(
      lines[4]
        == "after conv1  ReLU         1×28×28×6                                  5     1")
    #expect(
      lines.suffix(3).dropLast() == [
        "62,006 parameters (0.2 MB), 0 running statistics", "651,720 multiply-adds",
      ])
    #expect(lines.allSatisfy { $0.last != " " })
  }

  @Test func list() async throws {
    let run = try await CommandRun("summary")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let networks = try await CommandRun("summary", "--json").json(List.self).networks
    #expect(networks.contains { $0.name == "resnet18" && $0.input == [224, 224, 3] })
    #expect(Set(networks.map(\.name)).count == networks.count)
    for network in networks {
      #expect(run.output.contains("\n\(network.name) "), "\(network.name)")
      #expect(!network.about.isEmpty && network.classes > 0)
    }
  }

  /// Every network in the list has a summary. Those of more than 100 MB of weights are counted elsewhere.
  @Test func everyNetwork() async throws {
    for network in try await CommandRun("summary", "--json").json(List.self).networks
    where !["vgg11", "vgg11-bn", "unet"].contains(network.name) {
      let report = try await CommandRun("summary", network.name, "--json").json(Report.self)
      #expect(report.input == [1] + network.input)
      #expect(report.layers.last?.outputShape.last == network.classes)
      #expect(report.multiplyAdds == report.layers.reduce(0) { $0 + $1.multiplyAdds })
      #expect(report.parameters == report.layers.reduce(0) { $0 + $1.parameters })
    }
  }

  static let wrong: [(arguments: [String], message: String)] = [
    (["resnt18"], "Did you mean resnet18?"),
    (["RESNET-50"], "Did you mean resnet50?"),
    (["nothing-like-it"], "`keel summary` lists the built-in networks."),
    (["lenet", "--input", "28x28"], "Expected three numbers from 1 to 65,536, such as 224x224x3."),
    (["lenet", "--input", "28x28x0"], "Expected three numbers from 1 to 65,536"),
    (["lenet", "--input", "28xax1"], "Expected three numbers from 1 to 65,536"),
    (["lenet", "--input", "99999999999999999999x1x1"], "Expected three numbers"),
    (["lenet", "--input", "3x3x1"], "lenet on 3×3×1: "),
    (["cifar-plain", "--input", "8x8x3"], "cifar-plain on 8×8×3: "),
    (["lenet", "--batch", "0"], "--batch: expected 1 to 65,536, found 0"),
    (["lenet", "--classes", "0"], "--classes: expected 1 to 100,000, found 0"),
    (["lenet", "--classes", "-1"], "--classes"),
    (["--batch", "2"], "--batch needs a MODEL"),
    (["--input", "8x8x1"], "--input needs a MODEL"),
    (["--classes", "2"], "--classes needs a MODEL"),
    (["--extent", "h=2"], "--extent needs a MODEL"),
    (["x.onnx", "--classes", "2"], "--classes is for built-in networks"),
    (["x.onnx", "--input", "8x8x1"], "--input is for built-in networks"),
    (
      ["resnet18", "--batch", "65536", "--input", "65536x65536x256"], "fewer than 2⁶³ multiply-adds"
    ),
  ]

  @Test(arguments: wrong.indices)
  func wrongArguments(_ index: Int) async throws {
    let (arguments, message) = Self.wrong[index]
    let run = try await CommandRun(["summary"] + arguments)
    #expect(run.status == 2, "\(arguments)")
    #expect(run.output.isEmpty, "\(arguments)")
    #expect(run.messages.contains("Error: "), "\(arguments): \(run.messages)")
    #expect(run.messages.contains(message), "\(arguments): \(run.messages)")
  }

  @Test func help() async throws {
    let run = try await CommandRun("help", "summary")
    #expect(run.status == 0)
    for part in ["keel summary resnet50 --input 96x96x3", "--batch", "--classes", "--json"] {
      #expect(run.output.contains(part), "\(part)")
    }
    #expect(try await CommandRun("--help").output.contains("summary"))
  }
}
