import KeelTensor
import Testing

@Suite struct PoolingAxisTests {
  private func axis(
    _ input: Int, _ window: Int, _ stride: Int, padding: Int = 0, after: Int? = nil,
    dilation: Int = 1, ceil ceilMode: Bool = true
  ) throws -> PoolingAxis {
    try PoolingAxis(
      input: input, window: window, stride: stride, paddingBefore: padding,
      paddingAfter: after ?? padding, dilation: dilation, ceilMode: ceilMode, name: "width",
      place: "pool1")
  }

  /// Input, window, stride, padding; outputs rounded down and up; by how much the last window reaches
  /// over the padding.
  @Test(
    arguments: [
      [5, 2, 2, 0, 2, 3, 1], [4, 2, 2, 0, 2, 2, 0], [6, 3, 2, 1, 3, 4, 1], [5, 3, 3, 1, 2, 2, 0],
      // The third window would start in the padding after.
      [5, 2, 3, 1, 2, 2, 0], [4, 2, 2, 1, 3, 3, 0], [7, 1, 3, 0, 3, 3, 0], [5, 1, 3, 0, 2, 2, 0],
      [112, 3, 2, 0, 55, 56, 1], [112, 3, 2, 1, 56, 57, 1],
    ])
  func sizes(_ figures: [Int]) throws {
    let down = try axis(figures[0], figures[1], figures[2], padding: figures[3], ceil: false)
    #expect(down.output == figures[4] && down.roundedUp == 0)
    let up = try axis(figures[0], figures[1], figures[2], padding: figures[3])
    #expect(up.output == figures[5] && up.roundedUp == figures[6])
  }

  @Test func aWindowLongerThanTheInputFitsWhereRoundedUp() throws {
    #expect(try axis(2, 3, 2).output == 1)
    let taps = try axis(2, 3, 2).taps(of: 0)
    #expect(taps.first == 0 && taps.count == 2 && taps.counted == 2)
    for (window, stride, ceilMode) in [(3, 2, false), (4, 2, true), (3, 1, true)] {
      let error = #expect(throws: KeelError.self) {
        try axis(2, window, stride, ceil: ceilMode)
      }
      #expect(error?.kind == .shape && error?.place == "pool1")
    }
  }

  /// Windows of three, one position of padding, sizes rounded up: the last window reaches one position
  /// over the padding, which counts for nothing.
  @Test func tapsOfWindows() throws {
    let axis = try axis(6, 3, 2, padding: 1)
    let taps = (0..<axis.output).map { axis.taps(of: $0) }
    #expect(taps.map(\.first) == [0, 1, 3, 5])
    #expect(taps.map(\.count) == [2, 3, 3, 1])
    #expect(taps.map(\.counted) == [3, 3, 3, 2])
    #expect(axis.longestWindow == 3)
  }

  @Test func tapsOfDilatedWindows() throws {
    // Taps −2, 0, 2; 1, 3, 5; 4, 6, 8, of seven inputs.
    let axis = try axis(7, 3, 3, padding: 2, dilation: 2, ceil: false)
    let taps = (0..<axis.output).map { axis.taps(of: $0) }
    #expect(taps.map(\.first) == [0, 1, 4])
    #expect(taps.map(\.count) == [2, 3, 2])
    #expect(taps.map(\.counted) == [3, 3, 3] && axis.dilation == 2)
  }

  @Test func adaptiveBins() throws {
    let axis = try PoolingAxis(adaptive: 7, output: 3)
    let taps = (0..<3).map { axis.taps(of: $0) }
    #expect(taps.map(\.first) == [0, 2, 4] && taps.map(\.count) == [3, 3, 3])
    #expect(axis.longestWindow == 3 && axis.evenWindow == nil)
    let more = try PoolingAxis(adaptive: 2, output: 5)
    #expect((0..<5).map { more.taps(of: $0).first } == [0, 0, 0, 1, 1])
    #expect((0..<5).map { more.taps(of: $0).count } == [1, 1, 2, 1, 1])
    let even = try PoolingAxis(adaptive: 6, output: 2)
    #expect(try even.evenWindow == SpatialAxis(input: 6, window: 3, stride: 3))
    for (input, output) in [(0, 1), (3, 0), (3, -1), (1 << 31, 1), (3, 1 << 31)] {
      let error = #expect(throws: KeelError.self) {
        try PoolingAxis(adaptive: input, output: output, name: "width", place: "pool1")
      }
      #expect(error?.kind == .argument && error?.place == "pool1")
    }
  }

  @Test(arguments: [Int.max, Int.min, 0, -1])
  func numbersOutOfRange(number: Int) {
    for position in 0..<3 {
      var numbers = [4, 2, 2]
      numbers[position] = number
      let error = #expect(throws: KeelError.self) { try axis(numbers[0], numbers[1], numbers[2]) }
      #expect(error?.kind == .argument)
    }
    if number != 0 {
      #expect(throws: KeelError.self) { try axis(4, 2, 2, padding: number) }
    }
    if number != 0 { #expect(throws: KeelError.self) { try axis(4, 2, 2, after: number) } }
    #expect(throws: KeelError.self) { try axis(4, 2, 2, dilation: number) }
  }

  @Test func paddingIsCheckedWithoutWhatRoundingUpAdds() throws {
    // Three positions over the padding are fine, two of padding are not.
    let axes = [try axis(5, 4, 4)]
    #expect(axes[0].roundedUp == 3)
    #expect(try PoolingGeometry(.maximum, axes: axes, channels: 1).outputPositions == 2)
    let padded = [try axis(5, 3, 2, after: 2)]
    let error = #expect(throws: KeelError.self) {
      try PoolingGeometry(.maximum, axes: padded, channels: 1)
    }
    #expect(error?.expected == "padding of at most half the window of 3" && error?.found == "2")
  }

  @Test func fieldsOfPoolings() throws {
    let sliding = try PoolingGeometry(.maximum, axes: [axis(6, 3, 2, padding: 1)], channels: 1)
    let field = try #require(ReceptiveField(axisCount: 1).through(sliding)).axes[0]
    #expect(field.size == 3 && field.jump == 2 && field.start == -1)
    let bins = try PoolingGeometry(
      .maximum, axes: [PoolingAxis(adaptive: 7, output: 3)], channels: 1)
    #expect(ReceptiveField(axisCount: 1).through(bins) == nil)
  }
}
