internal import KeelTensor

extension Digits {
  /// A division of the digits into three parts that share none.
  public struct Splits: Sendable {
    /// For training: 1,077 digits.
    public let train: LabelledImages
    /// For choices made during training: 360 digits.
    public let validation: LabelledImages
    /// For the figure that is reported: 360 digits.
    public let test: LabelledImages

    /// The positions of the three parts in `Digits.all`, ascending.
    package let indices: (train: [Int], validation: [Int], test: [Int])
  }

  /// The seed of the shuffle behind `splits`.
  public static let splitSeed: UInt64 = 1797

  /// The fixed split: the same in every program, whatever seeds it uses itself, so that accuracies
  /// can be compared.
  ///
  /// Stratified: of the c digits of a class, 360·c/1797 go to test and as many to validation, rounded
  /// by largest remainder so that each sums to 360; the rest go to training. Each class in turn,
  /// from 0, is shuffled by one `RandomSource(seed: splitSeed)`; its first part is for test, the next
  /// for validation. Inside a part the digits keep the order of the file.
  public static let splits: Splits = {
    let labels = all.labels.elements
    let classes = (0..<classCount).map { label in
      labels.indices.filter { labels[$0] == Int64(label) }
    }
    let quotas = shares(of: 360, among: classes.map(\.count))
    var source = RandomSource(seed: splitSeed)
    var train: [Int] = []
    var validation: [Int] = []
    var test: [Int] = []
    for (members, quota) in zip(classes, quotas) {
      let order = source.shuffled(members)
      test += order[..<quota]
      validation += order[quota..<2 * quota]
      train += order[(2 * quota)...]
    }
    train.sort()
    validation.sort()
    test.sort()
    return Splits(
      train: all.subset(train), validation: all.subset(validation), test: all.subset(test),
      indices: (train, validation, test))
  }()

  /// Divides a total in proportion to counts, by largest remainder; the earlier wins a tie.
  private static func shares(of total: Int, among counts: [Int]) -> [Int] {
    let sum = counts.reduce(0, +)
    var shares = counts.map { total * $0 / sum }
    let byRemainder = counts.indices.sorted {
      let (left, right) = (total * counts[$0] % sum, total * counts[$1] % sum)
      return left != right ? left > right : $0 < $1
    }
    for i in byRemainder.prefix(total - shares.reduce(0, +)) { shares[i] += 1 }
    return shares
  }
}
