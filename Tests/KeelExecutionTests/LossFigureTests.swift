import Foundation
import KeelGraph
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// A loss as PyTorch computes it in double, with its gradients.
struct LossFigure: Decodable, Sendable, CustomTestStringConvertible {
  struct Operand: Decodable, Sendable {
    let shape: [Int]
    let floats: [Double]?
    let labels: [Int64]?
  }
  let name: String
  let kind: String
  let parameters: [String: Double]
  let weighted: Bool
  let reduction: String
  let operands: [Operand]
  let cotangent: [Double]
  let value: [Double]
  let gradients: [[Double]]

  var testDescription: String { name }

  static let all: [LossFigure] = try! String(decoding: Figures.data("losses.jsonl"), as: UTF8.self)
    .split(separator: "\n").map { try JSONDecoder().decode(LossFigure.self, from: Data($0.utf8)) }

  func loss() throws -> Loss {
    Loss(
      try lossKind(), reduction: try #require(Loss.Reduction(rawValue: reduction)),
      hasWeights: weighted)
  }

  private func lossKind() throws -> Loss.Kind {
    func number(_ name: String) -> Float { Float(parameters[name] ?? 0) }
    let ignoring = parameters["ignoring"].map { Int64($0) }
    return switch kind {
    case "squaredError": .squaredError
    case "absoluteError": .absoluteError
    case "smoothL1": .smoothL1(beta: number("beta"))
    case "huber": .huber(delta: number("delta"))
    case "negativeLogLikelihood": .negativeLogLikelihood(ignoring: ignoring)
    case "crossEntropy": .crossEntropy(smoothing: number("smoothing"), ignoring: ignoring)
    case "softCrossEntropy": .softCrossEntropy(smoothing: number("smoothing"))
    case "logistic": .logistic
    case "binaryCrossEntropy": .binaryCrossEntropy
    case "binaryFocal":
      .binaryFocal(gamma: number("gamma"), alpha: parameters["alpha"].map { Float($0) })
    case "focal": .focal(gamma: number("gamma"), ignoring: ignoring)
    case "klDivergence": .klDivergence
    case "marginRanking": .marginRanking(margin: number("margin"))
    case "entropy": .entropy
    default: try #require(kind == "minimumEntropyConsensus" ? .minimumEntropyConsensus : nil)
    }
  }

  /// The operands, the gradient of the loss last.
  func values(_ loss: Loss) throws -> [ReferenceValue] {
    var result: [ReferenceValue] = try operands.map { operand in
      if let labels = operand.labels {
        .int64(try IndexTensor(labels, shape: Shape(operand.shape)))
      } else {
        .real(try DoubleTensor(operand.floats ?? [], shape: Shape(operand.shape)))
      }
    }
    let shape = operands[0].shape
    let own = loss.reduction != .none ? [] : loss.isAlongRows ? Array(shape.dropLast()) : shape
    result.append(.real(try DoubleTensor(cotangent, shape: Shape(own))))
    return result
  }
}

/// Class golden: losses and gradients against PyTorch, of the Double reference and of the kernels.
@Suite struct LossFigureTests {
  @Test func thereAreFigures() {
    #expect(LossFigure.all.count > 150)
    #expect(Set(LossFigure.all.map(\.kind)).count == 15)
  }

  @Test(arguments: LossFigure.all)
  func asInPyTorch(_ figure: LossFigure) throws {
    let loss = try figure.loss()
    let values = try figure.values(loss)
    let floats: [TensorValue] = values.map {
      switch $0 {
      case .real(let tensor): .float32(Tensor(rounding: tensor))
      case .int64(let tensor): .int64(tensor)
      case .bool(let tensor): .bool(tensor)
      }
    }
    let operands = Array(values.dropLast())
    let value = try evaluate(.loss(loss), operands)[0]
    let expected = try DoubleTensor(figure.value, shape: value.shape)
    expectClose(value, expected, bound: 1e-10, figure.name)
    expectClose(
      try apply(.loss(loss), Array(floats.dropLast())), expected,
      bound: Tolerance.reduction(length: operands[0].shape.elementCount), figure.name)

    // The other side of a symmetric loss has the gradient of the operands changed about.
    for (side, figures) in figure.gradients.enumerated() {
      let isSwapped = loss.gradientCount == 1 && side == 1
      func order<T>(_ v: [T]) -> [T] { isSwapped ? [v[1], v[0]] + v.dropFirst(2) : v }
      let result = loss.gradientCount == 1 ? 0 : side
      let gradient = try evaluate(.lossGradient(loss), order(values))[result]
      let expected = try DoubleTensor(figures, shape: gradient.shape)
      expectClose(gradient, expected, bound: 1e-10, scale: 1, "\(figure.name), side \(side)")
      let actual = try apply(.lossGradient(loss), order(floats), result: result)
      expectClose(
        actual, expected, bound: Tolerance.elementwise, scale: max(1, expected.largestMagnitude),
        "\(figure.name), side \(side)")
    }
  }
}
