import KeelGraph
import KeelLayers
import KeelTensor
import Testing

@Suite struct PathTests {
  @Test func pathsArePropertyNamesAndPositions() {
    struct Net: Layer {
      let stem: Conv2d
      let bn1 = BatchNorm(4)
      let plain = BatchNorm(4, affine: false)
      let tail: Sequential
      func callAsFunction(_ x: Variable) -> Variable { tail(plain(bn1(stem(x)))) }
    }
    var source = RandomSource(seed: 1)
    let net = Net(
      stem: Conv2d(1, 4, kernel: 3, bias: false, using: &source),
      tail: Sequential(
        ReLU(), Sequential(GlobalAveragePool(), Linear(4, 2, using: &source))))
    #expect(
      net.parameters.map(\.path) == [
        "stem.weight", "bn1.scale", "bn1.shift", "bn1.runningMean", "bn1.runningVariance",
        "plain.runningMean", "plain.runningVariance", "tail.1.1.weight", "tail.1.1.bias",
      ])
    #expect(net.trainableCount == 36 + 8 + 10)
  }

  @Test func superclassesPayloadsAndRings() {
    class Base: @unchecked Sendable {
      let first = Parameter([1])
      weak var owner: Holder?
    }
    class Middle: Base, @unchecked Sendable { let second = Parameter([1]) }
    final class Leaf: Middle, @unchecked Sendable { let third = Parameter([1]) }
    enum Head {
      case none
      case pair(Parameter)
    }
    final class Holder: @unchecked Sendable {
      let leaf = Leaf()
      let again: Leaf
      let heads = [Head.none, .pair(Parameter([1]))]
      let named = ["a": Parameter([1])]
      init() {
        again = leaf
        leaf.owner = self
      }
    }
    #expect(
      ParameterNaming.parameters(of: Holder()).map(\.path)
        == ["leaf.first", "leaf.second", "leaf.third", "heads.1.pair"])
  }

  @Test func updatesOfParametersOutsideTheModel() throws {
    let trace = Trace(model: (), mode: .training)
    let state = Parameter([2], role: .state)
    let variable = trace.variable(state)
    trace.update(state, variable.relu())
    #expect(try trace.finish().updates.map(\.weight) == ["parameter 0"])
    let unused = Trace(model: (), mode: .training)
    unused.update(Parameter([2]), unused.input("x", ValueType([2])))
    #expect(try unused.finish().updates.map(\.weight) == ["parameter 0"])
  }
}

extension Parameter {
  fileprivate convenience init(_ shape: Shape, role: Graph.Weight.Role = .trainable) {
    self.init(Tensor(zeros: shape), role: role)
  }
}
