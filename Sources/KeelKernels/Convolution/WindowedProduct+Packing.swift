internal import CKeelLoops
internal import KeelTensor

extension WindowedProduct {
  /// Packs a convolution's weight for its forward pass: per group and panel, the transpose of the
  /// panel's rows of the weight, K × width. The columns of a gathered row are in the weight's order.
  func packForward(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>
  ) {
    let product = phases[0].product
    for group in 0..<groups {
      let source = weight + group * outputsPerGroup * product.k
      let target = packed + group * product.packedCount
      for panel in 0..<product.panelCount {
        let columns = product.columns(ofPanel: panel)
        loops.transpose(
          target + columns.lowerBound * product.k, columns.count,
          source + columns.lowerBound * product.k, product.k, columns.count, product.k)
      }
    }
  }

  /// Packs a convolution's weight for its input gradient: row (tap, o) of B holds weight[o, tap, ·].
  func packInputGradient(
    _ weight: UnsafePointer<Float>, geometry: ConvolutionGeometry,
    into packed: UnsafeMutablePointer<Float>
  ) {
    let taps = geometry.tapCount
    let inputs = geometry.inputChannelsPerGroup
    let outputs = geometry.outputChannelsPerGroup
    for phase in phases {
      let product = phase.product
      for group in 0..<groups where !phase.geometry.window.taps.isEmpty {
        let target = packed + phase.packedOffset + group * product.packedCount
        for panel in 0..<product.panelCount {
          let columns = product.columns(ofPanel: panel)
          var row = target + columns.lowerBound * product.k
          for tap in phase.geometry.window.taps {
            for output in group * outputs..<(group + 1) * outputs {
              let source = weight + (output * taps + tap.number) * inputs + columns.lowerBound
              row.update(from: source, count: columns.count)
              row += columns.count
            }
          }
        }
      }
    }
  }
}
