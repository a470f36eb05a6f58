import KeelGraph
import KeelTensor

extension PrimitiveCase {
  /// Blocks that divide the channels and blocks that do not, over all rows and by sample.
  public static let channelBlocks: [(name: String, blocks: ChannelBlocks, shape: Shape)] = [
    ("one block", ChannelBlocks(4), [3, 2, 2, 4]), ("pairs", ChannelBlocks(2), [9, 6]),
    ("a smaller last block", ChannelBlocks(3), [2, 3, 2, 7]),
    ("single channels", ChannelBlocks(1), [5, 3, 3]),
    ("samples", ChannelBlocks(3, over: .sample), [2, 3, 3, 5]),
    ("samples, one block", ChannelBlocks(3, over: .sample), [3, 2, 3, 3]),
  ]

  static func tableShape(_ rows: Int, _ blocks: ChannelBlocks, _ x: Shape) -> Shape {
    Shape([rows] + blocks.cellExtents(of: x.extents))
  }

  /// Co-moments, and block maps with every set of operands.
  public static let blockMaps: [PrimitiveCase] = channelBlocks.flatMap { name, blocks, shape in
    blockMaps(name, blocks, shape)
  }

  /// Co-moments and block maps of some blocks.
  public static func blockMaps(
    _ name: String, _ blocks: ChannelBlocks, _ shape: Shape
  ) -> [PrimitiveCase] {
    var cases = [PrimitiveCase("co-moments, \(name)", .comoments(blocks), [Operand("x", shape)])]
    for centers in [false, true] {
      for shift in [BlockMap.Shift.none, .channels, .cells] {
        var operands = [Operand("x", shape)]
        if centers { operands.append(Operand("centre", tableShape(2, blocks, shape))) }
        operands.append(Operand("matrix", tableShape(blocks.size, blocks, shape)))
        if shift != .none {
          let cells = shift == .cells ? blocks.cellExtents(of: shape.extents) : [shape.channelCount]
          operands.append(Operand("shift", Shape(cells)))
        }
        cases.append(
          PrimitiveCase(
            "block map, \(name), centre \(centers), shift \(shift)",
            .blockMap(BlockMap(blocks, centers: centers, shift: shift)), operands))
      }
    }
    return cases
  }

  /// Every rule for whitening and coloring matrices.
  public static let whiteningRules: [Whitening] = {
    var rules: [Whitening] = []
    func add(
      _ method: Whitening.Method, _ direction: Whitening.Direction = .whitening,
      epsilon: Float = 1e-3, relative: Bool = false, shrinkage: Float = 0, floor: Float = 0,
      truncation: Float = 0
    ) {
      if let rule = try? Whitening(
        method, direction, epsilon: epsilon, epsilonIsRelative: relative, shrinkage: shrinkage,
        eigenvalueFloor: floor, truncation: truncation)
      {
        rules.append(rule)
      }
    }
    for method in [Whitening.Method.pca, .zca, .cholesky] {
      for direction in [Whitening.Direction.whitening, .coloring] {
        add(method, direction)
        add(method, direction, epsilon: 0)
        add(method, direction, relative: true, shrinkage: 0.1)
        add(method, direction, floor: 0.7)
        add(method, direction, truncation: 0.2)
      }
    }
    for coupled in [false, true] {
      for steps in [1, 5] { add(.newtonSchulz(steps: steps, coupled: coupled)) }
      add(.newtonSchulz(steps: 7, coupled: coupled), relative: true, shrinkage: 0.1)
    }
    add(.newtonSchulz(steps: 20, coupled: true))
    return rules
  }()
}

/// Graphs that whiten and color: x → y.
public enum WhiteningGraphs {
  /// Whitening of x by its own statistics, y = scale·M·(x − mean) + shift, with the matrix of a rule.
  public static func whitened(
    _ rule: Whitening, _ blocks: ChannelBlocks, _ x: Tensor, seed: UInt64
  ) throws(KeelError) -> Graph {
    var source = TensorSource(seed: seed)
    var builder = GraphBuilder()
    let value = builder.weight("x", x)
    let channels = x.shape.channelCount
    let scale = builder.weight("scale", source.uniform([channels], from: 0.5, to: 2))
    let shift = builder.weight("shift", source.normal([channels]))
    let y = try whitened(rule, blocks, value, scale: scale, shift: shift, in: &builder)
    builder.output("y", y)
    return try builder.finish()
  }

  private static func whitened(
    _ rule: Whitening, _ blocks: ChannelBlocks, _ x: ValueID, scale: ValueID, shift: ValueID,
    in builder: inout GraphBuilder
  ) throws(KeelError) -> ValueID {
    let table = try builder.append(.comoments(blocks), [x], label: "co-moments")[0]
    let matrix = try builder.append(.whitening(rule, blocks), [table], label: "matrix")[0]
    let scaled = try builder.append(.arithmetic(.multiply), [matrix, scale])[0]
    var axes = [AxisMovement](
      repeating: .whole, count: builder.graph.type(of: table).rank)
    axes[0] = .slice(start: ComomentsLayout.mean, count: 2, step: 1)
    let centre = try builder.append(.movement(Movement(axes)), [table])[0]
    return try builder.append(
      .blockMap(BlockMap(blocks, centers: true, shift: .channels)), [x, centre, scaled, shift],
      label: "map")[0]
  }

  /// Every rule on every kind of blocks.
  public static let compositions: [NormalizationGraphs.Composition] =
    PrimitiveCase.channelBlocks.flatMap { name, blocks, shape in
      PrimitiveCase.whiteningRules.map { rule in
        NormalizationGraphs.Composition(
          "\(name), \(rule.name), ε \(rule.epsilon)\(rule.epsilonIsRelative ? " relative" : ""), "
            + "shrinkage \(rule.shrinkage), floor \(rule.eigenvalueFloor), "
            + "truncation \(rule.truncation)", ["x", "scale", "shift"]
        ) { seed throws(KeelError) in
          var source = TensorSource(seed: seed ^ 0xB10C)
          return try whitened(rule, blocks, source.normal(shape), seed: seed)
        }
      }
    }
}
