import Foundation
import Keel

extension MemoryLine {
  /// Every kernel.
  static let all: [MemoryLine] = elementwise + pooling + depthwise

  private static func images(_ batch: Int) -> Shape { [batch, side, side, side] }

  private static func unary(
    _ activation: Activation, _ formula: @escaping @Sendable (Double) -> Double
  ) -> MemoryLine {
    MemoryLine(
      name: activation.name, reads: 1, writes: 1, primitive: .activation(activation),
      operands: { [images($0)] }, expected: { x, i in formula(Double(x[0][flat: i])) })
  }

  private static let elementwise: [MemoryLine] = [
    unary(.relu) { max(0, $0) },
    unary(.sigmoid) { 1 / (1 + exp(-$0)) },
    unary(.tanh) { tanh($0) },
    unary(.elu()) { $0 > 0 ? $0 : expm1($0) },
    unary(.gelu()) { $0 / 2 * (1 + erf($0 / 2.squareRoot())) },
    unary(.silu) { $0 / (1 + exp(-$0)) },
    unary(.hardSwish) { $0 * min(max($0 + 3, 0), 6) / 6 },
    MemoryLine(
      name: "relu gradient", reads: 2, writes: 1, primitive: .activationGradient(.relu),
      operands: { [images($0), images($0)] },
      expected: { x, i in x[1][flat: i] > 0 ? Double(x[0][flat: i]) : 0 }),
    MemoryLine(
      name: "add", reads: 2, writes: 1, primitive: .add, operands: { [images($0), images($0)] },
      expected: { x, i in Double(x[0][flat: i]) + Double(x[1][flat: i]) }),
  ]

  /// The taps of a window over position (i, j) of image n, channel c, that are inside; flat indices.
  private static func taps(_ y: Int, side: Int, window: Int, stride: Int, padding: Int) -> [Int?] {
    let c = y % Self.side
    let j = y / Self.side % side
    let i = y / Self.side / side % side
    let n = y / Self.side / side / side
    return (0..<window * window).map { tap in
      let row = i * stride + tap / window - padding
      let column = j * stride + tap % window - padding
      guard (0..<Self.side).contains(row), (0..<Self.side).contains(column) else { return nil }
      return ((n * Self.side + row) * Self.side + column) * Self.side + c
    }
  }

  private static func pool(
    _ name: String, _ kind: PoolingGeometry.Kind, window: Int, padding: Int,
    _ formula: @escaping @Sendable ([Double]) -> Double
  ) -> MemoryLine {
    let geometry = try! PoolingGeometry(
      kind, inputHeight: side, inputWidth: side, channels: side, window: (window, window),
      stride: (2, 2), padding: (padding, padding))
    return MemoryLine(
      name: "\(name) \(window)x\(window)/2", reads: 1, writes: 0.25, primitive: .pooling(geometry),
      operands: { [images($0)] },
      expected: { x, i in
        formula(
          taps(i, side: side / 2, window: window, stride: 2, padding: padding).compactMap {
            $0.map { Double(x[0][flat: $0]) }
          })
      })
  }

  private static let pooling: [MemoryLine] = [
    pool("max pool", .maximum, window: 2, padding: 0) { $0.max()! },
    pool("max pool", .maximum, window: 3, padding: 1) { $0.max()! },
    pool("average pool", .average(countsPadding: false), window: 2, padding: 0) {
      $0.reduce(0, +) / Double($0.count)
    },
    pool("average pool", .average(countsPadding: true), window: 3, padding: 1) {
      $0.reduce(0, +) / 9
    },
  ]

  private static func depthwise(window: Int, stride: Int) -> MemoryLine {
    let geometry = try! ConvolutionGeometry(
      inputHeight: side, inputWidth: side, inputChannels: side, outputChannels: side,
      kernel: (window, window), stride: (stride, stride), padding: (window / 2, window / 2),
      groups: side)
    return MemoryLine(
      name: "depthwise \(window)x\(window)" + (stride > 1 ? "/\(stride)" : ""), reads: 1,
      writes: 1 / Double(stride * stride),
      primitive: .convolution(geometry, Epilogue(hasBias: false)),
      operands: { [images($0), geometry.weightShape] },
      expected: { x, i in
        let taps = taps(
          i, side: side / stride, window: window, stride: stride, padding: window / 2)
        return taps.enumerated().reduce(0) { sum, tap in
          guard let source = tap.element else { return sum }
          // Weight Cout×kH×kW×1.
          let weight = x[1][flat: i % side * window * window + tap.offset]
          return sum + Double(weight) * Double(x[0][flat: source])
        }
      })
  }

  private static let depthwise: [MemoryLine] = [
    depthwise(window: 3, stride: 1), depthwise(window: 3, stride: 2),
    depthwise(window: 5, stride: 1), depthwise(window: 7, stride: 1),
  ]
}
