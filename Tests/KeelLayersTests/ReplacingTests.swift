import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Layers in place of a graph's operations.
@Suite struct ReplacingTests {
  private func graph() throws -> Graph {
    var source = RandomSource(seed: 1)
    return try Graph(
      tracing: Sequential(
        Linear(4, 6, using: &source), ReLU(), Linear(6, 3, using: &source), Softmax()),
      input: [.batch, 4])
  }

  @Test func layerTakesTheOperationsPlace() throws {
    let graph = try graph()
    let label = try #require(graph.nodes.last { $0.primitive.name.hasPrefix("linear") }).label
    var source = RandomSource(seed: 2)
    let part = Sequential(Linear(6, 8, using: &source), Linear(8, 5, using: &source))
    let result = try graph.replacing(label, by: part, name: "head")
    #expect(result.type(of: result.outputs[0].value) == ValueType([.batch, 5]))
    #expect(
      result.nodes.map(\.primitive.name)
        == ["linear", "ReLU", "linear", "linear", "softmax"])
    #expect(result.weights.filter { $0.name.hasPrefix("head.") }.count == 4)
    #expect(!result.weights.contains { $0.name.hasPrefix("\(label).") })
  }

  @Test func mistakesAreErrors() throws {
    let graph = try graph()
    let label = try #require(graph.nodes.first).label
    var source = RandomSource(seed: 2)
    let layer = Linear(4, 6, using: &source)
    func fails(_ label: String, _ layer: Linear, _ name: String) -> KeelError? {
      do throws(KeelError) {
        _ = try graph.replacing(label, by: layer, name: name)
        return nil
      } catch { return error }
    }
    #expect(fails("nowhere", layer, "head")?.place == "nowhere")
    #expect(fails(label, layer, label)?.expected.contains("no weight") == true)
    // What comes behind takes 6 columns.
    #expect(fails(label, Linear(4, 5, using: &source), "head")?.kind == .shape)
    #expect(fails(label, Linear(3, 6, using: &source), "head")?.kind == .shape)
  }
}
