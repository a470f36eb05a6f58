import KeelTensor

/// Figures about the answers of classifiers.
public enum Metrics {
  /// The class of the largest logit of each row of N×K: the first of equals, nil where the row holds
  /// a NaN.
  /// - Throws: `KeelError` of kind `shape` for logits that are no matrix of at least one row and class.
  public static func topOne(_ logits: Tensor) throws(KeelError) -> [Int?] {
    try rows(logits, at: "logits")
    let (count, classes) = (logits.shape[0], logits.shape[1])
    return logits.withSpan { values in
      (0..<count).map { row in
        var best = 0
        for column in 0..<classes {
          let value = values[row * classes + column]
          if value.isNaN { return nil }
          if value > values[row * classes + best] { best = column }
        }
        return best
      }
    }
  }

  /// The share of rows of N×K logits whose largest is at the label; a row with a NaN counts as wrong.
  /// - Throws: `KeelError` of kind `shape` for logits that are no matrix of at least one row and class,
  ///   or another number of labels; of kind `value` for a label outside 0..<K.
  public static func accuracy(_ logits: Tensor, labels: IndexTensor) throws(KeelError) -> Double {
    let answers = try topOne(logits)
    guard labels.shape == [answers.count] else {
      throw KeelError(
        .shape, at: "labels", expected: "\(answers.count) labels", found: "\(labels.shape)")
    }
    let classes = logits.shape[1]
    var right = 0
    for (row, label) in labels.elements.enumerated() {
      guard label >= 0, label < classes else {
        throw KeelError(
          .value, at: "labels", expected: "labels from 0 to \(classes - 1)",
          found: "\(label) in row \(row)")
      }
      if answers[row] == Int(label) { right += 1 }
    }
    return Double(right) / Double(answers.count)
  }

  /// The share of rows for which two classifiers name the same class; a row with a NaN agrees with
  /// nothing.
  /// - Throws: `KeelError` of kind `shape` for logits that are no matrices of at least one row and
  ///   class, or of two shapes.
  public static func topOneAgreement(_ a: Tensor, _ b: Tensor) throws(KeelError) -> Double {
    let (first, second) = (try topOne(a), try topOne(b))
    guard a.shape == b.shape else {
      throw KeelError(
        .shape, at: "second logits", expected: "\(a.shape)", found: "\(b.shape)")
    }
    let agreeing = zip(first, second).count { $0 != nil && $0 == $1 }
    return Double(agreeing) / Double(first.count)
  }

  private static func rows(_ logits: Tensor, at place: String) throws(KeelError) {
    guard logits.shape.rank == 2, logits.shape.extents.allSatisfy({ $0 >= 1 }) else {
      throw KeelError(
        .shape, at: place, expected: "N×K with at least one row and class",
        found: "\(logits.shape)")
    }
  }
}
