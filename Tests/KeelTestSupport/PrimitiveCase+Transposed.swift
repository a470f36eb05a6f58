import KeelGraph
import KeelTensor

extension PrimitiveCase {
  /// A transposed convolution with all operands that its epilogue asks for.
  public static func transposedConvolution(
    _ name: String, _ geometry: ConvolutionGeometry, _ epilogue: Epilogue = Epilogue(),
    batch: Int = 2
  ) -> PrimitiveCase {
    var operands = [
      Operand("x", geometry.outputShape(batch: batch)), Operand("weight", geometry.weightShape),
    ]
    operands += ends(epilogue, result: geometry.inputShape(batch: batch))
    return PrimitiveCase(name, .transposedConvolution(geometry, epilogue), operands)
  }

  /// The transpose of every convolution of the grid; output paddings; every epilogue where all pixels are
  /// made at once, and where they lie apart.
  public static let transposedConvolutions: [PrimitiveCase] = {
    let geometries = convolutionGeometries + transposedGeometries
    var cases = geometries.map { transposedConvolution("transposed \($0.name)", $0.geometry) }
    for (name, geometry) in [convolutionGeometries[0], transposedGeometries[0]] {
      cases += epilogues(bias: [false, true]).map {
        transposedConvolution("transposed \(name), epilogue \($0.name)", geometry, $0.epilogue)
      }
    }
    let full = Epilogue(hasBias: true, hasResidual: true, activation: .relu)
    cases += geometries.map {
      transposedConvolution("transposed \($0.name), full epilogue", $0.geometry, full)
    }
    return cases
  }()

  /// The weight gradient of every convolution of the grid, as an operation of its own.
  public static let weightGradients: [PrimitiveCase] = convolutionGeometries.map {
    PrimitiveCase(
      "weight gradient, \($0.name)", .convolutionWeightGradient($0.geometry),
      [
        Operand("x", $0.geometry.inputShape(batch: 2)),
        Operand("dy", $0.geometry.outputShape(batch: 2)),
      ])
  }

  /// Every combination of stride, dilation, padding that differs by side, and groups, over one, two and
  /// three axes.
  public static let combinedGeometries: [ConvolutionGeometry] = {
    var result: [ConvolutionGeometry] = []
    for axisCount in 1...3 {
      for stride in 1...3 {
        for dilation in 1...2 {
          for (before, after) in [(0, 0), (1, 0), (0, 2), (3, 1)] {
            for (inputs, outputs, groups) in [(3, 2, 1), (4, 6, 2), (5, 5, 5)] {
              let axes = (0..<axisCount).map { i in
                // Axes differ in extent and window.
                try! SpatialAxis(
                  input: 5 + i, window: 3 - i % 2, stride: stride, paddingBefore: before,
                  paddingAfter: after, dilation: dilation)
              }
              result.append(
                try! ConvolutionGeometry(
                  axes: axes, inputChannels: inputs, outputChannels: outputs, groups: groups))
            }
          }
        }
      }
    }
    return result
  }()

  /// Geometries made from the numbers of a transposed convolution.
  public static let transposedGeometries: [(name: String, geometry: ConvolutionGeometry)] = {
    func geometry(
      _ inputs: [Int], channels: (Int, Int), kernel: [Int], stride: [Int]? = nil,
      padding: [Int]? = nil, outputPadding: [Int]? = nil, dilation: [Int]? = nil, groups: Int = 1
    ) -> ConvolutionGeometry {
      try! .transposed(
        inputs: inputs, inputChannels: channels.0, outputChannels: channels.1, kernel: kernel,
        stride: stride, padding: padding, outputPadding: outputPadding, dilation: dilation,
        groups: groups)
    }
    return [
      (
        "3×3, stride 2, output padding 1",
        geometry(
          [3, 2], channels: (3, 4), kernel: [3, 3], stride: [2, 2], padding: [1, 1],
          outputPadding: [1, 1])
      ),
      ("2×2, stride 2", geometry([3, 2], channels: (4, 3), kernel: [2, 2], stride: [2, 2])),
      (
        "1×2, stride 3, rows of no tap",
        geometry(
          [2, 3], channels: (2, 3), kernel: [1, 2], stride: [3, 3], outputPadding: [2, 0])
      ),
      (
        "output padding above the stride",
        geometry(
          [3], channels: (2, 3), kernel: [2], stride: [1], outputPadding: [2], dilation: [3])
      ),
      (
        "window 1, output padding above the stride",
        geometry([3], channels: (2, 3), kernel: [1], outputPadding: [1], dilation: [2])
      ),
      (
        "output padding 4 at stride 2, dilation 5, 2 groups",
        geometry(
          [3, 3], channels: (4, 2), kernel: [2, 3], stride: [2, 2], padding: [1, 3],
          outputPadding: [4, 3], dilation: [5, 4], groups: 2)
      ),
      (
        "padding beyond the window", geometry([5], channels: (2, 2), kernel: [2], padding: [2])
      ),
      (
        "depthwise, stride 2, output padding 1",
        geometry(
          [3, 3], channels: (5, 5), kernel: [3, 3], stride: [2, 2], padding: [1, 1],
          outputPadding: [1, 1], groups: 5)
      ),
      (
        "3-D, stride 2×1×2, output padding",
        geometry(
          [2, 2, 2], channels: (2, 3), kernel: [2, 3, 3], stride: [2, 1, 2],
          padding: [0, 1, 1], outputPadding: [1, 0, 1])
      ),
    ]
  }()
}
