package import KeelTensor

/// What a convolution takes on one core, estimated: to choose between algorithms, not to foretell times.
///
/// The figures are those of a core with AVX-512 and 2 MB of second-level cache; what counts is how they relate.
package struct ConvolutionCost: Sendable {
  /// Operations of the products, at their speed.
  package let products: Double
  /// Reading the weight, which a batch of few pixels waits for.
  package let weight: Double
  /// Winograd's transforms of pixels and of results.
  package let transforms: Double

  /// Products and reading overlap; transforms come before and after.
  package var seconds: Double { max(products, weight) + transforms }

  /// Multiply-adds a second: of windows where they lie, and of Winograd's smaller products.
  private static let (direct, components) = (60e9, 55e9)
  /// Bytes a second: of weights that other layers have pushed out of the caches, and within them.
  private static let (memory, cache) = (10e9, 18e9)
  /// Seconds for a vector of 16 channels of a tile: of the input, and of the result.
  private static func tileSeconds(_ size: Int) -> (input: Double, result: Double) {
    size == 2 ? (16e-9, 12e-9) : (35e-9, 30e-9)
  }

  /// Seconds to make the components of 16 weights of taps.
  private static let weightSeconds = 25e-9

  /// Estimates a convolution by an algorithm that serves it.
  package init(_ algorithm: ConvolutionAlgorithm, _ geometry: ConvolutionGeometry, batch: Int) {
    let (inputs, outputs) = (Double(geometry.inputChannels), Double(geometry.outputChannels))
    guard let size = algorithm.winogradSize else {
      products = Double(batch * geometry.multiplyAddsPerImage) / Self.direct
      weight = 4 * Double(geometry.weightCount) / Self.memory
      transforms = 0
      return
    }
    let tiles = WinogradProduct.tileCount(geometry, batch: batch, size: size)
    let components = Double((size + 2) * (size + 2))
    let keepsTaps = algorithm == .compactWinograd4x4
    let blocks = RowTiles(
      rows: tiles,
      target: WinogradProduct.tilesPerBlock(
        tiles, size: size, inputs: geometry.inputChannels, keepsTaps: keepsTaps)
    ).count
    // Rows are multiplied six at a time.
    let rows = Double((tiles + 5) / 6 * 6)
    let made = keepsTaps ? Double(blocks) * inputs * (outputs / 16).rounded(.up) : 0
    products = components * rows * inputs * outputs / Self.components + made * Self.weightSeconds
    let bytes = 4 * (keepsTaps ? 9 : components) * inputs * outputs
    weight =
      bytes / Self.memory + Double(blocks - 1) * bytes / (bytes > 1e6 ? Self.cache : .infinity)
    let seconds = Self.tileSeconds(size)
    transforms =
      Double(tiles)
      * ((inputs / 16).rounded(.up) * seconds.input + (outputs / 16).rounded(.up) * seconds.result)
  }
}
