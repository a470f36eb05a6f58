import Foundation
internal import KeelFormats
import KeelTensor

/// The tensors of a model on their way to a file of their own.
struct ExternalWeights {
  /// Where tensors begin: what ONNX recommends for mapping files.
  private static let alignment = 4096

  private let file: URL
  private let tensors: [Data]

  /// Takes the tensors out of a model and leaves their places in the file.
  init(_ proto: inout ONNXModelProto, of model: URL) {
    tensors = proto.graph.initializer.map(\.rawData)
    let name = "\(model.lastPathComponent).\(Self.checksum(tensors)).data"
    file = model.deletingLastPathComponent().appendingPathComponent(name)
    var offset = 0
    for k in proto.graph.initializer.indices {
      let length = tensors[k].count
      proto.graph.initializer[k].clearRawData()
      proto.graph.initializer[k].dataLocation = 1
      proto.graph.initializer[k].externalData = [
        ("location", name), ("offset", "\(offset)"), ("length", "\(length)"),
      ].map { key, value in
        var entry = ONNXStringStringEntryProto()
        entry.key = key
        entry.value = value
        return entry
      }
      offset += Self.padded(length)
    }
  }

  private static func padded(_ length: Int) -> Int {
    (length + alignment - 1) / alignment * alignment
  }

  /// 64 bits of the contents, by the function of Fowler, Noll and Vo over words.
  private static func checksum(_ tensors: [Data]) -> String {
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    for tensor in tensors {
      tensor.withUnsafeBytes { bytes in
        for k in stride(from: 0, to: bytes.count - 3, by: 4) {
          let word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: k, as: UInt32.self))
          sum = (sum ^ UInt64(word)) &* 0x100_0000_01B3
        }
      }
      sum = (sum ^ UInt64(tensor.count)) &* 0x100_0000_01B3
    }
    return String(sum, radix: 16)
  }

  func write() throws(KeelError) {
    try AtomicFile.write(to: file.path) { (file) throws(KeelError) in
      for tensor in tensors {
        try file.append(tensor)
        try file.append(
          [UInt8](repeating: 0, count: Self.padded(tensor.count) - tensor.count))
      }
    }
  }
}
