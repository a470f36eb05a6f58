import Foundation
import Testing

/// What became of ONNX's own cases, as a page of the documentation.
struct ConformanceTable {
  private struct Case {
    let suite: String
    let name: String
    let outcome: ConformanceTests.Outcome
  }

  private var cases: [Case] = []

  mutating func add(_ suite: String, _ name: String, _ outcome: ConformanceTests.Outcome) {
    cases.append(Case(suite: suite, name: name, outcome: outcome))
  }

  var failures: [String] {
    cases.compactMap { entry in
      if case .failed(let reason) = entry.outcome {
        "\(entry.suite)/\(entry.name): \(reason)"
      } else {
        nil
      }
    }
  }

  private var suites: [String] {
    cases.reduce(into: []) { if !$0.contains($1.suite) { $0.append($1.suite) } }
  }

  private func passed(_ suite: String) -> [String] {
    cases.filter { if case .passed = $0.outcome { $0.suite == suite } else { false } }.map(\.name)
  }

  /// The cases that do not apply, by their reason; those with most cases first.
  private func reasons(_ suite: String) -> [(reason: String, names: [String])] {
    var byReason: [String: [String]] = [:]
    for entry in cases where entry.suite == suite {
      guard case .notApplicable(let reason) = entry.outcome else { continue }
      byReason[reason.split(separator: "\n").joined(separator: "; "), default: []].append(
        entry.name)
    }
    return byReason.map { ($0.key, $0.value) }
      .sorted { ($1.names.count, $0.reason) < ($0.names.count, $1.reason) }
  }

  /// A row for each suite.
  var counts: String {
    var text = "| suite | passed | failed | not applicable |\n|---|---|---|---|\n"
    for suite in suites {
      let failed = failures.count { $0.hasPrefix("\(suite)/") }
      let others = reasons(suite).reduce(0) { $0 + $1.names.count }
      text += "| \(suite) | \(passed(suite).count) | \(failed) | \(others) |\n"
    }
    return text
  }

  private var page: String {
    var text = """
      # Conformance: ONNX's own cases

      Made by `make conformance` from the data of the Python package onnx 1.22.0; the command fails where what it
      finds differs from this page (`KEEL_UPDATE_DOCUMENTATION=1 make conformance` writes it). Each case is read, and
      run by the interpreter, by the interpreter after it was written and read again (but losses), and by the reference
      in Double; all are held to the suite's own tolerance, 1e-3 relative and 1e-7 absolute. Operands such as shapes and axes that must be known before a network runs are given as
      constants. Cases whose names end in `_expanded` compose the same operators of others and are left out.

      \(counts)
      """
    for suite in suites {
      text += "\n## \(suite)\n\nPassed: \(passed(suite).joined(separator: ", ")).\n"
      let reasons = reasons(suite)
      if reasons.isEmpty { continue }
      text += "\n| not applicable, since | cases |\n|---|---|\n"
      for (reason, names) in reasons {
        let cell = reason.replacing("|", with: "\\|")
        text += "| \(cell) | \(names.joined(separator: ", ")) |\n"
      }
    }
    return text
  }

  /// Holds the page in the documentation to what was found; `KEEL_UPDATE_DOCUMENTATION=1` writes it.
  func compareWithDocumentation(_ file: String = #filePath) throws {
    let root = URL(filePath: file).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let place = root.appendingPathComponent("Documentation/Conformance.md")
    let page = page
    if ProcessInfo.processInfo.environment["KEEL_UPDATE_DOCUMENTATION"] == "1" {
      try page.write(to: place, atomically: true, encoding: .utf8)
    }
    let found = try? String(contentsOf: place, encoding: .utf8)
    #expect(found == page, "Documentation/Conformance.md differs from what was found")
  }
}
