import KeelGraph
import KeelTensor

/// Operations that move elements.
extension ShapeInferenceTests {
  static let crop = Movement([.whole, .slice(start: 1, count: 3, step: 2), .whole, .whole])
  static let cropped = ValueType([.batch, 3, 6, 4])
  static let bilinear = Movement([
    .whole, .resize(to: 16, .linear, .halfPixel, scale: nil), .whole, .whole,
  ])

  static func padding(_ before: Int, _ after: Int, _ mode: PaddingMode) -> Movement {
    Movement([.whole, .pad(before: before, after: after, mode), .whole, .whole])
  }

  static func integers(_ type: ValueType) -> ValueType { ValueType(.int64, type.extents) }

  static let fittingMovements: [(Primitive, [ValueType], [ValueType])] = [
    (.movement(crop), [image], [cropped]),
    (.movement(crop), [integers(image)], [integers(cropped)]),
    (.movement(bilinear), [image], [ValueType([.batch, 16, 6, 4])]),
    (.movement(padding(-2, 5, .constant(3))), [image], [ValueType([.batch, 11, 6, 4])]),
    (
      .movement(padding(8, 8, .circular)), [integers(image)],
      [
        integers(ValueType([.batch, 24, 6, 4]))
      ]
    ),
    (.movementGradient(crop, image.extents), [cropped], [image]),
    (
      .concatenation(axis: 3), [image, image, ValueType([.batch, 8, 6, 1])],
      [
        ValueType([.batch, 8, 6, 9])
      ]
    ),
    (.concatenation(axis: 0), [image], [image]),
    (
      .concatenation(axis: 1), [integers(image), integers(cropped)],
      [
        integers(ValueType([.batch, 11, 6, 4]))
      ]
    ),
    (.transpose(permutation: [3, 0, 2, 1]), [image], [ValueType([4, .batch, 6, 8])]),
    (.transpose(permutation: [0]), [labels], [labels]),
    (.selection, [ValueType([7, 3, 2]), labels], [ValueType([.batch, 3, 2])]),
    (
      .selection, [ValueType([7]), ValueType(.int64, [.batch, 4])], [ValueType([.batch, 4])]
    ),
    (.selectionGradient(rows: 7), [ValueType([.batch, 3]), labels], [ValueType([7, 3])]),
    (.detachment, [image], [image]),
  ]

  static let movementMisfits: [Misfit] = [
    Misfit(.detachment, [labels], expected: "a float32 input", found: "int64 batch"),
    Misfit(
      .selection, [vectors, labels], expected: "table of known rows", found: "float32 batch×5"),
    Misfit(
      .selection, [ValueType([7, 3]), vectors], expected: "int64 indices",
      found: "float32 batch×5"),
    Misfit(
      .selection, [integers(vectors), labels], expected: "float32 table",
      found: "int64 batch×5"),
    Misfit(
      .selectionGradient(rows: 0), [vectors, labels], expected: "extents of at least 1",
      found: "float32 0×5"),
    Misfit(
      .selectionGradient(rows: 3), [ValueType([4, 2]), labels],
      expected: "gradient of int64 batch", found: "float32 4×2"),
    Misfit(
      .movement(crop), [vectors], expected: "input of 4 axes", found: "float32 batch×5"),
    Misfit(
      .movement(crop), [ValueType([2, .batch, 6, 4])],
      expected: "a known extent on axis 1", found: "float32 2×batch×6×4"),
    Misfit(
      .movement(bilinear), [integers(image)],
      expected: "a float32 input (only copies and zeros leave integers whole)",
      found: "int64 batch×8×6×4"),
    Misfit(
      .movement(padding(1, 1, .constant(2))), [integers(image)],
      expected: "a float32 input", found: "int64 batch×8×6×4"),
    Misfit(
      .movement(crop), [ValueType(.bool, image.extents)],
      expected: "a float32 or int64 input", found: "bool batch×8×6×4"),
    Misfit(
      .movementGradient(crop, image.extents), [image],
      expected: "gradient float32 batch×3×6×4", found: "float32 batch×8×6×4"),
    Misfit(
      .movementGradient(crop, image.extents), [integers(cropped)],
      expected: "a float32 gradient", found: "int64 batch×3×6×4"),
    Misfit(
      .movementGradient(crop, [.batch, 0, 6, 4]), [cropped],
      expected: "extents of at least 1", found: "float32 batch×0×6×4"),
    Misfit(.concatenation(axis: 0), [], expected: "at least 1 operand", found: "none"),
    Misfit(
      .concatenation(axis: 4), [image], expected: "an axis from 0 to 3", found: "axis 4"),
    Misfit(
      .concatenation(axis: -1), [image], expected: "an axis from 0 to 3", found: "axis -1"),
    Misfit(
      .concatenation(axis: 0), [image, image],
      expected: "known extents on axis 0", found: "float32 batch×8×6×4"),
    Misfit(
      .concatenation(axis: 3), [image, cropped],
      expected: "operand 1 like float32 batch×8×6×4 but on axis 3", found: "batch×3×6×4"),
    Misfit(
      .concatenation(axis: 1), [image, vectors],
      expected: "operand 1 like float32 batch×8×6×4 but on axis 1", found: "float32 batch×5"),
    Misfit(
      .concatenation(axis: 1), [image, image, integers(image)],
      expected: "operand 2 of float32", found: "int64 batch×8×6×4"),
    Misfit(
      .concatenation(axis: 1), [ValueType(.bool, image.extents)],
      expected: "a float32 or int64 operand", found: "bool batch×8×6×4"),
    Misfit(
      .transpose(permutation: [0, 1]), [image],
      expected: "a permutation of the axes of float32 batch×8×6×4", found: "[0, 1]"),
    Misfit(
      .transpose(permutation: [1, 1]), [vectors],
      expected: "a permutation of the axes of float32 batch×5", found: "[1, 1]"),
    Misfit(
      .transpose(permutation: [0]), [ValueType(.bool, [.batch])],
      expected: "a float32 or int64 input", found: "bool batch"),
  ]
}
