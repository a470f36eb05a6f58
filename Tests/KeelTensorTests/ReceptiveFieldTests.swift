import KeelTensor
import Testing

@Suite struct ReceptiveFieldTests {
  /// The field behind square windows given as window, stride, padding.
  private func field(_ windows: [(Int, Int, Int)], input: Int = 224) throws -> ReceptiveField {
    var field = ReceptiveField()
    var size = input
    for (window, stride, padding) in windows {
      let geometry = try ConvolutionGeometry(
        inputHeight: size, inputWidth: size, inputChannels: 1, outputChannels: 1,
        kernel: (window, window), stride: (stride, stride), padding: (padding, padding))
      field = field.through(geometry)
      size = geometry.height.output
    }
    #expect(field.axes[0] == field.axes[1])
    return field
  }

  @Test func threeConvolutions() throws {
    let axis = try field(Array(repeating: (3, 1, 1), count: 3)).axes[0]
    #expect(axis.size == 7 && axis.jump == 1 && axis.start == -3)
  }

  /// Convolutions of 5×5 and poolings of 2×2 in turn.
  @Test func leNetToItsSecondPooling() throws {
    let axis = try field([(5, 1, 0), (2, 2, 0), (5, 1, 0), (2, 2, 0)], input: 28).axes[0]
    #expect(axis.size == 16 && axis.jump == 4 && axis.start == 0)
  }

  @Test func resNet18ToItsLastConvolution() throws {
    var windows = [(7, 2, 3), (3, 2, 1)]
    for stage in 0..<4 {
      windows += [(3, stage == 0 ? 1 : 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1)]
    }
    let axis = try field(windows).axes[0]
    #expect(axis.size == 435 && axis.jump == 32)
  }

  /// Follows a one at each input position through the windows, instead of the formula.
  @Test func byCounting() throws {
    let first = try SpatialAxis(
      input: 40, window: 3, stride: 2, paddingBefore: 2, paddingAfter: 1, dilation: 2)
    let second = try SpatialAxis(
      input: first.output, window: 4, stride: 3, paddingBefore: 1, paddingAfter: 3)
    let field = ReceptiveField.Axis().through(first).through(second)
    for output in 0..<second.output {
      var seen: Set<Int> = []
      for v in 0..<second.window {
        for u in 0..<first.window {
          let middle = output * second.stride + v - second.paddingBefore
          seen.insert(middle * first.stride + u * first.dilation - first.paddingBefore)
        }
      }
      #expect(seen.min() == field.start + output * Int(field.jump))
      #expect(field.part(of: output) == seen.min()!...seen.max()!)
      #expect(seen.max()! - seen.min()! + 1 == field.size)
    }
  }

  @Test func axesAreKeptApart() throws {
    let pooling = try PoolingGeometry(
      .maximum,
      axes: [
        SpatialAxis(input: 9, window: 1), SpatialAxis(input: 9, window: 3, stride: 2),
        SpatialAxis(input: 9, window: 2, paddingBefore: 1),
      ], channels: 1)
    let once = try #require(ReceptiveField(axisCount: 3).through(pooling))
    let field = try #require(once.through(pooling))
    #expect(field.axes.map(\.size) == [1, 7, 3])
    #expect(field.axes.map(\.jump) == [1, 4, 1])
    #expect(field.axes.map(\.start) == [0, 0, -2])
  }

  /// Window, stride, padding, dilation.
  static let transposed: [(k: Int, s: Int, p: Int, d: Int)] = [
    (2, 2, 0, 1), (3, 2, 1, 1), (4, 2, 1, 1), (3, 1, 1, 1), (3, 3, 0, 1), (3, 2, 2, 2),
  ]

  /// Follows each output of a transposed window back to the inputs that meet it, then those through the
  /// window before.
  @Test(arguments: transposed.indices)
  func transposedByCounting(_ index: Int) throws {
    let window = Self.transposed[index]
    let before = try SpatialAxis(input: 40, window: 3, stride: 4, paddingBefore: 1, paddingAfter: 1)
    let side = (before.output - 1) * window.s - 2 * window.p + window.d * (window.k - 1) + 1
    let axis = try SpatialAxis(
      input: side, window: window.k, stride: window.s, paddingBefore: window.p,
      paddingAfter: window.p, dilation: window.d)
    try #require(axis.output == before.output)
    let transposed = ReceptiveField.Axis().through(before).throughTransposed(axis)
    #expect(transposed.jump == 4 / Double(window.s))
    // And a window behind it, which sees several of its phases.
    let after = try SpatialAxis(input: side, window: 3)
    let field = transposed.through(after)
    func seen(_ output: Int) -> Set<Int> {
      var seen: Set<Int> = []
      for i in 0..<before.output {
        for u in 0..<window.k where i * window.s + u * window.d - window.p == output {
          for v in 0..<3 { seen.insert(i * 4 + v - 1) }
        }
      }
      return seen
    }
    for output in 0..<after.output {
      let parts = (0..<3).map { seen(output + $0) }
      // Near the ends some of what the formula counts is not there.
      guard output >= 2 * window.s, output + 2 * window.s < after.output else { continue }
      let all = parts.reduce(Set()) { $0.union($1) }
      #expect(field.part(of: output) == all.min()!...all.max()!)
      let own = transposed.part(of: output)
      #expect(own?.lowerBound == parts[0].min() && own?.upperBound == parts[0].max())
    }
  }

  /// A slice starts later; every other position of a value twice as fine is the value.
  @Test func sliced() throws {
    let fine = try SpatialAxis(input: 20, window: 3, stride: 2, paddingBefore: 1, paddingAfter: 0)
    let axis = ReceptiveField.Axis().through(try SpatialAxis(input: 40, window: 3, stride: 3))
      .throughTransposed(fine)
    #expect(axis.jump == 1.5)
    let every = axis.sliced(from: 3, by: 2)
    #expect(every.jump == 3)
    for i in 0..<5 { #expect(every.part(of: i) == axis.part(of: 3 + 2 * i)) }
    let cropped = axis.sliced(from: 1)
    for i in 0..<5 { #expect(cropped.part(of: i) == axis.part(of: i + 1)) }
    #expect(cropped.size == axis.size && cropped.jump == axis.jump)
  }

  /// Resized axes against the taps that are computed with, but where they are clamped to the ends.
  @Test(arguments: [(6, 12), (6, 4), (9, 6), (10, 25), (7, 7)])
  func resized(_ input: Int, _ output: Int) throws {
    let interpolations: [Interpolation] = [
      .linear, .nearest(.down), .nearest(.halfDown), .nearest(.halfUp), .nearest(.up),
    ]
    for interpolation in interpolations {
      for coordinates in [ResizeCoordinates.halfPixel, .alignCorners, .asymmetric] {
        let movement = AxisMovement.resize(
          to: output, interpolation, coordinates, scale: nil)
        let taps = AxisTaps(movement, input: input, output: output)
        let field = ReceptiveField(axisCount: 1).moved([movement], extents: [input]).axes[0]
        for i in 0..<output {
          let part = try #require(field.part(of: i))
          guard part.lowerBound >= 0, part.upperBound < input else { continue }
          let seen = taps.inputs[taps.starts[i]..<taps.starts[i + 1]]
          #expect(part == seen.min()!...seen.max()!, "\(interpolation) \(coordinates) \(i)")
        }
      }
    }
  }

  @Test func joinedAndReduced() throws {
    let wide = try field([(5, 1, 2), (3, 2, 1)])
    let narrow = try field([(1, 2, 0)])
    for joined in [wide.joined(with: narrow), narrow.joined(with: wide)] {
      #expect(joined.axes[0].size == 7 && joined.axes[0].jump == 2 && joined.axes[0].start == -3)
    }
    // 7 + 3·2 of four positions.
    let all = wide.throughAll([4, 1])
    #expect(all.axes.map(\.size) == [13, 7] && all.axes.allSatisfy { $0.jump == 0 })
  }
}
