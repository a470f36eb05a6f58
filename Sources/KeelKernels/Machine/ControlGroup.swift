internal import Foundation

/// What Linux's control groups leave this process: the least that its own group and those above it allow, in
/// version 1, version 2, or both side by side.
///
/// `/proc/self/cgroup` names the group. A container often sees its group's files where the machine's would be, and a
/// path that does not exist there: so the limits are looked for at the path and at each folder above it.
/// Source: `cgroups(7)`; the kernel's `cgroup-v2.rst` and `cgroup-v1/memory.rst`.
package struct ControlGroup: Sendable {
  /// This process's, at the first use.
  package static let current = ControlGroup(text: SystemFile.text)

  /// Bytes of memory, or nil without a limit.
  package let memoryLimit: Int?
  /// CPUs at once, on average over the scheduler's period, or nil without a quota.
  package let processorQuota: Double?

  /// Reads the files by a function of their paths that gives nil where there is none.
  package init(text: (String) -> String?) {
    func words(_ path: String) -> [Substring] {
      (text(path) ?? "").split(whereSeparator: \.isWhitespace)
    }
    let groups = Self.groups(text("/proc/self/cgroup") ?? "")
    let unified = Self.folders("/sys/fs/cgroup", groups.unified)
    let memory = Self.folders("/sys/fs/cgroup/memory", groups.memory)
    let processor = Self.folders("/sys/fs/cgroup/cpu", groups.processor)
    memoryLimit =
      (unified.map { words($0 + "/memory.max") }
      + memory.map { words($0 + "/memory.limit_in_bytes") })
      .compactMap(Self.bytes).min()
    processorQuota =
      (unified.map { words($0 + "/cpu.max") }
      + processor.map { words($0 + "/cpu.cfs_quota_us") + words($0 + "/cpu.cfs_period_us") })
      .compactMap(Self.quota).min()
  }

  /// A limit of memory: a number, or "max".
  private static func bytes(_ words: [Substring]) -> Int? {
    guard words.count == 1, let bytes = Int(words[0]), bytes > 0 else { return nil }
    return bytes
  }

  /// A quota and its period in microseconds; without a quota it is "max", or −1 in version 1.
  private static func quota(_ words: [Substring]) -> Double? {
    guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), quota > 0,
      period > 0
    else { return nil }
    return quota / period
  }

  /// The process's groups, from lines `number:controllers:path`; version 2 has number 0 and no controllers.
  private static func groups(
    _ text: String
  ) -> (unified: Substring, memory: Substring, processor: Substring) {
    var groups = (unified: Substring("/"), memory: Substring("/"), processor: Substring("/"))
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { continue }
      let controllers = fields[1].split(separator: ",")
      if fields[0] == "0" && controllers.isEmpty { groups.unified = fields[2] }
      if controllers.contains("memory") { groups.memory = fields[2] }
      if controllers.contains("cpu") { groups.processor = fields[2] }
    }
    return groups
  }

  /// The folder of a group and those above it; of a group outside what this process sees, the topmost one.
  private static func folders(_ top: String, _ group: Substring) -> [String] {
    let names = group.split(separator: "/")
    guard !names.contains("..") else { return [top] }
    return names.reduce(into: [top]) { $0.append($0.last! + "/" + $1) }
  }
}
