import Keel
import KeelReference

/// The unfolded graph in Double against the folded plan in Float, on the same inputs.
struct Verification: Sendable {
  /// The largest difference of an output, relative to the largest magnitude of the reference's outputs.
  let maxRelativeDifference: Double
  /// The share of inputs for which both name the same class.
  let topOneAgreement: Double
  /// The folded plan's accuracy.
  let accuracy: Double
  /// The number of inputs.
  let count: Int

  /// What the difference may be at most.
  static let tolerance = 1e-5

  /// Whether the folded plan is the unfolded graph up to rounding.
  var passes: Bool { maxRelativeDifference <= Self.tolerance && topOneAgreement == 1 }

  /// Runs both on images.
  init(
    _ graph: Graph, _ folded: Graph, on images: Tensor, labels: IndexTensor, threads: Int
  ) throws {
    let reference = try ReferenceEvaluator(graph).run(["x": .real(DoubleTensor(widening: images))])
      .outputs["y"]!
    let result = try folded.run(inBatches: images, options: PlanOptions(threads: threads))
    var (largest, difference) = (0.0, 0.0)
    for (expected, actual) in zip(reference.elements, result.elements) {
      largest = max(largest, abs(expected))
      let error = abs(expected - Double(actual))
      difference = error.isNaN ? .infinity : max(difference, error)
    }
    maxRelativeDifference = difference / largest
    let rounded = Tensor(uninitialized: reference.shape) { out in
      for i in out.indices { out[i] = Float(reference[flat: i]) }
    }
    topOneAgreement = try Metrics.topOneAgreement(rounded, result)
    accuracy = try Metrics.accuracy(result, labels: labels)
    count = labels.count
  }
}
