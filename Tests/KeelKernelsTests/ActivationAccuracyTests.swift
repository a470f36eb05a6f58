import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Class reference: errors of the exponential and of what is made from it, in units of the last place.
@Suite struct ActivationAccuracyTests {
  /// Floats of every exponent and both signs: each `step`-th bit pattern.
  private static func forEachChunk(step: UInt32, _ body: ([Float]) -> Void) {
    var chunk: [Float] = []
    for bits in stride(from: 0, through: UInt64(UInt32.max), by: Int(step)) {
      let x = Float(bitPattern: UInt32(bits))
      if !x.isNaN { chunk.append(x) }
      if chunk.count == 4099 {
        body(chunk)
        chunk.removeAll(keepingCapacity: true)
      }
    }
    body(chunk)
  }

  /// The error in units of the last place of the exact result; infinity is right where rounding gives it.
  private static func error(_ actual: Float, _ exact: Double) -> Double {
    if actual.isInfinite || exact.isInfinite { return Float(exact) == actual ? 0 : .infinity }
    let ulp = Double(Float(exact.magnitude).ulp)
    return abs(Double(actual) - exact) / min(ulp, Double(Float.greatestFiniteMagnitude.ulp))
  }

  private static func worst(
    step: UInt32, _ exact: (Double) -> Double,
    _ kernel: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
  ) -> (error: Double, x: Float) {
    var worst: (error: Double, x: Float) = (0, 0)
    forEachChunk(step: step) { x in
      var y = [Float](repeating: 0, count: x.count)
      kernel(x, &y, x.count)
      for (x, y) in zip(x, y) {
        let error = error(y, exact(Double(x)))
        if !(error <= worst.error) { worst = (error, x) }
      }
    }
    return worst
  }

  @Test func exponentialIsWithinOneUnit() {
    let worst = Self.worst(step: 1009, { exp($0) }) {
      Elementwise.apply(.exponential, $0, into: $1, count: $2, parallelism: .serial)
    }
    #expect(worst.error <= 1, "at \(worst.x)")
  }

  @Test func logarithmAndErrorFunction() {
    for (function, bound, exact) in [
      (ElementwiseFunction.logarithm, 0.9, { log($0) }), (.errorFunction, 1.6, { erf($0) }),
    ] as [(ElementwiseFunction, Double, (Double) -> Double)] {
      let worst = Self.worst(step: 1013, { $0 < 0 && function == .logarithm ? 0 : exact($0) }) {
        x, y, count in
        Elementwise.apply(function, x, into: y, count: count, parallelism: .serial)
        // Below 0 there is no logarithm; `logarithmAtTheEnds` looks at that.
        if function == .logarithm { for i in 0..<count where x[i] < 0 { y[i] = 0 } }
      }
      #expect(worst.error <= bound, "\(function.name) at \(worst.x)")
    }
  }

  @Test func logarithmAtTheEnds() {
    let x: [Float] = [
      .infinity, -.infinity, .nan, 0, -0.0, -0x1p-133, 1, .leastNonzeroMagnitude,
      .greatestFiniteMagnitude, 0.70710677, 0.7071068,
    ]
    var y = [Float](repeating: 7, count: x.count)
    Elementwise.apply(.logarithm, x, into: &y, count: x.count, parallelism: .serial)
    #expect(y[0] == .infinity && y[3] == -.infinity && y[4] == -.infinity && y[6] == 0)
    #expect(y[1].isNaN && y[2].isNaN && y[5].isNaN)
    for i in 7..<x.count { #expect(abs(Double(y[i]) - log(Double(x[i]))) <= 8e-6) }
  }

  @Test(arguments: ElementwiseFunction.allCases)
  func everyLengthOfAFunctionGivesTheSameBits(_ function: ElementwiseFunction) {
    let x = (0..<40).map { Float(($0 * 17) % 41 - 20) / 4 }
    func run(_ count: Int) -> [UInt32] {
      var y = [Float](repeating: 77, count: 40)
      Elementwise.apply(function, x, into: &y, count: count, parallelism: .serial)
      return y.map(\.bitPattern)
    }
    let whole = run(40)
    let untouched = Float(77).bitPattern
    for count in 1...39 {
      #expect(run(count) == whole.prefix(count) + Array(repeating: untouched, count: 40 - count))
    }
  }

  @Test func exponentialAtTheEnds() {
    let x: [Float] = [
      .infinity, -.infinity, .nan, 0, -0.0, 88.72283, 88.73, -104, -103.9, 1e30, -1e30,
    ]
    var y = [Float](repeating: 7, count: x.count)
    Elementwise.apply(.exponential, x, into: &y, count: x.count, parallelism: .serial)
    #expect(y[2].isNaN)
    #expect([y[0], y[1], y[3], y[4]] == [.infinity, 0, 1, 1])
    #expect(y[5].isFinite && y[5] > 3.4e38 && y[6] == .infinity)
    #expect(y[7] == 0 && y[8] == .leastNonzeroMagnitude && y[9] == .infinity && y[10] == 0)
  }

  /// The function in Double, from the C library.
  private static func exact(_ activation: Activation, _ x: Double) -> Double {
    switch activation {
    case .tanh: return tanh(x)
    case .elu: return x > 0 ? x : expm1(x)
    case .softplus: return max(x, 0) + log1p(exp(-abs(x)))
    case .gelu(.tanh):
      let argument = (8 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
      return x < -40 ? 0 : x / (1 + exp(-argument))
    case .gelu: return x < -40 ? 0 : x * erfc(-x / 2.0.squareRoot()) / 2
    default:
      let sigmoid = x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x))
      return activation == .silu ? x * sigmoid : sigmoid
    }
  }

  private static let bounds: [(Activation, Double)] = [
    (.sigmoid, 2.5), (.tanh, 3), (.elu(alpha: 1), 1), (.softplus, 3),
  ]

  @Test(arguments: bounds)
  func fewUnits(_ activation: Activation, bound: Double) {
    // Below −87.3 the sigmoid is smaller than a normal number; the next test looks at that.
    let isTiny = { activation == .sigmoid && $0 < -87.3 }
    let worst = Self.worst(step: 4001, { isTiny($0) ? 0 : Self.exact(activation, $0) }) {
      x, y, count in
      Elementwise.activate(activation, x, into: y, count: count, parallelism: .serial)
      for i in 0..<count where isTiny(Double(x[i])) { y[i] = 0 }
    }
    #expect(worst.error <= bound, "\(activation.name) at \(worst.x)")
  }

  @Test func tinySigmoids() {
    let x: [Float] = [-87.3, -88, -88.7, -89, -95, -103, -104, -1e30, -.infinity]
    var y = [Float](repeating: 7, count: x.count)
    Elementwise.activate(.sigmoid, x, into: &y, count: x.count, parallelism: .serial)
    for (x, y) in zip(x, y) { #expect(abs(Double(y) - exp(Double(x))) <= 3e-39, "at \(x)") }
    #expect(y.suffix(3) == [0, 0, 0])
  }

  /// Also beyond the segments of tables.
  @Test(arguments: [Activation.gelu(.exact), .gelu(.tanh)])
  func tailsVanish(_ activation: Activation) {
    let x = (0...4000).map { -6 - Float($0) / 100 } + [-1e30, -.infinity]
    var y = [Float](repeating: 7, count: x.count)
    Elementwise.activate(activation, x, into: &y, count: x.count, parallelism: .serial)
    let bound = activation == .gelu(.exact) ? 2e-9 : 2e-11
    for (x, y) in zip(x, y) {
      #expect(abs(Double(y) - Self.exact(activation, Double(x))) <= bound, "at \(x)")
    }
    #expect(y.suffix(2) == [0, 0])
  }

  @Test(arguments: [Activation.gelu(.exact), .gelu(.tanh), .silu, .tanh])
  func zerosKeepTheirSign(_ activation: Activation) {
    let x: [Float] = [0, -0.0]
    var y: [Float] = [7, 7]
    Elementwise.activate(activation, x, into: &y, count: x.count, parallelism: .serial)
    #expect(y == [0, 0] && y[0].sign == .plus && y[1].sign == .minus)
  }

  @Test(arguments: [(Activation.gelu(.exact), 2e-6), (.gelu(.tanh), 8e-6), (.silu, 2e-6)])
  func smallValuesKeepTheirAccuracy(_ activation: Activation, relative: Double) {
    // 0.5·x·(1 + erf(x/√2)) would have no correct digit left at −5.
    let x = (-512...512).map { Float($0) / 100 }
    var y = [Float](repeating: 0, count: x.count)
    Elementwise.activate(activation, x, into: &y, count: x.count, parallelism: .serial)
    for (x, y) in zip(x, y) {
      let expected = Self.exact(activation, Double(x))
      let bound = relative * expected.magnitude
      #expect(abs(Double(y) - expected) <= bound, "\(activation.name) at \(x)")
    }
  }

  @Test(arguments: Activation.everyKind)
  func everyLengthGivesTheSameBits(_ activation: Activation) {
    let x = (0..<40).map { Float(($0 * 17) % 41 - 20) / 4 }
    let dy = x.map { 1 - $0 }
    func run(_ count: Int) -> (y: [UInt32], dx: [UInt32]) {
      var y = [Float](repeating: 77, count: 40)
      var dx = y
      Elementwise.activate(activation, x, into: &y, count: count, parallelism: .serial)
      Elementwise.activationGradient(
        activation, dy, from: x, into: &dx, count: count, parallelism: .serial)
      return (y.map(\.bitPattern), dx.map(\.bitPattern))
    }
    let whole = run(40)
    let untouched = Float(77).bitPattern
    for count in 1...39 {
      let part = run(count)
      #expect(part.y == whole.y.prefix(count) + Array(repeating: untouched, count: 40 - count))
      #expect(part.dx == whole.dx.prefix(count) + Array(repeating: untouched, count: 40 - count))
    }
  }
}
