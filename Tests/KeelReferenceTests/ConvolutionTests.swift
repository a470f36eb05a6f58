import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct ConvolutionTests {
  /// The definition in channels-first order on an explicitly padded image, with whole numbers, so that
  /// sums are exact and results must be equal.
  @Test(arguments: PrimitiveCase.convolutionGeometries.indices)
  func equalsTheDefinition(index: Int) throws {
    let geometry = PrimitiveCase.convolutionGeometries[index].geometry
    let (depth, height, width) = (geometry.depth, geometry.height, geometry.width)
    let (groupInputs, groupOutputs) = (
      geometry.inputChannelsPerGroup, geometry.outputChannelsPerGroup
    )
    func whole(_ i: Int) -> Double { Double((i * 7 + i * i % 5) % 11 - 5) }
    func x(_ n: Int, _ c: Int, _ plane: Int, _ row: Int, _ column: Int) -> Double {
      guard (0..<depth.input).contains(plane), (0..<height.input).contains(row),
        (0..<width.input).contains(column)
      else { return 0 }
      let channel = n * geometry.inputChannels + c
      return whole(((channel * depth.input + plane) * height.input + row) * width.input + column)
    }
    func weight(_ o: Int, _ c: Int, _ t: Int, _ u: Int, _ v: Int) -> Double {
      let row = ((o * groupInputs + c) * depth.window + t) * height.window + u
      return whole(3 + row * width.window + v)
    }
    func position(_ axis: SpatialAxis, _ output: Int, _ tap: Int) -> Int {
      output * axis.stride + tap * axis.dilation - axis.paddingBefore
    }
    var expected: [Double] = []
    for n in 0..<2 {
      for o in 0..<geometry.outputChannels {
        for k in 0..<depth.output {
          for i in 0..<height.output {
            for j in 0..<width.output {
              var sum = 0.0
              for c in 0..<groupInputs {
                for t in 0..<depth.window {
                  for u in 0..<height.window {
                    for v in 0..<width.window {
                      sum +=
                        weight(o, c, t, u, v)
                        * x(
                          n, o / groupOutputs * groupInputs + c, position(depth, k, t),
                          position(height, i, u), position(width, j, v))
                    }
                  }
                }
              }
              expected.append(sum)
            }
          }
        }
      }
    }
    let input = try DoubleTensor(
      nchw: (0..<geometry.inputShape(batch: 2).elementCount).map(whole), batch: 2,
      channels: geometry.inputChannels, height: depth.input * height.input, width: width.input)
    let filters = try DoubleTensor(
      nchw: (0..<geometry.weightCount).map { whole(3 + $0) }, batch: geometry.outputChannels,
      channels: groupInputs, height: depth.window * height.window, width: width.window)
    let y = try evaluate(
      .convolution(geometry, Epilogue()),
      [
        input.reshaped(to: geometry.inputShape(batch: 2)),
        filters.reshaped(to: geometry.weightShape),
      ])[0]
    let rows = depth.output * height.output
    #expect(
      try y.reshaped(to: [2, rows, width.output, geometry.outputChannels]).nchw == expected)
  }

  @Test func epilogueAddsBiasThenResidualThenActivates() throws {
    let geometry = try ConvolutionGeometry(
      inputHeight: 1, inputWidth: 2, inputChannels: 1, outputChannels: 2, kernel: (1, 1))
    let epilogue = Epilogue(hasBias: true, hasResidual: true, activation: .relu)
    let y = try evaluate(
      .convolution(geometry, epilogue),
      [
        DoubleTensor([1, 2], shape: [1, 1, 2, 1]), DoubleTensor([1, -1], shape: [2, 1, 1, 1]),
        DoubleTensor([10, 0.5], shape: [2]), DoubleTensor([-20, 1, 1, 1], shape: [1, 1, 2, 2]),
      ])[0]
    // x·w = (1, −1), (2, −2); plus bias (11, −0.5), (12, −1.5); plus residual (−9, 0.5), (13, −0.5).
    #expect(y.elements == [0, 0.5, 13, 0])
  }

  @Test func pointwiseEqualsLinearAtEachPosition() throws {
    var source = TensorSource(seed: 4)
    let geometry = try ConvolutionGeometry(
      inputHeight: 3, inputWidth: 2, inputChannels: 4, outputChannels: 5, kernel: (1, 1))
    let x = DoubleTensor(widening: source.normal([2, 3, 2, 4]))
    let weight = DoubleTensor(widening: source.normal([5, 1, 1, 4]))
    let convolved = try evaluate(.convolution(geometry, Epilogue()), [x, weight])[0]
    let multiplied = try evaluate(
      .linear(Epilogue()), [x.reshaped(to: [12, 4]), weight.reshaped(to: [5, 4])])[0]
    expectClose(
      convolved, try multiplied.reshaped(to: [2, 3, 2, 5]), bound: Tolerance.double, "seed 4")
  }
}
