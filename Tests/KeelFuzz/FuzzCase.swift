import Foundation
import KeelFormats
import KeelMutations
import KeelONNX
import KeelTensor
import SwiftProtobuf

/// The seed files of a reader.
struct SeedFiles {
  let names: [String]
  let contents: [[UInt8]]
  /// Those that are ONNX models.
  let models: [ONNXModelProto]

  /// Reads a folder.
  init(_ folder: String) throws {
    names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    contents = try names.map { [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/\($0)"))) }
    models = contents.compactMap { try? ONNXModelProto(serializedBytes: Data($0)) }
    guard !names.isEmpty else {
      throw KeelError(.file, at: folder, expected: "seed files", found: "none")
    }
  }
}

/// One damaged file: a function of the seed files, the seed and the number of the iteration.
struct FuzzCase {
  /// The seed file that it was made of.
  let name: String
  let bytes: [UInt8]

  init(_ files: SeedFiles, seed: UInt64, iteration: Int) {
    // Neighbouring states would be neighbouring cases: the generator spreads the seed.
    var random = RandomSource(seed: seed &+ UInt64(iteration) &* 0x9E37_79B9_7F4A_7C15)
    let position = random.below(files.names.count)
    let (name, original) = (files.names[position], files.contents[position])
    var mutations = Mutations(of: original, others: files.contents, seed: random.next())
    let way = random.below(4)
    let form = name.split(separator: ".").last ?? ""
    self.name = name
    switch form {
    case "onnx" where way > 0:
      // Bytes seldom make another message that is well formed.
      bytes = ONNXMutations.damaged(original, donors: files.models, seed: random.next())
    case "png" where way > 0: bytes = Checksums.repairedPNG(mutations.next())
    case "npz" where way > 0: bytes = Checksums.repairedZip(mutations.next())
    case "idx3" where way > 1, "idx1" where way > 1: bytes = Checksums.gzip(mutations.next())
    default: bytes = mutations.next()
    }
  }
}
