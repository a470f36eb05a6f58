import BenchmarkHarness
import Foundation
import Keel

/// Answers one request per line, so that another process can interleave its own work with Keel's.
///
/// | request | answer |
/// |---|---|
/// | `machine THREADS` | `ok` and one JSON object |
/// | `prepare JSON` | `ok`; reads `x`, `weight` and `dy` from the folder as the pass needs them |
/// | `normalize JSON` | as `prepare`, for a normalization; reads `x`, `scale`, `shift`, `residual`, `dy` |
/// | `whiten JSON` | as `prepare`, for a whitening; reads `x`, `style`, `dy` |
/// | `network JSON` | as `prepare`, for an ONNX file; reads what its input is called |
/// | `run REPETITIONS` | `ok` and the seconds of all repetitions; one run before them is not timed |
/// | `rerun REPETITIONS` | the same without the run that is not timed |
/// | `result NAME` | `ok`; writes that result of the last run into the folder |
///
/// Files are raw Floats in the machine's byte order and Keel's layout (a network's: the ONNX file's). What cannot be served is answered
/// with `error` and the reason.
struct Service {
  private let folder: URL
  private var prepared: (any PreparedWork)?

  /// Makes a service on a folder for operands and results.
  init(folder: String) { self.folder = URL(fileURLWithPath: folder, isDirectory: true) }

  /// The answer to one line.
  mutating func answer(_ line: String) -> String {
    do {
      let text = try serve(line)
      return text.isEmpty ? "ok" : "ok \(text)"
    } catch {
      return "error " + "\(error)".replacing("\n", with: " ")
    }
  }

  private mutating func serve(_ line: String) throws(KeelError) -> String {
    let parts = line.split(separator: " ", maxSplits: 1)
    let argument = parts.count == 2 ? String(parts[1]) : ""
    switch parts.first {
    case "machine": return try machine(try Self.count(argument, of: "threads"))
    case "prepare":
      try prepare(argument, at: "prepare") { (request: PassRequest, load: Load) throws(KeelError) in
        try PreparedPass(request, load: load)
      }
    case "normalize":
      try prepare(argument, at: "normalize") {
        (request: NormalizationRequest, load: Load) throws(KeelError) in
        try PreparedNormalization(request, load: load)
      }
    case "whiten":
      try prepare(argument, at: "whiten") {
        (request: WhiteningRequest, load: Load) throws(KeelError) in
        try PreparedWhitening(request, load: load)
      }
    case "network":
      try prepare(argument, at: "network") {
        (request: NetworkRequest, load: Load) throws(KeelError) in
        try PreparedNetwork(request, load: load)
      }
    case "run", "rerun":
      let repetitions = try Self.count(argument, of: "repetitions")
      return "\(try run(try pass(), repetitions: repetitions, warms: parts.first == "run"))"
    case "result": try write(try pass().result(argument), to: argument)
    default:
      throw KeelError(
        .argument, at: "request",
        expected: "machine, prepare, normalize, whiten, network, run, rerun or result",
        found: parts.first.map { String($0) } ?? "nothing")
    }
    return ""
  }

  private func machine(_ threads: Int) throws(KeelError) -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      let machine = Machine(threads: threads, blasThreads: 1)
      return String(decoding: try encoder.encode(machine), as: UTF8.self)
    } catch {
      throw KeelError(.value, at: "machine", expected: "an encodable value", found: "\(error)")
    }
  }

  private typealias Load = (String, Shape) throws(KeelError) -> Tensor

  private mutating func prepare<Request: Decodable>(
    _ json: String, at place: String,
    _ make: (Request, Load) throws(KeelError) -> any PreparedWork
  ) throws(KeelError) {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let request: Request
    do {
      request = try decoder.decode(Request.self, from: Data(json.utf8))
    } catch {
      throw KeelError(.argument, at: place, expected: "a pass as JSON", found: "\(error)")
    }
    // First free what was there: two large passes need not be in memory at once.
    prepared = nil
    let folder = folder
    prepared = try make(request) { name, shape throws(KeelError) in
      try Self.read(folder.appending(path: name), shape: shape)
    }
  }

  private func pass() throws(KeelError) -> any PreparedWork {
    guard let prepared else {
      throw KeelError(.argument, at: "request", expected: "prepare before it", found: "none")
    }
    return prepared
  }

  private func run(
    _ work: any PreparedWork, repetitions: Int, warms: Bool
  ) throws(KeelError) -> Double {
    if warms { try work.run() }
    let start = steadySeconds()
    for _ in 0..<repetitions { try work.run() }
    return steadySeconds() - start
  }

  private static func read(_ file: URL, shape: Shape) throws(KeelError) -> Tensor {
    guard let data = try? Data(contentsOf: file) else {
      throw KeelError(.file, at: file.path, expected: "a file", found: "none that can be read")
    }
    guard data.count == 4 * shape.elementCount else {
      throw KeelError(
        .file, at: file.path, expected: "\(4 * shape.elementCount) bytes", found: "\(data.count)")
    }
    return Tensor(uninitialized: shape) { elements in
      _ = data.copyBytes(to: UnsafeMutableRawBufferPointer(elements))
    }
  }

  private func write(_ tensor: Tensor, to name: String) throws(KeelError) {
    let file = folder.appending(path: name)
    do {
      try tensor.elements.withUnsafeBytes { try Data($0).write(to: file) }
    } catch {
      throw KeelError(.file, at: file.path, expected: "a file to write", found: "\(error)")
    }
  }

  private static func count(_ text: String, of what: String) throws(KeelError) -> Int {
    guard let count = Int(text), count >= 1 else {
      throw KeelError(.argument, at: what, expected: "a number of at least 1", found: text)
    }
    return count
  }
}
