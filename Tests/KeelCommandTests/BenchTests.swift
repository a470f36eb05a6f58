import Testing

@Suite struct BenchTests {
  private struct Result: Decodable {
    struct Times: Decodable {
      let medianMs: Double
      let minMs: Double
    }
    let network: String
    let batch: Int
    let threads: Int
    let rounds: Int
    let vectorLevel: String
    let blasCore: String
    let multiplyAddsPerImage: Int
    let unfused: Times
    let fused: Times
    let speedup: Double
    let fusedGflopPerSecond: Double
    let maxRelativeDifference: Double
    let weightsMb: Double
    let packedWeightsMb: Double
    let workspaceMb: Double
    let arenaMb: Double
    let peakRssMb: Double
    let convolutionsAlone: Times
    let normAndActivationCost: Double
    let layers: [Layer]
  }

  private struct Layer: Decodable {
    let operation: String
    let layer: String
    let algorithm: String?
    let medianMs: Double
  }

  @Test func json() async throws {
    let run = try await CommandRun("bench", "digits", "--json", "--rounds", "25")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let result = try run.json(Result.self)
    #expect(result.network == "digits")
    #expect(result.batch == 1)
    #expect(result.rounds == 25)
    #expect(result.threads >= 1)
    #expect(!result.vectorLevel.isEmpty)
    #expect(!result.blasCore.isEmpty)
    #expect(result.multiplyAddsPerImage == 2_092_544)
    #expect(abs(result.normAndActivationCost) < 3)
    for times in [result.unfused, result.fused, result.convolutionsAlone] {
      #expect(times.minMs > 0)
      #expect(times.minMs <= times.medianMs)
    }
    #expect(result.speedup > 0)
    #expect(result.fusedGflopPerSecond > 0)
    #expect(result.maxRelativeDifference <= 1e-5)
    // 220,090 trainable values, and two running statistics for each of 1,808 channels.
    #expect(abs(result.weightsMb - 4 * (220_090 + 2 * 1808) / 1e6) <= 1e-9)
    #expect(result.packedWeightsMb >= result.weightsMb / 2)
    #expect(result.arenaMb > 0)
    #expect(result.workspaceMb >= result.arenaMb)
    // The program alone has some megabytes; the tests' own memory, some hundreds, must not count.
    #expect(result.peakRssMb > result.weightsMb + result.workspaceMb && result.peakRssMb < 150)
    #expect(
      try run.keys() == [
        "network", "batch", "threads", "rounds", "vector_level", "blas_core",
        "multiply_adds_per_image", "unfused", "fused", "speedup", "fused_gflop_per_second",
        "max_relative_difference", "weights_mb", "packed_weights_mb", "workspace_mb", "arena_mb",
        "peak_rss_mb",
        "convolutions_alone", "norm_and_activation_cost", "layers",
      ])
    #expect(result.layers.count > 10)
    for layer in result.layers {
      #expect(layer.medianMs > 0, "\(layer.layer)")
      if layer.operation == "convolution" { #expect(layer.algorithm != nil) }
    }
  }

  /// Results depend on the seed, not on the number of threads.
  @Test func seedsAndThreads() async throws {
    func difference(_ seed: String, _ threads: String) async throws -> Double {
      let result = try await CommandRun(
        "bench", "digits", "--json", "--rounds", "1", "--batch", "16", "--seed", seed,
        environment: ["KEEL_THREADS": threads]
      ).json(Result.self)
      #expect(result.threads == Int(threads))
      #expect(result.batch == 16)
      return result.maxRelativeDifference
    }
    let first = try await difference("1", "1")
    #expect(try await difference("1", "2") == first)
    #expect(try await difference("2", "1") != first)
  }

  @Test func theOptionWinsOverTheVariable() async throws {
    let result = try await CommandRun(
      "bench", "digits", "--json", "--rounds", "1", "--threads", "2",
      environment: ["KEEL_THREADS": "1"]
    ).json(Result.self)
    #expect(result.threads == 2)
  }

  @Test func text() async throws {
    let run = try await CommandRun(
      "bench", "digits", "--rounds", "1", "--threads", "1", "--layers")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    #expect(run.output.hasPrefix("digits, batch 1, 1 thread, "))
    #expect(run.output.contains("22 operations folded, 25 fused"))
    #expect(run.output.contains("median of 1 interleaved pair)"))
    #expect(run.output.contains("layer "))
  }
}
