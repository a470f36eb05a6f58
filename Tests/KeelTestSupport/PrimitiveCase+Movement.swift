import KeelGraph
import KeelTensor

extension PrimitiveCase {
  /// Slices, paddings, resizings, concatenations and permutations of small tensors.
  public static let movements: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    func move(_ name: String, _ shape: Shape, _ axes: AxisMovement...) {
      cases.append(
        PrimitiveCase(name, .movement(Movement(axes)), [Operand("x", shape)]))
    }
    func slice(_ start: Int, _ count: Int, _ step: Int = 1) -> AxisMovement {
      .slice(start: start, count: count, step: step)
    }
    func pad(_ before: Int, _ after: Int, _ mode: PaddingMode) -> AxisMovement {
      .pad(before: before, after: after, mode)
    }
    move("slice of rows", [5, 3], slice(1, 3), .whole)
    move("slice of channels", [2, 3, 7], .whole, .whole, slice(2, 4))
    move("slices by steps", [5, 7, 3], slice(0, 3, 2), slice(1, 2, 4), .whole)
    move("slice by steps of channels", [3, 8], .whole, slice(1, 3, 3))
    for (name, mode) in [
      ("zeros", PaddingMode.zeros), ("a constant", .constant(2.5)), ("reflection", .reflect),
      ("replication", .replicate), ("the other end", .circular),
    ] {
      move("padding by \(name)", [2, 4, 5, 3], .whole, pad(1, 3, mode), pad(4, 0, mode), .whole)
      move("padding of channels by \(name)", [3, 4], .whole, pad(2, 3, mode))
    }
    move("negative padding", [2, 6, 5, 2], .whole, pad(-2, 1, .zeros), pad(2, -3, .zeros), .whole)
    move("slice and padding", [4, 5, 2], slice(1, 2), pad(1, 2, .zeros), .whole)
    for coordinates in [ResizeCoordinates.halfPixel, .alignCorners, .asymmetric] {
      for (name, interpolation) in [
        ("nearest, down", Interpolation.nearest(.down)),
        ("nearest, half down", .nearest(.halfDown)),
        ("nearest, half up", .nearest(.halfUp)), ("nearest, up", .nearest(.up)),
        ("linear", .linear),
      ] {
        func to(_ extent: Int, scale: Double? = nil) -> AxisMovement {
          .resize(to: extent, interpolation, coordinates, scale: scale)
        }
        let what = "\(name), \(coordinates)"
        move("resize up, \(what)", [2, 3, 4, 3], .whole, to(7), to(8), .whole)
        move("resize down, \(what)", [1, 7, 6, 2], .whole, to(3), to(1), .whole)
        move("resize by a scale, \(what)", [2, 5, 3], .whole, to(7, scale: 1 / 1.5), .whole)
        move("resize of volumes, \(what)", [1, 2, 3, 2, 2], .whole, to(3), to(2), to(5), .whole)
      }
    }
    // The gradients as operations of their own, whose gradients are movements again.
    for test in cases {
      guard case .movement(let movement) = test.primitive else { continue }
      let extents = test.operands[0].shape.extents.map(Extent.fixed)
      let result = try! test.primitive.resultTypes([ValueType(extents)], at: test.name)[0]
      cases.append(
        PrimitiveCase(
          "gradient of \(test.name)", .movementGradient(movement, extents),
          [Operand("dy", try! result.shape(binding: [:]))]))
    }
    func join(_ name: String, axis: Int, _ shapes: Shape...) {
      cases.append(
        PrimitiveCase(
          name, .concatenation(axis: axis),
          shapes.enumerated().map { Operand("x\($0.offset)", $0.element) }))
    }
    join("concatenation of channels", axis: 2, [2, 3, 4], [2, 3, 1], [2, 3, 5])
    join("concatenation of rows", axis: 0, [2, 3], [4, 3])
    join("concatenation in the middle", axis: 1, [2, 1, 3], [2, 4, 3])
    join("concatenation of one", axis: 1, [2, 3])
    func permute(_ shape: Shape, _ permutation: Int...) {
      cases.append(
        PrimitiveCase(
          "transpose \(shape) by \(permutation)", .transpose(permutation: permutation),
          [Operand("x", shape)]))
    }
    permute([3, 5], 1, 0)
    permute([2, 3, 4, 5], 0, 3, 1, 2)
    permute([2, 3, 4, 5], 0, 2, 3, 1)
    permute([2, 3, 4, 5], 3, 2, 1, 0)
    permute([2, 3, 4, 5], 1, 0, 2, 3)
    permute([2, 1, 4, 3], 2, 1, 3, 0)
    permute([4, 1, 1], 2, 0, 1)
    permute([3, 2, 2, 3, 2, 2], 0, 2, 4, 1, 5, 3)
    permute([7], 0)
    return cases
  }()

  /// Selections of rows, vectors and matrices, by indices of one axis, of two and of none, and their
  /// gradients as operations of their own.
  public static let selections: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for (table, indices) in [
      ([3, 4], [5]), ([4], [6]), ([2, 3, 2], [4]), ([5, 3], [2, 3]), ([3, 2], []), ([1, 3], [2]),
      ([6, 2], [1]),
    ] as [(Shape, Shape)] {
      let labels = Operand(
        "indices", indices, .labels(classes: table[0]), isDifferentiable: false)
      cases.append(
        PrimitiveCase("rows \(indices) of \(table)", .selection, [Operand("table", table), labels]))
      let dy = Shape(indices.extents + table.extents.dropFirst())
      cases.append(
        PrimitiveCase(
          "gradient of rows \(indices) of \(table)", .selectionGradient(rows: table[0]),
          [Operand("dy", dy), labels]))
    }
    return cases
  }()
}
