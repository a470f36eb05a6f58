internal import CKeelLoops
internal import KeelTensor

/// A window together with the output pixels that it makes.
///
/// A forward convolution is one phase that makes every pixel. The input gradient of a convolution of
/// stride s is one phase for each residue class of pixels, s·s of them for images: the pixels of a class
/// see the same taps, so each class is a convolution of stride 1 of dy (a gather, no scattered
/// additions), and its pixels lie s apart.
internal struct WindowPhase: Sendable {
  let window: Window
  /// The first output pixel.
  let origin: Window.Extents
  /// The steps between output pixels.
  let step: Window.Extents
  /// The extents of the whole output.
  let output: Window.Extents

  /// Whether grid positions and output pixels are the same, in the same order.
  var isWhole: Bool {
    let leaf = window.leaf
    return step == .init(z: 1, y: 1, x: 1) && origin == .init(z: 0, y: 0, x: 0)
      && output == .init(z: leaf.gridDepth, y: leaf.gridHeight, x: leaf.gridWidth)
  }

  /// The output pixel of a grid position, counted over the whole batch.
  func outputPixel(_ position: Int) -> Int {
    let (rest, x) = position.quotientAndRemainder(dividingBy: window.leaf.gridWidth)
    let (plane, y) = rest.quotientAndRemainder(dividingBy: window.leaf.gridHeight)
    let (image, z) = plane.quotientAndRemainder(dividingBy: window.leaf.gridDepth)
    let row = (image * output.z + origin.z + z * step.z) * output.y + origin.y + y * step.y
    return row * output.x + origin.x + x * step.x
  }

  /// Output pixels from one grid position of a row to the next.
  var pixelStep: Int { step.x }

  /// The grid positions of a piece of a line, counted over lines of the largest grid of several phases; nil
  /// where this phase has none.
  func positions(line: Int, of lines: Window.Extents, piece: Range<Int>) -> Range<Int>? {
    let leaf = window.leaf
    let (plane, y) = line.quotientAndRemainder(dividingBy: lines.y)
    let (image, z) = plane.quotientAndRemainder(dividingBy: lines.z)
    guard y < leaf.gridHeight, z < leaf.gridDepth, piece.lowerBound < leaf.gridWidth else {
      return nil
    }
    let first = ((image * leaf.gridDepth + z) * leaf.gridHeight + y) * leaf.gridWidth
    return first + piece.lowerBound..<first + min(piece.upperBound, leaf.gridWidth)
  }

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
  /// - Parameters:
  ///   - channels: the channels that one window sees: a group's, or all of a depthwise one.
  ///   - stride: floats from one pixel of the source to the next.
  ///   - map: where the source's pixels are.
  static func forward(
    _ geometry: ConvolutionGeometry, channels: Int, stride: Int, joinsRuns: Bool,
    map: PixelMap? = nil
  ) -> WindowPhase {
    WindowPhase(
      window: Window(
        geometry.spatial, channels: channels, stride: stride, joinsRuns: joinsRuns, map: map),
      origin: .init(z: 0, y: 0, x: 0), step: .init(z: 1, y: 1, x: 1),
      output: geometry.spatial.extents(\.output))
  }

  /// The phases of an input gradient: dx[y] = Σ dy[(y + p − u·d) / s]·w[u] over the taps u for which
  /// the division leaves no rest.
  /// - Parameters:
  ///   - channels: the channels of dy that one window sees.
  ///   - stride: floats from one pixel of dy to the next.
  static func inputGradient(
    _ geometry: ConvolutionGeometry, channels: Int, stride: Int
  ) -> [WindowPhase] {
    let (depth, height, width) = (geometry.depth, geometry.height, geometry.width)
    let (depths, heights, widths) = (residues(depth), residues(height), residues(width))
    var phases: [WindowPhase] = []
    for z in depths {
      for y in heights {
        for x in widths {
          var taps: [Tap] = []
          for t in z.taps {
            for u in y.taps {
              for v in x.taps {
                let number = (t.number * height.window + u.number) * width.window + v.number
                taps.append(Tap(z: t.offset, y: u.offset, x: v.offset, number: number))
              }
            }
          }
          let window = Window(
            source: geometry.spatial.extents(\.output), sourceStride: stride,
            channels: channels, grid: .init(z: z.count, y: y.count, x: x.count),
            step: .init(z: 1, y: 1, x: 1), taps: taps, joinsRuns: false)
          phases.append(
            WindowPhase(
              window: window, origin: .init(z: z.first, y: y.first, x: x.first),
              step: geometry.spatial.extents(\.stride),
              output: geometry.spatial.extents(\.input)))
        }
      }
    }
    return phases
  }

  /// The input positions of one axis that leave one rest when divided by the stride.
  private struct Residue {
    let first: Int
    /// The number of positions.
    let count: Int
    /// The taps that reach them, by where they find dy for the first one.
    let taps: [(offset: Int, number: Int)]
  }

  private static func residues(_ axis: SpatialAxis) -> [Residue] {
    (0..<min(axis.stride, axis.input)).map { residue in
      let taps = (0..<axis.window).compactMap { tap -> (offset: Int, number: Int)? in
        let distance = residue + axis.paddingBefore - tap * axis.dilation
        return distance % axis.stride == 0 ? (distance / axis.stride, tap) : nil
      }
      return Residue(
        first: residue, count: (axis.input - residue - 1) / axis.stride + 1,
        taps: taps.sorted { $0.offset < $1.offset })
    }
  }
}
