import KeelTensor
import Testing

@Suite struct ReceptiveFieldTests {
  /// The field behind square windows given as window, stride, padding.
  private func field(_ windows: [(Int, Int, Int)], input: Int = 224) throws -> ReceptiveField {
    var field = ReceptiveField()
    var size = input
    for (window, stride, padding) in windows {
      let geometry = try ConvolutionGeometry(
        inputHeight: size, inputWidth: size, inputChannels: 1, outputChannels: 1,
        kernel: (window, window), stride: (stride, stride), padding: (padding, padding))
      field = field.through(geometry)
      size = geometry.height.output
    }
    #expect(field.axes[0] == field.axes[1])
    return field
  }

  @Test func threeConvolutions() throws {
    let axis = try field(Array(repeating: (3, 1, 1), count: 3)).axes[0]
    #expect(axis.size == 7 && axis.jump == 1 && axis.start == -3)
  }

  /// Convolutions of 5×5 and poolings of 2×2 in turn.
  @Test func leNetToItsSecondPooling() throws {
    let axis = try field([(5, 1, 0), (2, 2, 0), (5, 1, 0), (2, 2, 0)], input: 28).axes[0]
    #expect(axis.size == 16 && axis.jump == 4 && axis.start == 0)
  }

  @Test func resNet18ToItsLastConvolution() throws {
    var windows = [(7, 2, 3), (3, 2, 1)]
    for stage in 0..<4 {
      windows += [(3, stage == 0 ? 1 : 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    }
    let axis = try field(windows).axes[0]
    #expect(axis.size == 435 && axis.jump == 32)
  }

  /// Follows a one at each input position through the windows, instead of the formula.
  @Test func byCounting() throws {
    let first = try SpatialAxis(
      input: 40, window: 3, stride: 2, paddingBefore: 2, paddingAfter: 1, dilation: 2)
    let second = try SpatialAxis(
      input: first.output, window: 4, stride: 3, paddingBefore: 1, paddingAfter: 3)
    let field = ReceptiveField.Axis().through(first).through(second)
    for output in 0..<second.output {
      var seen: Set<Int> = []
      for v in 0..<second.window {
        for u in 0..<first.window {
          let middle = output * second.stride + v - second.paddingBefore
          seen.insert(middle * first.stride + u * first.dilation - first.paddingBefore)
        }
      }
      #expect(seen.min() == field.start + output * field.jump)
      #expect(seen.max()! - seen.min()! + 1 == field.size)
    }
  }

  @Test func axesAreKeptApart() throws {
    let pooling = try PoolingGeometry(
      .maximum,
      axes: [
        SpatialAxis(input: 9, window: 1), SpatialAxis(input: 9, window: 3, stride: 2),
        SpatialAxis(input: 9, window: 2, paddingBefore: 1),
      ], channels: 1)
    let once = try #require(ReceptiveField(axisCount: 3).through(pooling))
    let field = try #require(once.through(pooling))
    #expect(field.axes.map(\.size) == [1, 7, 3])
    #expect(field.axes.map(\.jump) == [1, 4, 1])
    #expect(field.axes.map(\.start) == [0, 0, -2])
  }
}
