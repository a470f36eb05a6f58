import KeelGraph
import KeelTensor

/// Moments and their mixtures.
extension ShapeInferenceTests {
  static let labelled = Partition(rows: .labels(3), channels: .each)
  static let instances = ValueType([4, .batch, 4])

  static func mixed(_ kind: MomentsMixture.Kind, _ count: Int) -> Primitive {
    .mixedMoments(MomentsMixture(kind, count: count))
  }

  static func mixedGradient(_ kind: MomentsMixture.Kind, _ count: Int) -> Primitive {
    .mixedMomentsGradient(MomentsMixture(kind, count: count))
  }

  static let fittingMoments: [(Primitive, [ValueType], [ValueType])] = [
    (.moments(.batch, isWeighted: false), [image], [moments]),
    (.moments(.instance, isWeighted: false), [image], [instances]),
    (.moments(.group(2), isWeighted: false), [image], [ValueType([4, .batch, 2])]),
    (.moments(.position, isWeighted: false), [vectors], [ValueType([4, .batch, 1])]),
    (.moments(labelled, isWeighted: false), [image, labels], [ValueType([4, 3, 4])]),
    (.moments(.batch, isWeighted: true), [image, ValueType([.batch])], [moments]),
    (.moments(.batch, isWeighted: true), [image, ValueType([.batch, 8, 6])], [moments]),
    (
      .moments(labelled, isWeighted: true),
      [image, integers(ValueType([.batch, 8, 6])), ValueType([.batch])], [ValueType([4, 3, 4])]
    ),
    (.momentsGradient(.batch, isWeighted: false), [moments, image, moments], [image]),
    (
      .momentsGradient(labelled, isWeighted: true),
      [ValueType([4, 3, 4]), image, ValueType([4, 3, 4]), labels, ValueType([.batch])], [image]
    ),
    (mixed(.merged, 2), [moments, moments], [moments]),
    (mixed(.averaged, 2), [moments, instances, ValueType([2]), ValueType([2, 4])], [instances]),
    (
      mixed(.pooled, 1), [ValueType([4, .batch, 1]), ValueType([1])], [ValueType([4, .batch, 1])]
    ),
    (
      mixedGradient(.averaged, 2), [instances, moments, instances, ValueType([2]), ValueType([2])],
      [moments, instances, ValueType([2]), ValueType([2])]
    ),
  ]

  static let momentMisfits: [Misfit] = [
    Misfit(
      .moments(.group(3), isWeighted: false), [image], expected: "channels in 3 equal groups",
      found: "float32 batch×8×6×4"),
    Misfit(
      .moments(.batch, isWeighted: false), [ValueType([4])], expected: "input of rows×channels",
      found: "float32 4"),
    Misfit(
      .moments(labelled, isWeighted: false), [image, ValueType(.int64, [3])],
      expected: "labels int64 batch×8×6, or one per sample", found: "int64 3"),
    Misfit(
      .moments(.batch, isWeighted: true), [image, labels],
      expected: "weights float32 batch×8×6, or one per sample", found: "int64 batch"),
    Misfit(
      .momentsGradient(.batch, isWeighted: false), [instances, image, moments],
      expected: "gradient float32 4×4", found: "float32 4×batch×4"),
    Misfit(
      .momentsGradient(.instance, isWeighted: false), [instances, image, moments],
      expected: "moments float32 4×batch×4", found: "float32 4×4"),
    Misfit(
      mixed(.merged, 2), [moments, ValueType([4, 3])], expected: "moments that broadcast",
      found: "float32 4×3"),
    Misfit(
      mixed(.merged, 1), [ValueType([3, 4])], expected: "moments of cells", found: "float32 3×4"),
    Misfit(
      mixed(.pooled, 2), [moments, moments, ValueType([3])],
      expected: "weights float32 2 or float32 2×4", found: "float32 3"),
    Misfit(
      mixedGradient(.merged, 2), [moments, moments, instances],
      expected: "gradient float32 4×batch×4", found: "float32 4×4"),
  ]
}
