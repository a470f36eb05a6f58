import KeelTensor

/// Convolution and its gradients, tap by tap.
///
/// One tap joins an output position (n, i, j), an offset (u, v) of the kernel and the input position
/// (n, i·s + u·d − p, j·s + v·d − p), likewise with one axis or three; taps that fall into the padding join nothing. The three passes
/// walk the same taps:
///
/// - forward: y[o] += Σ_c weight[o, u, v, c]·x[q·Cin/G + c],
/// - transposed, which is the input gradient (scatter): dx[q·Cin/G + c] += dy[o]·weight[o, u, v, c],
/// - weight gradient: dWeight[o, u, v, c] += dy[o]·x[q·Cin/G + c],
///
/// each for all o, with q = ⌊o / (Cout/G)⌋.
internal enum ConvolutionReference {
  /// x, weight → y, of the shapes that the geometry says.
  static func forward(_ x: DoubleTensor, _ weight: DoubleTensor, _ geometry: ConvolutionGeometry)
    -> DoubleTensor
  {
    let batch = x.shape[0]
    let channels = geometry.inputChannelsPerGroup
    return DoubleTensor(summing: geometry.outputShape(batch: batch)) { y in
      withPointers(x, weight) { x, weight in
        forEachTap(geometry, batch) { tap in
          for o in 0..<geometry.outputChannels {
            y[tap.output + o] += dotProduct(
              x + tap.input + firstChannel(of: o, geometry),
              weight + tap.weight(o, geometry), channels)
          }
        }
      }
    }
  }

  /// dy, weight → dx.
  static func transposed(
    _ dy: DoubleTensor, _ weight: DoubleTensor, _ geometry: ConvolutionGeometry
  ) -> DoubleTensor {
    let batch = dy.shape[0]
    let channels = geometry.inputChannelsPerGroup
    return DoubleTensor(summing: geometry.inputShape(batch: batch)) { dx in
      withPointers(dy, weight) { dy, weight in
        forEachTap(geometry, batch) { tap in
          for o in 0..<geometry.outputChannels {
            addProduct(
              dy[tap.output + o], weight + tap.weight(o, geometry),
              to: dx + tap.input + firstChannel(of: o, geometry), channels)
          }
        }
      }
    }
  }

  /// x, dy → dWeight.
  static func weightGradient(
    _ x: DoubleTensor, _ dy: DoubleTensor, _ geometry: ConvolutionGeometry
  ) -> DoubleTensor {
    let batch = x.shape[0]
    let channels = geometry.inputChannelsPerGroup
    return DoubleTensor(summing: geometry.weightShape) { dWeight in
      withPointers(x, dy) { x, dy in
        forEachTap(geometry, batch) { tap in
          for o in 0..<geometry.outputChannels {
            addProduct(
              dy[tap.output + o], x + tap.input + firstChannel(of: o, geometry),
              to: dWeight + tap.weight(o, geometry), channels)
          }
        }
      }
    }
  }

  /// The first input channel that output channel o sees, q·Cin/G.
  private static func firstChannel(of o: Int, _ geometry: ConvolutionGeometry) -> Int {
    o / geometry.outputChannelsPerGroup * geometry.inputChannelsPerGroup
  }

  private struct Tap {
    /// Where channel 0 of the input position stands in x.
    let input: Int
    /// Where channel 0 of the output position stands in y.
    let output: Int
    /// (t·kH + u)·kW + v.
    let offset: Int

    /// Where the weights of output channel o at this offset stand.
    func weight(_ o: Int, _ geometry: ConvolutionGeometry) -> Int {
      (o * geometry.tapCount + offset) * geometry.inputChannelsPerGroup
    }
  }

  /// Calls a closure for each tap that does not fall into the padding.
  @inline(__always)
  private static func forEachTap(
    _ geometry: ConvolutionGeometry, _ batch: Int, _ body: (Tap) -> Void
  ) {
    let (depth, height, width) = (geometry.depth, geometry.height, geometry.width)
    let (planes, rows, columns) = (depth.insideTaps, height.insideTaps, width.insideTaps)
    var output = 0
    for n in 0..<batch {
      for k in 0..<depth.output {
        for i in 0..<height.output {
          for j in 0..<width.output {
            for (t, plane) in planes[k] {
              for (u, row) in rows[i] {
                for (v, column) in columns[j] {
                  let input =
                    ((n * depth.input + plane) * height.input + row) * width.input + column
                  body(
                    Tap(
                      input: input * geometry.inputChannels, output: output,
                      offset: (t * height.window + u) * width.window + v))
                }
              }
            }
            output += geometry.outputChannels
          }
        }
      }
    }
  }
}
