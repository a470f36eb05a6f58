import KeelFormats
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct SafeTensorsTests {
  private func file(_ header: String, data: Int = 0) -> FileBytes {
    let size = (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) }
    return FileBytes(size + header.utf8 + [UInt8](repeating: 0, count: data), path: "a.safetensors")
  }

  private func openError(_ header: String, data: Int = 0) -> KeelError? {
    failure { () throws(KeelError) in try SafeTensorsFile(file(header, data: data)) }
  }

  @Test func elementTypes() throws {
    let read = try SafeTensorsFile(goldenFile("elements.safetensors"))
    #expect(read.metadata == ["text": "é \"quoted\" \\ \n"])
    let values = try read.values()
    #expect(values.count == 15)
    for name in ["float16", "bfloat16", "float32", "float64"] {
      #expect(values[name] == sixFloats, "\(name)")
    }
    for name in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"] {
      #expect(values[name] == sixIntegers, "\(name)")
    }
    #expect(values["bool"] == sixTruths)
    #expect(values["scalar"] == .float32(Tensor(repeating: 2.5, shape: [])))
    #expect(values["empty"] == .float32(Tensor(zeros: [2, 0, 3])))
    #expect(Set(read.entries.map(\.name)) == Set(values.keys))
    #expect(read.entries.first { $0.name == "uint8" }?.elementType == .int64)
  }

  @Test func bfloat16KeepsSignAndExponent() throws {
    let header = #"{"a":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}"#
    let size = [UInt8(header.utf8.count)] + [UInt8](repeating: 0, count: 7)
    let bytes = size + header.utf8 + [0xC0, 0x3F, 0x80, 0xFF, 0x01, 0x00]
    let value = try SafeTensorsFile(FileBytes(bytes, path: "a")).value(named: "a").floats(at: "a")
    #expect(value.elements == [1.5, -.infinity, 0x1p-133])
  }

  @Test func roundTrip() throws {
    let folder = try TemporaryFolder()
    var source = TensorSource(seed: 3)
    let tensors = [
      "b.weight": source.normal([3, 2]), "a": source.normal([]), "ü \"\\\n": source.normal([2, 0]),
    ]
    let path = folder.file("a.safetensors")
    try SafeTensorsFile.write(tensors, metadata: ["k\t": "v"], to: path)
    let read = try SafeTensorsFile(path: path)
    #expect(try read.values() == tensors.mapValues(TensorValue.float32))
    #expect(read.metadata == ["k\t": "v"])
    #expect(read.entries.map(\.name) == ["a", "b.weight", "ü \"\\\n"])
    let bytes = try FileBytes(mapping: path).withBytes { (bytes) in Array(bytes) }
    #expect(bytes[0] % 8 == 0)
    try SafeTensorsFile.write(tensors, metadata: ["k\t": "v"], to: path)
    #expect(try FileBytes(mapping: path).withBytes { (again) in Array(again) } == bytes)
    try SafeTensorsFile.write([:], to: path)
    #expect(try SafeTensorsFile(path: path).entries.isEmpty)
  }

  @Test func namesOfTheFormatsOwn() {
    let error = failure { () throws(KeelError) in
      try SafeTensorsFile.write(["__metadata__": Tensor(zeros: [1])], to: "/nowhere/a")
    }
    #expect(error?.kind == .argument)
  }

  @Test func aNameThatIsNotThere() throws {
    let read = try SafeTensorsFile(goldenFile("network.safetensors"))
    #expect(failure { () throws(KeelError) in try read.value(named: "x") }?.kind == .argument)
  }

  /// Headers that are not well formed, and what the error says was expected.
  @Test(arguments: [
    ("", "'{'"), ("[]", "'{'"), ("{", "'\"'"), (#"{"a":1}"#, "'{'"), (#"{"a" {}}"#, "':'"),
    (#"{} x"#, "the end of the header"), (#"{,}"#, "'\"'"), (#"{"a"#, "the end of a text"),
    (#"{"\x":{}}"#, "an escape"), (#"{"\ud800":{}}"#, "a pair of surrogates"),
    (#"{"\u12g4":{}}"#, "four hexadecimal digits"),
    (#"{"__metadata__":{"a":1}}"#, "'\"'"),
    (#"{"__metadata__":{"a":"1","a":"2"}}"#, "every key once"),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, "from 0 on"),
    (#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#, "leading zeros"),
    (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, "','"),
    (#"{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}"#, "from 0 on"),
    (
      #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#,
      "a number up to"
    ),
    (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, "a dtype of"),
    (#"{"a":{"dtype":"F32","shape":[1],"offsets":[0,4]}}"#, "dtype, shape and data_offsets"),
    (#"{"a":{"dtype":"F32","dtype":"F32","shape":[1]}}"#, "each once"),
    (#"{"a":{"dtype":"F32","shape":[1]}}"#, "','"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, "ascending"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "ascending"),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "its shape 2"),
    (
      #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#,
      "as far apart"
    ),
    (
      #"{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}}"#,
      "as far apart"
    ),
  ])
  func malformedHeaders(_ header: String, _ expected: String) {
    let error = openError(header, data: 4)
    #expect(error?.kind == .file)
    #expect(error?.place.hasPrefix("a.safetensors: header, byte ") == true)
    #expect(error?.expected.contains(expected) == true, "\(error?.description ?? "no error")")
  }

  @Test func placesOfTensors() {
    func entry(_ name: String, _ first: Int, _ last: Int) -> String {
      #""\#(name)":{"dtype":"U8","shape":[\#(last - first)],"data_offsets":[\#(first),\#(last)]}"#
    }
    #expect(openError("{\(entry("a", 0, 4)),\(entry("b", 4, 8))}", data: 8) == nil)
    let overlap = openError("{\(entry("a", 0, 4)),\(entry("b", 2, 8))}", data: 8)
    #expect(
      overlap?.description
        == "file error at a.safetensors: data_offsets of b: expected 4, where the tensor before it "
        + "ends, found 2")
    #expect(openError("{\(entry("a", 0, 4)),\(entry("b", 5, 8))}", data: 8)?.kind == .file)
    #expect(openError("{\(entry("a", 1, 8))}", data: 8)?.kind == .file)
    #expect(openError("{\(entry("a", 0, 8))}", data: 7)?.found == "7")
    #expect(openError("{\(entry("a", 0, 8))}", data: 9)?.found == "9")
    let twice = openError("{\(entry("a", 0, 4)),\(entry("a", 4, 8))}", data: 8)
    #expect(twice?.expected == "every name once")
  }

  @Test func sizesOfHeaders() {
    let huge = FileBytes([UInt8](repeating: 0xFF, count: 16), path: "a")
    let error = failure { () throws(KeelError) in try SafeTensorsFile(huge) }
    #expect(error?.place == "a: size of the safetensors header")
    #expect(error?.found == "\(UInt64.max)")
    #expect(
      failure { () throws(KeelError) in try SafeTensorsFile(path: "/nowhere/a") }?.kind == .file)
    #expect(
      failure { () throws(KeelError) in try SafeTensorsFile(path: "/tmp") }?.found == "a folder")
  }

  @Test func valuesOutOfRange() throws {
    func value(_ type: String, _ byte: UInt8) throws -> KeelError? {
      let header = #"{"a":{"dtype":"\#(type)","shape":[8],"data_offsets":[0,8]}}"#
        .replacing("[8]", with: type == "U64" ? "[1]" : "[8]")
      let size = [UInt8(header.utf8.count)] + [UInt8](repeating: 0, count: 7)
      let bytes = size + header.utf8 + [UInt8](repeating: byte, count: 8)
      let file = try SafeTensorsFile(FileBytes(bytes, path: "a"))
      return failure { () throws(KeelError) in try file.value(named: "a") }
    }
    #expect(try value("U64", 0x7F) == nil)
    #expect(try value("U64", 0x80)?.kind == .value)
    #expect(try value("BOOL", 1) == nil)
    #expect(try value("BOOL", 2)?.place == "a: tensor a")
  }

  @Test func cutAnywhere() throws {
    let bytes = try goldenBytes("elements.safetensors")
    for count in bytes.indices {
      let file = FileBytes(Array(bytes[..<count]), path: "a")
      #expect(failure { () throws(KeelError) in try SafeTensorsFile(file) }?.kind == .file)
    }
  }

  @Test func damaged() throws {
    readDamaged(try goldenBytes("elements.safetensors")) { (file) throws(KeelError) in
      _ = try SafeTensorsFile(file).values()
    }
  }
}
