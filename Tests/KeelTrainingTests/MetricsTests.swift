import KeelTensor
import KeelTraining
import Testing

@Suite struct MetricsTests {
  /// Answers 2, 0 (first of equals), none, 1.
  static let logits = try! Tensor(
    [0, 1, 2, 3, 3, 1, 0, .nan, 9, -.infinity, -1, -2], shape: [4, 3])

  private func labels(_ values: [Int64]) -> IndexTensor {
    try! IndexTensor(values, shape: [values.count])
  }

  @Test func topOne() throws {
    #expect(try Metrics.topOne(Self.logits) == [2, 0, nil, 1])
    let lowest = Tensor(repeating: -.infinity, shape: [1, 3])
    #expect(try Metrics.topOne(lowest) == [0])
  }

  @Test func accuracy() throws {
    #expect(try Metrics.accuracy(Self.logits, labels: labels([2, 0, 2, 1])) == 0.75)
    #expect(try Metrics.accuracy(Self.logits, labels: labels([2, 1, 1, 0])) == 0.25)
  }

  @Test func agreement() throws {
    #expect(try Metrics.topOneAgreement(Self.logits, Self.logits) == 0.75)
    let other = try Tensor([0, 1, 2, 1, 3, 1, 0, 0, 9, 0, 2, 1], shape: [4, 3])
    #expect(try Metrics.topOneAgreement(Self.logits, other) == 0.5)
    #expect(try Metrics.topOneAgreement(other, other) == 1)
  }

  @Test func badInputs() {
    func expect(_ message: String, _ body: () throws -> Double) {
      let error = #expect(throws: KeelError.self) { try body() }
      #expect(error?.description == message)
    }
    expect("shape error at logits: expected N×K with at least one row and class, found 3") {
      try Metrics.accuracy(Tensor(zeros: [3]), labels: labels([1]))
    }
    expect("shape error at logits: expected N×K with at least one row and class, found 0×3") {
      try Metrics.accuracy(Tensor(zeros: [0, 3]), labels: labels([]))
    }
    expect("shape error at labels: expected 4 labels, found 2") {
      try Metrics.accuracy(Self.logits, labels: labels([0, 1]))
    }
    expect("value error at labels: expected labels from 0 to 2, found 3 in row 1") {
      try Metrics.accuracy(Self.logits, labels: labels([0, 3, 0, 0]))
    }
    expect("value error at labels: expected labels from 0 to 2, found -1 in row 3") {
      try Metrics.accuracy(Self.logits, labels: labels([0, 0, 0, -1]))
    }
    expect("shape error at second logits: expected 4×3, found 4×2") {
      try Metrics.topOneAgreement(Self.logits, Tensor(zeros: [4, 2]))
    }
  }
}
