import KeelGraph
import KeelTensor
import KeelTestSupport

extension KernelCases {
  /// Transposed convolutions around vector widths, panels and tiles; pixels that lie apart and together.
  static let transposedConvolutions: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    func add(
      _ size: Int, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
      outputPadding: Int = 0, dilation: Int = 1, groups: Int = 1, batch: Int = 2,
      epilogue: Epilogue = Epilogue()
    ) {
      let geometry = try! ConvolutionGeometry.transposed(
        inputs: [size, size + 1], inputChannels: inputs, outputChannels: outputs,
        kernel: [kernel, kernel], stride: [stride, stride], padding: [padding, padding],
        outputPadding: [outputPadding, outputPadding], dilation: [dilation, dilation],
        groups: groups)
      cases.append(
        .transposedConvolution(
          "transposed \(inputs)→\(outputs), \(geometry), batch \(batch)", geometry, epilogue,
          batch: batch))
    }
    let full = Epilogue(hasBias: true, hasResidual: true, activation: .relu)
    let plain = Epilogue(hasBias: true, activation: .relu)
    for channels in [1, 3, 15, 16, 17, 31, 64, 65] {
      add(5, 12, channels, kernel: 2, stride: 2, epilogue: plain)
      add(5, channels, 20, kernel: 3, stride: 2, padding: 1, outputPadding: 1, epilogue: full)
      add(6, channels, 33, kernel: 1, epilogue: full)
      add(5, channels, 20, kernel: 3, padding: 1)
      if channels > 1 {
        add(5, channels, channels, kernel: 3, stride: 2, groups: channels, epilogue: full)
        add(5, channels, channels, kernel: 4, stride: 2, padding: 1, groups: channels)
      }
    }
    add(14, 128, 64, kernel: 2, stride: 2, batch: 3, epilogue: plain)
    add(7, 70, 200, kernel: 4, stride: 2, padding: 1, epilogue: plain)
    add(9, 24, 36, kernel: 3, stride: 3, padding: 2, dilation: 2, groups: 3, epilogue: full)
    add(20, 32, 24, kernel: 3, stride: 2, padding: 1, outputPadding: 1, batch: 3, epilogue: full)
    return cases
  }()

  /// Convolutions and poolings of sequences and volumes, large enough for several tiles.
  static let volumes: [PrimitiveCase] = {
    func axis(
      _ input: Int, _ window: Int, _ stride: Int = 1, _ before: Int = 0, _ after: Int = 0,
      _ dilation: Int = 1
    ) -> SpatialAxis {
      try! SpatialAxis(
        input: input, window: window, stride: stride, paddingBefore: before, paddingAfter: after,
        dilation: dilation)
    }
    let full = Epilogue(hasBias: true, hasResidual: true, activation: .relu)
    var cases: [PrimitiveCase] = []
    for (name, axes) in [
      ("sequence", [axis(301, 5, 1, 2, 2)]), ("strided sequence", [axis(300, 7, 3, 2, 4, 2)]),
      ("volume", [axis(7, 3, 1, 1, 1), axis(8, 3, 1, 1, 1), axis(9, 3, 1, 1, 1)]),
      ("strided volume", [axis(9, 3, 2, 1, 1), axis(8, 2, 2, 0, 1), axis(10, 3, 3, 2, 0, 2)]),
    ] {
      for (inputs, outputs, groups) in [(17, 33, 1), (32, 48, 4), (20, 20, 20), (16, 16, 1)] {
        let geometry = try! ConvolutionGeometry(
          axes: axes, inputChannels: inputs, outputChannels: outputs, groups: groups)
        cases.append(.convolution("\(name), \(geometry)", geometry, full))
        cases.append(.transposedConvolution("transposed \(name), \(geometry)", geometry, full))
      }
      let narrow = axes.map { axis in
        try! SpatialAxis(
          input: axis.input, window: axis.window, stride: axis.stride,
          paddingBefore: min(axis.paddingBefore, axis.window / 2))
      }
      for kind in [PoolingGeometry.Kind.maximum, .average(countsPadding: false)] {
        let pooling = try! PoolingGeometry(kind, axes: narrow, channels: 19)
        cases.append(
          PrimitiveCase(
            "pooling of a \(name), \(kind)", .pooling(pooling),
            [.init("x", pooling.inputShape(batch: 2), .distinct)]))
      }
    }
    return cases
  }()
}
