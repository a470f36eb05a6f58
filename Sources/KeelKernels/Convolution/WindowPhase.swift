internal import CKeelLoops
internal import KeelTensor

/// A window together with the output pixels that it makes.
///
/// A forward convolution is one phase that makes every pixel. The input gradient of a convolution of
/// stride s is s·s phases: the pixels of one residue class see the same taps, so each class is a
/// convolution of stride 1 of dy (a gather, no scattered additions), and its pixels lie s apart.
internal struct WindowPhase: Sendable {
  let window: Window
  /// The first output pixel and the steps between output pixels.
  let originY: Int, originX: Int, stepY: Int, stepX: Int
  /// The extents of the whole output.
  let outputHeight: Int, outputWidth: Int

  /// Whether grid positions and output pixels are the same, in the same order.
  var isWhole: Bool {
    stepY == 1 && stepX == 1 && originY == 0 && originX == 0
      && window.leaf.gridHeight == outputHeight && window.leaf.gridWidth == outputWidth
  }

  /// The output pixel of a grid position, counted over the whole batch.
  func outputPixel(_ position: Int) -> Int {
    let (image, rest) = position.quotientAndRemainder(dividingBy: window.positionsPerImage)
    let (y, x) = rest.quotientAndRemainder(dividingBy: window.leaf.gridWidth)
    return (image * outputHeight + originY + y * stepY) * outputWidth + originX + x * stepX
  }

  /// Output pixels from one grid position of a row to the next.
  var pixelStep: Int { stepX }

  /// Calls `body` for each piece of a row of the grid among some positions, with the output pixel of the
  /// piece's first position; the next ones lie `pixelStep` apart.
  func forEachRow(of positions: Range<Int>, _ body: (_ positions: Range<Int>, _ pixel: Int) -> Void)
  {
    var first = positions.lowerBound
    while first < positions.upperBound {
      let rest = window.gridWidth - first % window.gridWidth
      let end = min(first + rest, positions.upperBound)
      body(first..<end, outputPixel(first))
      first = end
    }
  }

  /// Writes the addresses of the output pixels of some grid positions, in an output whose pixels have
  /// `stride` floats.
  func locate(
    _ positions: Range<Int>, in y: UnsafeMutablePointer<Float>, stride: Int,
    _ table: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>
  ) {
    var entry = table
    forEachRow(of: positions) { positions, pixel in
      let first = y + pixel * stride
      for i in 0..<positions.count { entry[i] = first + i * pixelStep * stride }
      entry += positions.count
    }
  }

  /// The one phase of a forward convolution.
  /// - Parameter channels: the channels that one window sees: a group's, or all of a depthwise one.
  static func forward(_ geometry: ConvolutionGeometry, channels: Int, joinsRuns: Bool)
    -> WindowPhase
  {
    WindowPhase(
      window: Window(
        height: geometry.height, width: geometry.width, channels: channels,
        stride: geometry.inputChannels, joinsRuns: joinsRuns),
      originY: 0, originX: 0, stepY: 1, stepX: 1, outputHeight: geometry.height.output,
      outputWidth: geometry.width.output)
  }

  /// The phases of an input gradient: dx[y] = Σ dy[(y + p − u·d) / s]·w[u] over the taps u for which
  /// the division leaves no rest.
  /// - Parameter channels: the channels of dy that one window sees.
  static func inputGradient(_ geometry: ConvolutionGeometry, channels: Int, joinsRuns: Bool)
    -> [WindowPhase]
  {
    func taps(_ axis: SpatialAxis, residue: Int) -> [(offset: Int, tap: Int)] {
      (0..<axis.window).compactMap { u in
        let distance = residue + axis.paddingBefore - u * axis.dilation
        return distance % axis.stride == 0 ? (distance / axis.stride, u) : nil
      }.sorted { $0.offset < $1.offset }
    }
    let (height, width) = (geometry.height, geometry.width)
    var phases: [WindowPhase] = []
    for residueY in 0..<min(height.stride, height.input) {
      for residueX in 0..<min(width.stride, width.input) {
        var list: [Tap] = []
        for (y, u) in taps(height, residue: residueY) {
          for (x, v) in taps(width, residue: residueX) {
            list.append(Tap(y: y, x: x, number: u * width.window + v))
          }
        }
        let window = Window(
          sourceHeight: height.output, sourceWidth: width.output,
          sourceStride: geometry.outputChannels, channels: channels,
          gridHeight: (height.input - residueY - 1) / height.stride + 1,
          gridWidth: (width.input - residueX - 1) / width.stride + 1, stepY: 1, stepX: 1,
          taps: list, joinsRuns: joinsRuns)
        phases.append(
          WindowPhase(
            window: window, originY: residueY, originX: residueX, stepY: height.stride,
            stepX: width.stride, outputHeight: height.input, outputWidth: width.input))
      }
    }
    return phases
  }
}
