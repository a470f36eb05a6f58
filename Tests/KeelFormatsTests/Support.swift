import Foundation
import KeelFormats
import KeelMutations
import KeelTensor
import KeelTestSupport
import Testing

/// A file made by Scripts/golden/formats.py.
func goldenFile(_ name: String) throws -> FileBytes { FileBytes(try goldenBytes(name), path: name) }

/// The bytes of a file made by Scripts/golden/formats.py.
func goldenBytes(_ name: String) throws -> [UInt8] {
  [UInt8](try Figures.data("formats/\(name)"))
}

/// The path of a file made by Scripts/golden/formats.py.
func goldenPath(_ name: String) -> String {
  URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Figures/formats/\(name)").path()
}

/// The error of a closure; nil without one.
func failure<Value>(_ body: () throws(KeelError) -> Value) -> KeelError? {
  do throws(KeelError) {
    _ = try body()
    return nil
  } catch { return error }
}

/// Reads thousands of damaged files; a crash or a trap is what fails.
func readDamaged(
  _ bytes: [UInt8], count: Int = 3000, seed: UInt64 = 20,
  _ read: (FileBytes) throws(KeelError) -> Void
) {
  var mutations = Mutations(of: bytes, seed: seed)
  var failures = 0
  for _ in 0..<count {
    let file = FileBytes(mutations.next(), path: "damaged")
    if failure({ () throws(KeelError) in try read(file) }) != nil { failures += 1 }
  }
  #expect(failures > count / 4, "seed \(seed)")
}

/// 0 to 5 as 2×3.
let sixFloats = TensorValue.float32(try! Tensor([0, 1, 2, 3, 4, 5], shape: [2, 3]))
/// 0 to 5 as 2×3.
let sixIntegers = TensorValue.int64(try! IndexTensor([0, 1, 2, 3, 4, 5], shape: [2, 3]))
/// Which of 0 to 5 are not 0, as 2×3.
let sixTruths = TensorValue.bool(
  try! DenseArray([false, true, true, true, true, true], shape: [2, 3]))
