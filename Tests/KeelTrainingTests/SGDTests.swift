import KeelTensor
import KeelTraining
import Testing

@Suite struct SGDTests {
  struct Row: Sendable {
    let sgd: SGD
    let weights: [Double]

    init(
      _ weights: [Double], momentum: Double = 0, nesterov: Bool = false, weightDecay: Double = 0
    ) {
      sgd = try! SGD(
        learningRate: 0.1, momentum: momentum, nesterov: nesterov, weightDecay: weightDecay)
      self.weights = weights
    }
  }

  /// Weight 1, gradients 0.5 and 0.25, by hand. With momentum 0.9 and decay 0.01: g 0.51, v 0.51;
  /// then g 0.25949, v 0.71849 (Nesterov: g 0.259031, v 0.718031, step 0.9052589).
  static let rows = [
    Row([0.95, 0.925]),
    Row([0.949, 0.923051], weightDecay: 0.01),
    Row([0.95, 0.88], momentum: 0.9),
    Row([0.949, 0.877151], momentum: 0.9, weightDecay: 0.01),
    Row([0.9031, 0.81257411], momentum: 0.9, nesterov: true, weightDecay: 0.01),
  ]

  @Test(arguments: rows.indices)
  func twoSteps(_ index: Int) {
    let row = Self.rows[index]
    var (weight, slots) = ([1.0, -1.0], [[0.0, 0.0]])
    for (step, gradient) in [0.5, 0.25].enumerated() {
      row.sgd.referenceStep(
        OptimizerStep(
          index: step, rate: row.sgd.learningRate.rate(atStep: step, of: 2),
          weightDecay: row.sgd.weightDecay),
        weight: &weight, slots: &slots, gradient: [gradient, -gradient])
      #expect(abs(weight[0] - row.weights[step]) <= 1e-15)
      #expect(weight[1] == -weight[0])
    }
  }

  @Test func theScheduleGivesTheRate() throws {
    let sgd = try SGD(learningRate: StepSchedule(1, factor: 0.5, every: 2), momentum: 0.9)
    #expect((0..<5).map { sgd.learningRate.rate(atStep: $0, of: 5) } == [1, 1, 0.5, 0.5, 0.25])
  }

  @Test func badArguments() {
    func expect(_ message: String, _ make: () throws -> SGD) {
      let error = #expect(throws: KeelError.self) { try make() }
      #expect(error?.description == "argument error at SGD: expected " + message)
    }
    expect("a finite learning rate of at least 0, found -1.0") { try SGD(learningRate: -1) }
    for momentum in [-0.1, 1, .nan] {
      expect("a momentum of at least 0 and below 1, found \(momentum)") {
        try SGD(learningRate: 1, momentum: momentum)
      }
    }
    expect("a finite weight decay of at least 0, found inf") {
      try SGD(learningRate: 1, weightDecay: .infinity)
    }
    expect("a momentum above 0 for Nesterov's form, found 0.0") {
      try SGD(learningRate: 1, nesterov: true)
    }
  }
}
