import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Class golden: values of the activations by hand, and what they do at the ends.
@Suite struct ActivationTests {
  @Test(
    arguments: [
      (.sigmoid, 0, 0.5, 0.25), (.tanh, 0, 0, 1),
      (.tanh, 1, 0.7615941559557649, 0.4199743416140261),
      (.leakyReLU(slope: 0.125), -2, -0.25, 0.125), (.leakyReLU(slope: 0.125), 2, 2, 1),
      (.elu(alpha: 1), -1, -0.6321205588285577, 0.36787944117144233), (.elu(alpha: 2), 0, 0, 2),
      (.selu, 1, 1.0507009873554805, 1.0507009873554805),
      (.selu, -1, -1.1113307378125625, 0.646768603034814),
      (.softplus, 0, 0.6931471805599453, 0.5), (.softplus, 1000, 1000, 1),
      (.gelu(.exact), 0, 0, 0.5), (.gelu(.exact), 1, 0.8413447460685429, 1.0833154705876864),
      (.gelu(.tanh), 0, 0, 0.5), (.gelu(.tanh), 1, 0.8411919906082768, 1.0829640838457826),
      (.silu, 0, 0, 0.5), (.silu, 1, 0.7310585786300049, 0.9276705118714867),
      (.hardSigmoid, 0, 0.5, 1.0 / 6), (.hardSigmoid, 4, 1, 0), (.hardSigmoid, -4, 0, 0),
      (.hardSwish, 1, 2.0 / 3, 5.0 / 6), (.hardSwish, 4, 4, 1), (.hardSwish, -4, 0, 0),
      (.clip(low: 0, high: 6), 7, 6, 0), (.clip(low: 0, high: 6), 5, 5, 1),
      (.clip(low: 0, high: 6), 0, 0, 0), (.clip(low: 0, high: 6), -1, 0, 0), (.relu, 0, 0, 0),
    ] as [(Activation, Double, Double, Double)])
  func handValues(_ activation: Activation, x: Double, y: Double, slope: Double) throws {
    let x = try DoubleTensor([x], shape: [1])
    let found = try evaluate(.activation(activation), [x])[0]
    #expect(abs(found[flat: 0] - y) <= 1e-13)
    let value = activation.gradientOperand == .input ? x : found
    let dx = try evaluate(
      .activationGradient(activation), [DoubleTensor(repeating: 3, shape: [1]), value])[0]
    #expect(abs(dx[flat: 0] - 3 * slope) <= 1e-12)
  }

  @Test(arguments: Activation.everyKind)
  func nanPassesThrough(_ activation: Activation) throws {
    let y = try evaluate(.activation(activation), [DoubleTensor([.nan], shape: [1])])[0]
    #expect(y[flat: 0].isNaN)
  }
}
