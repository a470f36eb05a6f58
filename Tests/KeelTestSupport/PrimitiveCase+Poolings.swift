import KeelGraph
import KeelTensor

extension PoolingGeometry.Kind {
  /// Every kind with a short name.
  public static let everyKind: [(name: String, kind: PoolingGeometry.Kind)] = [
    ("max", .maximum), ("average", .average(countsPadding: true)),
    ("average without padding", .average(countsPadding: false)), ("L2", .l2),
  ]
}

extension PrimitiveCase {
  /// A pooling of numbers well apart from each other.
  public static func pooling(_ name: String, _ geometry: PoolingGeometry, batch: Int = 2)
    -> PrimitiveCase
  {
    PrimitiveCase(
      name, .pooling(geometry), [Operand("x", geometry.inputShape(batch: batch), .distinct)])
  }

  /// Poolings of every kind: overlapping, padded, not square, leaving rows out, rounded up, adaptive,
  /// over one, two and three axes.
  public static let poolings: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for (kindName, kind) in PoolingGeometry.Kind.everyKind {
      for (name, axes) in poolingAxes {
        let geometry = try! PoolingGeometry(kind, axes: axes, channels: 3)
        cases.append(pooling("\(kindName), \(name)", geometry))
      }
    }
    let geometry = try! PoolingGeometry(.maximum, axes: poolingAxes[1].axes, channels: 3)
    cases.append(
      PrimitiveCase(
        "max with indices", .maxPoolingWithIndices(geometry),
        [Operand("x", geometry.inputShape(batch: 2), .distinct)]))
    return cases
  }()

  /// The axes behind `poolings`.
  public static let poolingAxes: [(name: String, axes: [PoolingAxis])] = {
    func axis(
      _ input: Int, _ window: Int, _ stride: Int, _ before: Int = 0, _ after: Int = 0,
      dilation: Int = 1, ceil ceilMode: Bool = false
    ) -> PoolingAxis {
      try! PoolingAxis(
        input: input, window: window, stride: stride, paddingBefore: before, paddingAfter: after,
        dilation: dilation, ceilMode: ceilMode)
    }
    func adaptive(_ input: Int, _ output: Int) -> PoolingAxis {
      try! PoolingAxis(adaptive: input, output: output)
    }
    return [
      ("2×2, stride 2", [axis(5, 2, 2), axis(4, 2, 2)]),
      ("3×3, stride 2, padding 1", [axis(5, 3, 2, 1, 1), axis(4, 3, 2, 1, 1)]),
      ("2×3, stride 1×2", [axis(5, 2, 1, 1, 1), axis(4, 3, 2)]),
      ("1×1, stride 2", [axis(5, 1, 2), axis(4, 1, 2)]),
      ("tiles", [axis(4, 2, 2), axis(6, 3, 3)]),
      ("rounded up tiles", [axis(5, 2, 2, ceil: true), axis(7, 3, 3, ceil: true)]),
      (
        "rounded up over padding",
        [axis(6, 3, 2, 1, 1, ceil: true), axis(5, 2, 3, 1, 1, ceil: true)]
      ),
      ("rounded up from nothing", [axis(2, 3, 2, ceil: true), axis(4, 5, 2, ceil: true)]),
      ("asymmetric padding, dilation", [axis(4, 3, 2, 0, 1), axis(6, 2, 2, 1, 0, dilation: 2)]),
      (
        "dilation, rounded up", [axis(7, 2, 2, 1, 1, dilation: 3, ceil: true), axis(5, 2, 1)]
      ),
      ("adaptive", [adaptive(5, 3), adaptive(7, 4)]),
      ("adaptive tiles", [adaptive(6, 3), adaptive(4, 1)]),
      ("adaptive to more", [adaptive(2, 5), adaptive(3, 3)]),
      ("a sequence", [axis(7, 3, 2, 1)]),
      ("an adaptive sequence", [adaptive(7, 3)]),
      ("a volume", [axis(5, 2, 2, 0, 1), axis(4, 3, 1, 1, 1), axis(7, 3, 2, 1)]),
      ("a volume's tiles", [axis(4, 2, 2), axis(3, 3, 3), axis(2, 1, 1)]),
      ("an adaptive volume", [adaptive(3, 2), adaptive(4, 2), adaptive(3, 2)]),
    ]
  }()
}
