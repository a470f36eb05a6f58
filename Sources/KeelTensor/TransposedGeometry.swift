extension SpatialAxis {
  /// The axis of the convolution whose transpose enlarges `input` positions: its output is `input`, its
  /// input what the transposed convolution makes,
  /// (input − 1)·stride − paddingBefore − paddingAfter + dilation·(window − 1) + outputPadding + 1.
  ///
  /// Where the output padding is the stride or more, which a larger dilation allows, the convolution
  /// leaves so many more positions at its end alone, and `paddingAfter` is smaller by them, if need be
  /// below 0.
  /// - Throws: `KeelError` of kind `argument` for a size below its minimum or from 2³¹ on, and an output
  ///   padding that is not from 0 to below the larger of stride and dilation; of kind `shape` where the
  ///   padding cuts everything away.
  public static func transposed(
    input: Int, window: Int, stride: Int = 1, paddingBefore: Int = 0, paddingAfter: Int = 0,
    outputPadding: Int = 0, dilation: Int = 1, name: String = "axis", place: String = "geometry"
  ) throws(KeelError) -> SpatialAxis {
    try check(
      input: input, window: window, stride: stride, paddingBefore: paddingBefore,
      paddingAfter: paddingAfter, dilation: dilation, name: name, place: place)
    guard outputPadding >= 0, outputPadding < max(stride, dilation) else {
      throw KeelError(
        .argument, at: place,
        expected: "output padding of \(name) from 0 to below the larger of stride and dilation, "
          + "\(max(stride, dilation))", found: "\(outputPadding)")
    }
    let full = (input - 1) * stride + dilation * (window - 1) + outputPadding + 1
    let output = full - paddingBefore - paddingAfter
    guard output >= 1 else {
      throw KeelError(
        .shape, at: place,
        expected: "padding of \(name) that leaves some of \(full) positions",
        found: "\(paddingBefore)+\(paddingAfter)")
    }
    guard output <= Int(Int32.max) else {
      throw KeelError(
        .argument, at: place, expected: "sizes of \(name) below 2³¹", found: "\(output)")
    }
    return SpatialAxis(
      unchecked: output, window: window, stride: stride, paddingBefore: paddingBefore,
      paddingAfter: paddingAfter - outputPadding / stride * stride, dilation: dilation)
  }
}

extension ConvolutionGeometry {
  /// The geometry of a transposed convolution, from its own numbers: that of the convolution whose input
  /// gradient it is, with `outputShape` for the transposed one's input and `inputShape` for its result.
  ///
  /// Per axis the result has (W − 1)·s − p₁ − p₂ + d·(k − 1) + op + 1 positions.
  /// - Parameters:
  ///   - axes: of `SpatialAxis.transposed`.
  ///   - inputChannels: the channels that the transposed convolution takes.
  ///   - outputChannels: the channels that it makes.
  /// - Throws: as the full initializer, about these channels.
  public static func transposed(
    axes: [SpatialAxis], inputChannels: Int, outputChannels: Int, groups: Int = 1,
    place: String = "transposed convolution"
  ) throws(KeelError) -> ConvolutionGeometry {
    try checkChannels(inputChannels, outputChannels, groups: groups, place: place)
    return try ConvolutionGeometry(
      axes: axes, inputChannels: outputChannels, outputChannels: inputChannels, groups: groups,
      place: place)
  }

  /// The geometry of a transposed convolution, with one number for each axis, outermost first; strides
  /// and dilations are 1 and paddings 0 where none are given.
  /// - Parameter inputs: the extents that the transposed convolution takes.
  /// - Throws: as above and `SpatialAxis.transposed`; of kind `argument` where the numbers of axes differ.
  public static func transposed(
    inputs: [Int], inputChannels: Int, outputChannels: Int, kernel: [Int], stride: [Int]? = nil,
    padding: [Int]? = nil, outputPadding: [Int]? = nil, dilation: [Int]? = nil, groups: Int = 1,
    place: String = "transposed convolution"
  ) throws(KeelError) -> ConvolutionGeometry {
    let count = inputs.count
    for (what, numbers) in [
      ("kernel", kernel), ("stride", stride), ("padding", padding),
      ("output padding", outputPadding), ("dilation", dilation),
    ] {
      if let numbers, numbers.count != count {
        throw KeelError(
          .argument, at: place, expected: "\(what) for \(count) axes", found: "\(numbers.count)")
      }
    }
    let names = SpatialAxes.names(count: count)
    var axes: [SpatialAxis] = []
    for i in 0..<count {
      axes.append(
        try .transposed(
          input: inputs[i], window: kernel[i], stride: stride?[i] ?? 1,
          paddingBefore: padding?[i] ?? 0, paddingAfter: padding?[i] ?? 0,
          outputPadding: outputPadding?[i] ?? 0, dilation: dilation?[i] ?? 1,
          name: i < names.count ? names[i] : "axis \(i)", place: place))
    }
    return try transposed(
      axes: axes, inputChannels: inputChannels, outputChannels: outputChannels, groups: groups,
      place: place)
  }
}
