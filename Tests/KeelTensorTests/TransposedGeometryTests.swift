import KeelTensor
import Testing

@Suite struct TransposedGeometryTests {
  /// The positions that scattered inputs reach, and the output padding behind them, instead of the formula.
  @Test func outputSizeByScattering() throws {
    for input in 1...4 {
      for window in 1...3 {
        for stride in 1...3 {
          for dilation in 1...4 {
            for (before, after) in [(0, 0), (1, 1), (0, 2), (2, 1)] {
              for outputPadding in 0..<max(stride, dilation) {
                let last = (input - 1) * stride + (window - 1) * dilation + outputPadding
                let size = last + 1 - before - after
                guard size >= 1 else { continue }
                let axis = try SpatialAxis.transposed(
                  input: input, window: window, stride: stride, paddingBefore: before,
                  paddingAfter: after, outputPadding: outputPadding, dilation: dilation)
                #expect(axis.input == size && axis.output == input, "\(axis)")
                #expect(axis.paddingBefore == before)
                #expect(outputPadding < stride ? axis.paddingAfter == after : true)
              }
            }
          }
        }
      }
    }
  }

  @Test func rolesAreExchanged() throws {
    let geometry = try ConvolutionGeometry.transposed(
      inputs: [4, 5], inputChannels: 6, outputChannels: 10, kernel: [3, 2], stride: [2, 1],
      padding: [1, 0], outputPadding: [1, 0], groups: 2)
    #expect(geometry.outputShape(batch: 2) == [2, 4, 5, 6])
    #expect(geometry.inputShape(batch: 2) == [2, 8, 6, 10])
    #expect(geometry.weightShape == [6, 3, 2, 5])
  }

  private func axis(
    input: Int = 4, stride: Int = 2, padding: Int = 0, outputPadding: Int = 0, dilation: Int = 1
  ) throws -> SpatialAxis {
    try .transposed(
      input: input, window: 3, stride: stride, paddingBefore: padding, paddingAfter: padding,
      outputPadding: outputPadding, dilation: dilation, name: "height", place: "up")
  }

  @Test func axisErrors() throws {
    let range = "output padding of height from 0 to below the larger of stride and dilation, "
    for (kind, expected, found, body) in [
      (.argument, range + "2", "2", { try axis(outputPadding: 2) }),
      (.argument, range + "2", "-1", { try axis(outputPadding: -1) }),
      (.argument, range + "3", "3", { try axis(outputPadding: 3, dilation: 3) }),
      (.argument, "stride of height at least 1", "0", { try axis(stride: 0) }),
      (.argument, "input size of height at least 1", "0", { try axis(input: 0) }),
      (.argument, "padding of height at least 0", "-1", { try axis(padding: -1) }),
      (.argument, "sizes of height below 2³¹", "\(1 << 31)", { try axis(stride: 1 << 31) }),
      (
        .argument, "sizes of height below 2³¹", "\((1 << 30) * 2 + 1)",
        { try axis(input: 1 << 30) }
      ),
      (
        .shape, "padding of height that leaves some of 9 positions", "5+5", { try axis(padding: 5) }
      ),
    ] as [(KeelError.Kind, String, String, () throws -> SpatialAxis)] {
      let error = KeelError(kind, at: "up", expected: expected, found: found)
      #expect(throws: error) { try body() }
    }
  }

  @Test func geometryErrors() throws {
    func make(
      inputs: [Int] = [4, 4], channels: (Int, Int) = (6, 9), stride: [Int]? = nil, groups: Int = 1
    ) throws -> ConvolutionGeometry {
      try .transposed(
        inputs: inputs, inputChannels: channels.0, outputChannels: channels.1, kernel: [2, 2],
        stride: stride, groups: groups, place: "up")
    }
    for (expected, found, body) in [
      ("input channels at least 1", "0", { try make(channels: (0, 4)) }),
      ("output channels at least 1", "-4", { try make(channels: (4, -4)) }),
      ("groups at least 1", "0", { try make(groups: 0) }),
      (
        "groups that divide input and output channels", "2 groups for 6 and 9 channels",
        { try make(groups: 2) }
      ),
      ("stride for 2 axes", "3", { try make(stride: [1, 1, 1]) }),
      ("kernel for 1 axes", "2", { try make(inputs: [4]) }),
    ] as [(String, String, () throws -> ConvolutionGeometry)] {
      let error = KeelError(.argument, at: "up", expected: expected, found: found)
      #expect(throws: error) { _ = try body() }
    }
    for count in [0, 4] {
      let ones = Array(repeating: 1, count: count)
      let error = KeelError(
        .argument, at: "up", expected: "1 to 3 spatial axes", found: "\(count)")
      #expect(throws: error) {
        try ConvolutionGeometry.transposed(
          inputs: ones, inputChannels: 1, outputChannels: 1, kernel: ones, place: "up")
      }
    }
  }
}
