internal import Foundation

/// The CPU that this process runs on, as Linux's `/proc/cpuinfo` describes it.
public struct Processor: Sendable {
  /// This machine's.
  public static let current = Processor(
    description: SystemFile.text(of: "/proc/cpuinfo") ?? "")

  /// The model's name; of arm64, where the kernel gives numbers in its place, these; or `unknown`.
  public let name: String
  /// Those of its instruction sets that Keel or OpenBLAS have code for, by the kernel's names.
  public let features: [String]

  /// The first CPU of `/proc/cpuinfo`'s text.
  package init(description text: String) {
    var fields: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let key = parts[0].trimmingCharacters(in: .whitespaces)
      if fields[key] == nil { fields[key] = parts[1].trimmingCharacters(in: .whitespaces) }
    }
    if let model = fields["model name"] {
      name = model
    } else if let implementer = fields["CPU implementer"], let part = fields["CPU part"] {
      name = "implementer \(implementer), part \(part)"
    } else {
      name = "unknown"
    }
    let flags = Set((fields["flags"] ?? fields["Features"] ?? "").split(separator: " "))
    features = Self.known.filter { flags.contains(Substring($0)) }
  }

  private static let known = [
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_bf16",
    "amx_tile", "asimd", "sve",
  ]
}
