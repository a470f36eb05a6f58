package import KeelFormats
internal import KeelPNG
public import KeelTensor

/// Reads and writes pictures in the PNG format.
///
/// Pixels are the numbers of the file, divided by the largest of its depth: 0…1, without conversion for gamma or
/// colour profiles, as networks are trained on them. Calls libpng's `png_image` functions.
public enum PNGFile {
  /// Reads a picture of 1 to 16 bits per channel, grey, in colour or with a palette, plain or interlaced.
  ///
  /// What is transparent is laid over the background: y = α·x + (1 − α)·background.
  ///
  /// - Parameter background: the value of each channel behind transparent pixels; 1 is white.
  /// - Returns: 1×H×W×C in 0…1, with C = 1 for grey pictures and 3 for all others.
  /// - Throws: `KeelError` of kind `file`.
  public static func read(_ path: String, background: Float = 1) throws(KeelError) -> Tensor {
    try read(FileBytes(mapping: path), background: background)
  }

  package static func read(_ file: FileBytes, background: Float = 1) throws(KeelError) -> Tensor {
    let chunks = try file.withBytes { (bytes) throws(KeelError) in
      try PNGChunks(bytes, path: file.path)
    }
    let image = PNGImage()
    defer { image.free() }
    return try chunks.bytes.withBytes { (bytes) throws(KeelError) in
      try image.check(
        png_image_begin_read_from_memory(image.pointer, bytes.baseAddress, bytes.count),
        path: file.path, expected: "a PNG picture")
      let kept = PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA
      let isDeep = chunks.bitDepth == 16
      let format = image.pointer.pointee.format & kept | (isDeep ? PNG_FORMAT_FLAG_LINEAR : 0)
      image.pointer.pointee.format = format
      let channels = format & PNG_FORMAT_FLAG_COLOR != 0 ? 3 : 1
      let layout = PixelLayout(
        channels: channels, hasAlpha: format & PNG_FORMAT_FLAG_ALPHA != 0,
        shape: [1, chunks.height, chunks.width, channels], background: background)
      return try isDeep
        ? layout.tensor(of: UInt16.self, image, path: file.path)
        : layout.tensor(of: UInt8.self, image, path: file.path)
    }
  }

  /// Writes a picture with 8 bits per channel; values are rounded to the nearest of 0/255, 1/255 … 1, those outside
  /// to 0 or 1. The same pixels make the same file. An old file of that name stays whole until the new one is.
  ///
  /// - Parameter image: H×W×C or 1×H×W×C with C = 1, grey, or 3.
  /// - Throws: `KeelError` of kind `shape` for others; of kind `value` for NaN; of kind `file` where the file cannot
  ///   be written.
  public static func write(_ image: Tensor, to path: String) throws(KeelError) {
    let bytes = try encoded(image, path: path)
    try AtomicFile.write(to: path) { (file) throws(KeelError) in try file.append(bytes) }
  }

  package static func encoded(_ tensor: Tensor, path: String) throws(KeelError) -> [UInt8] {
    let extents = tensor.shape.extents
    let (height, width, channels) =
      extents.count >= 3
      ? (extents[extents.count - 3], extents[extents.count - 2], extents.last!) : (0, 0, 0)
    // Beyond a million libpng refuses.
    guard extents.count == 3 || (extents.count == 4 && extents[0] == 1),
      (1...1_000_000).contains(height), (1...1_000_000).contains(width), [1, 3].contains(channels)
    else {
      throw KeelError(
        .shape, at: path, expected: "a picture H×W×C or 1×H×W×C with 1 or 3 channels",
        found: "\(tensor.shape)")
    }
    let values = tensor.elements
    if values.contains(where: \.isNaN) {
      throw KeelError(.value, at: path, expected: "numbers as pixels", found: "NaN")
    }
    let pixels = values.map { UInt8((min(max($0, 0), 1) * 255).rounded()) }
    let image = PNGImage()
    defer { image.free() }
    image.pointer.pointee.width = UInt32(width)
    image.pointer.pointee.height = UInt32(height)
    image.pointer.pointee.format = channels == 3 ? PNG_FORMAT_FLAG_COLOR : 0
    // Deflate adds 5 bytes to 16 KiB that it cannot pack, PNG 12 to each chunk of 8 KiB.
    let raw = (width * channels + 1) * height
    var size = raw + raw / 64 + 1024
    var bytes = [UInt8](repeating: 0, count: size)
    try image.check(
      png_image_write_to_memory(image.pointer, &bytes, &size, 0, pixels, 0, nil), path: path,
      expected: "a picture that libpng writes")
    return Array(bytes.prefix(size))
  }
}

/// How libpng is to lay out pixels, and the tensor that is made of them.
private struct PixelLayout {
  /// Without alpha.
  let channels: Int
  let hasAlpha: Bool
  let shape: Shape
  let background: Float

  /// Has the pixels read as integers of a type and divides them by its largest value.
  func tensor<Sample: FixedWidthInteger & UnsignedInteger>(
    of _: Sample.Type, _ image: PNGImage, path: String
  ) throws(KeelError) -> Tensor {
    let stride = channels + (hasAlpha ? 1 : 0)
    let count = shape[1] * shape[2]
    var samples = [Sample](repeating: 0, count: count * stride)
    try image.check(
      png_image_finish_read(image.pointer, nil, &samples, 0, nil), path: path,
      expected: "the pixels of a PNG picture")
    let largest = Float(Sample.max)
    // 16-bit samples come multiplied with their alpha.
    let isMultiplied = Sample.bitWidth == 16
    return Tensor(uninitialized: shape) { out in
      for pixel in 0..<count {
        let alpha = hasAlpha ? Float(samples[pixel * stride + channels]) / largest : 1
        for c in 0..<channels {
          let value = Float(samples[pixel * stride + c]) / largest
          out[pixel * channels + c] =
            hasAlpha ? (isMultiplied ? value : alpha * value) + (1 - alpha) * background : value
        }
      }
    }
  }
}

/// libpng's state of a picture, at one address throughout, because libpng remembers it.
private struct PNGImage {
  let pointer: UnsafeMutablePointer<png_image>

  init() {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: png_image())
    pointer.pointee.version = png_uint_32(PNG_IMAGE_VERSION)
  }

  func free() {
    png_image_free(pointer)
    pointer.deallocate()
  }

  /// Passes on what libpng complains of.
  func check(_ succeeded: Int32, path: String, expected: String) throws(KeelError) {
    guard succeeded == 0 else { return }
    let message = withUnsafeBytes(of: pointer.pointee.message) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    throw KeelError(.file, at: path, expected: expected, found: message)
  }
}
