import KeelKernels
import Testing

/// What is read of the machine: its CPU and the control groups that this process is in.
@Suite struct MachineTests {
  // MARK: Processor

  @Test func processors() {
    let text = """
      processor\t: 0
      model name\t: Some CPU @ 2GHz
      flags\t\t: fpu sse4_2 fma avx avx2 avx512_vnni avx512f
      processor\t: 1
      model name\t: B

      """
    #expect(Processor(description: text).name == "Some CPU @ 2GHz")
    #expect(Processor(description: text).features == ["sse4_2", "avx", "avx2", "fma", "avx512f"])
    let arm = Processor(
      description: "CPU implementer\t: 0x41\nFeatures\t: fp asimd sve\nCPU part\t: 0xd0c\n")
    #expect(arm.name == "implementer 0x41, part 0xd0c")
    #expect(arm.features == ["asimd", "sve"])
    #expect(Processor(description: "").name == "unknown")
    #expect(!Processor.current.name.isEmpty)
  }

  // MARK: Control groups

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let files: [String: String]
    var memory: Int? = nil
    var processors: Double? = nil
    var testDescription: String { name }
  }

  static let top = "/sys/fs/cgroup"
  static let cases = [
    Case(name: "no files", files: [:]),
    Case(
      name: "version 2, the process's own group",
      files: [
        "/proc/self/cgroup": "0::/\n", "\(top)/memory.max": "1048576\n",
        "\(top)/cpu.max": "150000 100000\n",
      ], memory: 1_048_576, processors: 1.5),
    Case(
      name: "version 2 without limits",
      files: [
        "/proc/self/cgroup": "0::/user.slice\n", "\(top)/user.slice/memory.max": "max\n",
        "\(top)/user.slice/cpu.max": "max 100000\n",
      ]),
    Case(
      name: "a service, whose slice has less",
      files: [
        "/proc/self/cgroup": "0::/a.slice/b:c.service\n",
        "\(top)/a.slice/b:c.service/memory.max": "max\n", "\(top)/a.slice/memory.max": "5000\n",
        "\(top)/a.slice/b:c.service/cpu.max": "400000 100000\n",
        "\(top)/a.slice/cpu.max": "800000 100000\n",
      ], memory: 5000, processors: 4),
    Case(
      name: "version 1, groups of their own",
      files: [
        "/proc/self/cgroup": "5:cpu,cpuacct:/d/1\n4:memory:/d/2\n1:name=systemd:/d/3\n0::/\n",
        "\(top)/memory/d/2/memory.limit_in_bytes": "7000\n",
        "\(top)/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "\(top)/memory/d/1/memory.limit_in_bytes": "1\n",
        "\(top)/cpu/d/1/cpu.cfs_quota_us": "50000\n",
        "\(top)/cpu/d/1/cpu.cfs_period_us": "100000\n",
        "\(top)/cpu/cpu.cfs_quota_us": "-1\n", "\(top)/cpu/cpu.cfs_period_us": "100000\n",
      ], memory: 7000, processors: 0.5),
    Case(
      name: "version 1, a container that sees its group as the top",
      files: [
        "/proc/self/cgroup": "4:memory:/docker/abc\n",
        "\(top)/memory/memory.limit_in_bytes": "8000\n",
      ], memory: 8000),
    Case(
      name: "a group outside what is seen",
      files: [
        "/proc/self/cgroup": "0::/../../other\n", "\(top)/../../other/memory.max": "1\n",
        "\(top)/memory.max": "9000\n",
      ], memory: 9000),
    Case(
      name: "files of something else",
      files: [
        "/proc/self/cgroup": "nothing\n::\n4:memory\n", "\(top)/memory.max": "many\n",
        "\(top)/cpu.max": "1000\n", "\(top)/memory/memory.limit_in_bytes": "",
        "\(top)/cpu/cpu.cfs_quota_us": "100\n", "\(top)/cpu/cpu.cfs_period_us": "0\n",
      ]),
  ]

  @Test(arguments: cases)
  func controlGroups(_ test: Case) {
    let group = ControlGroup { test.files[$0] }
    #expect(group.memoryLimit == test.memory)
    #expect(group.processorQuota == test.processors)
  }

  /// The kernel's files have no size; a reader that asks for it sees nothing or one page.
  @Test func systemFiles() throws {
    #expect(SystemFile.text(of: "/no/such/file") == nil)
    #expect(SystemFile.text(of: "/proc") == nil)
    #if os(Linux)
      let maps = try #require(SystemFile.text(of: "/proc/self/maps"))
      #expect(maps.utf8.count > 8192)
      #expect(maps.hasSuffix("\n"))
    #endif
  }
}
