internal import KeelFormats
internal import KeelTensor

/// What a PNG file consists of.
///
/// The parts that say how pixels are to look on a screen (gamma, colour profiles) and texts are left out: libpng
/// then gives the numbers of the file.
internal struct PNGChunks {
  let width: Int
  let height: Int
  /// Bits of a channel.
  let bitDepth: Int
  /// The file without what is not needed.
  let bytes: [UInt8]

  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Takes a file apart, and checks that there can be as many pixels as it says.
  /// - Throws: `KeelError` of kind `file`.
  init(_ file: UnsafeRawBufferPointer, path: String) throws(KeelError) {
    guard file.starts(with: Self.signature) else {
      throw KeelError(
        .file, at: path, expected: "a PNG file", found: "\(file.count) bytes that begin otherwise")
    }
    var kept = Self.signature
    var header: Header?
    var packedSize = 0
    var at = Self.signature.count
    var type = ""
    while type != "IEND" {
      guard let length = file.integer(UInt32.self, at: at).map({ Int($0.byteSwapped) }),
        let chunk = file.part(from: at, count: length + 12)
      else {
        throw KeelError(
          .file, at: "\(path), byte \(at)", expected: "a chunk, the last one IEND",
          found: "the end of the file")
      }
      type = String(decoding: chunk[4..<8], as: UTF8.self)
      if header == nil {
        header = try Header(chunk, path: path)
      } else if type == "IDAT" {
        packedSize += length
      } else if !["PLTE", "tRNS", "IEND"].contains(type), chunk[4] & 0x20 == 0 {
        throw KeelError(
          .file, at: "\(path), byte \(at)", expected: "a chunk that is known, or may be left out",
          found: type)
      }
      if ["IHDR", "PLTE", "tRNS", "IDAT", "IEND"].contains(type) { kept += chunk }
      at += chunk.count
    }
    guard let header else { preconditionFailure("the first chunk is the header") }
    let rowSize = (header.width * header.bitsPerPixel + 7) / 8
    let (size, overflow) = rowSize.multipliedReportingOverflow(by: header.height)
    guard !overflow, Inflation.canUnpack(packedSize, to: size)
    else {
      throw KeelError(
        .file, at: path, expected: "\(header.width)×\(header.height) pixels",
        found: "\(packedSize) packed bytes, which are too few")
    }
    width = header.width
    height = header.height
    bitDepth = header.bitDepth
    bytes = kept
  }

  /// The first chunk.
  private struct Header {
    let width: Int
    let height: Int
    let bitDepth: Int
    let bitsPerPixel: Int

    init(_ chunk: UnsafeRawBufferPointer, path: String) throws(KeelError) {
      guard chunk.count == 25, chunk[4..<8].elementsEqual("IHDR".utf8) else {
        throw KeelError(
          .file, at: path, expected: "IHDR of 13 bytes as the first chunk", found: "another")
      }
      width = Int(chunk.integer(UInt32.self, at: 8)!.byteSwapped)
      height = Int(chunk.integer(UInt32.self, at: 12)!.byteSwapped)
      bitDepth = Int(chunk[16])
      let channels = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][chunk[17]]
      guard (1...0x7FFF_FFFF).contains(width), (1...0x7FFF_FFFF).contains(height), let channels,
        [1, 2, 4, 8, 16].contains(bitDepth)
      else {
        throw KeelError(
          .file, at: "\(path): IHDR",
          expected: "sizes from 1 to 2³¹ − 1, a colour type and a depth",
          found: "\(width)×\(height), \(chunk[17]), \(bitDepth)")
      }
      bitsPerPixel = channels * bitDepth
    }
  }
}
