import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

private func parameter() -> Parameter { Parameter(Tensor(zeros: [1])) }

private struct Layer {
  var weight = parameter()
  var bias: Parameter? = parameter()
  var size = 3
}

private class Base { let first = parameter() }
private final class Derived: Base { let second = parameter() }

@Suite struct ParameterTests {
  private func paths(_ model: Any) -> [String] {
    ParameterNaming.parameters(of: model).map(\.path)
  }

  @Test func propertiesInOrder() {
    #expect(paths(Layer()) == ["weight", "bias"])
    #expect(paths(Layer(bias: nil)) == ["weight"])
  }

  @Test func arraysOptionalsAndNesting() {
    struct Block {
      var conv1 = Layer(bias: nil)
      var shortcut: Layer?
    }
    struct Network {
      var stem = Layer()
      var stages = [[Block(), Block(shortcut: Layer())], [Block()]]
      var heads: [Parameter?] = [nil, parameter()]
      var layers: [any Sendable] = [parameter()]
    }
    #expect(
      paths(Network()) == [
        "stem.weight", "stem.bias", "stages.0.0.conv1.weight", "stages.0.1.conv1.weight",
        "stages.0.1.shortcut.weight", "stages.0.1.shortcut.bias", "stages.1.0.conv1.weight",
        "heads.1", "layers.0",
      ])
  }

  @Test func tuplesAndSuperclasses() {
    struct Pair {
      var both = (parameter(), parameter())
      var named = (left: parameter(), right: parameter())
    }
    #expect(paths(Pair()) == ["both.0", "both.1", "named.left", "named.right"])
    #expect(paths(Derived()) == ["first", "second"])
  }

  @Test func sharedParameterHasItsFirstPath() throws {
    struct Tied {
      var encoder: Layer
      var decoder: Layer
    }
    let shared = parameter()
    let model = Tied(encoder: Layer(weight: shared), decoder: Layer(weight: shared))
    #expect(paths(model) == ["encoder.weight", "encoder.bias", "decoder.bias"])
    #expect(ParameterNaming.parameters(of: model)[0].parameter === shared)
  }

  @Test func sizesBelowOneAreKeptAsFailure() {
    let bad = Parameter(shape: [3, 0]) { Tensor(zeros: $0) }
    #expect(bad.failure?.kind == .argument && bad.failure?.found == "3×0")
    let negative = Parameter(shape: [-3, -1]) { Tensor(zeros: $0) }
    #expect(negative.failure?.found == "-3×-1")
    let good = Parameter(shape: [3, 2]) { Tensor(repeating: 1, shape: $0) }
    #expect(good.failure == nil && good.value == Tensor(repeating: 1, shape: [3, 2]))
  }

  @Test func valueIsReplaced() {
    let parameter = parameter()
    let before = parameter.value
    parameter.value = Tensor(repeating: 5, shape: [1])
    #expect(parameter.value[0] == 5 && before[0] == 0)
  }
}
