import KeelData
import KeelTensor
import Testing

@Suite struct DigitsTests {
  /// The first two lines of Data/digits.csv.
  private static let firstLines: [[Int]] = [
    [
      0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0, 0, 3, 15, 2, 0, 11, 8, 0, 0, 4, 12, 0, 0,
      8, 8, 0, 0, 5, 8, 0, 0, 9, 8, 0, 0, 4, 11, 0, 1, 12, 7, 0, 0, 2, 14, 5, 10, 12, 0, 0, 0, 0, 6,
      13, 10, 0, 0, 0, 0,
    ],
    [
      0, 0, 0, 12, 13, 5, 0, 0, 0, 0, 0, 11, 16, 9, 0, 0, 0, 0, 3, 15, 16, 6, 0, 0, 0, 7, 15, 16,
      16, 2, 0, 0, 0, 0, 1, 16, 16, 3, 0, 0, 0, 0, 1, 16, 16, 6, 0, 0, 0, 0, 1, 16, 16, 6, 0, 0, 0,
      0, 0, 11, 16, 10, 0, 0, 1,
    ],
  ]

  @Test func shapes() {
    #expect(Digits.images.shape == [1797, 8, 8, 1])
    #expect(Digits.labels.shape == [1797])
    #expect(Digits.all.count == 1797)
  }

  @Test func firstRowsAreTheFiles() {
    let pixels = Digits.images.elements
    for (i, line) in Self.firstLines.enumerated() {
      #expect(pixels[i * 64..<(i + 1) * 64].map { Int($0 * 16) } == Array(line[..<64]))
      #expect(Digits.labels[i] == Int64(line[64]))
    }
    #expect(Digits.images[1, 1, 5, 0] == 9.0 / 16)
  }

  /// Sums over Data/digits.csv: of the pixels, of the pixels each times the number of its line (the
  /// order), of the labels; and the lines of each class.
  @Test func sumsAreTheFiles() {
    let pixels = Digits.images.elements.map { Int($0 * 16) }
    #expect(pixels.reduce(0, +) == 561_718)
    #expect(pixels.indices.reduce(0) { $0 + ($1 / 64 + 1) * pixels[$1] } == 503_904_265)
    #expect(Digits.labels.elements.reduce(0, +) == 8_070)
    #expect(classCounts(Digits.all) == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
  }

  @Test func pixelsAreInRange() {
    #expect(Digits.images.elements.allSatisfy { $0 >= 0 && $0 <= 1 })
    #expect(Digits.images.elements.max() == 1)
  }

  @Test func splitsShareNoDigitAndLeaveNoneOut() {
    let (train, validation, test) = Digits.splits.indices
    #expect(train.count == 1077)
    #expect(validation.count == 360)
    #expect(test.count == 360)
    #expect(Set(train + validation + test) == Set(0..<1797))
    #expect(Digits.splits.train.images.shape == [1077, 8, 8, 1])
    #expect(Digits.splits.validation.labels.shape == [360])
  }

  @Test func splitsKeepTheShareOfEachClass() {
    let all = classCounts(Digits.all)
    let (validation, test) = (
      classCounts(Digits.splits.validation), classCounts(Digits.splits.test)
    )
    #expect(validation == test)
    for (count, whole) in zip(test, all) {
      #expect(abs(Double(count) - 360 * Double(whole) / 1797) < 1)
    }
  }

  /// The split is part of what Keel promises: accuracies of different versions are compared by it.
  @Test func splitsAreTheSameForever() {
    let (train, validation, test) = Digits.splits.indices
    #expect(train.reduce(0, +) == 980_719)
    #expect(validation.reduce(0, +) == 325_588)
    #expect(test.reduce(0, +) == 307_399)
    #expect(Array(test.prefix(8)) == [9, 16, 18, 20, 21, 24, 34, 42])
  }

  @Test func splitsHoldTheDigitsOfTheirIndices() {
    let splits = Digits.splits
    for (part, indices) in [
      (splits.train, splits.indices.train), (splits.validation, splits.indices.validation),
      (splits.test, splits.indices.test),
    ] {
      #expect(part.labels.elements == indices.map { Digits.labels[$0] })
      let last = indices.count - 1
      #expect(part.images[last, 3, 4, 0] == Digits.images[indices[last], 3, 4, 0])
    }
  }

  private func classCounts(_ data: LabelledImages) -> [Int] {
    data.labels.elements.reduce(into: Array(repeating: 0, count: Digits.classCount)) {
      $0[Int($1)] += 1
    }
  }
}
