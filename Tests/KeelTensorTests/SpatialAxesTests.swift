import KeelTensor
import Testing

@Suite struct SpatialAxesTests {
  private func axes(_ count: Int) throws -> [SpatialAxis] {
    try [
      SpatialAxis(input: 5, window: 3, stride: 2, paddingBefore: 1),
      SpatialAxis(input: 8, window: 3, paddingAfter: 1, dilation: 2),
      SpatialAxis(input: 7, window: 2),
    ].suffix(count)
  }

  private func geometry(_ count: Int) throws -> ConvolutionGeometry {
    try ConvolutionGeometry(
      axes: axes(count), inputChannels: 4, outputChannels: 6, groups: 2, place: "conv")
  }

  @Test func missingLeadingAxesAreTrivial() throws {
    let line = try geometry(1)
    #expect(line.depth == .trivial && line.height == .trivial)
    #expect(try line.width == axes(1)[0] && line.axes == axes(1))
    let image = try geometry(2)
    #expect(try image.depth == .trivial && [image.height, image.width] == axes(2))
    let volume = try geometry(3)
    #expect(try [volume.depth, volume.height, volume.width] == axes(3))
    #expect(SpatialAxis.trivial.output == 1 && SpatialAxis.trivial.isPointwise)
    #expect(try SpatialAxis(input: 1, window: 1) == .trivial)
  }

  @Test func shapes() throws {
    // ⌊(5 + 1 − 3)/2⌋ + 1 = 2, 8 + 1 − 4 = 5, 7 − 1 = 6.
    let (line, image, volume) = try (geometry(1), geometry(2), geometry(3))
    #expect(line.inputShape(batch: 3) == [3, 7, 4] && line.outputShape(batch: 3) == [3, 6, 6])
    #expect(line.weightShape == [6, 2, 2])
    #expect(image.inputShape(batch: 3) == [3, 8, 7, 4])
    #expect(image.outputShape(batch: 3) == [3, 5, 6, 6] && image.weightShape == [6, 3, 2, 2])
    #expect(volume.inputShape(batch: 3) == [3, 5, 8, 7, 4])
    #expect(volume.outputShape(batch: 3) == [3, 2, 5, 6, 6])
    #expect(volume.weightShape == [6, 3, 3, 2, 2])
    #expect(volume.tapCount == 18 && volume.reductionLength == 36)
    #expect(volume.inputPositions == 280 && volume.outputPositions == 60)
    #expect(volume.multiplyAddsPerImage == 6 * 60 * 36)
    #expect(volume.parameterCount(bias: true) == 6 * 36 + 6)
  }

  @Test func descriptions() throws {
    #expect(try "\(geometry(1))" == "2 4→6 on 7, groups 2")
    #expect(
      try "\(geometry(3))"
        == "3×3×2 4→6 on 5×8×7, stride 2×1×1, dilation 1×2×1, groups 2")
  }

  @Test func pointwiseOnEveryAxis() throws {
    func isPointwise(_ axes: [SpatialAxis]) throws -> Bool {
      try ConvolutionGeometry(axes: axes, inputChannels: 2, outputChannels: 2).isPointwise
    }
    let plain = try SpatialAxis(input: 4, window: 1)
    #expect(try isPointwise([plain]) && isPointwise([plain, plain, plain]))
    for other in [
      try SpatialAxis(input: 4, window: 2), try SpatialAxis(input: 4, window: 1, stride: 2),
      try SpatialAxis(input: 4, window: 1, paddingAfter: 1),
    ] {
      #expect(try !isPointwise([other]) && !isPointwise([other, plain, plain]))
    }
  }

  @Test func numberOfAxes() throws {
    for count in [0, 4] {
      let axes = Array(repeating: SpatialAxis.trivial, count: count)
      let expected = KeelError(
        .argument, at: "here", expected: "1 to 3 spatial axes", found: "\(count)")
      #expect(throws: expected) {
        try ConvolutionGeometry(axes: axes, inputChannels: 1, outputChannels: 1, place: "here")
      }
      #expect(throws: expected) {
        try PoolingGeometry(.maximum, axes: axes, channels: 1, place: "here")
      }
    }
  }

  @Test func poolingShapes() throws {
    let volume = try PoolingGeometry(.maximum, axes: axes(3), channels: 9)
    #expect(volume.inputShape(batch: 2) == [2, 5, 8, 7, 9])
    #expect(volume.outputShape(batch: 2) == [2, 2, 5, 6, 9])
    let line = try PoolingGeometry(.maximum, axes: axes(1), channels: 9)
    #expect(line.inputShape(batch: 2) == [2, 7, 9] && line.outputShape(batch: 2) == [2, 6, 9])
    let padded = try SpatialAxis(input: 4, window: 2, paddingAfter: 2)
    let error = #expect(throws: KeelError.self) {
      try PoolingGeometry(.maximum, axes: [padded, .trivial, .trivial], channels: 1)
    }
    #expect(error?.expected == "padding of at most half the window of 2")
  }
}
