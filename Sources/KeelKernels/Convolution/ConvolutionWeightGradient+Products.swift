internal import CKeelLoops
internal import KeelTensor

/// What a task of the weight's gradient does.
extension ConvolutionWeightGradient {
  /// The columns of a panel of a run's sum.
  private func columns(ofPanel panel: Int) -> Range<Int> {
    let vectors = panels[panel]
    return vectors.lowerBound * loops.width..<min(vectors.upperBound * loops.width, columnsPerRun)
  }

  /// Writes the addresses of `count` rows of dy.
  private func locate(
    _ dy: UnsafePointer<Float>, _ first: Int, _ count: Int,
    _ table: UnsafeMutablePointer<UnsafePointer<Float>?>
  ) {
    for i in 0..<count { table[i] = dy + (first + i) * geometry.outputChannels }
  }

  /// The runs × panels × pieces of a unit, chunk by chunk: floats of dy against vectors of x, or turned.
  func product(
    _ rows: Range<Int>, _ unit: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>, zeros: UnsafePointer<Float>,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let outputs = geometry.outputChannelsPerGroup
    let k = geometry.reductionLength
    let gradients = AddressTable(memory, rows: 0).sources
    let pixels = AddressTable(memory + Self.tableCount, rows: 0).sources
    let copy = memory + 2 * Self.tableCount
    var first = rows.lowerBound
    while first < rows.upperBound {
      let count = min(chunk, rows.upperBound - first)
      locate(dy, first, count, gradients)
      let ahead = bringsNext ? chunk : 0
      let add: Int32 = first == rows.lowerBound ? 0 : 1
      var located = -1
      for part in unit {
        let (rest, number) = part.quotientAndRemainder(dividingBy: pieces.count)
        let (run, panel) = rest.quotientAndRemainder(dividingBy: panels.count)
        let piece = pieces[number]
        let columns = columns(ofPanel: panel)
        for group in 0..<geometry.groups {
          if run != located || reading == .copied {
            withUnsafePointer(to: window.leaf) {
              loops.locate(pixels, count, x, zeros, $0, run, 1, first, count)
            }
            located = run
          }
          if reading == .turned {
            loops.windowGradient(
              sum + (run * geometry.inputChannels + piece.lowerBound) * outputs
                + columns.lowerBound, outputs, pixels, piece.lowerBound, gradients,
              columns.lowerBound, count, piece.count, columns.count, add,
              ahead * geometry.inputChannels, ahead * outputs)
            continue
          }
          var offset = group * geometry.inputChannelsPerGroup + columns.lowerBound
          var following = ahead * geometry.inputChannels
          if reading == .copied {
            let stride = panels[panel].count * loops.width
            loops.copyRows(copy, stride, pixels, offset, count, columns.count)
            for row in 0..<count { pixels[row] = UnsafePointer(copy + row * stride) }
            offset = 0
            following = 0
          }
          loops.windowGradient(
            sum + (group * outputs + piece.lowerBound) * k + run * columnsPerRun
              + columns.lowerBound, k, gradients, group * outputs + piece.lowerBound, pixels,
            offset, count, piece.count, columns.count, add, ahead * geometry.outputChannels,
            following)
        }
      }
      first += count
    }
  }

  /// Blocks of a strip: floats of x against vectors of dy. The sum is K × Cout.
  func stripped(
    _ blocks: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>, _ memory: UnsafeMutablePointer<Float>
  ) {
    guard let strip else { return }
    let outputs = geometry.outputChannels
    let runs = strip.window.leaf.runCount
    let depth = geometry.reductionLength / runs
    let gradients = AddressTable(memory, rows: 0).sources
    let windows = AddressTable(memory + Self.tableCount, rows: 0).sources
    let copy = memory + Self.tableCount * (1 + runs)
    for number in blocks {
      let block = strip.block(number)
      let count = block.count
      strip.locate(windows, block, source: x, in: copy)
      locate(dy, strip.positions(block).lowerBound, count, gradients)
      for run in 0..<runs {
        for panel in 0..<panels.count {
          let columns = columns(ofPanel: panel)
          loops.windowGradient(
            sum + run * depth * outputs + columns.lowerBound, outputs, windows + run * count, 0,
            gradients, columns.lowerBound, count, depth, columns.count,
            number == blocks.lowerBound ? 0 : 1, 0, 0)
        }
      }
    }
  }

  /// Whole windows, chunk by chunk.
  func gathered(
    _ rows: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>, _ memory: UnsafeMutablePointer<Float>
  ) {
    let outputs = geometry.outputChannelsPerGroup
    let k = geometry.reductionLength
    let gradients = AddressTable(memory, rows: 0).sources
    let table = AddressTable(memory + Self.tableCount, rows: 0).sources
    let windows = memory + 2 * Self.tableCount
    let stride = panels.rows * loops.width
    let chunk = Self.gatheredRows(panels)
    for row in 0..<chunk {
      table[row] = UnsafePointer(windows + row * stride)
      // The end of the last vector is never stored, but must be numbers that take no extra time.
      (windows + row * stride + k).update(repeating: 0, count: stride - k)
    }
    for group in 0..<geometry.groups {
      var first = rows.lowerBound
      while first < rows.upperBound {
        let count = min(chunk, rows.upperBound - first)
        locate(dy, first, count, gradients)
        withUnsafePointer(to: window.leaf) {
          loops.gather(
            windows, stride, x + group * geometry.inputChannelsPerGroup, $0, first, count)
        }
        for panel in 0..<panels.count {
          let columns = columns(ofPanel: panel)
          loops.windowGradient(
            sum + group * outputs * k + columns.lowerBound, k, gradients, group * outputs, table,
            columns.lowerBound, count, outputs, columns.count, first == rows.lowerBound ? 0 : 1,
            0, 0)
        }
        first += count
      }
    }
  }

  /// Sums as taps × channels.
  func depthwise(
    _ rows: Range<Int>, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
    into sum: UnsafeMutablePointer<Float>
  ) {
    sum.update(repeating: 0, count: geometry.weightCount)
    let (first, count) = (rows.lowerBound * positionsPerItem, rows.count * positionsPerItem)
    let isLarge = 4 * batch * geometry.outputPositions * geometry.outputChannels >= Self.largeBytes
    withUnsafePointer(to: window.leaf) {
      loops.depthwiseWeight(
        sum, x, dy + first * geometry.outputChannels, $0, first, count,
        Int32(isLarge ? KEEL_FETCH_BOTH : KEEL_FETCH_NOTHING))
    }
  }
}
