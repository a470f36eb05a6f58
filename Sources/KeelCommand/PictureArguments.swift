import ArgumentParser
import Keel
import KeelImages

/// What is done to the pixels of pictures, which are 0 to 1: y = (x − mean)/std.
struct PictureArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Subtracted from a PNG's channels, which are 0 to 1: one number, or one for each.",
      valueName: "numbers"),
    transform: { try ChannelNumbers(argument: $0) })
  var mean: ChannelNumbers?
  @Option(
    help: ArgumentHelp(
      "What a PNG's channels are divided by after that: one number, or one for each.",
      valueName: "numbers"),
    transform: { try ChannelNumbers(argument: $0) })
  var std: ChannelNumbers?

  func validate() throws {
    guard std?.values.allSatisfy({ $0 > 0 }) ?? true else {
      throw ValidationError("--std: expected numbers above 0, found \(std!.argument)")
    }
  }

  /// Refuses options that no picture is there for.
  func check(isUsed: Bool) throws {
    for (option, numbers) in [("--mean", mean), ("--std", std)] where numbers != nil && !isUsed {
      throw ValidationError("\(option) is for PNG inputs, found none")
    }
  }

  /// Pictures as one input, stacked along the batch. Grey ones stand for all channels where there are more.
  /// - Throws: `FileFailure` for files that are no PNG pictures; a message for pictures of another size or other
  ///   channels than the input has.
  func tensor(
    of paths: [String], for name: String, _ type: ValueType, isFile: Bool
  ) throws -> Tensor {
    let extents = type.extents
    guard type.elementType == .float32, extents.count == 4 else {
      throw ValidationError(
        "\(paths[0]): expected an array \(type) for input \(name), found a picture")
    }
    // A file's images have their channels second, but for those that say otherwise.
    let isColour: (Extent) -> Bool = { $0 == 1 || $0 == 3 }
    let isFirst = isFile && (isColour(extents[1]) || !isColour(extents[3]))
    let size = isFirst ? [extents[2], extents[3]] : [extents[1], extents[2]]
    let channels = (isFirst ? extents[1] : extents[3]).fixedValue ?? 3
    let images = try paths.map { path in try reading { try PNGFile.read(path) } }
    let first = images[0].shape
    for (path, image) in zip(paths, images) {
      let (shape, own) = (image.shape, image.shape[3])
      let fits = zip(size, shape.extents[1...2]).allSatisfy {
        $0.fixedValue == nil || $0 == .fixed($1)
      }
      guard fits, own == channels || own == 1, shape[1] == first[1], shape[2] == first[2] else {
        throw ValidationError(
          "\(path): expected a picture of \(size[0])×\(size[1]) with \(count(channels, "channel")) for "
            + "input \(name), found \(shape[1])×\(shape[2]) with \(own)")
      }
    }
    let (mean, std) = (
      try numbers(mean, "--mean", 0, channels), try numbers(std, "--std", 1, channels)
    )
    let positions = first[1] * first[2]
    let shape: Shape =
      isFirst
      ? [images.count, channels, first[1], first[2]] : [images.count, first[1], first[2], channels]
    return Tensor(uninitialized: shape) { out in
      for (n, image) in images.enumerated() {
        let own = image.shape[3]
        image.withSpan { pixels in
          for p in 0..<positions {
            for c in 0..<channels {
              let to =
                isFirst ? (n * channels + c) * positions + p : (n * positions + p) * channels + c
              out[to] = (pixels[p * own + (own == 1 ? 0 : c)] - mean[c]) / std[c]
            }
          }
        }
      }
    }
  }

  private func numbers(
    _ given: ChannelNumbers?, _ option: String, _ otherwise: Float, _ channels: Int
  ) throws -> [Float] {
    let values = given?.values ?? [otherwise]
    guard values.count == 1 || values.count == channels else {
      throw ValidationError(
        "\(option): expected one number or \(channels), found \(given!.argument)")
    }
    return values.count == 1 ? Array(repeating: values[0], count: channels) : values
  }
}

/// Numbers between commas.
struct ChannelNumbers: Sendable {
  let values: [Float]
  let argument: String

  init(argument: String) throws {
    let values = argument.split(separator: ",", omittingEmptySubsequences: false).map { Float($0) }
    guard values.allSatisfy({ $0?.isFinite ?? false }) else {
      throw ValidationError("Expected numbers between commas, such as 0.485,0.456,0.406.")
    }
    self.values = values.map { $0! }
    self.argument = argument
  }
}
