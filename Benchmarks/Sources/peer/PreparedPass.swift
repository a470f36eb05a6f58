import Keel

/// A pass with its operands, ready to run: two operands, a result, a workspace.
///
/// The forward pass's weight is packed here, once, because it is constant in inference; the input gradient
/// packs in its run, because in training the weight is another each time. The input gradient of a
/// convolution is a transposed convolution, and the other way round.
final class PreparedPass {
  private enum Kernel {
    case convolution(ConvolutionKernel)
    case transposed(TransposedConvolutionKernel)
    case weightGradient(ConvolutionWeightGradient)
  }

  private let kernel: Kernel
  /// Whether runs pack the weight.
  private let packs: Bool
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
    // The geometry is a convolution's; the operation goes along or against it.
    let shapes = [geometry.inputShape(batch: batch), geometry.outputShape(batch: batch)]
    let names = request.transposed ? ["dy", "x"] : ["x", "dy"]
    packs = request.pass == .inputGradient
    let operand = packs ? "dy" : "x"
    let workspaceCount: Int
    var packedCount = 0
    switch (request.pass, operand == names[0]) {
    case (.weightGradient, _):
      let gradient = try ConvolutionWeightGradient(geometry, batch: batch)
      first = try load(names[0], shapes[0])
      second = try load(names[1], shapes[1])
      result = Tensor(zeros: geometry.weightShape)
      workspaceCount = gradient.workspaceCount(parallelism)
      kernel = .weightGradient(gradient)
    case (_, true):
      let convolution = try ConvolutionKernel(geometry, batch: batch)
      first = try load(operand, shapes[0])
      second = try load("weight", geometry.weightShape)
      result = Tensor(zeros: shapes[1])
      workspaceCount = convolution.workspaceCount(parallelism)
      packedCount = convolution.packedWeightCount
      kernel = .convolution(convolution)
    case (_, false):
      let transposed = try TransposedConvolutionKernel(geometry, batch: batch)
      first = try load(operand, shapes[1])
      second = try load("weight", geometry.weightShape)
      result = Tensor(zeros: shapes[0])
      workspaceCount = transposed.workspaceCount(parallelism)
      packedCount = transposed.packedWeightCount
      kernel = .transposed(transposed)
    }
    workspace = Tensor(zeros: [max(workspaceCount, 1)])
    packed = Tensor(zeros: [max(packedCount, 1)])
    if !packs { pack() }
  }

  /// Runs once.
  func run() {
    first.withSpan { first in
      second.withSpan { second in
        result.withMutableSpan { result in
          workspace.withMutableSpan { workspace in
            switch kernel {
            case .convolution(let convolution) where packs:
              packed.withMutableSpan {
                convolution.run(
                  first, weight: second, packedWeight: &$0, into: &result, workspace: &workspace,
                  parallelism: parallelism)
              }
            case .convolution(let convolution):
              packed.withSpan {
                convolution.run(
                  first, packedWeight: $0, into: &result, workspace: &workspace,
                  parallelism: parallelism)
              }
            case .transposed(let transposed) where packs:
              packed.withMutableSpan {
                transposed.run(
                  first, weight: second, packedWeight: &$0, into: &result, workspace: &workspace,
                  parallelism: parallelism)
              }
            case .transposed(let transposed):
              packed.withSpan {
                transposed.run(
                  first, packedWeight: $0, into: &result, workspace: &workspace,
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

  private func pack() {
    second.withSpan { weight in
      packed.withMutableSpan { packed in
        switch kernel {
        case .convolution(let convolution): convolution.pack(weight, into: &packed)
        case .transposed(let transposed): transposed.pack(weight, into: &packed)
        case .weightGradient: break
        }
      }
    }
  }
}
