import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class reference: the public kernel of transposed convolutions on spans.
@Suite struct TransposedConvolutionSpanTests {
  static let cases = ConvolutionSpanTests.cases

  @Test(arguments: cases, [1, 2])
  func forward(_ test: ConvolutionSpanTests.Case, threads: Int) throws {
    let geometry = test.geometry
    let (batch, parallelism) = (2, Parallelism(threads: threads))
    var source = TensorSource(seed: 93)
    let x = source.normal(geometry.outputShape(batch: batch))
    let weight = source.normal(geometry.weightShape)
    let bias = source.normal([geometry.inputChannels])
    let residual = source.normal(geometry.inputShape(batch: batch))
    let kernel = try TransposedConvolutionKernel(geometry, batch: batch)
    for (hasBias, hasResidual, activation) in [
      (false, false, nil), (true, false, Activation.relu), (true, true, .relu),
      (false, true, nil), (true, false, .leakyReLU(slope: 0.1)), (true, true, .silu),
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
        .transposedConvolution(geometry, epilogue), operands.map { DoubleTensor(widening: $0) })[0]
      expectClose(
        y, expected, bound: Tolerance.transposedConvolution(geometry),
        "\(test.name), \(epilogue)")
    }
  }

  @Test(arguments: cases, [1, 2])
  func weightUsedOnce(_ test: ConvolutionSpanTests.Case, threads: Int) throws {
    let geometry = test.geometry
    let (batch, parallelism) = (2, Parallelism(threads: threads))
    var source = TensorSource(seed: 94)
    let x = source.normal(geometry.outputShape(batch: batch))
    let weight = source.normal(geometry.weightShape)
    let kernel = try TransposedConvolutionKernel(geometry, batch: batch)
    var y = Tensor(repeating: .nan, shape: geometry.inputShape(batch: batch))
    var packed = Tensor(repeating: .nan, shape: [kernel.packedWeightCount])
    var workspace = Tensor(repeating: .nan, shape: [kernel.workspaceCount(parallelism)])
    x.withSpan { x in
      weight.withSpan { weight in
        packed.withMutableSpan { packed in
          y.withMutableSpan { y in
            workspace.withMutableSpan { workspace in
              kernel.run(
                x, weight: weight, packedWeight: &packed, into: &y, workspace: &workspace,
                parallelism: parallelism)
            }
          }
        }
      }
    }
    let expected = try evaluate(
      .transposedConvolution(geometry, Epilogue()), [x, weight].map { DoubleTensor(widening: $0) })[
        0]
    expectClose(y, expected, bound: Tolerance.transposedConvolution(geometry), test.name)
  }

  /// Windows are read where they lie: the workspace holds addresses, however large the image is.
  @Test(arguments: [2, 3], [1, 4])
  func workspaceIsBounded(kernel: Int, groups: Int) throws {
    let geometry = try ConvolutionGeometry.transposed(
      inputs: [256, 256], inputChannels: 64, outputChannels: 32, kernel: [kernel, kernel],
      stride: [2, 2], groups: groups)
    let count = try TransposedConvolutionKernel(geometry, batch: 1).workspaceCount(.serial)
    #expect(count * 4 <= 1 << 20)
  }
}
