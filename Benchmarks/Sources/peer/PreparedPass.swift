import Keel

/// A pass with its operands, ready to run: two operands, a result, a workspace.
///
/// The forward pass's weight is packed here, once, because it is constant in inference; the input gradient
/// packs in its run, because in training the weight is another each time.
final class PreparedPass {
  private enum Kernel {
    case forward(ConvolutionKernel)
    case inputGradient(TransposedConvolutionKernel)
    case weightGradient(ConvolutionWeightGradient)
  }

  private let kernel: Kernel
  private let parallelism: Parallelism
  private let first: Tensor
  private let second: Tensor
  private var workspace: Tensor
  private var packed: Tensor
  /// What the last run computed.
  private(set) var result: Tensor

  /// Prepares a pass.
  /// - Parameter load: the operand `x`, `dy` or `weight`, in Keel's layout.
  init(
    _ request: PassRequest, load: (String, Shape) throws(KeelError) -> Tensor
  ) throws(KeelError) {
    let geometry = try request.geometry()
    let batch = request.batch
    parallelism = Parallelism(threads: request.threads)
    let inputShape = geometry.inputShape(batch: batch)
    let outputShape = geometry.outputShape(batch: batch)
    let workspaceCount: Int
    var packedCount = 0
    switch request.pass {
    case .forward:
      let forward = try ConvolutionKernel(geometry, batch: batch)
      first = try load("x", inputShape)
      second = Self.packed(try load("weight", geometry.weightShape), for: forward)
      result = Tensor(zeros: outputShape)
      workspaceCount = forward.workspaceCount(parallelism)
      kernel = .forward(forward)
    case .inputGradient:
      let gradient = try TransposedConvolutionKernel(geometry, batch: batch)
      first = try load("dy", outputShape)
      second = try load("weight", geometry.weightShape)
      result = Tensor(zeros: inputShape)
      workspaceCount = gradient.workspaceCount(parallelism)
      packedCount = gradient.packedWeightCount
      kernel = .inputGradient(gradient)
    case .weightGradient:
      let gradient = try ConvolutionWeightGradient(geometry, batch: batch)
      first = try load("x", inputShape)
      second = try load("dy", outputShape)
      result = Tensor(zeros: geometry.weightShape)
      workspaceCount = gradient.workspaceCount(parallelism)
      kernel = .weightGradient(gradient)
    }
    workspace = Tensor(zeros: [max(workspaceCount, 1)])
    packed = Tensor(zeros: [max(packedCount, 1)])
  }

  /// Runs once.
  func run() {
    first.withSpan { first in
      second.withSpan { second in
        result.withMutableSpan { result in
          workspace.withMutableSpan { workspace in
            switch kernel {
            case .forward(let forward):
              forward.run(
                first, packedWeight: second, into: &result, workspace: &workspace,
                parallelism: parallelism)
            case .inputGradient(let gradient):
              packed.withMutableSpan {
                gradient.run(
                  first, weight: second, packedWeight: &$0, into: &result, workspace: &workspace,
                  parallelism: parallelism)
              }
            case .weightGradient(let gradient):
              gradient.run(
                first, dy: second, into: &result, workspace: &workspace, parallelism: parallelism)
            }
          }
        }
      }
    }
  }

  private static func packed(_ weight: Tensor, for forward: ConvolutionKernel) -> Tensor {
    var packed = Tensor(zeros: [forward.packedWeightCount])
    weight.withSpan { weight in packed.withMutableSpan { forward.pack(weight, into: &$0) } }
    return packed
  }
}
