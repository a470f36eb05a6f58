import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Class contract: each pooling layer records its geometry.
@Suite struct PoolingLayerTests {
  private func geometry(_ layer: some Layer, _ input: [Extent]) throws -> PoolingGeometry {
    let graph = try Graph(tracing: layer, input: input)
    guard case .pooling(let geometry) = try #require(graph.nodes.first).primitive else {
      throw KeelError(
        .graph, at: "test", expected: "a pooling", found: graph.nodes[0].primitive.name)
    }
    return geometry
  }

  private func axis(
    _ input: Int, _ window: Int, _ stride: Int, _ before: Int = 0, _ after: Int = 0,
    dilation: Int = 1, ceilMode: Bool = false
  ) throws -> PoolingAxis {
    try PoolingAxis(
      input: input, window: window, stride: stride, paddingBefore: before, paddingAfter: after,
      dilation: dilation, ceilMode: ceilMode)
  }

  private static let sequence: [Extent] = [.batch, 12, 4]
  private static let image: [Extent] = [.batch, 12, 11, 4]
  private static let volume: [Extent] = [.batch, 12, 11, 10, 4]

  @Test func slidingWindows() throws {
    let line = try geometry(
      MaxPool1d(
        3, stride: 2, padding: .sides(before: 1, after: 0), dilation: 2, ceilMode: true),
      Self.sequence)
    #expect(line.kind == .maximum && line.channels == 4)
    #expect(try line.axes == [axis(12, 3, 2, 1, 0, dilation: 2, ceilMode: true)])
    let image = try geometry(
      AveragePool2d(
        PerAxis(height: 3, width: 2), stride: PerAxis(height: 1, width: 4),
        padding: .sides(
          before: PerAxis(height: 1, width: 0), after: PerAxis(height: 0, width: 1)),
        ceilMode: true, countsPadding: false), Self.image)
    #expect(image.kind == .average(countsPadding: false))
    #expect(
      try image.axes == [
        axis(12, 3, 1, 1, 0, ceilMode: true), axis(11, 2, 4, 0, 1, ceilMode: true),
      ])
    let volume = try geometry(
      L2Pool3d(AxisNumbers(depth: 1, height: 2, width: 3), padding: 0), Self.volume)
    #expect(volume.kind == .l2)
    #expect(try volume.axes == [axis(12, 1, 1), axis(11, 2, 2), axis(10, 3, 3)])
  }

  /// One number stands for all axes, and the stride is the window.
  @Test func shortForms() throws {
    let window = try axis(12, 2, 2)
    let other = try axis(11, 2, 2)
    let last = try axis(10, 2, 2)
    #expect(try geometry(MaxPool1d(2), Self.sequence).axes == [window])
    #expect(try geometry(AveragePool1d(2), Self.sequence).kind == .average(countsPadding: true))
    #expect(try geometry(L2Pool1d(2), Self.sequence).axes == [window])
    #expect(try geometry(MaxPool2d(2), Self.image).axes == [window, other])
    #expect(try geometry(AveragePool2d(2), Self.image).axes == [window, other])
    #expect(try geometry(L2Pool2d(2), Self.image).axes == [window, other])
    #expect(try geometry(MaxPool3d(2), Self.volume).axes == [window, other, last])
    #expect(try geometry(AveragePool3d(2), Self.volume).axes == [window, other, last])
    #expect(try geometry(L2Pool3d(2), Self.volume).axes == [window, other, last])
    let full = try geometry(
      MaxPool2d(3, stride: 2, padding: 1, dilation: 2, ceilMode: true), Self.image)
    #expect(
      try full.axes
        == [12, 11].map { try axis($0, 3, 2, 1, 1, dilation: 2, ceilMode: true) })
  }

  @Test func adaptive() throws {
    func bins(_ input: Int, _ output: Int) throws -> PoolingAxis {
      try PoolingAxis(adaptive: input, output: output)
    }
    #expect(try geometry(AdaptiveMaxPool1d(5), Self.sequence).axes == [bins(12, 5)])
    #expect(try geometry(AdaptiveAveragePool1d(5), Self.sequence).axes == [bins(12, 5)])
    let image = try geometry(AdaptiveAveragePool2d(PerAxis(height: 7, width: 1)), Self.image)
    #expect(try image.axes == [bins(12, 7), bins(11, 1)])
    #expect(try geometry(AdaptiveMaxPool2d(3), Self.image).kind == .maximum)
    #expect(
      try resultType(AdaptiveAveragePool3d(2), Self.volume) == ValueType([.batch, 2, 2, 2, 4]))
    #expect(
      try resultType(
        AdaptiveMaxPool3d(AxisNumbers(depth: 1, height: 2, width: 3)), Self.volume)
        == ValueType([.batch, 1, 2, 3, 4]))
  }

  @Test func global() throws {
    for input in [Self.sequence, Self.image, Self.volume] {
      #expect(try resultType(GlobalAveragePool(), input) == ValueType([.batch, 4]))
      #expect(try resultType(GlobalMaxPool(), input) == ValueType([.batch, 4]))
    }
  }

  @Test func indices() throws {
    let trace = Trace(model: (), mode: .inference)
    let x = trace.input("x", ValueType([.batch, 6, 6, 4]))
    let (y, indices) = MaxPool2d(2).withIndices(x)
    #expect(y.type == ValueType([.batch, 3, 3, 4]))
    #expect(indices.type == ValueType(.int64, [.batch, 3, 3, 4]))
    let line = MaxPool1d(2).withIndices(trace.input("line", ValueType([2, 6, 4])))
    #expect(line.indices.type == ValueType(.int64, [2, 3, 4]))
    let volume = MaxPool3d(2).withIndices(trace.input("volume", ValueType([2, 6, 4, 4, 1])))
    #expect(volume.indices.type == ValueType(.int64, [2, 3, 2, 2, 1]))
  }

  @Test func errors() {
    #expect(
      failure(MaxPool1d(2), Self.image)?.description
        == "shape error at pooling after the input: expected N×L×C of known L, C, "
        + "found float32 batch×12×11×4")
    #expect(
      failure(AveragePool3d(2), Self.image)?.description
        == "shape error at pooling after the input: expected N×D×H×W×C of known D, H, W, C, "
        + "found float32 batch×12×11×4")
    #expect(
      failure(AdaptiveMaxPool2d(0), Self.image)?.description
        == "argument error at pooling after the input: expected output size of height from 1 to "
        + "2³¹ − 1, found 0")
    #expect(
      failure(L2Pool1d(2, stride: 0), Self.sequence)?.expected
        == "stride of length at least 1")
    #expect(failure(MaxPool3d(13), Self.volume)?.expected.contains("on depth") == true)
    #expect(failure(GlobalMaxPool(), [.batch, 4])?.kind == .shape)
    #expect(failure(GlobalMaxPool(), [.batch, 3, .symbol("width"), 4])?.kind == .shape)
  }
}
