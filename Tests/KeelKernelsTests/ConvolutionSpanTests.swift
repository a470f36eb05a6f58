import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class reference: the public kernels on spans, with every algorithm that serves a geometry.
@Suite struct ConvolutionSpanTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let geometry: ConvolutionGeometry
    var testDescription: String { name }
  }

  static let cases: [Case] =
    PrimitiveCase.convolutionGeometries.map { Case(name: $0.name, geometry: $0.geometry) } + [
      Case(name: "pointwise, wide", geometry: try! geometry(9, 40, 70, kernel: 1)),
      Case(name: "depthwise, wide", geometry: try! geometry(9, 40, 40, kernel: 5, groups: 40)),
      Case(name: "wide", geometry: try! geometry(9, 33, 65, kernel: 3)),
      // Whole and broken vectors and panels, blocks of the depth, many rows, few columns.
      Case(name: "deep", geometry: try! geometry(5, 300, 130, kernel: 3)),
      Case(name: "panels of three vectors", geometry: try! geometry(20, 16, 144, kernel: 3)),
      Case(name: "two vectors", geometry: try! geometry(7, 48, 32, kernel: 3)),
      Case(name: "one vector", geometry: try! geometry(7, 24, 9, kernel: 3)),
      Case(name: "far apart", geometry: try! geometry(3, 528, 17, kernel: 3)),
      // Blocks of Winograd's tiles, which threads share or have for themselves, and tiles over all edges.
      Case(name: "several blocks", geometry: try! geometry(41, 20, 24, kernel: 3)),
      Case(name: "many blocks", geometry: try! geometry(46, 16, 20, kernel: 3)),
      Case(
        name: "uneven padding",
        geometry: try! ConvolutionGeometry(
          height: SpatialAxis(input: 10, window: 3, paddingBefore: 2, paddingAfter: 0),
          width: SpatialAxis(input: 13, window: 3, paddingBefore: 0, paddingAfter: 2),
          inputChannels: 18, outputChannels: 33)),
      Case(name: "few outputs", geometry: try! geometry(9, 32, 3, kernel: 3)),
      Case(name: "one output", geometry: try! geometry(9, 64, 1, kernel: 1)),
      Case(name: "stem", geometry: try! geometry(31, 3, 20, kernel: 7)),
      Case(
        name: "stem with stride and uneven padding",
        geometry: try! ConvolutionGeometry(
          height: SpatialAxis(input: 23, window: 5, stride: 2, paddingBefore: 3, paddingAfter: 0),
          width: SpatialAxis(input: 40, window: 4, stride: 3, paddingBefore: 0, paddingAfter: 5),
          inputChannels: 3, outputChannels: 70)),
      Case(
        name: "dilated stem",
        geometry: try! ConvolutionGeometry(
          inputHeight: 17, inputWidth: 19, inputChannels: 3, outputChannels: 8, kernel: (3, 3),
          padding: (2, 2), dilation: (2, 2))),
      // Pixels without a table, deeper than a block, in groups; the weight gradient's vectors along the
      // outputs, in one slice and in several, and along the inputs in several chunks.
      Case(name: "pointwise, deep", geometry: try! geometry(5, 800, 33, kernel: 1)),
      Case(name: "pointwise, groups", geometry: try! geometry(7, 48, 70, kernel: 1, groups: 2)),
      Case(
        name: "pointwise, outputs along vectors", geometry: try! geometry(13, 24, 48, kernel: 1)),
      Case(name: "pointwise, many positions", geometry: try! geometry(41, 16, 32, kernel: 1)),
      Case(name: "pointwise, inputs along vectors", geometry: try! geometry(17, 32, 40, kernel: 1)),
      Case(name: "pointwise, many panels", geometry: try! geometry(5, 336, 80, kernel: 1)),
      // Whose transposes read the weight where it lies, block by block.
      Case(name: "pointwise, whole vectors", geometry: try! geometry(6, 64, 96, kernel: 1)),
      Case(name: "whole vectors", geometry: try! geometry(5, 128, 80, kernel: 3)),
      Case(
        name: "whole vectors with stride",
        geometry: try! ConvolutionGeometry(
          inputHeight: 7, inputWidth: 8, inputChannels: 160, outputChannels: 64, kernel: (1, 1),
          stride: (2, 2))),
      Case(name: "wide groups", geometry: try! geometry(9, 96, 64, kernel: 3, groups: 2)),
      Case(
        name: "all in the padding",
        geometry: try! ConvolutionGeometry(
          inputHeight: 1, inputWidth: 1, inputChannels: 2, outputChannels: 3, kernel: (1, 1),
          stride: (3, 3), padding: (1, 1))),
    ]

  private static func geometry(
    _ size: Int, _ inputs: Int, _ outputs: Int, kernel: Int, groups: Int = 1
  ) throws -> ConvolutionGeometry {
    try ConvolutionGeometry(
      inputHeight: size, inputWidth: size, inputChannels: inputs, outputChannels: outputs,
      kernel: (kernel, kernel), padding: (kernel / 2, kernel / 2), groups: groups)
  }

  @Test(arguments: cases, [1, 2])
  func forward(_ test: Case, threads: Int) throws {
    let geometry = test.geometry
    let (batch, parallelism) = (2, Parallelism(threads: threads))
    var source = TensorSource(seed: 91)
    let x = source.normal(geometry.inputShape(batch: batch))
    let weight = source.normal(geometry.weightShape)
    let bias = source.normal([geometry.outputChannels])
    let residual = source.normal(geometry.outputShape(batch: batch))
    for algorithm in ConvolutionAlgorithm.allCases where algorithm.serves(geometry) {
      let kernel = try ConvolutionKernel(geometry, batch: batch, algorithm: algorithm)
      #expect(kernel.algorithm == algorithm)
      for (hasBias, hasResidual, activation) in [
        (false, false, nil), (true, false, Activation.relu), (true, true, .relu),
        (false, true, nil),
      ] {
        // NaN everywhere first: every element is written, none is read before.
        var y = Tensor(repeating: .nan, shape: residual.shape)
        var packed = Tensor(repeating: .nan, shape: [kernel.packedWeightCount])
        var workspace = Tensor(repeating: .nan, shape: [kernel.workspaceCount(parallelism)])
        weight.withSpan { weight in packed.withMutableSpan { kernel.pack(weight, into: &$0) } }
        x.withSpan { x in
          packed.withSpan { packed in
            bias.withSpan { bias in
              residual.withSpan { residual in
                y.withMutableSpan { y in
                  workspace.withMutableSpan { workspace in
                    kernel.run(
                      x, packedWeight: packed, bias: hasBias ? bias : nil,
                      residual: hasResidual ? residual : nil, activation: activation, into: &y,
                      workspace: &workspace, parallelism: parallelism)
                  }
                }
              }
            }
          }
        }
        let epilogue = Epilogue(
          hasBias: hasBias, hasResidual: hasResidual, activation: activation)
        let operands = [x, weight] + (hasBias ? [bias] : []) + (hasResidual ? [residual] : [])
        let expected = try evaluate(
          .convolution(geometry, epilogue), operands.map { DoubleTensor(widening: $0) })[0]
        let bound = Tolerance.convolution(geometry) * (algorithm.isExact ? 1 : Tolerance.winograd)
        expectClose(y, expected, bound: bound, "\(test.name), \(algorithm)")
      }
    }
  }

  /// Packed where it is used, a weight gives the bits that it gives packed before: training's graphs and
  /// inference's plans agree. The last two cases have few pixels and several panels of outputs.
  @Test(
    arguments: cases + [
      Case(name: "few pixels", geometry: try! geometry(4, 24, 600, kernel: 3)),
      Case(
        name: "few pixels of groups", geometry: try! geometry(3, 32, 1100, kernel: 1, groups: 2)),
    ], [1, 2, 3])
  func weightUsedOnce(_ test: Case, threads: Int) throws {
    let geometry = test.geometry
    let (batch, parallelism) = (2, Parallelism(threads: threads))
    var source = TensorSource(seed: 95)
    let x = source.normal(geometry.inputShape(batch: batch))
    let weight = source.normal(geometry.weightShape)
    for algorithm in ConvolutionAlgorithm.allCases where algorithm.serves(geometry) {
      let kernel = try ConvolutionKernel(geometry, batch: batch, algorithm: algorithm)
      func result(usedOnce: Bool) -> Tensor {
        var y = Tensor(repeating: .nan, shape: geometry.outputShape(batch: batch))
        var packed = Tensor(repeating: .nan, shape: [kernel.packedWeightCount])
        var workspace = Tensor(repeating: .nan, shape: [kernel.workspaceCount(parallelism)])
        x.withSpan { x in
          weight.withSpan { weight in
            y.withMutableSpan { y in
              workspace.withMutableSpan { workspace in
                if usedOnce {
                  packed.withMutableSpan {
                    kernel.run(
                      x, weight: weight, packedWeight: &$0, into: &y, workspace: &workspace,
                      parallelism: parallelism)
                  }
                } else {
                  packed.withMutableSpan {
                    kernel.pack(weight, into: &$0, parallelism: parallelism)
                  }
                  packed.withSpan {
                    kernel.run(
                      x, packedWeight: $0, into: &y, workspace: &workspace,
                      parallelism: parallelism)
                  }
                }
              }
            }
          }
        }
        return y
      }
      let (once, kept) = (result(usedOnce: true), result(usedOnce: false))
      let areEqual = zip(once.elements, kept.elements).allSatisfy { $0.bitPattern == $1.bitPattern }
      #expect(areEqual, "\(algorithm)")
    }
  }

  @Test(arguments: cases, [1, 2])
  func weightGradients(_ test: Case, threads: Int) throws {
    let geometry = test.geometry
    let (batch, parallelism) = (2, Parallelism(threads: threads))
    var source = TensorSource(seed: 92)
    let x = source.normal(geometry.inputShape(batch: batch))
    let dy = source.normal(geometry.outputShape(batch: batch))

    let weightGradient = try ConvolutionWeightGradient(geometry, batch: batch)
    var dWeight = Tensor(repeating: .nan, shape: geometry.weightShape)
    var workspace = Tensor(repeating: .nan, shape: [weightGradient.workspaceCount(parallelism)])
    x.withSpan { x in
      dy.withSpan { dy in
        dWeight.withMutableSpan { dWeight in
          workspace.withMutableSpan { workspace in
            weightGradient.run(
              x, dy: dy, into: &dWeight, workspace: &workspace, parallelism: parallelism)
          }
        }
      }
    }
    expectClose(
      dWeight,
      try evaluate(
        .convolutionWeightGradient(geometry),
        [DoubleTensor(widening: x), DoubleTensor(widening: dy)])[0],
      bound: Tolerance.convolutionWeightGradient(geometry, batch: batch), "dWeight, \(test.name)")
  }

  // MARK: Choice

  @Test func choices() throws {
    for (outputs, kernel, groups) in [(4, 1, 1), (4, 3, 1), (4, 1, 2), (8, 3, 2)] {
      let geometry = try Self.geometry(8, 4, outputs, kernel: kernel, groups: groups)
      #expect(ConvolutionAlgorithm.choice(for: geometry) == .indirect)
    }
    for kernel in [1, 3] {
      let geometry = try Self.geometry(8, 4, 4, kernel: kernel, groups: 4)
      #expect(ConvolutionAlgorithm.choice(for: geometry) == .depthwise)
    }
    for test in Self.cases {
      for algorithm in [ConvolutionAlgorithm.indirect, .im2col] {
        #expect(algorithm.serves(test.geometry))
      }
    }
  }

  /// Winograd's filtering where it pays and may be taken: for maps and channels that are not small.
  @Test func choicesOfWinograd() throws {
    func choice(_ size: Int, _ channels: Int, batch: Int = 1, exact: Bool = false) throws
      -> ConvolutionAlgorithm
    {
      ConvolutionAlgorithm.choice(
        for: try Self.geometry(size, channels, channels, kernel: 3), batch: batch, exact: exact)
    }
    #expect(try choice(56, 64) == .winograd4x4)
    #expect(try choice(56, 64, exact: true) == .indirect)
    // What the components of a weight take is much beside few pixels, and little beside many.
    #expect(try choice(7, 512, batch: 16) == .compactWinograd4x4)
    #expect(try choice(28, 128) == .compactWinograd4x4)
    #expect(try choice(28, 128, batch: 16) == .winograd4x4)
    #expect(try choice(8, 4) == .indirect)
    for (kernel, groups) in [(1, 1), (5, 1), (3, 2)] {
      let geometry = try Self.geometry(56, 64, 64, kernel: kernel, groups: groups)
      #expect(ConvolutionAlgorithm.choice(for: geometry, exact: false) == .indirect)
    }
  }

  /// Images of one tile each are multiplied together whether their moments are gathered or not.
  @Test func blocksOfSmallImages() throws {
    let geometry = try Self.geometry(4, 512, 512, kernel: 3)
    func scratch(gathersMoments: Bool) throws -> Int {
      try ConvolutionKernel(
        geometry, batch: 64, algorithm: .compactWinograd4x4, input: nil, outputStride: nil,
        gathersMoments: gathersMoments
      ).workspaceCount(.serial)
    }
    #expect(try scratch(gathersMoments: true) == scratch(gathersMoments: false))
  }

  /// The errors that `ConvolutionAlgorithm` states.
  @Test(arguments: [
    (ConvolutionAlgorithm.winograd2x2, 0.7...1.3), (.winograd4x4, 2.0...4.0),
    (.compactWinograd4x4, 2.0...4.0),
  ])
  func rounding(_ algorithm: ConvolutionAlgorithm, expected: ClosedRange<Double>) throws {
    let geometry = try Self.geometry(24, 128, 32, kernel: 3)
    var source = TensorSource(seed: 97)
    let x = source.normal(geometry.inputShape(batch: 1))
    let weight = source.normal(geometry.weightShape)
    let exact = try evaluate(
      .convolution(geometry, Epilogue()), [x, weight].map { DoubleTensor(widening: $0) })[0]
    func error(_ algorithm: ConvolutionAlgorithm) throws -> Double {
      let kernel = try ConvolutionKernel(geometry, batch: 1, algorithm: algorithm)
      var y = Tensor(zeros: geometry.outputShape(batch: 1))
      var packed = Tensor(zeros: [kernel.packedWeightCount])
      var workspace = Tensor(zeros: [kernel.workspaceCount(.serial)])
      weight.withSpan { weight in packed.withMutableSpan { kernel.pack(weight, into: &$0) } }
      x.withSpan { x in
        packed.withSpan { packed in
          y.withMutableSpan { y in
            workspace.withMutableSpan {
              kernel.run(
                x, packedWeight: packed, into: &y, workspace: &$0, parallelism: .serial)
            }
          }
        }
      }
      let squares = zip(y.elements, exact.elements).map { (Double($0) - $1) * (Double($0) - $1) }
      return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
    let ratio = try error(algorithm) / error(.indirect)
    #expect(expected.contains(ratio), "\(algorithm): \(ratio)")
  }

  @Test func pinningErrors() throws {
    let geometry = try Self.geometry(8, 4, 6, kernel: 3)
    for algorithm in [ConvolutionAlgorithm.pointwise, .depthwise] {
      let error = #expect(throws: KeelError.self) {
        try ConvolutionKernel(geometry, batch: 1, algorithm: algorithm)
      }
      #expect(
        error
          == KeelError(
            .argument, at: "convolution 3×3 4→6 on 8×8", expected: "an algorithm that serves it",
            found: algorithm.rawValue))
    }
  }

  @Test(arguments: [0, -1])
  func batchErrors(batch: Int) throws {
    let geometry = try Self.geometry(8, 4, 6, kernel: 3)
    let place = "convolution 3×3 4→6 on 8×8"
    func expected(_ place: String) -> KeelError {
      KeelError(.shape, at: place, expected: "a batch of at least 1", found: "\(batch)")
    }
    #expect(throws: expected(place)) { try ConvolutionKernel(geometry, batch: batch) }
    #expect(throws: expected("transposed \(place)")) {
      try TransposedConvolutionKernel(geometry, batch: batch)
    }
    #expect(throws: expected("weight gradient of \(place)")) {
      try ConvolutionWeightGradient(geometry, batch: batch)
    }
  }
}
