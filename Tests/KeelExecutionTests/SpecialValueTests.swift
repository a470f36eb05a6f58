import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class contract: NaN, infinities, ties and large logits.
@Suite struct SpecialValueTests {
  /// Below the smallest normal number, and still not zero.
  private let tiny = Float.leastNonzeroMagnitude

  @Test(arguments: [1, 7, 16, 40])
  func reluKeepsNaN(count: Int) throws {
    for position in 0..<count {
      var x = Tensor(repeating: -1, shape: [1, count])
      x[flat: position] = .nan
      let y = try apply(.activation(.relu), [.float32(x)])
      for i in 0..<count { #expect(i == position ? y[flat: i].isNaN : y[flat: i] == 0) }
    }
    let special = try Tensor([.infinity, -.infinity, 0, -0.0, tiny, -tiny], shape: [6])
    #expect(
      try apply(.activation(.relu), [.float32(special)]).elements == [.infinity, 0, 0, 0, tiny, 0])
  }

  @Test func reluGradientIsZeroAtZeroAndNaN() throws {
    let y = try Tensor(
      [0, -0.0, .nan, 1, tiny, .infinity] + Array(repeating: 2, count: 20), shape: [26])
    let dx = try apply(
      .activationGradient(.relu), [.float32(Tensor(repeating: 3, shape: [26])), .float32(y)])
    #expect(dx.elements == [0, 0, 0, 3, 3, 3] + Array(repeating: 3, count: 20))
  }

  @Test(arguments: Activation.everyKind)
  func activationsAtTheEnds(_ activation: Activation) throws {
    // NaN stays where it stands; ±∞ and large values have their limits, as in the reference.
    let ends: [Float] = [.nan, .infinity, -.infinity, 1e30, -1e30, 100, -100, tiny, -tiny, 0]
    for count in [10, 16, 21] {
      let x = try Tensor((0..<count).map { ends[$0 % 10] }, shape: [count])
      let expected = try evaluate(.activation(activation), [DoubleTensor(widening: x)])[0]
      let y = try apply(.activation(activation), [.float32(x)])
      let value = activation.gradientOperand == .input ? x : y
      let dy = Tensor(repeating: 2, shape: [count])
      let dx = try apply(.activationGradient(activation), [.float32(dy), .float32(value)])
      let slopes = try evaluate(
        .activationGradient(activation),
        [DoubleTensor(widening: dy), DoubleTensor(widening: value)])[0]
      for i in 0..<count {
        let (found, exact) = (Double(y[flat: i]), expected[flat: i])
        #expect(
          exact.isNaN
            ? found.isNaN : found == exact || abs(found - exact) <= 1e-6 * max(1, abs(exact)),
          "\(activation.name) of \(x[flat: i]): expected \(exact), found \(found)")
        let (slope, exactSlope) = (Double(dx[flat: i]), slopes[flat: i])
        #expect(
          exactSlope.isNaN ? slope.isNaN : abs(slope - exactSlope) <= 1e-6,
          "\(activation.name) gradient at \(x[flat: i]): expected \(exactSlope), found \(slope)")
      }
    }
  }

  @Test(arguments: [1, 5, 16, 33], [2, 9])
  func maxPoolingKeepsNaN(channels: Int, window: Int) throws {
    // NaN wins wherever in the window it stands, in its channel only; so it does in the gradient.
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: window, inputWidth: window, channels: channels,
      window: (window, window), stride: (1, 1))
    var source = TensorSource(seed: 81)
    let clean = source.distinct(geometry.inputShape(batch: 1))
    let expected = try apply(.pooling(geometry), [.float32(clean)])
    let positions = window == 2 ? Array(0..<4) : [0, 40, 63, 64, 80]
    for position in positions {
      let bad = channels / 2
      var x = clean
      x[flat: position * channels + bad] = .nan
      let y = try apply(.pooling(geometry), [.float32(x)])
      let dy = Tensor(repeating: 2, shape: y.shape)
      let dx = try apply(.poolingGradient(geometry), [.float32(dy), .float32(x)])
      for c in 0..<channels {
        #expect(c == bad ? y[flat: c].isNaN : y[flat: c] == expected[flat: c])
        let winners = (0..<window * window).filter { dx[flat: $0 * channels + c] != 0 }
        #expect(winners.count == 1 && dx[flat: winners[0] * channels + c] == 2)
        if c == bad { #expect(winners == [position]) }
      }
    }
  }

  @Test(arguments: [1, 16, 19])
  func maxPoolingOfTheLowest(channels: Int) throws {
    // Windows of −∞ alone, partly in the padding: the first pixel inside gets the gradient.
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: 4, inputWidth: 4, channels: channels, window: (3, 3), stride: (2, 2),
      padding: (1, 1))
    let x = Tensor(repeating: -.infinity, shape: geometry.inputShape(batch: 1))
    let y = try apply(.pooling(geometry), [.float32(x)])
    #expect(y.elements.allSatisfy { $0 == -.infinity })
    let dy = Tensor(repeating: 1, shape: y.shape)
    let dx = try apply(.poolingGradient(geometry), [.float32(dy), .float32(x)])
    for position in 0..<16 {
      for c in 0..<channels {
        #expect(dx[flat: position * channels + c] == ([0, 1, 4, 5].contains(position) ? 1 : 0))
      }
    }
  }

  @Test func paddingIsNoZeroForMaxima() throws {
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: 3, inputWidth: 3, channels: 2, window: (3, 3), stride: (2, 2),
      padding: (1, 1))
    let y = try apply(
      .pooling(geometry), [.float32(Tensor(repeating: -5, shape: geometry.inputShape(batch: 2)))])
    #expect(y.elements.allSatisfy { $0 == -5 })
  }

  // MARK: Softmax

  private func logits(_ values: [Float], classes: Int) throws -> Tensor {
    try Tensor(values, shape: [values.count / classes, classes])
  }

  @Test func largeLogits() throws {
    let x = try logits([1e4, -1e4, 0, -1e4, -1e4, -1e4, 1e4, 1e4, -1e4, 88, 89, 90], classes: 3)
    let y = try apply(.softmax, [.float32(x)])
    let third = Float(1) / 3
    #expect(Array(y.elements.prefix(9)) == [1, 0, 0, third, third, third, 0.5, 0.5, 0])
    let expected = try evaluate(.softmax, [DoubleTensor(widening: x)])[0]
    expectClose(y, expected, bound: Tolerance.elementwise)
  }

  @Test func largeLogitsInTheLoss() throws {
    let x = try logits([1e4, -1e4, 0, -1e4, 1e4, -1e4, 1e4, 1e4, 1e4], classes: 3)
    for (labels, loss) in [([0, 1, 2], 1.0986123 / 3), ([1, 1, 0], (2e4 + 1.0986123) / 3)]
      as [([Int64], Double)]
    {
      let operands: [TensorValue] = [
        .float32(x), .int64(try IndexTensor(labels, shape: [3])),
      ]
      let actual = try apply(.loss(Loss(.crossEntropy())), operands)[flat: 0]
      #expect(abs(Double(actual) - loss) <= 1e-6 * max(1, loss))
      let gradient = try apply(
        .lossGradient(Loss(.crossEntropy())), operands + [.float32(Tensor(repeating: 1, shape: []))]
      )
      #expect(gradient.elements.allSatisfy { $0.isFinite })
      let values: [ReferenceValue] = operands.map { ReferenceValue($0) }
      let expected = try evaluate(
        .lossGradient(Loss(.crossEntropy())),
        values + [.real(DoubleTensor(repeating: 1, shape: []))])[0]
      expectClose(gradient, expected, bound: Tolerance.elementwise)
    }
  }

  @Test func whatIsNotChosenDoesNotMatter() throws {
    let holds = try DenseArray<Bool>([true, false], shape: [2])
    let (a, b) = (try Tensor([1, .nan], shape: [2]), try Tensor([.nan, 2], shape: [2]))
    let numbers = try Tensor([.nan, 0], shape: [2])
    for condition in [TensorValue.bool(holds), .float32(numbers)] {
      #expect(try apply(.choice, [condition, .float32(a), .float32(b)]).elements == [1, 2])
    }
  }

  @Test func wrongChoicesAndConstants() throws {
    let x = ValueType([2, 3])
    for wrong in [ValueType([2]), ValueType(.int64, [2, 3]), ValueType([1, 2, 3])] {
      #expect(throws: KeelError.self) { try Primitive.choice.resultTypes([wrong, x, x], at: "") }
    }
    #expect(throws: KeelError.self) {
      try Primitive.choice.resultTypes([x, x, ValueType([3])], at: "")
    }
    let floats = TensorValue.float32(Tensor(zeros: [2]))
    #expect(throws: KeelError.self) { try Primitive.constant(floats).resultTypes([], at: "") }
  }

  @Test func constants() throws {
    let integers = TensorValue.int64(try IndexTensor([1 << 60, -3], shape: [2]))
    let truth = TensorValue.bool(try DenseArray<Bool>([true, false, true], shape: [3, 1]))
    var builder = GraphBuilder()
    builder.output("integers", try builder.append(.constant(integers), [])[0])
    builder.output("truth", try builder.append(.constant(truth), [])[0])
    let graph = try builder.finish()
    let plan = try Plan(graph, inputShapes: [:])
    for results in [try Interpreter(graph).run([:]).outputs, try plan([:])] {
      #expect(results == ["integers": integers, "truth": truth])
    }
    #expect(try graph.reference([:]).outputs["truth"]!.elements == [1, 0, 1])
  }

  @Test func nanInALogitStaysInItsRow() throws {
    let x = try logits([0, .nan, 1, 2, 3, 4, .nan, 0, 0], classes: 3)
    let y = try apply(.softmax, [.float32(x)])
    for i in 0..<9 { #expect(y[flat: i].isNaN == (i / 3 != 1)) }
    let loss = try apply(
      .loss(Loss(.crossEntropy())), [.float32(x), .int64(try IndexTensor([0, 1, 2], shape: [3]))])
    #expect(loss[flat: 0].isNaN)
  }

  @Test func oneClass() throws {
    let x = try logits([3, -1e4], classes: 1)
    #expect(try apply(.softmax, [.float32(x)]).elements == [1, 1])
    let labels = TensorValue.int64(IndexTensor(zeros: [2]))
    #expect(try apply(.loss(Loss(.crossEntropy())), [.float32(x), labels]).elements == [0])
  }

  // MARK: Convolution

  @Test func nanStaysInItsWindow() throws {
    let geometry = try sameGeometry(6, 3, 5)
    var source = TensorSource(seed: 82)
    let weight = source.normal(geometry.weightShape)
    let clean = source.normal(geometry.inputShape(batch: 1))
    var x = clean
    x[0, 2, 3, 1] = .nan
    let expected = try apply(
      .convolution(geometry, Epilogue()), [.float32(clean), .float32(weight)])
    let y = try apply(.convolution(geometry, Epilogue()), [.float32(x), .float32(weight)])
    for row in 0..<6 {
      for column in 0..<6 {
        for c in 0..<5 {
          let isNear = abs(row - 2) <= 1 && abs(column - 3) <= 1
          #expect(
            isNear
              ? y[0, row, column, c].isNaN : y[0, row, column, c] == expected[0, row, column, c])
        }
      }
    }
  }
}
