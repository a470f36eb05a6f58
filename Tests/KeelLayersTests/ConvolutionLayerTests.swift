import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// Convolutions and transposed ones over one, two and three axes.
@Suite struct ConvolutionLayerTests {
  /// ⌊(L + p₁ + p₂ − d·(k − 1) − 1)/s⌋ + 1.
  private func convolved(
    _ length: Int, _ kernel: Int, _ stride: Int, _ before: Int, _ after: Int, _ dilation: Int
  ) -> Int { (length + before + after - dilation * (kernel - 1) - 1) / stride + 1 }

  /// (L − 1)·s − p₁ − p₂ + d·(k − 1) + op + 1.
  private func transposed(
    _ length: Int, _ kernel: Int, _ stride: Int, _ before: Int, _ after: Int, _ dilation: Int,
    _ outputPadding: Int
  ) -> Int {
    (length - 1) * stride - before - after + dilation * (kernel - 1) + outputPadding + 1
  }

  @Test(arguments: [1, 2, 3], [1, 2, 3])
  func shapesFollowTheFormula(stride: Int, dilation: Int) throws {
    var source = RandomSource(seed: 1)
    for kernel in 1...3 {
      for padding in 0...1 {
        let length = convolved(9, kernel, stride, padding, padding, dilation)
        let l = Extent.fixed(length)
        #expect(
          try resultType(
            Conv1d(
              4, 6, kernel: kernel, stride: stride, padding: padding, dilation: dilation,
              groups: 2, using: &source), [.batch, 9, 4]) == ValueType([.batch, l, 6]))
        #expect(
          try resultType(
            Conv2d(
              4, 6, kernel: kernel, stride: stride, padding: padding, dilation: dilation,
              groups: 2, using: &source), [.batch, 9, 9, 4]) == ValueType([.batch, l, l, 6]))
        #expect(
          try resultType(
            Conv3d(
              4, 6, kernel: kernel, stride: stride, padding: padding, dilation: dilation,
              groups: 2, using: &source), [.batch, 9, 9, 9, 4])
            == ValueType([.batch, l, l, l, 6]))
        for outputPadding in 0..<max(stride, dilation) {
          let m = Extent.fixed(
            transposed(5, kernel, stride, padding, padding, dilation, outputPadding))
          #expect(
            try resultType(
              ConvTranspose1d(
                4, 6, kernel: kernel, stride: stride, padding: padding,
                outputPadding: outputPadding, dilation: dilation, groups: 2, using: &source),
              [.batch, 5, 4]) == ValueType([.batch, m, 6]))
          #expect(
            try resultType(
              ConvTranspose2d(
                4, 6, kernel: kernel, stride: stride, padding: padding,
                outputPadding: outputPadding, dilation: dilation, groups: 2, using: &source),
              [.batch, 5, 5, 4]) == ValueType([.batch, m, m, 6]))
          #expect(
            try resultType(
              ConvTranspose3d(
                4, 6, kernel: kernel, stride: stride, padding: padding,
                outputPadding: outputPadding, dilation: dilation, groups: 2, using: &source),
              [.batch, 5, 5, 5, 4]) == ValueType([.batch, m, m, m, 6]))
        }
      }
    }
  }

  @Test func numbersOfEachAxisAndSide() throws {
    var source = RandomSource(seed: 2)
    let conv = Conv3d(
      2, 3, kernel: AxisNumbers(depth: 1, height: 2, width: 3),
      stride: AxisNumbers(depth: 1, height: 2, width: 3),
      padding: .sides(
        before: AxisNumbers(depth: 0, height: 1, width: 2),
        after: AxisNumbers(depth: 3, height: 0, width: 1)),
      dilation: AxisNumbers(depth: 2, height: 3, width: 1), using: &source)
    #expect(conv.weight.shape == [3, 1, 2, 3, 2])
    let (d, h, w) = (
      convolved(4, 1, 1, 0, 3, 2), convolved(9, 2, 2, 1, 0, 3), convolved(8, 3, 3, 2, 1, 1)
    )
    #expect(
      try resultType(conv, [1, 4, 9, 8, 2])
        == ValueType([1, .fixed(d), .fixed(h), .fixed(w), 3]))
    let up = ConvTranspose2d(
      6, 4, kernel: PerAxis(height: 3, width: 2), stride: PerAxis(height: 2, width: 3),
      padding: .sides(before: PerAxis(height: 1, width: 0), after: PerAxis(height: 0, width: 1)),
      outputPadding: PerAxis(height: 1, width: 2), groups: 2, bias: false, using: &source)
    #expect(up.weight.shape == [6, 3, 2, 2] && up.bias == nil)
    let (a, b) = (transposed(4, 3, 2, 1, 0, 1, 1), transposed(5, 2, 3, 0, 1, 1, 2))
    #expect(
      try resultType(up, [1, 4, 5, 6]) == ValueType([1, .fixed(a), .fixed(b), 4]))
    // A causal convolution: all padding before.
    let causal = Conv1d(
      3, 3, kernel: 4, padding: .sides(before: 6, after: 0), dilation: 2, using: &source)
    #expect(try resultType(causal, [1, 10, 3]) == ValueType([1, 10, 3]))
    #expect(PerAxis(3) == PerAxis(height: 3, width: 3))
    #expect(AxisPadding<TwoAxes>.each(2) == 2)
  }

  @Test(arguments: [1, 2, 3, 4, 5], [1, 2, 3])
  func samePaddingKeepsTheExtents(kernel: Int, dilation: Int) throws {
    var source = RandomSource(seed: 3)
    let conv = Conv1d(
      2, 3, kernel: AxisNumbers(kernel), padding: .same, dilation: AxisNumbers(dilation),
      using: &source)
    #expect(try resultType(conv, [1, 5, 2]) == ValueType([1, 5, 3]))
    let geometry = try #require(
      try convolutions(Graph(tracing: conv, input: [1, 5, 2])).first)
    // The odd position comes last, as in PyTorch.
    #expect(geometry.width.paddingBefore == dilation * (kernel - 1) / 2)
    let up = ConvTranspose2d(
      2, 3, kernel: AxisNumbers(kernel), padding: .same, dilation: AxisNumbers(dilation),
      using: &source)
    #expect(try resultType(up, [1, 5, 6, 2]) == ValueType([1, 5, 6, 3]))
  }

  /// `.same` with an even window, and a transposed convolution by hand.
  @Test func results() throws {
    var source = RandomSource(seed: 4)
    func run(_ layer: some Layer, _ x: DoubleTensor, _ weight: [Double]) throws -> [Double] {
      let graph = try Graph(tracing: layer, input: x.shape.extents.map(Extent.fixed))
      let parameter = layer.parameters[0].parameter
      return try evaluate(
        graph.nodes[0].primitive, [x, DoubleTensor(weight, shape: parameter.shape)])[0].elements
    }
    let line = try DoubleTensor([0, 1, 2, 3, 4], shape: [1, 5, 1])
    let same = Conv1d(1, 1, kernel: 2, padding: .same, bias: false, using: &source)
    #expect(try run(same, line, [1, 10]) == [10, 21, 32, 43, 4])
    let dilated = Conv1d(
      1, 1, kernel: 2, padding: .same, dilation: 3, bias: false, using: &source)
    #expect(try run(dilated, line, [1, 10]) == [20, 30, 41, 2, 3])
    let up = ConvTranspose1d(
      1, 1, kernel: 2, stride: 2, outputPadding: 2, dilation: 3, bias: false, using: &source)
    #expect(
      try run(up, DoubleTensor([1, 2, 3], shape: [1, 3, 1]), [1, 10])
        == [1, 0, 2, 10, 3, 20, 0, 30, 0, 0])
  }

  @Test func transposedWeightsStartAsPyTorchs() throws {
    var source = RandomSource(seed: 5)
    // Fan in: 24 output channels of a group times 2·3 taps, whatever the 40 input channels.
    let up = ConvTranspose2d(
      40, 48, kernel: PerAxis(height: 2, width: 3), groups: 2, using: &source)
    #expect(Fan.input.count(of: up.weight.shape) == 24 * 6)
    #expect(Fan.output.count(of: up.weight.shape) == 40 * 6)
    let bound = Float(1 / (24.0 * 6).squareRoot())
    for parameter in [up.weight, try #require(up.bias)] {
      let largest = try #require(parameter.value.elements.map(abs).max())
      #expect(largest <= bound && largest >= 0.9 * bound)
    }
    #expect(up.bias?.shape == [48])
  }

  @Test func biasAndNames() throws {
    var source = RandomSource(seed: 6)
    let layers: [(any Layer, [Extent], String)] = [
      (Conv1d(2, 3, kernel: 1, using: &source), [1, 4, 2], "convolution"),
      (Conv3d(2, 3, kernel: 1, bias: false, using: &source), [1, 4, 4, 4, 2], "convolution"),
      (
        ConvTranspose1d(2, 3, kernel: 1, using: &source), [1, 4, 2], "transposed convolution"
      ),
      (
        ConvTranspose3d(2, 3, kernel: 1, bias: false, using: &source), [1, 4, 4, 4, 2],
        "transposed convolution"
      ),
    ]
    for (layer, input, name) in layers {
      func check(_ layer: some Layer) throws {
        let graph = try Graph(tracing: layer, input: input)
        let hasBias = layer.parameters.count == 2
        #expect(operations(graph) == [name])
        #expect(graph.nodes[0].primitive.epilogue == Epilogue(hasBias: hasBias))
        #expect(graph.nodes[0].inputs.count == (hasBias ? 3 : 2))
        #expect(layer.parameters.map(\.path) == (hasBias ? ["weight", "bias"] : ["weight"]))
      }
      try check(layer)
    }
  }
}
