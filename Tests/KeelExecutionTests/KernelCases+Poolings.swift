import KeelGraph
import KeelTensor
import KeelTestSupport

extension KernelCases {
  /// Poolings where kernels change their way: vector widths and four vectors at a time, windows of 4, 9
  /// and more than 64 pixels, tiles, images of several bands, channels of several blocks.
  static let poolings: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    func axis(
      _ input: Int, _ window: Int, _ stride: Int, _ padding: Int = 0, dilation: Int = 1,
      ceil ceilMode: Bool = false
    ) -> PoolingAxis {
      try! PoolingAxis(
        input: input, window: window, stride: stride, paddingBefore: padding,
        paddingAfter: padding, dilation: dilation, ceilMode: ceilMode)
    }
    func adaptive(_ input: Int, _ output: Int) -> PoolingAxis {
      try! PoolingAxis(adaptive: input, output: output)
    }
    func add(
      _ name: String, _ axes: [PoolingAxis], channels: Int, batch: Int = 2,
      kinds: [Int] = Array(PoolingGeometry.Kind.everyKind.indices)
    ) {
      for index in kinds {
        let (kindName, kind) = PoolingGeometry.Kind.everyKind[index]
        let geometry = try! PoolingGeometry(kind, axes: axes, channels: channels)
        cases.append(
          .pooling("\(kindName), \(name), \(channels) channels", geometry, batch: batch))
      }
    }
    for channels in [1, 5, 15, 16, 33, 64, 71] {
      add("3×3", [axis(13, 3, 2, 1), axis(14, 3, 2, 1)], channels: channels)
      add("2×2 tiles", [axis(6, 2, 2), axis(8, 2, 2)], channels: channels)
      add("2×2, not tiles", [axis(7, 2, 2), axis(5, 2, 1)], channels: channels)
      add("global", [adaptive(20, 1), adaptive(21, 1)], channels: channels)
      add("adaptive", [adaptive(11, 4), adaptive(9, 7)], channels: channels)
    }
    add("9×9", [axis(20, 9, 3, 4), axis(20, 9, 3, 4)], channels: 17)
    add("large tiles", [axis(26, 13, 13), axis(30, 10, 10)], channels: 3)
    add("global", [adaptive(9, 1), adaptive(10, 1)], channels: 300, batch: 1)
    add("window over all", [axis(4, 9, 1, 4, ceil: true), axis(3, 5, 1, 2)], channels: 6)
    // Several bands an image, windows reaching over their borders, and enough work for two threads.
    add("bands", [axis(96, 3, 2, 1), axis(57, 3, 2, 1)], channels: 64, batch: 1)
    add("bands of tiles", [axis(96, 3, 3), axis(64, 2, 2)], channels: 61, batch: 1)
    add("bands of dilated windows", [axis(90, 4, 2, 3, dilation: 3), axis(9, 2, 2)], channels: 5)
    add("bands of a sequence", [axis(3001, 5, 2, 2)], channels: 19, batch: 1)
    add(
      "bands of a dilated sequence", [axis(500, 3, 1, 3, dilation: 4, ceil: true)], channels: 2,
      batch: 1)
    add("bands of a sequence's tiles", [axis(3000, 3, 3)], channels: 9, batch: 1)
    add(
      "bands of a volume", [axis(60, 2, 1), axis(5, 3, 2, 1), axis(6, 3, 2, 1)], channels: 7,
      batch: 1)
    add("adaptive bands", [adaptive(100, 37), adaptive(7, 3)], channels: 20, batch: 1)
    add("large windows in bands", [axis(70, 9, 2, 4), axis(12, 9, 2, 4)], channels: 10, batch: 1)
    return cases
  }()
}
