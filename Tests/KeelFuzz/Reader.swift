import Foundation
import KeelData
import KeelFormats
import KeelImages
import KeelONNX
import KeelTensor

/// A reader of files, with what it may cost.
///
/// The memory that reading may take is some for every file and a multiple of its size, which is what its densest
/// legitimate form needs: deflated bytes stand for up to 1032.
struct Reader: Sendable {
  /// Its name, which is that of its folder of seeds.
  let name: String
  /// Bytes of memory for each byte of a file.
  let memoryMultiple: Int
  /// The memory that every file may take.
  var freeMemory = 64 << 20
  /// Reads all that is in a file; what cannot be read is to throw. The name is that of the seed.
  let read: @Sendable (_ file: FileBytes, _ seed: String) throws(KeelError) -> Void

  /// The most that reading a file may add to the process's memory.
  func memoryLimit(_ size: Int) -> Int { freeMemory + size * memoryMultiple }

  /// All of them.
  static let all: [Reader] = [
    // A byte becomes an integer of eight, twice in Fortran order; the file.
    Reader(name: "npy", memoryMultiple: 17) { (file, _) throws(KeelError) in
      _ = try NumPyFile.read(file)
    },
    // As npy, of what is unpacked.
    Reader(name: "npz", memoryMultiple: 17 * 1032) { (file, _) throws(KeelError) in
      _ = try NumPyArchive(file).values()
    },
    Reader(name: "safetensors", memoryMultiple: 9) { (file, _) throws(KeelError) in
      let opened = try SafeTensorsFile(file)
      _ = opened.entries
      _ = try opened.values()
    },
    // A bit becomes, through a palette, four bytes and three Floats.
    Reader(name: "png", memoryMultiple: 8 * 16 * 1032) { (file, _) throws(KeelError) in
      _ = try PNGFile.read(file)
    },
    // A byte becomes a Float or, as a label, an integer of eight bytes.
    Reader(name: "idx", memoryMultiple: 9 * 1032) { (file, seed) throws(KeelError) in
      let isLabels = seed.hasPrefix("labels")
      _ = try MNIST.read(
        images: isLabels ? partners.images : file, labels: isLabels ? file : partners.labels)
    },
    Reader(name: "cifar", memoryMultiple: 5) { (file, _) throws(KeelError) in
      _ = try CIFAR10.read([file])
    },
    // The message, and up to nine times an integer of one byte as an extent of 24; what is computed of constants
    // may have 2²² elements for free.
    Reader(name: "onnx", memoryMultiple: 256, freeMemory: 256 << 20) {
      (file, _) throws(KeelError) in
      let model = try ONNXModel(file, folder: nil)
      var error: KeelError?
      let free = 1 << 22
      do throws(KeelError) {
        _ = try model.graph(ONNXImportOptions(computedElements: free))
      } catch let first { error = first }
      // Again with values for what it leaves open, which is as far as some come.
      let open = Dictionary(uniqueKeysWithValues: model.openExtents.map { ($0, 4) })
      _ = try model.graph(
        ONNXImportOptions(extents: open, channelsLast: ["x", "x_out"], computedElements: free))
      if let error { throw error }
    },
  ]

  /// What goes with the other file of a pair: two pictures and their labels.
  private static let partners = (
    images: FileBytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 5, 6], path: "images"),
    labels: FileBytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9], path: "labels")
  )
}
