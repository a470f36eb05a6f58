import ArgumentParser
import Foundation
import KeelFormats
import KeelTensor

/// Feeds damaged files to the readers: `make fuzz SECONDS=60`.
///
/// Each reader runs in a process of its own, so that a crash is seen and the next case runs. A case is a function of
/// the seed and its number: what a failure prints runs it again.
@main
struct Fuzz: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "KeelFuzz",
    abstract: "Feeds damaged files to Keel's readers.",
    discussion: """
      A crash, more than \(FuzzRun.timeLimit.processor) s of processor time, and more memory than a reader's \
      stated multiple of the file are failures: the file is saved, and the line that runs the case again is \
      printed. Status 1 says that there was one.

        KeelFuzz --seconds 60
        KeelFuzz --reader onnx --seed 7 --seconds 600
        KeelFuzz --reader onnx --seed 7 --iteration 1234
        KeelFuzz --reader png --file crash.png
      """)

  @Option(help: "Seconds for each reader.") var seconds = 60
  @Option(help: "A reader (default: all); may be repeated.") var reader: [String] = []
  @Option(help: "Seed of the damages.") var seed: UInt64 = 1
  @Option(help: "Run this case alone, in this process.") var iteration: Int?
  @Option(help: "Read this file alone, in this process.") var file: String?
  @Option(help: "The folder of seed files.") var seeds = "Tests/KeelFuzz/Seeds"
  @Option(help: "The folder for files that fail.") var failures = ".build/fuzz"
  @Option(help: .hidden) var first = 0
  @Option(help: .hidden) var progress: String?

  func validate() throws {
    let names = Reader.all.map(\.name)
    for name in reader where !names.contains(name) {
      throw ValidationError(
        "--reader: expected one of \(names.joined(separator: ", ")), found \(name)")
    }
    guard (1...1_000_000).contains(seconds) else {
      throw ValidationError("--seconds: expected 1 to 1,000,000, found \(seconds)")
    }
    guard (iteration == nil && file == nil && progress == nil) || reader.count == 1 else {
      throw ValidationError("--iteration and --file need one --reader")
    }
  }

  func run() throws {
    let readers = Reader.all.filter { reader.isEmpty || reader.contains($0.name) }
    if let file {
      let bytes = try FileBytes(mapping: file)
      do throws(KeelError) {
        try readers[0].read(bytes, URL(filePath: file).lastPathComponent)
        print("read")
      } catch { print(error) }
      return
    }
    if let iteration {
      let run = try fuzzRun(readers[0])
      return run.run(FuzzCase(run.files, seed: seed, iteration: iteration))
    }
    if let progress {
      let counter = try SharedCounter(progress)
      let end = ContinuousClock.now + .seconds(seconds)
      return try fuzzRun(readers[0]).run(from: first, until: end) { counter.value = $0 }
    }
    var failed = false
    for reader in readers { if try !supervise(reader) { failed = true } }
    if failed { throw ExitCode.failure }
  }

  private func fuzzRun(_ reader: Reader) throws -> FuzzRun {
    FuzzRun(reader: reader, files: try SeedFiles("\(seeds)/\(reader.name)"), seed: seed)
  }

  /// Runs a reader's cases in processes of their own, one after the other where they fail.
  /// - Returns: whether none failed.
  private func supervise(_ reader: Reader) throws -> Bool {
    let run = try fuzzRun(reader)
    for (name, bytes) in zip(run.files.names, run.files.contents) {
      do throws(KeelError) { try reader.read(FileBytes(bytes, path: name), name) } catch {
        print("\(reader.name): the seed file \(name) itself cannot be read: \(error)")
        return false
      }
    }
    let end = ContinuousClock.now + .seconds(seconds)
    let path = FileManager.default.temporaryDirectory
      .appending(path: "keel-fuzz-\(ProcessInfo.processInfo.processIdentifier)").path()
    try Data(count: 8).write(to: URL(filePath: path))
    defer { unlink(path) }
    let counter = try SharedCounter(path)
    var (next, failed) = (0, 0)
    // Ten failures are enough to look at.
    while ContinuousClock.now < end, failed < 10 {
      let left = max(1, Int((end - .now).components.seconds))
      let process = Process()
      process.executableURL = Bundle.main.executableURL
      process.arguments = [
        "--reader", reader.name, "--seed", "\(seed)", "--seeds", seeds, "--first", "\(next)",
        "--seconds", "\(left)", "--progress", path,
      ]
      process.environment = ProcessInfo.processInfo.environment
        .merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
      try process.run()
      process.waitUntilExit()
      if process.terminationReason == .exit, process.terminationStatus == 0 {
        next = counter.value
        break
      }
      failed += 1
      try report(counter.value, of: run, process)
      next = counter.value + 1
    }
    print(
      "\(reader.name): \(next) cases, seed \(seed), \(failed) failed; limits \(reader.freeMemory >> 20) MiB "
        + "and \(reader.memoryMultiple) bytes for a byte, \(FuzzRun.timeLimit.processor) s")
    return failed == 0
  }

  private func report(_ iteration: Int, of run: FuzzRun, _ process: Process) throws {
    let fuzzCase = FuzzCase(run.files, seed: seed, iteration: iteration)
    try FileManager.default.createDirectory(atPath: failures, withIntermediateDirectories: true)
    let path = "\(failures)/\(run.reader.name)-\(seed)-\(iteration)-\(fuzzCase.name)"
    try Data(fuzzCase.bytes).write(to: URL(filePath: path))
    let what =
      switch (process.terminationReason, process.terminationStatus) {
      case (.exit, FuzzRun.status.memory): "takes too much memory"
      case (.exit, FuzzRun.status.error): "says too little"
      case (.exit, let status): "ends with status \(status)"
      case (_, SIGPROF), (_, SIGALRM): "takes too long"
      case (_, let signal): "crashes by signal \(signal)"
      }
    print(
      """
      \(run.reader.name): iteration \(iteration), of \(fuzzCase.name), \(what)
        saved as \(path)
        again by: swift run -c release KeelFuzz --reader \(run.reader.name) --seed \(seed) --iteration \(iteration)
      """)
  }
}
