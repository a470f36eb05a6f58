import Foundation
import KeelExecution
import KeelGraph
import KeelTensor
import KeelTestSupport
import Synchronization
import Testing

/// Many threads run one plan at once, each with its workspace, and all get the same bits.
///
/// `make sanitize` runs these for a minute under the thread sanitizer.
@Suite struct ConcurrencyTests {
  /// How long: `KEEL_SOAK_SECONDS`, or half a second.
  private static let seconds =
    ProcessInfo.processInfo.environment["KEEL_SOAK_SECONDS"].flatMap(Double.init) ?? 0.5

  /// One plan of two threads, eight runs at once: there are fewer workers than runs want.
  @Test func onePlan() async throws {
    let graph = try PlanTests.residualNetwork(widths: [16, 32]).folded().graph
    let plan = try Plan(
      graph, inputShapes: ["x": [4, 8, 8, 1]], options: PlanOptions(threads: 2))
    let inputs = try graph.randomInputs(seed: 13, batch: 4)
    try await soak([(plan, inputs)])
  }

  /// Two layers of a dense block.
  private static func denseNetwork() throws -> Graph {
    var writer = NetworkWriter(seed: 19)
    let x = writer.builder.input("x", ValueType([.batch, 20, 20, 16]))
    var joined = x
    for (layer, channels) in [16, 32].enumerated() {
      let normed = try writer.norm(
        joined, epilogue: Epilogue(activation: .relu), label: "norm\(layer)")
      let narrow = try writer.convolution(
        normed, sameGeometry(20, channels, 64, kernel: 1), label: "narrow\(layer)")
      let grown = try writer.convolution(narrow, sameGeometry(20, 64, 16), label: "grow\(layer)")
      joined = try writer.concatenation([joined, grown])
    }
    writer.builder.output("y", joined)
    return try writer.builder.finish()
  }

  /// Plans of several batches that share their weights, each run by several threads: Winograd's two phases, slices of
  /// concatenations, norms done while reading.
  @Test func plansThatShareWeights() async throws {
    let graph = try Self.denseNetwork()
    let first = try Plan(
      graph, inputShapes: ["x": [2, 20, 20, 16]], options: PlanOptions(threads: 2))
    var work = [(first, try graph.randomInputs(seed: 17, batch: 2))]
    for batch in [1, 5] {
      let plan = try Plan(
        graph, inputShapes: ["x": [batch, 20, 20, 16]], options: first.options, sharing: first)
      work.append((plan, try graph.randomInputs(seed: 18, batch: batch)))
    }
    try await soak(work)
  }

  /// Runs plans on eight threads until the time is over.
  private func soak(_ work: [(plan: Plan, inputs: [String: TensorValue])]) async throws {
    let expected = try work.map { try $0.plan($0.inputs).mapValues(\.bits) }
    let end = ContinuousClock.now + .seconds(Self.seconds)
    let (wrong, runs) = (Counter(), Counter())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        let (plan, inputs) = work[task % work.count]
        let bits = expected[task % work.count]
        group.addTask {
          let workspace = plan.makeWorkspace()
          for (name, value) in inputs { try workspace.setInput(name, value) }
          // At least once: other tests may keep all threads busy until the time is over.
          repeat {
            try plan.run(workspace)
            runs.value.wrappingAdd(1, ordering: .relaxed)
            for (name, bits) in bits where try workspace.output(name).bits != bits {
              wrong.value.wrappingAdd(1, ordering: .relaxed)
            }
          } while ContinuousClock.now < end
        }
      }
      try await group.waitForAll()
    }
    #expect(wrong.value.load(ordering: .relaxed) == 0)
    #expect(runs.value.load(ordering: .relaxed) >= 8)
  }
}

private final class Counter: Sendable {
  let value = Atomic<Int>(0)
}
