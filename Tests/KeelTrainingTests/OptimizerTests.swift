import KeelReference
import KeelTensor
import KeelTestSupport
import KeelTraining
import Testing

/// Every optimizer: the fast update against the Double reference, the reference against figures by hand.
@Suite struct OptimizerTests {
  static let optimizers: [any Optimizer] = [
    try! SGD(learningRate: 0.1),
    try! SGD(learningRate: 0.1, momentum: 0.9, weightDecay: 0.1),
    try! SGD(learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.1),
    try! AdamW(learningRate: 0.01),
    try! AdamW(learningRate: 0.01, weightDecay: 0),
    try! AdamW(learningRate: 0.01, beta1: 0, beta2: 0, weightDecay: 0.5),
    try! AdamW(
      learningRate: 0.01, beta1: 0.5, beta2: 0.9, epsilon: 0.1, weightDecay: 0.1, decay: .coupled),
    try! RMSProp(learningRate: 0.01),
    try! RMSProp(learningRate: 0.01, alpha: 0.5, epsilon: 0.1, weightDecay: 0.1),
    try! RMSProp(learningRate: 0.01, momentum: 0.9),
    try! RMSProp(learningRate: 0.01, centered: true),
    try! RMSProp(
      learningRate: 0.01, alpha: 0.5, centered: true, momentum: 0.5, weightDecay: 0.1),
  ]

  /// What a mean is off by because the weight of its new value is one less a Float.
  private func rounding(_ optimizer: any Optimizer) -> Double {
    let weights: [Double] =
      switch optimizer {
      case let adam as AdamW: [adam.beta1, adam.beta2]
      case let rmsProp as RMSProp: [rmsProp.alpha]
      default: []
      }
    return weights.map { abs($0 - Double(Float($0))) / (1 - $0) }.max() ?? 0
  }

  /// Runs both updates on the same numbers, and expects the same weights and slots after each step.
  private func compare(
    _ optimizer: any Optimizer, count: Int, steps: Int, mean: Double = 0, deviation: Double = 1
  ) throws {
    var source = TensorSource(seed: UInt64(count + 1))
    var weight = source.normal([count])
    var slots = Tensor(zeros: [optimizer.slotNames.count, count])
    var exact = DoubleTensor(widening: weight).elements
    var exactSlots = optimizer.slotNames.map { _ in [Double](repeating: 0, count: count) }
    // The largest magnitude that a slot has had: terms of either sign may cancel.
    var scales = optimizer.slotNames.map { _ in 1e-30 }
    for index in 0..<steps {
      let gradient = source.normal([count], mean: mean, deviation: deviation)
      let step = OptimizerStep(
        index: index, rate: optimizer.learningRate.rate(atStep: index, of: steps),
        weightDecay: optimizer.weightDecay)
      weight.withMutableSpan { weight in
        slots.withMutableSpan { slots in
          gradient.withSpan {
            optimizer.step(step, weight: &weight, slots: &slots, gradient: $0)
          }
        }
      }
      optimizer.referenceStep(
        step, weight: &exact, slots: &exactSlots,
        gradient: DoubleTensor(widening: gradient).elements)
      // A step rounds a few times; what it adds to is of the size of 1.
      let bound = Double(index + 1) * 2 * Tolerance.elementwise
      let what = "\(optimizer), \(count) weights, seed \(count + 1), step \(index)"
      expectClose(
        weight, try DoubleTensor(exact, shape: [count]), bound: bound, scale: 1, what)
      for (slot, values) in exactSlots.enumerated() {
        let actual = Tensor(uninitialized: [count]) { out in
          for i in out.indices { out[i] = slots[flat: slot * count + i] }
        }
        let expected = try DoubleTensor(values, shape: [count])
        scales[slot] = max(scales[slot], expected.largestMagnitude)
        expectClose(
          actual, expected, bound: bound + rounding(optimizer),
          scale: scales[slot],
          "\(what), \(optimizer.slotNames[slot])")
      }
    }
  }

  /// Whole vectors of every width, and what is left over.
  @Test(arguments: optimizers.indices)
  func sizes(_ index: Int) throws {
    for count in Array(0...35) + [63, 64, 65, 1000] {
      try compare(Self.optimizers[index], count: count, steps: 3)
    }
  }

  @Test(arguments: optimizers.indices)
  func manySteps(_ index: Int) throws {
    try compare(Self.optimizers[index], count: 37, steps: 50)
  }

  /// A gradient that hardly changes: the mean of squares less the square of the mean would be noise.
  @Test func centeredFarFromZero() throws {
    let optimizer = try RMSProp(learningRate: 1e-4, alpha: 0.9, centered: true)
    var source = TensorSource(seed: 9)
    var weight = Tensor(zeros: [16])
    var slots = Tensor(zeros: [2, 16])
    var (exact, square, mean) = (0.0, 0.0, 0.0)
    for index in 0..<400 {
      let value = source.normal([1], mean: 1, deviation: 1e-3)[flat: 0]
      let step = OptimizerStep(index: index, rate: 1e-4, weightDecay: 0)
      weight.withMutableSpan { weight in
        slots.withMutableSpan { slots in
          Tensor(repeating: value, shape: [16]).withSpan {
            optimizer.step(step, weight: &weight, slots: &slots, gradient: $0)
          }
        }
      }
      // As PyTorch writes it, in Double.
      let g = Double(value)
      square = 0.9 * square + 0.1 * g * g
      mean = 0.9 * mean + 0.1 * g
      exact -= 1e-4 * g / ((square - mean * mean).squareRoot() + 1e-8)
    }
    for i in 0..<16 {
      // The mean is off by half a unit in its last place, 6e-8, of a deviation of 1e-3.
      #expect(abs(Double(slots[flat: i]) / (square - mean * mean) - 1) <= 1e-3)
      #expect(abs(Double(weight[flat: i]) / exact - 1) <= 1e-3)
    }
  }

  struct Row: Sendable {
    let optimizer: any Optimizer
    let weights: [Double]
  }

  /// Weight 1, gradients 0.5 and 0.25, worked out from the formulas in PyTorch's documentation in decimal
  /// arithmetic of 40 digits (not with PyTorch itself).
  static let rows = [
    Row(
      optimizer: try! AdamW(learningRate: 0.1),
      weights: [0.89900000200000, 0.80488304047546]),
    Row(
      optimizer: try! AdamW(learningRate: 0.1, weightDecay: 0),
      weights: [0.90000000200000, 0.80678204047746]),
    Row(
      optimizer: try! AdamW(learningRate: 0.1, epsilon: 0.1, weightDecay: 0.5, decay: .coupled),
      weights: [0.90909090909091, 0.82156987714006]),
    Row(
      optimizer: try! AdamW(learningRate: 0.1, beta1: 0.5, beta2: 0.75, weightDecay: 0.5),
      weights: [0.85000000200000, 0.71930829386451]),
    Row(
      optimizer: try! RMSProp(learningRate: 0.1),
      weights: [0.00000019999996, -0.44901297442183]),
    Row(
      optimizer: try! RMSProp(learningRate: 0.1, epsilon: 0.1, weightDecay: 0.5),
      weights: [0.50000000000000, 0.26343151548749]),
    Row(
      optimizer: try! RMSProp(learningRate: 0.1, momentum: 0.9),
      weights: [0.00000019999996, -1.34901279442187]),
    Row(
      optimizer: try! RMSProp(learningRate: 0.1, centered: true),
      weights: [-0.00503761323905, -0.45812515315789]),
    Row(
      optimizer: try! RMSProp(learningRate: 0.1, alpha: 0.5, centered: true, momentum: 0.5),
      weights: [0.80000000800000, 0.55857866376269]),
  ]

  @Test(arguments: rows.indices)
  func twoSteps(_ index: Int) {
    let row = Self.rows[index]
    var weight = [1.0, -1.0]
    var slots = row.optimizer.slotNames.map { _ in [0.0, 0.0] }
    for (step, gradient) in [0.5, 0.25].enumerated() {
      row.optimizer.referenceStep(
        OptimizerStep(index: step, rate: 0.1, weightDecay: row.optimizer.weightDecay),
        weight: &weight, slots: &slots, gradient: [gradient, -gradient])
      #expect(abs(weight[0] - row.weights[step]) <= 1e-12)
      #expect(weight[1] == -weight[0])
    }
  }

  @Test func badArguments() {
    func expect(_ message: String, _ make: () throws -> any Optimizer) {
      let error = #expect(throws: KeelError.self) { _ = try make() }
      #expect(error?.kind == .argument)
      #expect(error?.description == "argument error at " + message)
    }
    for value in [-0.1, 1, 0.999_999_999_999, .nan, .infinity] {
      expect("AdamW: expected a beta1 of at least 0 and below 1, found \(value)") {
        try AdamW(learningRate: 1, beta1: value)
      }
      expect("AdamW: expected a beta2 of at least 0 and below 1, found \(value)") {
        try AdamW(learningRate: 1, beta2: value)
      }
      expect("RMSProp: expected an alpha of at least 0 and below 1, found \(value)") {
        try RMSProp(learningRate: 1, alpha: value)
      }
      expect("RMSProp: expected a momentum of at least 0 and below 1, found \(value)") {
        try RMSProp(learningRate: 1, momentum: value)
      }
    }
    for value in [0, -1, 1e-60, .infinity, .nan] {
      expect("AdamW: expected a finite epsilon above 0, found \(value)") {
        try AdamW(learningRate: 1, epsilon: value)
      }
      expect("RMSProp: expected a finite epsilon above 0, found \(value)") {
        try RMSProp(learningRate: 1, epsilon: value)
      }
    }
    for value in [-1, .infinity, .nan] {
      expect("AdamW: expected a finite weight decay of at least 0, found \(value)") {
        try AdamW(learningRate: 1, weightDecay: value)
      }
      expect("RMSProp: expected a finite weight decay of at least 0, found \(value)") {
        try RMSProp(learningRate: 1, weightDecay: value)
      }
      expect("AdamW: expected a finite learning rate of at least 0, found \(value)") {
        try AdamW(learningRate: value)
      }
      expect("RMSProp: expected a finite learning rate of at least 0, found \(value)") {
        try RMSProp(learningRate: value)
      }
    }
  }
}
