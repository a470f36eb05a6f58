import Foundation
import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: which algorithms plans take, and the file that keeps what was measured.
@Suite struct AlgorithmChoiceTests {
  private let shapes: [String: Shape] = ["x": [1, 40, 40, 64]]

  /// A convolution that Winograd's filtering serves, and one that it does not.
  private func graph() throws -> Graph {
    var writer = NetworkWriter(seed: 3)
    let x = writer.builder.input("x", ValueType([.batch, 40, 40, 64]))
    let first = try writer.convolution(x, try geometry(kernel: 3), label: "first")
    writer.builder.output(
      "y", try writer.convolution(first, try geometry(kernel: 1), label: "second"))
    return try writer.builder.finish()
  }

  private func geometry(kernel: Int) throws -> ConvolutionGeometry {
    try ConvolutionGeometry(
      inputHeight: 40, inputWidth: 40, inputChannels: 64, outputChannels: 64,
      kernel: (kernel, kernel), padding: (kernel / 2, kernel / 2))
  }

  private func plan(_ options: PlanOptions) throws -> Plan {
    try Plan(try graph(), inputShapes: shapes, options: options)
  }

  private func algorithms(_ plan: Plan) -> [ConvolutionAlgorithm?] {
    (0..<plan.stepCount).map {
      plan.stepAlgorithm($0).flatMap(ConvolutionAlgorithm.init(rawValue:))
    }
  }

  private func measured(_ file: String, exact: Bool = false) -> PlanOptions {
    PlanOptions(threads: 1, exact: exact, choice: .measured(seconds: 60, file: file))
  }

  @Test func exactPlansLeaveWinogradOut() throws {
    #expect(algorithms(try plan(PlanOptions(threads: 1))) == [.winograd4x4, .indirect])
    #expect(algorithms(try plan(PlanOptions(threads: 1, exact: true))) == [.indirect, .indirect])
    // Weights that change are not transformed.
    #expect(
      algorithms(try plan(PlanOptions(threads: 1, weights: .variable)))
        == [.indirect, .indirect])
  }

  /// Exact plans are the interpreter bit by bit; others are as near to the reference as Winograd's filtering is.
  @Test(arguments: [1, 2]) func results(threads: Int) throws {
    let graph = try graph()
    let inputs = try graph.randomInputs(seed: 5, batch: 1)
    let expected = try Interpreter(graph).run(inputs).outputs["y"]!
    let exact = try plan(PlanOptions(threads: threads, exact: true))(inputs)["y"]!
    #expect(exact.bits == expected.bits)
    let fast = try plan(PlanOptions(threads: threads))(inputs)["y"]!
    let error = try largestDifference(fast.floats(at: "y"), expected.floats(at: "y"))
    #expect(error <= Tolerance.winograd * Tolerance.reduction(length: 9 * 64 + 64))
    #expect(error > 0)
  }

  private func largestDifference(_ a: Tensor, _ b: Tensor) -> Double {
    let largest = b.elements.map { Double(abs($0)) }.max() ?? 1
    return (zip(a.elements, b.elements).map { Double(abs($0 - $1)) }.max() ?? 0) / largest
  }

  // MARK: The file

  @Test func measuredChoicesAreKept() throws {
    let folder = try TemporaryFolder()
    let file = folder.file("choices.json")
    let first = algorithms(try plan(measured(file)))
    #expect(first.allSatisfy { $0 != nil })
    let text = try String(contentsOfFile: file, encoding: .utf8)
    #expect(text.contains("keel-choices"))
    // What the file says is taken, not measured again.
    let other = text.replacing(
      /"winograd[24]x[24]"|"compactWinograd4x4"|"indirect"|"pointwise"/, with: "\"im2col\"")
    try other.write(toFile: file, atomically: true, encoding: .utf8)
    #expect(algorithms(try plan(measured(file))) == [.im2col, .im2col])
    #expect(try String(contentsOfFile: file, encoding: .utf8) == other)
    // Exact plans have choices of their own.
    let exact = algorithms(try plan(measured(file, exact: true)))
    #expect(exact.allSatisfy { $0?.isExact == true })
  }

  @Test func filesOfOtherMachinesAreLeftAside() throws {
    let folder = try TemporaryFolder()
    let file = folder.file("choices.json")
    _ = try plan(measured(file))
    let text = try String(contentsOfFile: file, encoding: .utf8)
    let entries = text.replacing(
      /"winograd[24]x[24]"|"compactWinograd4x4"|"indirect"|"pointwise"/, with: "\"depthwise\"")
    let others = [
      entries.replacing(/"machine" : "[^"]*"/, with: "\"machine\" : \"another\""),
      entries.replacing("\"version\" : 1", with: "\"version\" : 2"),
      // Of this machine, but no algorithm that serves.
      entries, "{", "", "[]",
    ]
    for other in others {
      try other.write(toFile: file, atomically: true, encoding: .utf8)
      let found = algorithms(try plan(measured(file)))
      #expect(found.allSatisfy { $0 != nil && $0 != .depthwise }, "\(other.prefix(80))")
      #expect(try String(contentsOfFile: file, encoding: .utf8).contains("\"version\" : 1"))
    }
  }

  @Test func noTimeToMeasure() throws {
    let folder = try TemporaryFolder()
    let file = folder.file("choices.json")
    for seconds in [0, -1, -Double.infinity] {
      let options = PlanOptions(threads: 1, choice: .measured(seconds: seconds, file: file))
      #expect(algorithms(try plan(options)) == [.winograd4x4, .indirect])
      #expect(!FileManager.default.fileExists(atPath: file))
    }
  }

  @Test func unwritableFile() throws {
    let folder = try TemporaryFolder()
    let file = folder.file("missing/choices.json")
    let error = #expect(throws: KeelError.self) { try plan(measured(file)) }
    #expect(error?.kind == .file)
  }
}
