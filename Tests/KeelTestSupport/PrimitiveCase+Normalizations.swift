import KeelGraph
import KeelTensor

extension PrimitiveCase {
  /// Every partition, with a shape that it cuts unevenly where it can.
  public static let partitions: [(name: String, partition: Partition, shape: Shape)] = [
    ("batch", .batch, [2, 3, 2, 3]), ("vectors", .batch, [7, 4]),
    ("instance", .instance, [3, 2, 2, 3]), ("sequence instance", .instance, [2, 5, 3]),
    ("layer", .layer, [3, 2, 2, 3]), ("groups", .group(2), [2, 3, 2, 6]),
    ("position", .position, [2, 2, 2, 5]), ("rows", .position, [6, 7]),
    ("position groups", Partition(rows: .position, channels: .groups(2)), [2, 2, 6]),
    ("whole", .whole, [2, 2, 3, 2]),
    ("batch groups", .init(rows: .all, channels: .groups(2)), [3, 2, 4]),
    ("shards", .init(rows: .shards(2), channels: .each), [5, 2, 3]),
    ("shards, all channels", .init(rows: .shards(3), channels: .all), [4, 2, 3]),
    ("columns", .init(rows: .axes([2]), channels: .each), [2, 3, 2, 3]),
    ("rows of images", .init(rows: .axes([0, 1]), channels: .all), [2, 2, 3, 2]),
    ("sample columns", .init(rows: .axes([0, 2]), channels: .groups(2)), [2, 3, 2, 4]),
    ("labels of samples", .init(rows: .labels(2), channels: .each), [4, 3, 3]),
    ("labels of samples, groups", .init(rows: .labels(2), channels: .groups(2)), [4, 2, 4]),
    ("labels of positions", .init(rows: .labels(2), channels: .each), [2, 3, 3, 2]),
  ]

  /// Whether the labels of a named partition are those of positions.
  private static func labelsPerPosition(_ name: String) -> Bool { name == "labels of positions" }

  /// Every operation.
  public static let operations: [Normalization.Operation] = [
    .standardize(epsilon: 1e-5), .center, .rootMeanSquare(epsilon: 1e-3), .norm(epsilon: 1e-3),
    .init(centers: true, divisor: .deviation(unbiased: true), epsilon: 0.1, placement: .besideRoot),
    .init(centers: false, divisor: .deviation(unbiased: false), epsilon: 1e-3),
    .norm(epsilon: 1e-12, placement: .floor), .norm(epsilon: 100, placement: .floor),
  ]

  /// Every recovery.
  public static let recoveries: [Normalization.Recovery] =
    [.none, .init(.channels, shift: false), .init(.elements, scale: false)]
    + Normalization.Recovery.Extent.allCases.map { .init($0) }

  /// Normalizations: batch norms with every epilogue; partitions × operations, × recoveries, × statistics.
  public static let normalizations: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    func add(
      _ name: String, _ partition: Partition, _ shape: Shape,
      _ statistics: Normalization.Statistics,
      _ operation: Normalization.Operation, _ recovery: Normalization.Recovery,
      _ epilogue: Epilogue = Epilogue()
    ) {
      guard
        let normalization = try? Normalization(
          partition: partition, statistics: statistics, operation: operation, recovery: recovery,
          epilogue: epilogue)
      else { return }
      cases.append(
        .normalization(
          "\(name), \(statistics), \(operation), \(recovery), \(epilogue)", shape, normalization,
          labelsPerPosition: labelsPerPosition(name)))
    }
    let full = Epilogue(hasResidual: true, activation: .relu)
    let standard = Normalization.Operation.standardize(epsilon: 1e-5)
    for (name, partition, shape) in partitions {
      let statistics: [Normalization.Statistics] = [.current, .given, .moments]
      for operation in operations {
        for statistics in statistics {
          add(name, partition, shape, statistics, operation, .affine)
        }
      }
      for recovery in recoveries {
        for statistics in statistics { add(name, partition, shape, statistics, standard, recovery) }
        add(name, partition, shape, .current, standard, recovery, Epilogue(activation: .relu))
        add(name, partition, shape, .current, standard, recovery, full)
      }
      for epilogue in epilogues(bias: [false]).map(\.epilogue) {
        for statistics in statistics {
          add(name, partition, shape, statistics, standard, .affine, epilogue)
        }
      }
    }
    return cases
  }()

  /// A normalization with all operands that it asks for.
  public static func normalization(
    _ name: String, _ shape: Shape, _ normalization: Normalization, labelsPerPosition: Bool = false
  ) -> PrimitiveCase {
    let cells = Shape(
      normalization.partition.cellExtents(of: shape.extents, channels: shape.channelCount) { $0 })
    var operands = [Operand("x", shape)]
    if case .labels(let count) = normalization.partition.rows {
      operands.append(labels(count, of: shape, perPosition: labelsPerPosition))
    }
    switch normalization.statistics {
    case .current: break
    case .given:
      operands.append(Operand("mean", cells, isDifferentiable: false))
      operands.append(Operand("variance", cells, .positive, isDifferentiable: false))
    case .moments: operands.append(moments("moments", cells))
    }
    let affine = Shape(normalization.recovery.operandExtents(of: shape.extents))
    if normalization.hasScale { operands.append(Operand("scale", affine)) }
    if normalization.hasShift { operands.append(Operand("shift", affine)) }
    if normalization.epilogue.hasResidual { operands.append(Operand("residual", shape)) }
    return PrimitiveCase(name, .normalization(normalization), operands)
  }

  static func labels(_ count: Int, of shape: Shape, perPosition: Bool) -> Operand {
    let extents = perPosition ? Shape(Array(shape.extents.dropLast())) : [shape[0]]
    return Operand("labels", extents, .labels(classes: count), isDifferentiable: false)
  }

  /// Moments of cells. Their counts are no variables, so that differences would not agree.
  static func moments(_ name: String, _ cells: Shape) -> Operand {
    Operand(
      name, Shape([MomentsLayout.rows] + cells.extents), .moments, isDifferentiable: false)
  }

  /// Moments of every partition, with and without weights.
  public static let momentTables: [PrimitiveCase] = partitions.flatMap { name, partition, shape in
    [false, true].map { isWeighted in
      var operands = [Operand("x", shape)]
      if case .labels(let count) = partition.rows {
        operands.append(labels(count, of: shape, perPosition: labelsPerPosition(name)))
      }
      if isWeighted {
        let perPosition = shape.rank.isMultiple(of: 2)
        let extents = perPosition ? Shape(Array(shape.extents.dropLast())) : [shape[0]]
        operands.append(Operand("weights", extents, .positive, isDifferentiable: false))
      }
      return PrimitiveCase(
        "moments, \(name)\(isWeighted ? ", weighted" : "")",
        .moments(partition, isWeighted: isWeighted), operands)
    }
  }

  /// Mixtures of moments: tables of one shape and of several, weights for all and per channel.
  public static let mixtures: [PrimitiveCase] = MomentsMixture.Kind.allCases.flatMap { kind in
    [[[3], [3]], [[2, 3], [3], [2, 1]], [[1], [2, 1]]].flatMap { (tables: [[Int]]) in
      [false, true].compactMap { (perChannel: Bool) -> PrimitiveCase? in
        let mixture = MomentsMixture(kind, count: tables.count)
        guard mixture.weightOperands > 0 || !perChannel else { return nil }
        let channels = tables.map { $0.last! }.max()!
        let weights: Shape = perChannel ? [tables.count, channels] : [tables.count]
        let operands =
          tables.enumerated().map { moments("table\($0.offset)", Shape($0.element)) }
          + (0..<mixture.weightOperands).map { Operand("weights\($0)", weights) }
        return PrimitiveCase(
          "\(kind) of \(tables)\(perChannel ? ", weights per channel" : "")",
          .mixedMoments(mixture), operands)
      }
    }
  }
}
