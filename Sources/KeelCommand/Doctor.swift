import ArgumentParser
import Foundation
import Keel

/// `keel doctor`: what Keel sees of the machine, and what slows it down.
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows the CPU, vector loops, environment, OpenBLAS and LAPACKE that Keel sees.",
    discussion:
      "Warns when OpenBLAS runs on kernels older than the CPU, or a second BLAS is loaded.")

  @Flag(help: "Print one JSON object.") var json = false

  func run() throws {
    let findings = try Findings()
    if json { try printJSON(findings) } else { findings.print() }
  }
}

/// What the doctor found.
struct Findings: Encodable {
  private struct Setting: Encodable {
    let name: String
    let value: String?
    let meaning: String
  }

  private let cpu: String
  private let cpuFeatures: [String]
  private let vectorLevels: [String]
  private let vectorLevel: String
  private let threads: Int
  private let environment: [Setting]
  private let openblasVersion: String
  private let openblasConfiguration: String
  private let openblasCore: String
  private let openblasCorePinned: String?
  private let openblasThreading: String
  private let openblasThreads: Int
  private let openblasSmallMatrixPath: Bool
  private let lapacke: String
  private let blasLibraries: [String]
  private let warnings: [String]

  init() throws {
    (cpu, cpuFeatures) = (Processor.current.name, Processor.current.features)
    vectorLevels = VectorLevel.supported.map(\.name)
    vectorLevel = VectorLevel.current.name
    threads = ThreadCount.automatic
    environment = KeelEnvironment.variables.map {
      Setting(
        name: $0.name, value: KeelEnvironment.current.value(of: $0.name), meaning: $0.meaning)
    }
    BLASThreads.claim()
    openblasVersion = BLASInfo.version ?? "unknown"
    openblasConfiguration = BLASInfo.configuration
    openblasCore = BLASInfo.coreName
    openblasCorePinned = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"]
    openblasThreading = BLASInfo.parallelism.rawValue
    openblasThreads = BLASThreads.current
    openblasSmallMatrixPath = BLASInfo.hasSmallMatrixPath
    lapacke = Self.tryLAPACKE()
    blasLibraries = Self.loadedBLAS()
    warnings = Self.warnings(
      core: openblasCore, pinned: openblasCorePinned, libraries: blasLibraries, lapacke: lapacke)
  }

  /// Solves a 2×2 eigenvalue problem whose answer is known.
  private static func tryLAPACKE() -> String {
    do {
      var matrix: [Double] = [2, 1, 1, 2]
      var values: [Double] = [0, 0]
      var workspace = EigenWorkspace<Double>(order: 2)
      var a = matrix.mutableSpan
      var v = values.mutableSpan
      try symmetricEigen(n: 2, a: &a, values: &v, workspace: &workspace)
      let isRight = abs(values[0] - 1) <= 1e-12 && abs(values[1] - 3) <= 1e-12
      return isRight ? "works" : "wrong eigenvalues \(values)"
    } catch {
      return "\(error)"
    }
  }

  /// The libraries in this process that bring a BLAS of their own.
  private static func loadedBLAS() -> [String] {
    guard let maps = SystemFile.text(of: "/proc/self/maps") else { return [] }
    let paths = Set(maps.split(separator: "\n").compactMap { $0.split(separator: " ").last })
    let names = ["libopenblas", "libmkl_", "libblis", "libcblas", "libatlas", "libblas.so"]
    return paths.map(String.init).filter { path in
      let file = path.split(separator: "/").last ?? ""
      // Debian's libblas.so.3 in a folder of OpenBLAS is OpenBLAS under another name.
      return names.contains { file.hasPrefix($0) } && !path.contains("/openblas-")
        || file.hasPrefix("libopenblas")
    }.sorted()
  }

  private static func warnings(
    core: String, pinned: String?, libraries: [String], lapacke: String
  ) -> [String] {
    var result: [String] = []
    if let pinned {
      result.append(
        "OPENBLAS_CORETYPE pins OpenBLAS to \(pinned): unset it unless you mean to.")
    }
    if VectorLevel.supported.contains(where: { $0.name == "avx512" }), !BLASInfo.hasSmallMatrixPath
    {
      result.append(
        "OpenBLAS runs its \(core) kernels on a CPU with AVX-512: matrix products take about twice as long."
      )
    }
    for complaint in [VectorLevel.complaint, ThreadCount.complaint] {
      if let complaint { result.append("\(complaint).") }
    }
    if libraries.count > 1 {
      result.append("More than one BLAS in this process: \(libraries.joined(separator: ", ")).")
    }
    if lapacke != "works" { result.append("LAPACKE: \(lapacke).") }
    return result
  }

  /// Prints the findings for people.
  func print() {
    let lines: [(String, String)] =
      [
        ("CPU", cpu), ("features", cpuFeatures.joined(separator: " ")),
        ("vector loops", "\(vectorLevel) (of \(vectorLevels.joined(separator: ", ")))"),
        ("threads", "\(threads)"),
      ] + environment.map { ($0.name, "\($0.value ?? "not set")  — \($0.meaning)") } + [
        ("OpenBLAS", "\(openblasVersion), core \(openblasCore), \(openblasThreading)"),
        ("", openblasConfiguration),
        ("BLAS threads", "\(openblasThreads) per call; Keel runs tiles side by side instead"),
        ("small products", openblasSmallMatrixPath ? "without packing" : "packed"),
        ("LAPACKE", lapacke),
        (
          "BLAS libraries",
          blasLibraries.isEmpty ? "none found" : blasLibraries.joined(separator: "\n")
        ),
      ]
    for (name, text) in lines {
      let rows = text.split(separator: "\n", omittingEmptySubsequences: false)
      for (i, row) in rows.enumerated() {
        Swift.print((i == 0 ? name : "").padding(toLength: 19, withPad: " ", startingAt: 0) + row)
      }
    }
    Swift.print()
    if warnings.isEmpty { Swift.print("Nothing to complain about.") }
    for warning in warnings { Swift.print("warning: \(warning)") }
  }
}
