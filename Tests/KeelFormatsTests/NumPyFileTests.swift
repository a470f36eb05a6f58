import KeelFormats
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct NumPyFileTests {
  private func file(_ header: String, version: UInt8 = 1, data: [UInt8] = []) -> FileBytes {
    let size = (0..<(version == 1 ? 2 : 4)).map {
      UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0))
    }
    let magic: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0]
    return FileBytes(magic + size + header.utf8 + data, path: "a.npy")
  }

  private func header(_ descr: String, _ shape: String, fortran: String = "False") -> String {
    "{'descr': '\(descr)', 'fortran_order': \(fortran), 'shape': \(shape), }\n"
  }

  private func readError(_ file: FileBytes) -> KeelError? {
    failure { () throws(KeelError) in try NumPyFile.read(file) }
  }

  @Test(arguments: 1...3) func versions(_ version: Int) throws {
    let value = try NumPyFile.read(
      file(header("|u1", "(3,)"), version: UInt8(version), data: [7, 8, 255]))
    #expect(value == .int64(try IndexTensor([7, 8, 255], shape: [3])))
  }

  @Test func headersInOtherForms() throws {
    let value = try NumPyFile.read(
      file("{\"shape\":(2,1),\"fortran_order\":True ,\"descr\":\"|i1\"}", data: [0xFF, 2]))
    #expect(value == .int64(try IndexTensor([-1, 2], shape: [2, 1])))
  }

  @Test func writesAsNumPyDoes() throws {
    let folder = try TemporaryFolder()
    let values: [(String, TensorValue)] = [
      ("float32", sixFloats), ("int64", .int64(try IndexTensor(0..<5, shape: [5]))),
      ("bool", .bool(DenseArray(repeating: true, shape: []))),
    ]
    for (name, value) in values {
      let path = folder.file("a.npy")
      try NumPyFile.write(value, to: path)
      let bytes = try FileBytes(mapping: path).withBytes { (bytes) in Array(bytes) }
      #expect(bytes == (try goldenBytes("\(name).npy")), "\(name)")
      #expect(try NumPyFile.read(path) == value, "\(name)")
    }
    let long = TensorValue.float32(Tensor(zeros: Shape([Int](repeating: 1, count: 65))))
    let error = failure { () throws(KeelError) in
      try NumPyFile.write(long, to: folder.file("b"))
    }
    #expect(error?.kind == .shape)
    let most = TensorValue.float32(Tensor(zeros: Shape([Int](repeating: 1, count: 64))))
    try NumPyFile.write(most, to: folder.file("c"))
    #expect(try NumPyFile.read(folder.file("c")) == most)
  }

  @Test(arguments: [
    "", "{", "[]", "{'descr'}", "{'descr': '<f4'}", "{'descr': '<f4', 'descr': '<f4'}",
    "{'descr': '<f4', 'fortran_order': false, 'shape': ()}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}",
    "{'descr': '<c8', 'fortran_order': False, 'shape': ()}",
    "{'descr': '|O', 'fortran_order': False, 'shape': ()}",
    "{'descr': '|f4', 'fortran_order': False, 'shape': ()}",
    "{'descr': '', 'fortran_order': False, 'shape': ()}",
    "__import__('os').system('true')",
  ])
  func malformedHeaders(_ header: String) {
    let error = readError(file(header, data: [0, 0, 0, 0]))
    #expect(error?.kind == .file)
    #expect(error?.place.hasPrefix("a.npy: header, byte ") == true)
  }

  @Test func sizes() {
    #expect(readError(file(header("<f4", "()"), data: [0, 0, 0, 0])) == nil)
    #expect(readError(file(header("<f4", "()"), data: [0, 0, 0]))?.found == "3 bytes")
    #expect(readError(file(header("<f4", "()"), data: [0, 0, 0, 0, 0]))?.found == "5 bytes")
    let huge = "(4611686018427387904, 4611686018427387904)"
    #expect(readError(file(header("<f4", huge), data: []))?.place == "a.npy: elements")
    #expect(readError(file(header("<f4", "(4611686018427387904, 4, 0)")))?.kind == .file)
    #expect(readError(file(header("<f4", "()"), version: 4))?.found == "4.0")
    #expect(readError(FileBytes([], path: "a"))?.kind == .file)
    var wrong = file(header("<f4", "()"), data: [0, 0, 0, 0]).copied
    wrong[1] = 0
    #expect(readError(FileBytes(wrong, path: "a"))?.expected.contains("NUMPY") == true)
  }

  @Test func valuesOutOfRange() {
    let big = [UInt8](repeating: 0xFF, count: 8)
    #expect(readError(file(header("<u8", "()"), data: big))?.kind == .value)
    #expect(readError(file(header("|b1", "()"), data: [3]))?.kind == .value)
  }

  @Test(arguments: ["float32", "int64", "bool"]) func cutAnywhere(_ name: String) throws {
    let bytes = try goldenBytes("\(name).npy")
    for count in bytes.indices {
      #expect(readError(FileBytes(Array(bytes[..<count]), path: "a"))?.kind == .file)
    }
  }

  @Test func damaged() throws {
    readDamaged(try goldenBytes("float32.npy"), count: 5000) { (file) throws(KeelError) in
      _ = try NumPyFile.read(file)
    }
  }
}

extension FileBytes {
  /// The bytes as an array.
  var copied: [UInt8] { withBytesOrNone { Array($0) } }

  private func withBytesOrNone(_ body: (UnsafeRawBufferPointer) -> [UInt8]) -> [UInt8] {
    (try? withBytes { (bytes) throws(KeelError) in body(bytes) }) ?? []
  }
}
