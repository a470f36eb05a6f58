internal import CKeelLoops
internal import KeelTensor

/// How a weight becomes panels of columns, row after row.
extension IndirectProduct {
  /// Packs a weight.
  func pack(
    _ weight: WeightSource, into packed: UnsafeMutablePointer<Float>, parallelism: Parallelism
  ) {
    packZeros(into: packed)
    for phase in phases { pack(phase, weight, into: packed, parallelism: parallelism) }
  }

  func packZeros(into packed: UnsafeMutablePointer<Float>) {
    (packed + zerosOffset).update(repeating: 0, count: packedCount - zerosOffset)
  }

  func pack(
    _ phase: Phase, _ weight: WeightSource, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism
  ) {
    let k = phase.runs == 0 ? 0 : phase.geometry.window.taps.count * inputsPerGroup
    guard k > 0 else { return }
    let tasks = groups * phase.panels.count
    parallelism.forEach(tasks, work: 4 * groups * k * outputsPerGroup) { task, _ in
      let (group, panel) = task.quotientAndRemainder(dividingBy: phase.panels.count)
      let first = phase.columns(ofPanel: panel, of: outputsPerGroup).lowerBound
      pack(
        phase, weight, group, panel,
        into: packed + phase.packedOffset + group * phase.packedCount(outputsPerGroup) + first * k)
    }
  }

  /// One panel.
  func pack(
    _ phase: Phase, _ weight: WeightSource, _ group: Int, _ panel: Int,
    into to: UnsafeMutablePointer<Float>
  ) {
    let taps = phase.geometry.window.taps
    let k = taps.count * inputsPerGroup
    let columns = phase.columns(ofPanel: panel, of: outputsPerGroup)
    let from =
      weight.start + group * weight.groupStride + columns.lowerBound * weight.columnStride
    let width = phase.panels[panel].count * loops.width
    for (i, tap) in taps.enumerated() {
      let source = from + tap.number * weight.tapStride
      if phase.usesDots {
        for column in columns {
          let row = to + column * k + i * inputsPerGroup
          for c in 0..<inputsPerGroup {
            row[c] = source[column * weight.columnStride + c * weight.kStride]
          }
        }
      } else {
        loops.packPanel(
          to + i * inputsPerGroup * width, source, inputsPerGroup, weight.kStride, columns.count,
          weight.columnStride)
      }
    }
  }
}

/// A weight as its owner keeps it: where column c of row (tap, k) of B lies, in floats from the start.
internal struct WeightSource {
  let start: UnsafePointer<Float>
  let groupStride: Int, tapStride: Int, kStride: Int, columnStride: Int

  /// A convolution's weight Cout×taps×(Cin/G) in its forward pass.
  static func forward(
    _ weight: UnsafePointer<Float>, _ geometry: ConvolutionGeometry
  ) -> WeightSource {
    let (k, outputs) = (geometry.reductionLength, geometry.outputChannelsPerGroup)
    return WeightSource(
      start: weight, groupStride: outputs * k, tapStride: geometry.inputChannelsPerGroup,
      kStride: 1, columnStride: k)
  }

  /// The same in its input gradient: row (tap, o) of B holds weight[o, tap, ·].
  static func inputGradient(
    _ weight: UnsafePointer<Float>, _ geometry: ConvolutionGeometry
  ) -> WeightSource {
    let (k, outputs) = (geometry.reductionLength, geometry.outputChannelsPerGroup)
    return WeightSource(
      start: weight, groupStride: outputs * k, tapStride: geometry.inputChannelsPerGroup,
      kStride: k, columnStride: 1)
  }
}
