import Foundation
import KeelData
import KeelFormats
import KeelImages
import KeelMutations
import KeelTensor
import KeelTestSupport
import KeelZlib
import Testing

/// The error of a closure; nil without one.
private func failure<Value>(_ body: () throws(KeelError) -> Value) -> KeelError? {
  do throws(KeelError) {
    _ = try body()
    return nil
  } catch { return error }
}

/// Bytes as gzip packs them: zlib's between another header and another checksum.
private func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
  var size = compressBound(UInt(bytes.count))
  var packed = [UInt8](repeating: 0, count: Int(size))
  compress2(&packed, &size, bytes, UInt(bytes.count), 9)
  let sum = try bytes.withBytes { (bytes) throws(KeelError) in checksum(bytes) }
  func little(_ value: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + packed[2..<Int(size) - 4] + little(Int(sum))
    + little(bytes.count)
}

@Suite struct MNISTTests {
  private let images: [UInt8] =
    [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2] + [0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  private let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9]

  private func read(_ images: [UInt8], _ labels: [UInt8]) throws(KeelError) -> LabelledImages {
    try MNIST.read(
      images: FileBytes(images, path: "images"), labels: FileBytes(labels, path: "labels"))
  }

  private func readError(_ images: [UInt8], _ labels: [UInt8]) -> KeelError? {
    failure { () throws(KeelError) in try read(images, labels) }
  }

  @Test func plainAndPacked() throws {
    for packs in [false, true] {
      let (images, labels) =
        packs ? (try gzipped(images), try gzipped(labels)) : (images, labels)
      let data = try read(images, labels)
      #expect(data.images.shape == [2, 3, 2, 1])
      #expect(data.images.elements == self.images[16...].map { Float($0) / 255 })
      #expect(data.labels.elements == [7, 9])
    }
  }

  @Test func fromTheDisk() throws {
    let folder = try TemporaryFolder()
    let data = try MNIST.read(
      images: folder.write(images, to: "a"), labels: folder.write(gzipped(labels), to: "b.gz"))
    #expect(data.count == 2)
    let missing = failure { () throws(KeelError) in
      try MNIST.read(images: "/nowhere/a", labels: "/nowhere/b")
    }
    #expect(missing?.place == "/nowhere/a")
  }

  @Test func malformedFiles() throws {
    #expect(readError(labels, labels)?.found == "10 bytes")
    #expect(readError(images, images)?.place == "labels: magic number")
    var other = images
    other[2] = 0x0D
    #expect(readError(other, labels)?.found == "0, 0, 13, 3")
    #expect(readError(images + [0], labels)?.expected == "28 bytes for shape 2×3×2")
    #expect(readError(images, [0, 0, 8, 1, 0, 0, 0, 1, 7])?.kind == .shape)
    var huge = images
    for i in 4..<16 { huge[i] = 0xFF }
    #expect(readError(huge, labels)?.place == "images: extents")
    for i in [4, 8] { huge.replaceSubrange(i..<i + 4, with: [0, 0, 0xFF, 0xFF]) }
    huge.replaceSubrange(12..<16, with: [0, 0, 0, 255])
    #expect(readError(huge, labels)?.kind == .file)
    #expect(readError(try gzipped(huge), labels)?.expected.hasPrefix("at most 1032") == true)
    #expect(readError(try gzipped(images) + [0], labels)?.kind == .file)
    #expect(readError(try gzipped(images + [0]), labels)?.kind == .file)
    #expect(readError(try gzipped(Array(images.dropLast())), labels)?.kind == .file)
    var wrong = try gzipped(images)
    wrong[wrong.count - 6] ^= 1
    #expect(readError(wrong, labels)?.found.contains("check") == true)
  }

  @Test func cutAnywhereAndDamaged() throws {
    for whole in [images, try gzipped(images)] {
      for count in whole.indices {
        #expect(readError(Array(whole[..<count]), labels)?.kind == .file)
      }
      var mutations = Mutations(of: whole, seed: 12)
      var failures = 0
      for _ in 0..<3000 where readError(mutations.next(), labels) != nil { failures += 1 }
      #expect(failures > 500, "seed 12")
    }
  }
}

@Suite struct CIFAR10Tests {
  private func record(_ label: UInt8) -> [UInt8] {
    [label] + (0..<3072).map { UInt8(truncatingIfNeeded: $0 / 1024 * 100 + $0 % 7) }
  }

  private func readError(_ bytes: [UInt8]) -> KeelError? {
    failure { () throws(KeelError) in try CIFAR10.read([FileBytes(bytes, path: "a.bin")]) }
  }

  @Test func channelsLast() throws {
    let folder = try TemporaryFolder()
    let paths = [
      try folder.write(record(3) + record(9), to: "a.bin"),
      try folder.write(record(0), to: "b.bin"),
    ]
    let data = try CIFAR10.read(paths)
    #expect(data.images.shape == [3, 32, 32, 3])
    #expect(data.labels.elements == [3, 9, 0])
    for (n, i, j) in [(0, 0, 0), (1, 0, 31), (2, 31, 5)] {
      for c in 0..<3 {
        let value = Float(c * 100 + (c * 1024 + i * 32 + j) % 7) / 255
        #expect(data.images[n, i, j, c] == value)
      }
    }
    #expect(CIFAR10.classNames.count == 10)
    #expect(try CIFAR10.read([String]()).count == 0)
  }

  @Test func malformedFiles() {
    #expect(readError([])?.found == "0 bytes")
    #expect(readError(Array(record(1).dropLast()))?.kind == .file)
    let label = readError(record(1) + record(10))
    #expect(label?.kind == .value)
    #expect(label?.place == "a.bin, picture 1")
    var mutations = Mutations(of: record(1), seed: 2)
    var failures = 0
    for _ in 0..<1000 where readError(mutations.next()) != nil { failures += 1 }
    #expect(failures > 300, "seed 2")
  }
}

@Suite struct ImageFolderTests {
  private func picture(_ value: Float, _ shape: Shape = [2, 3, 1]) throws -> [UInt8] {
    try PNGFile.encoded(Tensor(repeating: value, shape: shape), path: "a")
  }

  @Test func classesAreFolders() throws {
    let folder = try TemporaryFolder()
    try folder.write(picture(1), to: "dog/b.png")
    try folder.write(picture(0.2), to: "dog/a.png")
    try folder.write(picture(0), to: "cat/z.png")
    try folder.write([1], to: "README")
    try folder.write([1], to: "cat/.hidden")
    let read = try ImageFolder(path: folder.path)
    #expect(read.classNames == ["cat", "dog"])
    #expect(read.images.labels.elements == [0, 1, 1])
    #expect(read.images.images.shape == [3, 2, 3, 1])
    #expect((0..<3).map { read.images.images[$0, 1, 2, 0] } == [0, 51.0 / 255, 1])
    #expect(read.paths.map { $0.split(separator: "/").last! } == ["z.png", "a.png", "b.png"])
  }

  @Test func mistakesNameTheFile() throws {
    let folder = try TemporaryFolder()
    func error() -> KeelError? {
      failure { () throws(KeelError) in try ImageFolder(path: folder.path) }
    }
    #expect(error()?.expected == "a folder for each class")
    try folder.write(picture(0), to: "cat/a.png")
    #expect(error() == nil)
    try folder.write(picture(0, [3, 3, 1]), to: "dog/a.png")
    #expect(error()?.place.hasSuffix("/dog/a.png") == true)
    #expect(error()?.kind == .shape)
    #expect(error()?.found == "3×3×1")
    try folder.write(picture(0, [2, 3, 3]), to: "dog/a.png")
    #expect(error()?.found == "2×3×3")
    try folder.write(Array("no picture".utf8), to: "dog/a.png")
    #expect(error()?.kind == .file)
    try FileManager.default.removeItem(atPath: folder.file("dog/a.png"))
    #expect(error()?.place.hasSuffix("/dog") == true)
    #expect(
      failure { () throws(KeelError) in try ImageFolder(path: "/nowhere") }?.kind == .file)
  }
}
