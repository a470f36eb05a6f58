import Testing

@Suite struct ArgumentTests {
  /// Wrong calls, each with a part of the message that says what is wrong.
  static let wrong: [(arguments: [String], message: String)] = [
    (["demo", "--threads", "0"], "--threads: expected 1 to 1,024, found 0"),
    (["demo", "--threads", "many"], "--threads"),
    (["demo", "--threads", "1000000000"], "--threads: expected 1 to 1,024, found 1000000000"),
    (["demo", "--epochs", "0"], "--epochs: expected 1 to 100,000, found 0"),
    (["demo", "--epochs", "9223372036854775807"], "--epochs: expected 1 to 100,000"),
    (["demo", "--seed", "x"], "--seed"),
    (["demo", "digits"], "digits"),
    (["bench"], "<model>"),
    (["bench", "nothing"], "'nothing' is invalid"),
    (["bench", "digits", "--threads", "0"], "--threads: expected 1 to 1,024, found 0"),
    (["bench", "digits", "--batch", "0"], "--batch: expected 1 to 65,536, found 0"),
    (["bench", "digits", "--batch", "9223372036854775807"], "--batch: expected 1 to 65,536"),
    (["bench", "digits", "--rounds", "0"], "--rounds: expected 1 to 100,000, found 0"),
    (["bench", "digits", "--nonsense"], "--nonsense"),
    (["bench", "digits", "--extent", "x=2"], "--extent x: expected an ONNX file as MODEL"),
    (["bench", "digits", "--extent", "x"], "Expected name=value"),
    (["verify", "digits", "--tolerance", "-1"], "--tolerance"),
    (["verify", "digits", "--tolerance=-1"], "--tolerance: expected a number from 0, found -1.0"),
    (["verify", "digits", "--runs", "0"], "--runs: expected 1 to 100,000, found 0"),
    (["verify", "digits", "--runs", "2", "--input", "x.npy"], "--runs is for random inputs"),
    (["verify", "digits", "--mean", "0.5"], "--mean is for PNG inputs"),
    (["verify"], "<model>"),
    (["run", "digits", "x.npy"], "--output"),
    (["run", "digits", "-o", "x"], "found none for x (float32 batch×8×8×1)"),
    (["run", "digits", "y=x.npy", "-o", "x"], "y=x.npy: expected a file, or one for x"),
    (["run", "digits", "x.png", "-o", "x", "--std", "0"], "--std: expected numbers above 0"),
    (["run", "digits", "x.png", "-o", "x", "--std", "a,b"], "Expected numbers between commas"),
    (["fold"], "<model>"),
    (["fold", "rezn"], "'rezn' is invalid"),
    (["doctor", "--nonsense"], "--nonsense"),
    (["nonsense"], "nonsense"),
    (["--nonsense"], "--nonsense"),
  ]

  @Test(arguments: wrong.indices)
  func wrongArguments(_ index: Int) async throws {
    let (arguments, message) = Self.wrong[index]
    let run = try await CommandRun(arguments)
    #expect(run.status == 2, "\(arguments)")
    #expect(run.output.isEmpty, "\(arguments)")
    #expect(run.messages.contains("Error: "), "\(arguments): \(run.messages)")
    #expect(run.messages.contains(message), "\(arguments): \(run.messages)")
  }

  @Test(arguments: [
    ["--help"], ["help"], [], ["demo", "--help"], ["help", "bench"],
    ["help", "summary"], ["help", "fold"], ["help", "verify"], ["help", "run"],
  ])
  func help(_ arguments: [String]) async throws {
    let run = try await CommandRun(arguments)
    #expect(run.status == 0)
    #expect(run.output.contains("USAGE: keel"))
    #expect(run.messages.isEmpty)
    let lines = run.output.split(separator: "\n").filter { !$0.hasPrefix("USAGE") }
    #expect(lines.allSatisfy { $0.count <= 80 })
  }

  @Test func helpNamesEveryCommandAndStatus() async throws {
    let text = try await CommandRun("--help").output
    for part in [
      "demo", "summary", "fold", "verify", "run", "bench", "doctor", "--json",
      "Exit status: 0 done", "--generate-completion-script",
    ] {
      #expect(text.contains(part), "\(part)")
    }
  }

  /// Completion knows the commands, and completes MODEL with files.
  @Test(arguments: ["bash", "zsh", "fish"])
  func completion(_ shell: String) async throws {
    let run = try await CommandRun("--generate-completion-script", shell)
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    for part in ["summary", "verify", "extent", "onnx", "npy"] {
      #expect(run.output.contains(part), "\(part)")
    }
  }

  @Test func version() async throws {
    let run = try await CommandRun("--version")
    #expect(run.status == 0)
    #expect(run.output.wholeMatch(of: #/\d+\.\d+\.\d+\n/#) != nil)
    #expect(run.messages.isEmpty)
  }
}
