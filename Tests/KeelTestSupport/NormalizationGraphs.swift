import KeelGraph
import KeelTensor

/// Graphs that compose normalizations from moments, mixtures and given moments: x → y.
public enum NormalizationGraphs {
  /// One graph with its name, and the weights with respect to which it has a gradient.
  public struct Composition: Sendable, CustomStringConvertible {
    /// What sets it apart.
    public let description: String
    /// The weights by name.
    public let names: [String]
    private let make: @Sendable (UInt64) throws(KeelError) -> Graph

    /// Makes a composition from what builds its graph.
    public init(
      _ description: String, _ names: [String] = ["x"],
      _ make: @escaping @Sendable (UInt64) throws(KeelError) -> Graph
    ) {
      self.description = description
      self.names = names
      self.make = make
    }

    /// The graph, with weights from a seed and output `y`.
    public func graph(seed: UInt64) throws(KeelError) -> Graph { try make(seed) }
  }

  /// x normalized by given moments, with scale and shift per channel.
  private static func normalized(
    _ x: ValueID, by moments: ValueID, _ partition: Partition, _ operation: Normalization.Operation,
    in builder: inout GraphBuilder
  ) throws(KeelError) -> ValueID {
    try builder.append(
      .normalization(
        Normalization(
          partition: partition, statistics: .moments, operation: operation, recovery: .none)),
      [x, moments], label: "norm")[0]
  }

  /// Statistics of the batch taken apart: moments, then a normalization by them. No labels.
  public static func apart(
    _ partition: Partition, _ shape: Shape, _ operation: Normalization.Operation, seed: UInt64
  ) throws(KeelError) -> Graph {
    var source = TensorSource(seed: seed)
    var builder = GraphBuilder()
    let x = builder.weight("x", source.normal(shape))
    let moments = try builder.append(.moments(partition, isWeighted: false), [x], label: "moments")
    builder.output("y", try normalized(x, by: moments[0], partition, operation, in: &builder))
    return try builder.finish()
  }

  /// The same as one node.
  public static func whole(
    _ partition: Partition, _ shape: Shape, _ operation: Normalization.Operation, seed: UInt64
  ) throws(KeelError) -> Graph {
    var source = TensorSource(seed: seed)
    var builder = GraphBuilder()
    let x = builder.weight("x", source.normal(shape))
    let results = try builder.append(
      .normalization(
        Normalization(
          partition: partition, statistics: .current, operation: operation, recovery: .none)),
      [x], label: "norm")
    builder.output("y", results[0])
    return try builder.finish()
  }

  /// Compositions whose gradients run through moments.
  public static let compositions: [Composition] = {
    let shape: Shape = [3, 2, 2, 4]
    let standard = Normalization.Operation.standardize(epsilon: 1e-3)
    var result: [Composition] = []
    for (name, partition, shape) in PrimitiveCase.partitions where !partition.hasLabels {
      for operation in PrimitiveCase.operations {
        result.append(
          Composition("\(name), \(operation), apart") { seed throws(KeelError) in
            try apart(partition, shape, operation, seed: seed)
          })
      }
    }
    func mixture(_ kind: MomentsMixture.Kind, _ partitions: [Partition]) -> Composition {
      let mixture = MomentsMixture(kind, count: partitions.count)
      let weights = (0..<mixture.weightOperands).map { "weights\($0)" }
      return Composition("\(kind) of \(partitions.count)", ["x"] + weights) {
        seed throws(KeelError) in
        var source = TensorSource(seed: seed)
        var builder = GraphBuilder()
        let x = builder.weight("x", source.normal(shape))
        var operands: [ValueID] = []
        for partition in partitions {
          operands.append(
            try builder.append(.moments(partition, isWeighted: false), [x], label: "moments")[0])
        }
        for name in weights {
          operands.append(
            builder.weight(name, source.uniform([partitions.count], from: 0.2, to: 0.8)))
        }
        let mixed = try builder.append(.mixedMoments(mixture), operands, label: "mixed")[0]
        let cells: Partition = partitions.contains(.instance) ? .instance : .batch
        builder.output("y", try normalized(x, by: mixed, cells, standard, in: &builder))
        return try builder.finish()
      }
    }
    result += [
      mixture(.averaged, [.batch, .instance]), mixture(.averaged, [.instance, .layer, .batch]),
      mixture(.pooled, [.instance, .whole]), mixture(.merged, [.batch, .whole]),
    ]
    result.append(
      Composition("moments of a normalization, too") { seed throws(KeelError) in
        var source = TensorSource(seed: seed)
        var builder = GraphBuilder()
        let x = builder.weight("x", source.normal(shape))
        let results = try builder.append(
          .normalization(Normalization(statistics: .current, recovery: .none)), [x], label: "first")
        builder.output(
          "y", try normalized(results[0], by: results[1], .batch, standard, in: &builder))
        return try builder.finish()
      })
    result.append(
      Composition("shards merged", ["a", "b"]) { seed throws(KeelError) in
        var source = TensorSource(seed: seed)
        var builder = GraphBuilder()
        let parts = [
          builder.weight("a", source.normal([2, 3, 4])),
          builder.weight("b", source.normal([3, 3, 4])),
        ]
        var tables: [ValueID] = []
        for part in parts {
          tables.append(
            try builder.append(.moments(.batch, isWeighted: false), [part], label: "moments")[0])
        }
        let merged = try builder.append(
          .mixedMoments(MomentsMixture(.merged, count: 2)), tables, label: "merged")[0]
        var outputs: [ValueID] = []
        for part in parts {
          outputs.append(try normalized(part, by: merged, .batch, standard, in: &builder))
        }
        builder.output("y", try builder.append(.concatenation(axis: 0), outputs)[0])
        return try builder.finish()
      })
    return result
  }()
}
