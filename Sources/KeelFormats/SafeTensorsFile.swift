public import KeelTensor

/// A file of named tensors in the safetensors format, opened for reading.
///
/// Opening reads and checks the header alone: names once each, offsets that lie in the file one behind the
/// other without overlap or hole, and sizes that fit shapes and element types. Tensors are read when they are
/// asked for: F32, F64, F16 and BF16 as float32 (F64 is rounded, the others are exact), integers of all sizes
/// as int64, BOOL as bool. The file is mapped into memory, so that reading needs its size and one copy; a file
/// of small integers grows to eight times its size. It must not be shortened while it is open.
///
/// PyTorch writes it by `safetensors.torch.save_file(model.state_dict(), path)`; see `Layer.loadPyTorch` for its
/// names and layouts. The format: <https://huggingface.co/docs/safetensors>.
public struct SafeTensorsFile: Sendable {
  /// A tensor of the file.
  public struct Entry: Hashable, Sendable {
    /// The name.
    public let name: String
    /// The extents.
    public let shape: Shape
    /// What the tensor is read as.
    public let elementType: ElementType
  }

  /// The texts that the file has beside its tensors.
  public let metadata: [String: String]
  private let file: FileBytes
  private let stored: [SafeTensorsHeader.Entry]
  private let positions: [String: Int]

  /// Opens a file.
  /// - Throws: `KeelError` of kind `file`.
  public init(path: String) throws(KeelError) { try self.init(FileBytes(mapping: path)) }

  package init(_ file: FileBytes) throws(KeelError) {
    let header = try file.withBytes { (bytes) throws(KeelError) in
      try SafeTensorsHeader(bytes, path: file.path)
    }
    self.file = file
    metadata = header.metadata
    stored = header.entries
    positions = Dictionary(
      uniqueKeysWithValues: header.entries.enumerated().map { ($1.name, $0) })
  }

  /// The tensors in the order of their bytes.
  public var entries: [Entry] {
    stored.map { Entry(name: $0.name, shape: $0.shape, elementType: $0.element.elementType) }
  }

  /// Reads a tensor.
  /// - Throws: `KeelError` of kind `argument` for a name that the file does not have; of kind `value` for integers
  ///   beyond int64 and truth values that are neither 0 nor 1.
  public func value(named name: String) throws(KeelError) -> TensorValue {
    guard let position = positions[name] else {
      throw KeelError(
        .argument, at: file.path, expected: "one of its \(stored.count) tensors", found: name)
    }
    return try value(stored[position])
  }

  /// Reads all tensors, by name.
  /// - Throws: `KeelError` of kind `value` for integers beyond int64 and truth values that are neither 0 nor 1.
  public func values() throws(KeelError) -> [String: TensorValue] {
    var result: [String: TensorValue] = [:]
    result.reserveCapacity(stored.count)
    for entry in stored { result[entry.name] = try value(entry) }
    return result
  }

  private func value(_ entry: SafeTensorsHeader.Entry) throws(KeelError) -> TensorValue {
    try file.withBytes { (bytes) throws(KeelError) in
      let data = bytes.count - stored.last!.range.upperBound
      let part = bytes.part(from: data + entry.range.lowerBound, count: entry.range.count)!
      return try entry.element.read(
        part, shape: entry.shape, at: "\(file.path): tensor \(entry.name)")
    }
  }
}

extension SafeTensorsFile {
  /// Writes tensors as F32, sorted by name, the data aligned to 8 bytes. The same tensors make the same file. An
  /// old file of that name stays whole until the new one is.
  /// - Throws: `KeelError` of kind `file` where the file cannot be written; of kind `argument` for a tensor that
  ///   is called `__metadata__`, which the format keeps for itself.
  public static func write(
    _ tensors: [String: Tensor], metadata: [String: String] = [:], to path: String
  ) throws(KeelError) {
    let tensors = tensors.sorted { $0.key < $1.key }
    if tensors.contains(where: { $0.key == SafeTensorsHeader.metadataName }) {
      throw KeelError(
        .argument, at: path, expected: "names of tensors",
        found: "\(SafeTensorsHeader.metadataName), which is the format's own")
    }
    let header = headerText(tensors, metadata)
    try AtomicFile.write(to: path) { (file) throws(KeelError) in
      try file.append(littleEndianBytes(UInt64(header.count)) + header)
      for (_, tensor) in tensors {
        try tensor.withStoredBytes { (bytes) throws(KeelError) in try file.append(bytes) }
      }
    }
  }

  private static func headerText(
    _ tensors: [(key: String, value: Tensor)], _ metadata: [String: String]
  ) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let texts = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0)):\(quoted($1))" }
      members.append("\"\(SafeTensorsHeader.metadataName)\":{\(texts.joined(separator: ","))}")
    }
    var offset = 0
    for (name, tensor) in tensors {
      let end = offset + tensor.count * MemoryLayout<Float>.size
      let extents = tensor.shape.extents.map(String.init).joined(separator: ",")
      members.append(
        "\(quoted(name)):{\"dtype\":\"F32\",\"shape\":[\(extents)],\"data_offsets\":[\(offset),\(end)]}"
      )
      offset = end
    }
    let text = Array("{\(members.joined(separator: ","))}".utf8)
    return text + Array(repeating: 0x20, count: (8 - text.count % 8) % 8)
  }

  /// A text as JSON has it.
  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
