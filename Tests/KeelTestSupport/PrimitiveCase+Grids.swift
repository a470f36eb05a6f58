import KeelGraph
import KeelTensor

extension PrimitiveCase {
  /// A convolution with all operands that its epilogue asks for.
  public static func convolution(
    _ name: String, _ geometry: ConvolutionGeometry, _ epilogue: Epilogue = Epilogue(),
    batch: Int = 2
  ) -> PrimitiveCase {
    var operands = [
      Operand("x", geometry.inputShape(batch: batch)), Operand("weight", geometry.weightShape),
    ]
    operands += ends(epilogue, result: geometry.outputShape(batch: batch))
    return PrimitiveCase(name, .convolution(geometry, epilogue), operands)
  }

  static func ends(_ epilogue: Epilogue, result: Shape) -> [Operand] {
    var operands: [Operand] = []
    if epilogue.hasBias { operands.append(Operand("bias", [result.channelCount])) }
    if epilogue.hasResidual { operands.append(Operand("residual", result)) }
    return operands
  }

  /// The four epilogues, each with and without bias where `bias` allows one.
  static func epilogues(bias: [Bool]) -> [(name: String, epilogue: Epilogue)] {
    var result: [(name: String, epilogue: Epilogue)] = []
    for hasBias in bias {
      for hasResidual in [false, true] {
        for activation in [nil, Activation.relu] {
          let parts = [
            hasBias ? "bias" : nil, hasResidual ? "residual" : nil,
            activation == nil ? nil : "ReLU",
          ]
          let name = parts.compactMap { $0 }.joined(separator: " + ")
          result.append(
            (
              name.isEmpty ? "bare" : name,
              Epilogue(hasBias: hasBias, hasResidual: hasResidual, activation: activation)
            ))
        }
      }
    }
    return result
  }

  /// Small convolutions of every kind: stride, padding, dilation, groups, odd and even kernels.
  public static let convolutions: [PrimitiveCase] = {
    var cases = convolutionGeometries.map { convolution($0.name, $0.geometry) }
    let geometry = convolutionGeometries[0].geometry
    cases += epilogues(bias: [false, true]).map {
      convolution("3×3, epilogue \($0.name)", geometry, $0.epilogue)
    }
    return cases
  }()

  /// Convolutions that give the moments of their channels, too.
  public static func gatheringMoments(_ cases: [PrimitiveCase]) -> [PrimitiveCase] {
    cases.compactMap { test in
      guard case .convolution(let geometry, let epilogue) = test.primitive else { return nil }
      return PrimitiveCase(
        "\(test.name), moments", .convolutionWithMoments(geometry, epilogue), test.operands)
    }
  }

  /// The geometries behind `convolutions`.
  public static let convolutionGeometries: [(name: String, geometry: ConvolutionGeometry)] = {
    func axis(
      _ input: Int, _ window: Int, _ stride: Int = 1, _ before: Int = 0, _ after: Int = 0,
      _ dilation: Int = 1
    ) -> SpatialAxis {
      try! SpatialAxis(
        input: input, window: window, stride: stride, paddingBefore: before, paddingAfter: after,
        dilation: dilation)
    }
    func geometry(
      _ axes: SpatialAxis..., channels: (Int, Int), groups: Int = 1
    ) -> ConvolutionGeometry {
      try! ConvolutionGeometry(
        axes: axes, inputChannels: channels.0, outputChannels: channels.1, groups: groups)
    }
    return [
      ("3×3, padding 1", geometry(axis(5, 3, 1, 1, 1), axis(4, 3, 1, 1, 1), channels: (3, 4))),
      ("3×3, no padding", geometry(axis(4, 3), axis(5, 3), channels: (2, 3))),
      (
        "3×3, stride 2, padding 1",
        geometry(axis(6, 3, 2, 1, 1), axis(7, 3, 2, 1, 1), channels: (3, 2))
      ),
      ("stride 3 that leaves rows out", geometry(axis(6, 2, 3), axis(7, 2, 3), channels: (2, 2))),
      ("asymmetric padding", geometry(axis(4, 3, 2, 0, 1), axis(5, 3, 2, 2, 0), channels: (2, 3))),
      ("dilation 2", geometry(axis(6, 3, 1, 2, 2, 2), axis(7, 3, 1, 2, 2, 2), channels: (2, 2))),
      (
        "stride 3, dilation 2",
        geometry(axis(9, 3, 3, 2, 2, 2), axis(8, 3, 3, 2, 2, 2), channels: (2, 2))
      ),
      (
        "2 groups, stride 2",
        geometry(axis(5, 3, 2, 1, 1), axis(5, 3, 2, 1, 1), channels: (4, 6), groups: 2)
      ),
      (
        "depthwise", geometry(axis(5, 3, 1, 1, 1), axis(4, 3, 1, 1, 1), channels: (5, 5), groups: 5)
      ),
      (
        "depthwise with multiplier 2, stride 2",
        geometry(axis(5, 3, 2, 1, 1), axis(5, 3, 2, 1, 1), channels: (3, 6), groups: 3)
      ),
      ("1×1", geometry(axis(3, 1), axis(4, 1), channels: (5, 3))),
      ("1×1, stride 2", geometry(axis(5, 1, 2), axis(4, 1, 2), channels: (3, 4))),
      ("1×1, padding 1", geometry(axis(3, 1, 1, 1, 1), axis(2, 1, 1, 1, 1), channels: (2, 3))),
      ("2×2", geometry(axis(4, 2), axis(3, 2), channels: (3, 3))),
      ("1×5, non-square", geometry(axis(3, 1), axis(6, 5, 1, 2, 2), channels: (2, 3))),
      ("5×2, strides 2×1", geometry(axis(7, 5, 2, 1, 2), axis(4, 2, 1, 1, 0), channels: (2, 2))),
      ("one position", geometry(axis(3, 3), axis(3, 3), channels: (2, 4))),
      ("1-D, window 3", geometry(axis(7, 3, 1, 1, 1), channels: (3, 4))),
      ("1-D, stride 2, padding 0+2", geometry(axis(8, 4, 2, 0, 2), channels: (2, 3))),
      (
        "1-D, stride 3, dilation 2, 2 groups",
        geometry(axis(11, 3, 3, 3, 1, 2), channels: (4, 2), groups: 2)
      ),
      ("1-D, depthwise, causal", geometry(axis(6, 3, 1, 4, 0, 2), channels: (5, 5), groups: 5)),
      ("1-D, window 1", geometry(axis(5, 1), channels: (3, 4))),
      (
        "3-D, window 3×3×3",
        geometry(axis(3, 3, 1, 1, 1), axis(4, 3, 1, 1, 1), axis(3, 3, 1, 1, 1), channels: (2, 3))
      ),
      (
        "3-D, stride 2, padding 1+0",
        geometry(axis(4, 2, 2, 1, 0), axis(5, 3, 2, 1, 0), axis(4, 3, 2, 0, 1), channels: (2, 2))
      ),
      (
        "3-D, strides 3×1×2, dilations 1×2×1, 2 groups",
        geometry(
          axis(5, 2, 3, 0, 1), axis(5, 2, 1, 1, 0, 2), axis(4, 2, 2), channels: (4, 2), groups: 2)
      ),
      (
        "3-D, depthwise, stride 2×1×1",
        geometry(
          axis(4, 3, 2, 1, 1), axis(3, 2, 1, 0, 1), axis(3, 3, 1, 1, 1), channels: (3, 3), groups: 3
        )
      ),
      ("3-D, window 1×1×1", geometry(axis(2, 1), axis(2, 1), axis(3, 1), channels: (3, 2))),
    ]
  }()

  /// Fully connected layers with every epilogue.
  public static let linears: [PrimitiveCase] = epilogues(bias: [false, true]).map {
    PrimitiveCase(
      "linear, epilogue \($0.name)", .linear($0.epilogue),
      [Operand("x", [5, 6]), Operand("weight", [4, 6])] + ends($0.epilogue, result: [5, 4]))
  }

  /// Operations without options: ReLU, reshape, softmax.
  public static let others: [PrimitiveCase] = [
    PrimitiveCase("ReLU", .activation(.relu), [Operand("x", [4, 7])]),
    PrimitiveCase("reshape", .reshape([6, 2]), [Operand("x", [3, 2, 2])]),
  ]
}
