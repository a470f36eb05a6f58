import KeelFormats
import KeelImages
import KeelMutations
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct PNGFileTests {
  private func read(_ bytes: [UInt8], background: Float = 1) throws(KeelError) -> Tensor {
    try PNGFile.read(FileBytes(bytes, path: "a.png"), background: background)
  }

  private func readError(_ bytes: [UInt8]) -> KeelError? {
    do throws(KeelError) {
      _ = try read(bytes)
      return nil
    } catch { return error }
  }

  private let grey = PNGBuilder(
    width: 3, height: 2, bitDepth: 8, colorType: 0, rows: [0, 1, 254, 255, 128, 51])

  @Test func greyAndColour() throws {
    let image = try read(grey.file)
    #expect(image.shape == [1, 2, 3, 1])
    #expect(image.elements == [0, 1, 254, 255, 128, 51].map { Float($0) / 255 })
    let colour = PNGBuilder(
      width: 2, height: 1, bitDepth: 8, colorType: 2, rows: [1, 2, 3, 200, 100, 50])
    let read = try read(colour.file)
    #expect(read.shape == [1, 1, 2, 3])
    #expect(read.elements == [1, 2, 3, 200, 100, 50].map { Float($0) / 255 })
  }

  /// All values of 16 bits are read as they are: v/65535.
  @Test func sixteenBits() throws {
    let rows = (0..<65536).flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    let grey = PNGBuilder(width: 256, height: 256, bitDepth: 16, colorType: 0, rows: rows)
    #expect(try read(grey.file).elements == (0..<65536).map { Float($0) / 65535 })
    let colour = PNGBuilder(
      width: 1, height: 1, bitDepth: 16, colorType: 2, rows: [0, 1, 0x80, 0, 0xFF, 0xFF])
    #expect(try read(colour.file).elements == [1, 32768, 65535].map { Float($0) / 65535 })
  }

  @Test func fewBits() throws {
    let bits = PNGBuilder(
      width: 10, height: 1, bitDepth: 1, colorType: 0, rows: [0b1010_0110, 0b0100_0000])
    #expect(try read(bits.file).elements == [1, 0, 1, 0, 0, 1, 1, 0, 0, 1])
    let pairs = PNGBuilder(width: 4, height: 1, bitDepth: 2, colorType: 0, rows: [0b0001_1011])
    #expect(try read(pairs.file).elements == [0, 85, 170, 255].map { Float($0) / 255 })
    let fours = PNGBuilder(width: 2, height: 1, bitDepth: 4, colorType: 0, rows: [0x3F])
    #expect(try read(fours.file).elements == [51, 255].map { Float($0) / 255 })
  }

  @Test(arguments: [1, 3, 8, 11]) func interlaced(_ width: Int) throws {
    var image = PNGBuilder(
      width: width, height: 9, bitDepth: 8, colorType: 0,
      rows: (0..<width * 9).map { UInt8($0 * 2) })
    image.isInterlaced = true
    #expect(try read(image.file).elements == (0..<width * 9).map { Float($0 * 2) / 255 })
  }

  @Test func palettes() throws {
    var image = PNGBuilder(width: 3, height: 1, bitDepth: 8, colorType: 3, rows: [2, 0, 1])
    image.chunks = [("PLTE", [10, 20, 30, 40, 50, 60, 70, 80, 90])]
    let expected: [Float] = [70, 80, 90, 10, 20, 30, 40, 50, 60].map { $0 / 255 }
    #expect(try read(image.file).elements == expected)
    // The second colour is transparent.
    image.chunks.append(("tRNS", [255, 0]))
    let elements = try read(image.file, background: 0.5).elements
    #expect(Array(elements[..<6]) == Array(expected[..<6]))
    #expect(Array(elements[6...]) == [0.5, 0.5, 0.5])
  }

  /// Laid over the background; within rounding to 8 or 16 bits for premultiplied ones.
  @Test func transparency() throws {
    let colour = PNGBuilder(
      width: 2, height: 1, bitDepth: 8, colorType: 6, rows: [200, 100, 50, 51, 10, 20, 30, 0])
    let expected: [Float] = [200, 100, 50].map { 0.2 * $0 / 255 + 0.8 } + [1, 1, 1]
    for (found, meant) in zip(try read(colour.file).elements, expected) {
      #expect(abs(found - meant) <= 1e-6)
    }
    let grey = PNGBuilder(width: 1, height: 1, bitDepth: 8, colorType: 4, rows: [200, 51])
    let value = try read(grey.file, background: 0)
    #expect(value.shape == [1, 1, 1, 1])
    #expect(abs(value.elements[0] - 0.2 * 200 / 255) <= 1e-6)
    let deep = PNGBuilder(
      width: 1, height: 1, bitDepth: 16, colorType: 4, rows: [0x80, 0, 0x40, 0])
    let alpha: Float = 16384 / 65535
    let meant = alpha * 32768 / 65535 + (1 - alpha) * 0.5
    #expect(abs(try read(deep.file, background: 0.5).elements[0] - meant) <= 1 / 65535)
  }

  /// What a file says of gamma does not change its numbers.
  @Test func gammaIsLeftAlone() throws {
    var image = grey
    image.chunks = [("gAMA", PNGBuilder.big(100_000)), ("tEXt", Array("a\0b".utf8))]
    #expect(try read(image.file) == read(grey.file))
    var deep = PNGBuilder(width: 1, height: 1, bitDepth: 16, colorType: 0, rows: [0x12, 0x34])
    deep.chunks = [("sRGB", [0])]
    #expect(try read(deep.file).elements == [Float(0x1234) / 65535])
  }

  @Test(arguments: [1, 3]) func roundTrip(_ channels: Int) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.png")
    var source = TensorSource(seed: 9)
    let pixels = source.choice([1, 37, 53, channels], of: (0...255).map { Float($0) / 255 })
    try PNGFile.write(pixels, to: path)
    #expect(try PNGFile.read(path) == pixels)
    let first = try FileBytes(mapping: path).withBytes { (bytes) in Array(bytes) }
    try PNGFile.write(try pixels.reshaped(to: [37, 53, channels]), to: path)
    #expect(try FileBytes(mapping: path).withBytes { (bytes) in Array(bytes) } == first)
  }

  /// Pixels that cannot be packed need the most room.
  @Test func noise() throws {
    var source = TensorSource(seed: 4)
    for side in [1, 2, 300] {
      let pixels = source.choice([1, side, side, 3], of: (0...255).map { Float($0) / 255 })
      #expect(try read(PNGFile.encoded(pixels, path: "a")) == pixels)
    }
  }

  @Test func valuesAreClippedAndRounded() throws {
    let pixels = try Tensor(
      [-1, 2, 0.5, .infinity, -.infinity, 0.4 / 255, 0.6 / 255], shape: [1, 7, 1])
    let found = try read(PNGFile.encoded(pixels, path: "a")).elements.map { $0 * 255 }
    #expect(found.map { $0.rounded() } == [0, 255, 128, 255, 0, 0, 1])
  }

  @Test func picturesThatCannotBeWritten() {
    func error(_ tensor: Tensor) -> KeelError? {
      do throws(KeelError) {
        _ = try PNGFile.encoded(tensor, path: "a")
        return nil
      } catch { return error }
    }
    for shape: Shape in [
      [], [2, 2], [2, 2, 2, 1], [2, 2, 2], [2, 2, 4], [0, 2, 1], [1, 2, 0, 3],
    ] {
      #expect(error(Tensor(zeros: shape))?.kind == .shape, "\(shape)")
    }
    #expect(error(Tensor(repeating: .nan, shape: [1, 1, 1]))?.kind == .value)
  }

  @Test func malformedFiles() {
    func changed(_ change: (inout PNGBuilder) -> Void) -> KeelError? {
      var image = grey
      change(&image)
      return readError(image.file)
    }
    #expect(changed { _ in } == nil)
    #expect(readError([])?.expected == "a PNG file")
    #expect(readError(Array("GIF89a, which is another".utf8))?.kind == .file)
    #expect(changed { $0.width = 0 }?.place == "a.png: IHDR")
    #expect(changed { $0.width = 1 << 31 }?.place == "a.png: IHDR")
    #expect(changed { $0.colorType = 1 }?.kind == .file)
    #expect(changed { $0.bitDepth = 3 }?.kind == .file)
    #expect(changed { $0.colorType = 3 }?.kind == .file)
    #expect(changed { $0.width = 2_000_000_000 }?.found.hasSuffix("too few") == true)
    #expect(changed { $0.chunks = [("ABCD", [])] }?.found == "ABCD")
    var file = grey.file
    file[file.count - 20] ^= 1
    #expect(readError(file)?.kind == .file)
    var tall = grey
    tall.height = 3
    tall.rows = [0, 0, 0, 0, 0, 0, 0, 0, 0]
    let short = Array(tall.file[..<33]) + Array(grey.file[33...])
    #expect(readError(short)?.kind == .file)
  }

  @Test func cutAnywhere() {
    let bytes = grey.file
    for count in bytes.indices { #expect(readError(Array(bytes[..<count]))?.kind == .file) }
  }

  /// Half of the damaged files have right checksums, so that libpng looks at what is in them.
  @Test(arguments: [0, 2, 3, 4, 6] as [UInt8]) func damaged(_ colorType: UInt8) throws {
    let channels = [1, 0, 3, 1, 2, 0, 4][Int(colorType)]
    var image = PNGBuilder(
      width: 9, height: 7, bitDepth: 8, colorType: colorType,
      rows: (0..<9 * 7 * channels).map { UInt8($0 % 3) })
    image.chunks = colorType == 3 ? [("PLTE", [UInt8](0..<9)), ("tRNS", [3])] : []
    var mutations = Mutations(of: image.file, seed: 31)
    var failures = 0
    for i in 0..<1500 {
      var bytes = mutations.next()
      if i % 2 == 0 { repairChecksums(&bytes) }
      if readError(bytes) != nil { failures += 1 }
    }
    #expect(failures > 300, "seed 31")
  }

  private func repairChecksums(_ bytes: inout [UInt8]) {
    var at = 8
    while at + 12 <= bytes.count {
      let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      guard at + 12 + length <= bytes.count else { return }
      let type = String(decoding: bytes[at + 4..<at + 8], as: UTF8.self)
      let data = Array(bytes[at + 8..<at + 8 + length])
      let chunk = PNGBuilder.chunk(type, data)
      guard chunk.count == length + 12 else { return }
      bytes.replaceSubrange(at + length + 8..<at + length + 12, with: chunk.suffix(4))
      at += length + 12
    }
  }
}
