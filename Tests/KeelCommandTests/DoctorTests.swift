import Testing

@Suite struct DoctorTests {
  private struct Findings: Decodable {
    struct Setting: Decodable {
      let name: String
      let value: String?
      let meaning: String
    }
    let cpu: String
    let cpuFeatures: [String]
    let vectorLevels: [String]
    let vectorLevel: String
    let threads: Int
    let environment: [Setting]
    let openblasVersion: String
    let openblasConfiguration: String
    let openblasCore: String
    let openblasThreading: String
    let openblasThreads: Int
    let openblasSmallMatrixPath: Bool
    let lapacke: String
    let blasLibraries: [String]
    let warnings: [String]
  }

  static let variables = ["KEEL_THREADS", "KEEL_VECTOR_LEVEL", "KEEL_CACHE_DIR", "KEEL_LOG_LEVEL"]

  @Test func json() async throws {
    let run = try await CommandRun("doctor", "--json")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    let findings = try run.json(Findings.self)
    #expect(!findings.cpu.isEmpty)
    #expect(findings.vectorLevel == findings.vectorLevels.last)
    #expect(findings.vectorLevels.first == "baseline")
    #expect(findings.threads >= 1)
    #expect(findings.openblasThreads == 1)
    #expect(findings.lapacke == "works")
    #expect(findings.environment.map(\.name) == Self.variables)
    #expect(findings.environment.allSatisfy { $0.value == nil && !$0.meaning.isEmpty })
    #expect(!findings.warnings.contains { $0.contains("KEEL_") })
    #if os(Linux)
      #expect(findings.blasLibraries.contains { $0.contains("openblas") })
    #endif
  }

  @Test func text() async throws {
    let run = try await CommandRun("doctor")
    #expect(run.status == 0)
    #expect(run.messages.isEmpty)
    for name in ["CPU", "vector loops", "threads", "OpenBLAS", "LAPACKE", "BLAS libraries"]
      + Self.variables
    {
      let line = run.output.split(separator: "\n").first { $0.hasPrefix(name) }
      #expect(line.map { $0.count > name.count + 1 } == true, "\(name)")
    }
  }

  @Test func settingsAreHonoured() async throws {
    let findings = try await CommandRun(
      "doctor", "--json", environment: ["KEEL_THREADS": "1", "KEEL_VECTOR_LEVEL": "Baseline"]
    ).json(Findings.self)
    #expect(findings.threads == 1)
    #expect(findings.vectorLevel == "baseline")
    #expect(findings.environment.prefix(2).map(\.value) == ["1", "Baseline"])
    #expect(!findings.warnings.contains { $0.contains("KEEL_") })
  }

  @Test(arguments: [
    ("KEEL_VECTOR_LEVEL", "nonsense"), ("KEEL_THREADS", "0"), ("KEEL_THREADS", "two"),
    ("KEEL_THREADS", "1000000000"),
  ])
  func settingsThatAreNotFollowed(_ name: String, _ value: String) async throws {
    let text = try await CommandRun("doctor", environment: [name: value])
    let warning = text.output.split(separator: "\n").first {
      $0.hasPrefix("warning: ") && $0.contains("\(name): expected")
    }
    #expect(warning?.hasSuffix("found \(value).") == true)
    let findings = try await CommandRun("doctor", "--json", environment: [name: value])
      .json(Findings.self)
    #expect(findings.warnings.contains { $0.contains(name) })
    #expect(findings.threads >= 1)
    #expect(findings.vectorLevels.contains(findings.vectorLevel))
  }

  @Test func otherCommandsComplainToo() async throws {
    let run = try await CommandRun(
      "bench", "digits", "--rounds", "1", "--json", environment: ["KEEL_THREADS": "two"])
    #expect(run.status == 0)
    #expect(run.messages.hasPrefix("warning: "))
    #expect(run.messages.contains("KEEL_THREADS"))
    #expect(try run.keys().contains("threads"))
  }
}
