import KeelExecution
import KeelGraph
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// Layers and variables that move elements, run: crops, parts, pixels and channels, resizings, paddings.
@Suite struct MovementLayerTests {
  private struct Recorded: Layer {
    let body: @Sendable (Variable) -> Variable
    func callAsFunction(_ x: Variable) -> Variable { body(x) }
  }

  private func run(_ layer: some Layer, _ x: Tensor) throws -> Tensor {
    let graph = try Graph(tracing: layer, input: x.shape.extents.map(Extent.fixed))
    return try Interpreter(graph).run(["x": .float32(x)]).outputs["y"]!.floats(at: "y")
  }

  private func run(_ x: Tensor, _ body: @escaping @Sendable (Variable) -> Variable) throws -> Tensor
  {
    try run(Recorded(body: body), x)
  }

  /// 0, 1, 2, …
  private func numbers(_ shape: Shape) throws -> Tensor {
    try Tensor((0..<shape.elementCount).map(Float.init), shape: shape)
  }

  /// The whole numbers of Scripts/golden/movement.py.
  private func whole(_ shape: Shape) throws -> Tensor {
    var values: [Float] = []
    for i in 0..<shape.elementCount {
      let value: Int = (i * 7 + i * i % 5) % 11 - 5
      values.append(Float(value))
    }
    return try Tensor(values, shape: shape)
  }

  /// Class golden: torch.nn.functional.pixel_shuffle and pixel_unshuffle, from Scripts/golden/movement.py.
  @Test func pixelShuffle() throws {
    let shuffled = try run(PixelShuffle(2), whole([1, 1, 2, 8]))
    #expect(
      try shuffled
        == Tensor([-5, 2, 3, -3, 0, -5, 4, 2, 2, 5, -2, 4, -1, -5, -4, 1], shape: [1, 2, 4, 2]))
    let unshuffled = try run(PixelUnshuffle(2), whole([1, 2, 4, 2]))
    #expect(
      try unshuffled
        == Tensor([-5, 2, 0, -1, 3, -2, 4, -4, 2, 5, -5, -5, -3, 4, 2, 1], shape: [1, 1, 2, 8]))
  }

  @Test(arguments: [Variable.BlockOrder.blockFirst, .channelFirst], [1, 2, 3])
  func channelsToPixelsAndBack(_ order: Variable.BlockOrder, block: Int) throws {
    let (height, width, channels) = (2, 3, 2)
    let x = try numbers([2, height, width, channels * block * block])
    let y = try run(x) { $0.depthToSpace(block: block, order: order) }
    #expect(y.shape == [2, height * block, width * block, channels])
    for n in 0..<2 {
      for row in 0..<height * block {
        for column in 0..<width * block {
          for c in 0..<channels {
            let inBlock = row % block * block + column % block
            let channel =
              order == .blockFirst ? inBlock * channels + c : c * block * block + inBlock
            #expect(y[n, row, column, c] == x[n, row / block, column / block, channel])
          }
        }
      }
    }
    #expect(
      try run(x) {
        $0.depthToSpace(block: block, order: order).spaceToDepth(block: block, order: order)
      } == x)
  }

  @Test func cropsAndParts() throws {
    let x = try numbers([1, 5, 4, 2])
    let cropped = try run(x) { $0.centerCropped(to: [2, 2]) }
    for row in 0..<2 {
      for column in 0..<2 {
        for c in 0..<2 { #expect(cropped[0, row, column, c] == x[0, row + 1, column + 1, c]) }
      }
    }
    // The parts of an axis, joined again, are the whole.
    for axis in [1, 2, -1] {
      let extent = x.shape[axis < 0 ? axis + 4 : axis]
      let again = try run(x) { x in
        Variable.concatenation(x.split(axis: axis, into: [1, extent - 1]), axis: axis)
      }
      #expect(again == x)
    }
    let last = try run(x) { $0.sliced(axis: 1, from: -1) }
    #expect(last.elements == Array(x.elements.suffix(8)))
    let odd = try run(x) { $0.sliced(axis: 1, from: 1, step: 2).sliced(axis: 3, from: 1) }
    #expect(odd.elements == [9, 11, 13, 15, 25, 27, 29, 31])
  }

  @Test func upsampling() throws {
    let row = try Tensor([1, 2, 4], shape: [1, 3, 1])
    #expect(try run(Upsample(by: 2), row).elements == [1, 1, 2, 2, 4, 4])
    #expect(
      try run(Upsample(.extents([5]), .linear, coordinates: .alignCorners), row).elements
        == [1, 1.5, 2, 3, 4])
    #expect(
      try run(Upsample(.factors([2]), .linear), row).elements == [1, 1.25, 1.75, 2.5, 3.5, 4])
    // The scale stays 1/1.5 although 4 elements for 3 are another ratio.
    let kept = try run(Upsample(by: 1.5, .linear, coordinates: .asymmetric), row)
    #expect(kept.shape == [1, 4, 1] && abs(kept[flat: 1] - (1 + 2.0 / 3)) <= 1e-6)
    #expect(Upsample(by: 2).coordinates == .asymmetric)
    #expect(Upsample(by: 2, .nearest(.halfUp)).coordinates == .halfPixel)
    for (layer, message) in [
      (
        Upsample(.factors([2, 2])),
        "shape error at resize after the input: expected N×H×W×C of known H, W, C, "
          + "found float32 1×3×1"
      ),
      (
        Upsample(by: 0),
        "argument error at resize after the input: expected a factor above 0 and below 2²⁰, found 0.0"
      ),
      (
        Upsample(.extents([0])),
        "argument error at resize after the input: expected an extent of at least 1 and below 2³¹ "
          + "on axis 1, found 0"
      ),
    ] {
      let error = #expect(throws: KeelError.self) { try run(layer, row) }
      #expect(error?.description == message)
    }
  }

  @Test func paddings() throws {
    let image = try numbers([1, 2, 2, 1])
    #expect(
      try run(Pad2d(top: 1, bottom: 0, left: 0, right: 1, mode: .constant(9)), image).elements
        == [9, 9, 9, 0, 1, 9, 2, 3, 9])
    #expect(try run(Pad2d(1, mode: .replicate), image).shape == [1, 4, 4, 1])
    let line = try numbers([1, 3, 1])
    #expect(
      try run(Pad1d(before: 2, after: 1, mode: .reflect), line).elements == [2, 1, 0, 1, 2, 1])
    #expect(try run(Pad1d(before: -1, after: 1), line).elements == [1, 2, 0])
    #expect(
      try run(Pad3d(1, mode: .circular), numbers([1, 1, 2, 1, 1])).elements
        == Array(repeating: [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0], count: 3).flatMap { $0 })
    let error = #expect(throws: KeelError.self) { try run(Pad2d(1), line) }
    #expect(
      error?.description
        == "shape error at Pad2d after the input: expected N×H×W×C of known H, W, C, found float32 1×3×1"
    )
  }
}
