import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class golden: results and gradients of PyTorch 2 in float64, from Scripts/golden/movement.py.
@Suite struct MovementGoldenTests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let movement: Movement
    let input: Shape
    let output: Shape
    let y: [Double]
    let dx: [Double]

    init(
      _ name: String, _ axes: [AxisMovement], _ input: Shape, to output: Shape, y: [Double],
      dx: [Double]
    ) {
      testDescription = name
      movement = Movement([.whole] + axes + [.whole])
      (self.input, self.output) = (input, output)
      (self.y, self.dx) = (y, dx)
    }
  }

  private static func resize(
    _ extents: [Int], _ interpolation: Interpolation,
    _ coordinates: ResizeCoordinates = .halfPixel, scale: Double? = nil
  ) -> [AxisMovement] {
    extents.map { .resize(to: $0, interpolation, coordinates, scale: scale) }
  }

  private static func pad(_ amounts: [(Int, Int)], _ mode: PaddingMode) -> [AxisMovement] {
    amounts.map { .pad(before: $0.0, after: $0.1, mode) }
  }

  /// The script's whole numbers.
  private func whole(_ shape: Shape, _ shift: Int) throws -> DoubleTensor {
    var values: [Double] = []
    for i in shift..<shift + shape.elementCount {
      let value: Int = (i * 7 + i * i % 5) % 11 - 5
      values.append(Double(value))
    }
    return try DoubleTensor(values, shape: shape)
  }

  private func expect(_ found: DoubleTensor, _ expected: [Double], _ what: String) {
    #expect(found.count == expected.count)
    for (a, b) in zip(found.elements, expected) {
      #expect(abs(a - b) <= 1e-8, "\(what): \(found.elements)")
    }
  }

  @Test(arguments: goldens)
  func agrees(_ golden: Golden) throws {
    let y = try evaluate(.movement(golden.movement), [whole(golden.input, 0)])[0]
    #expect(y.shape == golden.output)
    expect(y, golden.y, "y")
    let extents = golden.input.extents.map(Extent.fixed)
    let dx = try evaluate(
      .movementGradient(golden.movement, extents), [whole(golden.output, 1)])[0]
    expect(dx, golden.dx, "dx")
  }

  static let goldens: [Golden] = [
    Golden(
      "bilinear up", resize([3, 5], .linear), [1, 2, 3, 2], to: [1, 3, 5, 2],
      y: [
        -5, 3, -2.2, 1, 2, -2, 2, -2.6, 2, -3, 0, 3.5, 0.4, 2.5, 1, 1, 0.7, -1.7, 0.5, -3.5, 5, 4,
        3, 4, 0, 4, -0.6, -0.8, -1, -4,
      ],
      dx: [
        0.4, -0.8, -1.9, 4.6, 4, 1.7, -4.4, -5.6, 3.7, -0.8, -0.8, -3.1,
      ]),
    Golden(
      "bilinear up, corners aligned", resize([3, 5], .linear, .alignCorners), [1, 2, 3, 2],
      to: [1, 3, 5, 2],
      y: [
        -5, 3, -1.5, 0.5, 2, -2, 2, -2.5, 2, -3, 0, 3.5, 0.5, 2.25, 1, 1, 0.75, -1.25, 0.5, -3.5, 5,
        4, 2.5, 4, 0, 4, -0.5, 0, -1, -4,
      ],
      dx: [
        0.5, -0.75, -1.75, 4.75, 3.75, 1.5, -4, -5.25, 3.25, -1.25, -0.75, -3,
      ]),
    Golden(
      "bilinear up, corners aligned, to one row", resize([1, 7], .linear, .alignCorners),
      [1, 4, 5, 1], to: [1, 1, 7, 1],
      y: [
        -5, 0.3333333333, 2.666666667, 2, -0.6666666667, -0.6666666667, 2,
      ],
      dx: [
        3.666666667, 0, 0.3333333333, 1.333333333, 5.666666667, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0,
      ]),
    Golden(
      "bilinear down", resize([2, 3], .linear), [1, 4, 5, 1], to: [1, 2, 3, 1],
      y: [
        -1.333333333, 3, 1.666666667, -1, -4, -1.666666667,
      ],
      dx: [
        1, 0.5, 1, -0.3333333333, -0.6666666667, 1, 0.5, 1, -0.3333333333, -0.6666666667,
        0.6666666667, 0.3333333333, -1.5, 0.8333333333, 1.666666667, 0.6666666667, 0.3333333333,
        -1.5, 0.8333333333, 1.666666667,
      ]),
    Golden(
      "bilinear down, corners aligned", resize([2, 3], .linear, .alignCorners), [1, 4, 5, 1],
      to: [1, 2, 3, 1],
      y: [
        -5, 2, 2, 1, -3, -3,
      ],
      dx: [
        3, 0, 2, 0, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, -3, 0, 5,
      ]),
    Golden(
      "bilinear by 1.5, scale kept", resize([6, 7], .linear, scale: 1 / 1.5), [1, 4, 5, 1],
      to: [1, 6, 7, 1],
      y: [
        -5, -1, 2.833333333, 2.166666667, 0, -1.333333333, 1.333333333, -4, 0, 3.833333333,
        3.166666667, 1, -0.3333333333, 2.333333333, -2.666666667, 0.4166666667, 3.333333333,
        2.666666667, 1.416666667, 0.6944444444, 2.138888889, -1.333333333, -1.916666667,
        -2.666666667, -3.333333333, -0.9166666667, 0.8055555556, -2.638888889, 0, -1.5,
        -3.166666667, -3.833333333, -0.5, 1.833333333, -2.833333333, 1, -0.5, -2.166666667,
        -2.833333333, 0.5, 2.833333333, -1.833333333,
      ],
      dx: [
        5, -0.08333333333, -3.166666667, 2.5, 2.25, 0.4166666667, -2.527777778, -1.055555556,
        0.2222222222, -1.888888889, -3.416666667, -1.638888889, 5.722222222, 2.111111111,
        -2.444444444, -3, 5.083333333, 5.666666667, -2.333333333, -4.416666667,
      ]),
    Golden(
      "nearest up", resize([3, 5], .nearest(.down), .asymmetric), [1, 2, 3, 2], to: [1, 3, 5, 2],
      y: [
        -5, 3, -5, 3, 2, -2, 2, -2, 2, -3, -5, 3, -5, 3, 2, -2, 2, -2, 2, -3, 5, 4, 5, 4, 0, 4, 0,
        4, -1, -4,
      ],
      dx: [
        -1, -6, -1, 7, 1, 2, -5, -2, 6, -1, 1, -4,
      ]),
    Golden(
      "nearest down", resize([3, 2], .nearest(.down), .asymmetric), [1, 4, 5, 1], to: [1, 3, 2, 1],
      y: [
        -5, 2, -3, 4, -1, -5,
      ],
      dx: [
        3, 0, 2, 0, 0, -2, 0, 2, 0, 0, -3, 0, 5, 0, 0, 0, 0, 0, 0, 0,
      ]),
    Golden(
      "nearest-exact up", resize([3, 5], .nearest(.halfUp)), [1, 2, 3, 2], to: [1, 3, 5, 2],
      y: [
        -5, 3, -5, 3, 2, -2, 2, -3, 2, -3, 5, 4, 5, 4, 0, 4, -1, -4, -1, -4, 5, 4, 5, 4, 0, 4, -1,
        -4, -1, -4,
      ],
      dx: [
        1, 4, -3, 5, 8, -1, -7, -12, 6, 0, -4, 0,
      ]),
    Golden(
      "nearest-exact down", resize([3, 2], .nearest(.halfUp)), [1, 4, 5, 1], to: [1, 3, 2, 1],
      y: [
        3, -2, -4, 2, -2, 4,
      ],
      dx: [
        0, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0, -2, 0, 2, 0, 0, -3, 0, 5, 0,
      ]),
    Golden(
      "linear up", resize([5], .linear), [1, 3, 2], to: [1, 5, 2],
      y: [
        -5, 3, -2.2, 1, 2, -2, 2, -2.6, 2, -3,
      ],
      dx: [
        1.8, 3.2, -2.2, 5.8, 6.4, -1,
      ]),
    Golden(
      "trilinear up", resize([3, 2, 3], .linear), [1, 2, 1, 2, 1], to: [1, 3, 2, 3, 1],
      y: [
        -5, -1, 3, -5, -1, 3, -1.5, -0.5, 0.5, -1.5, -0.5, 0.5, 2, 0, -2, 2, 0, -2,
      ],
      dx: [
        5, 1, -3.5, -0.5,
      ]),
    Golden(
      "constant 9, cut above and left", pad([(-2, 1), (-1, 2)], .constant(9)), [1, 4, 5, 1],
      to: [1, 3, 6, 1],
      y: [
        -4, -5, 2, -5, 9, 9, -2, -3, 4, -3, 9, 9, 9, 9, 9, 9, 9, 9,
      ],
      dx: [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 2, -2, 2, 0, 4, 0, 4, -1,
      ]),
    Golden(
      "reflect", pad([(0, 3), (2, 1)], .reflect), [1, 4, 5, 1], to: [1, 7, 8, 1],
      y: [
        2, 3, -5, 3, 2, -2, 2, -2, 4, 5, -3, 5, 4, 0, 4, 0, -5, -4, -1, -4, -5, 2, -5, 2, -3, -2, 1,
        -2, -3, 4, -3, 4, -5, -4, -1, -4, -5, 2, -5, 2, 4, 5, -3, 5, 4, 0, 4, 0, 2, 3, -5, 3, 2, -2,
        2, -2,
      ],
      dx: [
        -1, 8, -6, 8, -1, -1, -14, 5, -3, -1, -5, 5, 1, -1, 0, 1, -1, 6, -1, 4,
      ]),
    Golden(
      "replicate", pad([(0, 3), (2, 1)], .replicate), [1, 4, 5, 1], to: [1, 7, 8, 1],
      y: [
        -5, -5, -5, 3, 2, -2, 2, 2, -3, -3, -3, 5, 4, 0, 4, 4, -1, -1, -1, -4, -5, 2, -5, -5, 1, 1,
        1, -2, -3, 4, -3, -3, 1, 1, 1, -2, -3, 4, -3, -3, 1, 1, 1, -2, -3, 4, -3, -3, 1, 1, 1, -2,
        -3, 4, -3, -3,
      ],
      dx: [
        3, 2, -3, 5, 4, -1, -5, 2, -5, -1, -2, 3, 0, -1, -6, 7, -12, 4, -4, 13,
      ]),
    Golden(
      "circular", pad([(0, 4), (2, 5)], .circular), [1, 4, 5, 1], to: [1, 8, 12, 1],
      y: [
        -2, 2, -5, 3, 2, -2, 2, -5, 3, 2, -2, 2, 0, 4, -3, 5, 4, 0, 4, -3, 5, 4, 0, 4, 2, -5, -1,
        -4, -5, 2, -5, -1, -4, -5, 2, -5, 4, -3, 1, -2, -3, 4, -3, 1, -2, -3, 4, -3, -2, 2, -5, 3,
        2, -2, 2, -5, 3, 2, -2, 2, 0, 4, -3, 5, 4, 0, 4, -3, 5, 4, 0, 4, 2, -5, -1, -4, -5, 2, -5,
        -1, -4, -5, 2, -5, 4, -3, 1, -2, -3, 4, -3, 1, -2, -3, 4, -3,
      ],
      dx: [
        2, 8, -10, 4, -3, 6, -3, -4, 0, -13, 12, -2, 4, -5, -2, 9, 2, 4, -7, 5,
      ]),
  ]
}
