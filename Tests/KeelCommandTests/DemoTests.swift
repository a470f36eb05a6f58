import Testing

@Suite struct DemoTests {
  private struct Result: Decodable {
    struct Timing: Decodable {
      struct Pair: Decodable {
        struct Times: Decodable {
          let medianMs: Double
          let minMs: Double
        }
        let unfused: Times
        let fused: Times
        let speedup: Double
      }
      let batch: Int
      let times: Pair
    }
    let seed: Int
    let threads: Int
    let epochs: Int
    let trainSeconds: Double
    let trainImages: Int
    let validationAccuracy: Double
    let testAccuracy: Double
    let testImages: Int
    let top1Agreement: Double
    let maxRelativeDifference: Double
    let folded: Int
    let fused: Int
    let kept: Int
    let batch: Int
    let unfusedMs: Double
    let fusedMs: Double
    let speedup: Double
    let timings: [Timing]
  }

  private func json(threads: String) async throws -> Result {
    let run = try await CommandRun(
      "demo", "--json", "--epochs", "1", "--seed", "1", "--threads", threads)
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    return try run.json()
  }

  @Test func json() async throws {
    let run = try await CommandRun(
      "demo", "--json", "--epochs", "1", "--seed", "1", "--threads", "1")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    #expect(
      try run.keys() == [
        "seed", "threads", "epochs", "train_seconds", "train_images", "validation_accuracy",
        "test_accuracy", "test_images", "top1_agreement", "max_relative_difference", "folded",
        "fused", "kept", "batch", "unfused_ms", "fused_ms", "speedup", "timings",
      ])
    let result = try run.json(Result.self)
    #expect((result.seed, result.threads, result.epochs) == (1, 1, 1))
    #expect(result.trainSeconds > 0)
    #expect(result.trainImages == 1077)
    // After one epoch there is no accuracy to expect, see below.
    #expect((0...1).contains(result.testAccuracy))
    #expect((0...1).contains(result.validationAccuracy))
    #expect(result.testImages >= 350)
    #expect(result.top1Agreement == 1)
    #expect(result.maxRelativeDifference > 0)
    #expect(result.maxRelativeDifference <= 1e-5)
    #expect((result.folded, result.fused, result.kept) == (22, 25, 0))
    #expect(result.timings.map(\.batch) == [1, 64])
    let worst = try #require(
      result.timings.min { $0.times.speedup < $1.times.speedup })
    #expect(result.batch == worst.batch)
    #expect(result.speedup == worst.times.speedup)
    #expect(result.unfusedMs == worst.times.unfused.medianMs)
    #expect(result.fusedMs == worst.times.fused.medianMs)
    for timing in result.timings {
      for times in [timing.times.unfused, timing.times.fused] {
        #expect(times.minMs > 0)
        #expect(times.minMs <= times.medianMs)
      }
    }
    // The same weights for any number of threads, so the same figures.
    let again = try await json(threads: "2")
    #expect(again.threads == 2)
    #expect(again.testAccuracy == result.testAccuracy)
    #expect(again.maxRelativeDifference == result.maxRelativeDifference)
  }

  @Test(arguments: [false, true])
  func text(_ isVerbose: Bool) async throws {
    let run = try await CommandRun(
      ["demo", "--epochs"] + (isVerbose ? ["1", "--verbose"] : ["2"]),
      environment: ["KEEL_THREADS": "1"])
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let lines = run.output.split(separator: "\n").map(String.init)
    #expect(lines[0].hasSuffix(" · 1 thread"))
    let accuracy = try #require(run.output.firstMatch(of: #/accuracy +([\d.]+) % of 360/#))
    // One epoch is all warm-up, and the running statistics are not there yet; two are not.
    #expect(try #require(Double(accuracy.1)) >= (isVerbose ? 0 : 70))
    for part in [
      "220,090 parameters", "1,077 to train, 360 to validate, 360 to test",
      isVerbose ? "1 epoch in " : "2 epochs in ",
      "same class for 100.00 %", "(at most 1e-05)", "22 folded, 25 fused, 0 kept",
    ] {
      #expect(run.output.contains(part), "\(part)")
    }
    let operations = lines.count { $0.hasPrefix("  folded ") || $0.hasPrefix("  fused ") }
    #expect(operations == (isVerbose ? 47 : 0))
    let stages = lines.filter { $0.hasPrefix("  stage") || $0.hasPrefix("  conv1") }
      .map { $0.split(separator: " ") }
    #expect(
      stages
        == (isVerbose
          ? []
          : [
            ["conv1", "1", "1", "·"], ["stage1", "7", "6", "2"], ["stage2", "7", "6", "2"],
            ["stage3", "7", "6", "2"],
          ]))
  }
}
