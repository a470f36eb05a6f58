import KeelFormats
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct NumPyArchiveTests {
  private func readError(_ bytes: [UInt8]) -> KeelError? {
    failure { () throws(KeelError) in try NumPyArchive(FileBytes(bytes, path: "a.npz")).values() }
  }

  @Test func elementTypes() throws {
    let values = try NumPyArchive(goldenFile("elements.npz")).values()
    #expect(values.count == 23)
    for name in ["f2", "f4", "f8", "big_f2", "big_f4", "big_f8"] {
      #expect(values[name] == sixFloats, "\(name)")
    }
    for name in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "big_i2", "big_i4", "big_u8"] {
      #expect(values[name] == sixIntegers, "\(name)")
    }
    #expect(values["b1"] == sixTruths)
    #expect(values["fortran"] == .float32(try Tensor((0..<24).map(Float.init), shape: [2, 3, 4])))
    #expect(values["big_fortran"] == .int64(try IndexTensor(0..<24, shape: [2, 3, 4])))
    #expect(values["scalar"] == .float32(Tensor(repeating: 2.5, shape: [])))
    #expect(values["empty"] == .float32(Tensor(zeros: [2, 0, 3])))
  }

  @Test func halfPrecisionIsExact() throws {
    let value = try NumPyArchive(goldenFile("elements.npz")).value(named: "halves")
    let expected: [Float] = [0, -0.0, 0x1p-24, 0x1.FF8p-15, 0x1p-14, 65504, -.infinity, 0x1.554p-2]
    let found = try value.floats(at: "halves").elements
    #expect(found.map(\.bitPattern) == expected.map(\.bitPattern))
  }

  /// A state dict saved twice: deflated by NumPy, and as safetensors.
  @Test func deflatedEqualsSafeTensors() throws {
    let archive = try NumPyArchive(path: goldenPath("network.npz"))
    let file = try SafeTensorsFile(path: goldenPath("network.safetensors"))
    #expect(try archive.values() == file.values())
    #expect(Set(archive.names) == Set(file.entries.map(\.name)))
  }

  @Test func roundTrip() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.npz")
    let values = ["b": sixFloats, "a/ü": sixIntegers, "c": sixTruths]
    try NumPyArchive.write(values, to: path)
    let read = try NumPyArchive(path: path)
    #expect(read.names == ["a/ü", "b", "c"])
    #expect(try read.values() == values)
    #expect(failure { () throws(KeelError) in try read.value(named: "d") }?.kind == .argument)
    try NumPyArchive.write([:], to: path)
    #expect(try NumPyArchive(path: path).names.isEmpty)
  }

  /// Small archives to damage: one array stored by Keel, and its bytes.
  private func stored(_ names: [String]) throws -> [UInt8] {
    let folder = try TemporaryFolder()
    let path = folder.file("a.npz")
    try NumPyArchive.write(
      Dictionary(uniqueKeysWithValues: names.map { ($0, sixFloats) }), to: path)
    return try FileBytes(mapping: path).copied
  }

  /// The position of the directory's entries.
  private func entries(_ bytes: [UInt8]) -> [Int] {
    bytes.indices.dropLast(4).filter { Array(bytes[$0..<$0 + 4]) == [0x50, 0x4B, 1, 2] }
  }

  @Test func wrongDirectories() throws {
    let bytes = try stored(["a", "b"])
    let at = entries(bytes)
    #expect(at.count == 2)
    func changed(_ change: (inout [UInt8]) -> Void) -> KeelError? {
      var damaged = bytes
      change(&damaged)
      return readError(damaged)
    }
    #expect(changed { _ in } == nil)
    #expect(changed { $0[at[0] + 16] ^= 1 }?.expected.hasPrefix("the checksum") == true)
    #expect(changed { $0[at[0] + 8] |= 1 }?.found == "it encrypted")
    #expect(changed { $0[at[0] + 10] = 12 }?.found == "method 12")
    #expect(changed { $0[at[0] + 24] ^= 1 }?.expected.hasSuffix("as stored") == true)
    #expect(changed { $0[at[1] + 23] = 0x7F }?.kind == .file)
    // The second member is said to be where the first is.
    let overlap = changed { bytes in
      bytes.replaceSubrange(at[1] + 42..<at[1] + 46, with: [0, 0, 0, 0])
      bytes[at[1] + 46] = UInt8(ascii: "a")
    }
    #expect(overlap?.found == "one that overlaps it")
    #expect(changed { $0[at[1] + 45] = 0xFF }?.kind == .file)
    #expect(changed { $0[$0.count - 12] = 3 }?.kind == .file)
    #expect(changed { $0[$0.count - 6] ^= 1 }?.kind == .file)
    #expect(changed { $0[$0.count - 22] = 0 }?.found == "\(bytes.count) bytes without")
    let twice = changed { bytes in
      let first = 30
      let second = bytes.indices.dropFirst(40).first {
        Array(bytes[$0..<$0 + 4]) == [0x50, 0x4B, 3, 4]
      }!
      bytes[second + first] = UInt8(ascii: "a")
      bytes[at[1] + 46] = UInt8(ascii: "a")
    }
    #expect(twice?.expected == "every name once")
  }

  /// A deflated member that says it is larger than it can be is refused before memory is taken for it.
  @Test func sizesThatCannotBe() throws {
    var bytes = try goldenBytes("network.npz")
    let at = try #require(entries(bytes).first)
    bytes.replaceSubrange(at + 24..<at + 28, with: [0xFE, 0xFF, 0xFF, 0x7F])
    #expect(readError(bytes)?.expected.hasPrefix("at most 1032 times") == true)
    bytes.replaceSubrange(at + 24..<at + 28, with: [1, 0, 0, 0])
    #expect(readError(bytes)?.expected.hasSuffix("unpack to 1") == true)
    bytes.replaceSubrange(at + 24..<at + 28, with: [0, 16, 0, 0])
    #expect(readError(bytes)?.kind == .file)
  }

  @Test func pyTorchsOwnFormat() throws {
    var bytes = try stored(["archive/data"])
    for at in bytes.indices.dropLast(4) where Array(bytes[at..<at + 4]) == Array(".npy".utf8) {
      bytes.replaceSubrange(at..<at + 4, with: Array(".pkl".utf8))
    }
    #expect(readError(bytes)?.found.hasPrefix("PyTorch's own format") == true)
  }

  /// An archive as writers of large files make it: sizes and places in 64 bits.
  @Test func wideDirectories() throws {
    let bytes = try stored(["a"])
    let at = try #require(entries(bytes).first)
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let ones: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
    let size = Int(bytes[at + 24])
    var entry = Array(bytes[at..<at + 46 + 5])
    entry.replaceSubrange(20..<28, with: ones + ones)
    entry.replaceSubrange(42..<46, with: ones)
    entry += [1, 0, 24, 0] + number(size, 8) + number(size, 8) + number(0, 8)
    entry[30] = 28
    let place = number(1, 8) + number(1, 8) + number(entry.count, 8) + number(at, 8)
    let record = Array("PK".utf8) + [6, 6] + number(44, 8) + [45, 0, 45, 0] + number(0, 8) + place
    let locator =
      Array("PK".utf8) + [6, 7] + number(0, 4) + number(at + entry.count, 8) + [1, 0, 0, 0]
    let end = Array("PK".utf8) + [5, 6, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 12) + [0, 0]
    let wide = bytes[..<at] + entry + record + locator + end
    #expect(size == 152)
    let file = FileBytes(Array(wide), path: "a.npz")
    #expect(try NumPyArchive(file).values() == ["a": sixFloats])
    readDamaged(Array(wide)) { (file) throws(KeelError) in _ = try NumPyArchive(file).values() }
  }

  @Test func cutAnywhere() throws {
    for bytes in [try stored(["a", "b"]), try goldenBytes("network.npz")] {
      for count in bytes.indices { #expect(readError(Array(bytes[..<count]))?.kind == .file) }
    }
  }

  @Test(arguments: ["network.npz", "run.npz"]) func damaged(_ name: String) throws {
    readDamaged(try goldenBytes(name)) { (file) throws(KeelError) in
      _ = try NumPyArchive(file).values()
    }
  }
}
