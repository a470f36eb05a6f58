import KeelTensor
import KeelTestSupport
import Testing

@Suite struct SpatialAxisTests {
  @Test(arguments: WorkedExamples.sizes)
  func outputSize(_ size: WorkedExamples.Size) throws {
    let axis = try SpatialAxis(
      input: size.input, window: size.window, stride: size.stride, paddingBefore: size.padding,
      paddingAfter: size.padding)
    #expect(axis.output == size.output)
  }

  /// Counts the places where the window fits, instead of the formula.
  @Test func outputSizeByCounting() throws {
    for input in 1...9 {
      for window in 1...4 {
        for stride in 1...3 {
          for (before, after) in [(0, 0), (1, 1), (0, 2), (2, 1)] {
            for dilation in 1...3 {
              let last = before + input + after - 1
              let fitting = Swift.stride(from: 0, through: last, by: stride).count {
                $0 + dilation * (window - 1) <= last
              }
              guard fitting > 0 else { continue }
              let axis = try SpatialAxis(
                input: input, window: window, stride: stride, paddingBefore: before,
                paddingAfter: after, dilation: dilation)
              #expect(axis.output == fitting, "\(axis)")
            }
          }
        }
      }
    }
  }

  private func error(_ body: () throws -> SpatialAxis) throws -> KeelError {
    try #require(#expect(throws: KeelError.self) { _ = try body() })
  }

  @Test func sizesBelowTheirMinimum() throws {
    for (what, expected, body) in [
      ("0", "input size of height at least 1", { try axis(input: 0) }),
      ("-3", "input size of height at least 1", { try axis(input: -3) }),
      ("0", "kernel size of height at least 1", { try axis(window: 0) }),
      ("-1", "kernel size of height at least 1", { try axis(window: -1) }),
      ("0", "stride of height at least 1", { try axis(stride: 0) }),
      ("0", "dilation of height at least 1", { try axis(dilation: 0) }),
      ("-1", "padding of height at least 0", { try axis(before: -1) }),
      ("-2", "padding of height at least 0", { try axis(after: -2) }),
    ] as [(String, String, () throws -> SpatialAxis)] {
      let error = try error(body)
      #expect(error.kind == .argument && error.place == "stem.conv")
      #expect(error.expected == expected && error.found == what)
    }
  }

  @Test func kernelLargerThanThePaddedInput() throws {
    let plain = try error { try axis(window: 9) }
    #expect(plain.kind == .shape && plain.place == "stem.conv")
    #expect(plain.expected.contains("at most 8 on height"))
    #expect(plain.found.hasPrefix("9"))
    // A window of 4 at dilation 4 spans 13, one more than 8 with padding 3+1.
    let dilated = try error { try axis(window: 4, dilation: 4, before: 3, after: 1) }
    #expect(dilated.expected.contains("at most 12") && dilated.expected.contains("padding 3+1"))
    #expect(dilated.found == "13 (kernel 4, dilation 4)")
    #expect(try axis(window: 4, dilation: 4, before: 3, after: 2).output == 1)
  }
}

private func axis(
  input: Int = 8, window: Int = 3, stride: Int = 1, dilation: Int = 1, before: Int = 0,
  after: Int = 0
) throws -> SpatialAxis {
  try SpatialAxis(
    input: input, window: window, stride: stride, paddingBefore: before, paddingAfter: after,
    dilation: dilation, name: "height", place: "stem.conv")
}

@Suite struct ConvolutionGeometryTests {
  @Test(arguments: WorkedExamples.convolutionCounts.indices)
  func counts(index: Int) throws {
    let counts = WorkedExamples.convolutionCounts[index]
    let geometry = try counts.geometry()
    #expect(
      geometry.outputShape(batch: 2) == [2, counts.output, counts.output, counts.channels.output])
    #expect(geometry.weightCount + geometry.outputChannels == counts.parameters, "\(counts.name)")
    #expect(geometry.multiplyAddsPerImage == counts.multiplyAdds, "\(counts.name)")
    #expect(geometry.parameterCount(bias: true) == counts.parameters)
    #expect(geometry.parameterCount(bias: false) == geometry.weightCount)
    #expect(geometry.weightShape.elementCount == geometry.weightCount)
  }

  @Test func leNetTotals() throws {
    let expected = WorkedExamples.leNet
    var (parameters, weights, multiplyAdds) = (0, 0, 0)
    for counts in WorkedExamples.convolutionCounts.dropFirst() {
      let geometry = try counts.geometry()
      weights += geometry.weightCount
      parameters += geometry.weightCount + geometry.outputChannels
      multiplyAdds += geometry.multiplyAddsPerImage
    }
    for (inputs, outputs) in expected.linears {
      weights += inputs * outputs
      parameters += inputs * outputs + outputs
      multiplyAdds += inputs * outputs
    }
    #expect(parameters == expected.parameters)
    #expect(weights == expected.weights)
    #expect(multiplyAdds == expected.multiplyAdds)
  }

  private func geometry(
    inputs: Int = 6, outputs: Int = 9, groups: Int = 1, kernel: Int = 3, stride: Int = 1,
    padding: Int = 0
  ) throws -> ConvolutionGeometry {
    try ConvolutionGeometry(
      inputHeight: 8, inputWidth: 10, inputChannels: inputs, outputChannels: outputs,
      kernel: (kernel, kernel), stride: (stride, stride), padding: (padding, padding),
      groups: groups, place: "stage1.conv")
  }

  @Test func groupedCounts() throws {
    let grouped = try geometry(groups: 3)
    #expect(grouped.weightShape == [9, 3, 3, 2])
    #expect(grouped.reductionLength == 18)
    #expect(grouped.inputChannelsPerGroup == 2 && grouped.outputChannelsPerGroup == 3)
    #expect(grouped.outputShape(batch: 1) == [1, 6, 8, 9])
    #expect(grouped.multiplyAddsPerImage == 9 * 48 * 18)
    #expect(grouped.inputPositions == 80 && grouped.outputPositions == 48)
  }

  @Test func kinds() throws {
    #expect(try geometry(inputs: 6, outputs: 6, groups: 6).isDepthwise)
    #expect(try !geometry(inputs: 6, outputs: 12, groups: 6).isDepthwise)
    #expect(try !geometry(inputs: 1, outputs: 1).isDepthwise)
    #expect(try geometry(kernel: 1).isPointwise)
    #expect(try !geometry(kernel: 1, stride: 2).isPointwise)
    #expect(try !geometry(kernel: 1, padding: 1).isPointwise)
    #expect(try !geometry(kernel: 3).isPointwise)
  }

  @Test func description() throws {
    #expect(try "\(geometry())" == "3×3 6→9 on 8×10")
    #expect(try "\(geometry(groups: 3, stride: 2))" == "3×3 6→9 on 8×10, stride 2, groups 3")
  }

  @Test func errors() throws {
    for (expected, found, body) in [
      ("input channels at least 1", "0", { try geometry(inputs: 0) }),
      ("output channels at least 1", "-9", { try geometry(outputs: -9) }),
      ("groups at least 1", "0", { try geometry(groups: 0) }),
      (
        "groups that divide input and output channels", "2 groups for 6 and 9 channels",
        { try geometry(groups: 2) }
      ),
      (
        "groups that divide input and output channels", "9 groups for 6 and 9 channels",
        { try geometry(groups: 9) }
      ),
      ("stride of height at least 1", "0", { try geometry(stride: 0) }),
    ] as [(String, String, () throws -> ConvolutionGeometry)] {
      let error = try #require(#expect(throws: KeelError.self) { _ = try body() })
      #expect(error.kind == .argument && error.place == "stage1.conv")
      #expect(error.expected == expected && error.found == found)
    }
    let large = #expect(throws: KeelError.self) { try geometry(kernel: 9) }
    #expect(large?.kind == .shape && large?.expected.contains("on height") == true)
  }
}

@Suite struct PoolingGeometryTests {
  @Test func halving() throws {
    // 64 channels of 224×224 become 112×112.
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: 224, inputWidth: 224, channels: 64, window: (2, 2), stride: (2, 2))
    #expect(geometry.outputShape(batch: 1) == [1, 112, 112, 64])
    #expect(geometry.inputShape(batch: 3) == [3, 224, 224, 64])
  }

  private func error(
    channels: Int = 1, window: Int = 3, padding: Int = 0, stride: Int = 1
  ) throws -> KeelError {
    try #require(
      #expect(throws: KeelError.self) {
        try PoolingGeometry(
          .maximum, inputHeight: 4, inputWidth: 4, channels: channels, window: (window, window),
          stride: (stride, stride), padding: (padding, padding), place: "pool1")
      })
  }

  @Test func errors() throws {
    let channels = try error(channels: 0)
    #expect(channels.kind == .argument && channels.place == "pool1" && channels.found == "0")
    let padding = try error(window: 3, padding: 2)
    #expect(padding.kind == .argument && padding.expected.contains("half the window of 3"))
    #expect(padding.found == "2")
    #expect(try error(window: 5).kind == .shape)
    #expect(try error(stride: 0).kind == .argument)
  }

  @Test func windowsInThePaddingAlone() throws {
    func geometry(input: Int) throws -> PoolingGeometry {
      let axis = try SpatialAxis(
        input: input, window: 2, paddingBefore: 1, paddingAfter: 1, dilation: 2)
      return try PoolingGeometry(
        .maximum, height: axis, width: SpatialAxis(input: 3, window: 1), channels: 1,
        place: "pool1")
    }
    let error = try #require(#expect(throws: KeelError.self) { _ = try geometry(input: 1) })
    #expect(error.kind == .argument && error.found == "one with taps at [-1, 1] of 1 elements")
    #expect(try geometry(input: 2).outputShape(batch: 1) == [1, 2, 3, 1])
  }
}
