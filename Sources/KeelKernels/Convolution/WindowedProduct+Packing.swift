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
}
