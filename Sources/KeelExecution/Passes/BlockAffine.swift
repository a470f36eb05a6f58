internal import KeelGraph
internal import KeelTensor

/// y = M·x + t within each block of channels: what a whitening by running statistics computes, in Double.
internal struct BlockAffine {
  let blocks: ChannelBlocks
  /// Packed as `BlockMap` takes it, d×C.
  let matrix: DoubleTensor
  /// t of each channel.
  let offsets: [Double]

  var channels: Int { offsets.count }

  /// The map at a position.
  /// - Returns: nil where there is none.
  /// - Throws: `Refusal` where it is not one of constant numbers for all samples.
  init?(at position: Int, _ state: FoldingState) throws(Refusal) {
    let node = state.editor.nodes[position]!
    guard case .blockMap(let map) = node.primitive else { return nil }
    guard map.blocks.rows == .all else { throw Refusal("each sample has statistics of its own") }
    let constants = ConstantValues(state)
    let numbers = node.inputs.dropFirst().map { constants.numbers($0) }
    guard let matrix = numbers[map.matrixOperand - 1], numbers.allSatisfy({ $0 != nil }) else {
      throw Refusal("its matrix is computed in each run")
    }
    blocks = map.blocks
    self.matrix = matrix
    let channels = matrix.shape[1]
    let centre = map.centers ? numbers[0] : nil
    let shift = map.shiftOperand.flatMap { numbers[$0 - 1] }
    offsets = (0..<channels).map { c in
      let first = c / map.blocks.size * map.blocks.size
      return (first..<min(first + map.blocks.size, channels)).reduce(shift?[flat: c] ?? 0) {
        sum, j in
        let mean = centre.map { $0[flat: j] + $0[flat: channels + j] } ?? 0
        return sum - matrix[flat: (j - first) * channels + c] * mean
      }
    }
  }

  /// The weight of channel `from` in channel `to` of its block.
  func weight(from: Int, to: Int) -> Double {
    matrix[flat: (from - to / blocks.size * blocks.size) * channels + to]
  }

  /// The channels of a channel's block.
  func block(of channel: Int) -> Range<Int> {
    blocks.channels(of: channel / blocks.size, in: channels)
  }

  /// Whether blocks stay within runs of so many channels.
  func fits(groupsOf count: Int) -> Bool {
    count == channels
      || (0..<blocks.count(of: channels)).allSatisfy {
        let block = blocks.channels(of: $0, in: channels)
        return block.lowerBound / count == (block.upperBound - 1) / count
      }
  }
}

extension WeightedMap {
  /// The channels of a group of the result, and of the operand.
  private var resultGroup: Int {
    isTransposed ? geometry.inputChannelsPerGroup : geometry.outputChannelsPerGroup
  }
  private var operandGroup: Int {
    isTransposed ? geometry.outputChannelsPerGroup : geometry.inputChannelsPerGroup
  }

  /// Does a map of blocks to the result: weight′ = M·weight along the channels of the result,
  /// bias′ = M·bias + t.
  /// - Throws: `Refusal` where a block reaches over groups.
  mutating func apply(_ map: BlockAffine) throws(Refusal) {
    guard map.fits(groupsOf: resultGroup) else {
      throw Refusal("its blocks reach over the groups of the convolution")
    }
    mix(alongRows: !isTransposed, map.block) { map.weight(from: $1, to: $0) }
    let old = bias
    bias = DoubleTensor(uninitialized: [map.channels]) { out in
      for o in out.indices {
        out[o] = map.block(of: o).reduce(map.offsets[o]) {
          $0 + map.weight(from: $1, to: o) * (old?[flat: $1] ?? 0)
        }
      }
    }
  }

  /// Has a map of blocks before it taken in: weight′ = weight·M along the channels of the operand,
  /// bias′ = bias + Σ weight·t.
  /// - Throws: `Refusal` where a block reaches over groups, or padding is not mapped.
  mutating func absorb(_ map: BlockAffine) throws(Refusal) {
    guard map.fits(groupsOf: operandGroup) else {
      throw Refusal("its blocks reach over the groups of the convolution after it")
    }
    let sums = tapSums(map.offsets)
    guard usesAllTaps || sums.elements.allSatisfy({ $0 == 0 }) else {
      throw Refusal("the zero padding after it is not whitened")
    }
    addBias(totals(sums))
    mix(alongRows: isTransposed, map.block) { map.weight(from: $0, to: $1) }
  }

  /// w′[…, n, …] = Σ coefficient(n, m)·w[…, m, …] over the channels m of n's block.
  private mutating func mix(
    alongRows: Bool, _ block: (Int) -> Range<Int>, _ coefficient: (Int, Int) -> Double
  ) {
    let (rows, taps, columns) = (
      geometry.outputChannels, geometry.tapCount, geometry.inputChannelsPerGroup
    )
    let (old, rowsPerGroup) = (weight, geometry.outputChannelsPerGroup)
    withWeights { weight in
      old.withSpan { old in
        for row in 0..<rows {
          let first = row / rowsPerGroup * columns
          for tap in 0..<taps {
            for c in 0..<columns {
              var sum = 0.0
              if alongRows {
                for m in block(row) {
                  sum += coefficient(row, m) * old[(m * taps + tap) * columns + c]
                }
              } else {
                for m in block(first + c) {
                  sum += coefficient(first + c, m) * old[(row * taps + tap) * columns + m - first]
                }
              }
              weight[(row * taps + tap) * columns + c] = sum
            }
          }
        }
      }
    }
  }
}
