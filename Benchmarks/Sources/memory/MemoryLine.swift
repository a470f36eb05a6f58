import BenchmarkHarness
import Keel

/// One kernel on images of 64×64 positions and 64 channels: 1 MiB each, so that a tensor's size is set
/// by the batch.
struct MemoryLine: Sendable {
  /// Height, width and channels of an image.
  static let side = 64

  /// The kernel's name in tables.
  let name: String
  /// Floats read and written for each float of an image.
  let reads: Double
  let writes: Double
  /// The operation, and the shapes of its operands for a batch; the first is named `x`.
  let primitive: Primitive
  let operands: @Sendable (_ batch: Int) -> [Shape]
  /// An element of the result, in Double, from the operands and the element's flat index.
  let expected: @Sendable (_ operands: [Tensor], _ index: Int) -> Double

  /// Checks and times the kernel on tensors of a size.
  func measure(bytes: Int, threads: Int, sampling: Sampling) throws -> LineResult {
    let batch = max(1, bytes >> 20)
    let tensors = operands(batch).enumerated().map { position, shape in
      Self.tensor(shape, seed: UInt64(position + 1))
    }
    var builder = GraphBuilder()
    var values: [ValueID] = []
    var inputs: [String: Tensor] = [:]
    for (position, tensor) in tensors.enumerated() {
      values.append(builder.input("operand \(position)", ValueType(shape: tensor.shape)))
      inputs["operand \(position)"] = tensor
    }
    builder.output("y", try builder.append(primitive, values, label: name)[0])
    let graph = try PlannedGraph(builder.finish(), inputs: inputs, threads: threads)
    try graph.run()
    try check(graph.output(), tensors)

    let floats = Double(batch << 18)
    let floor = MemoryFloor(
      reads: Int(reads * floats), writes: Int(writes * floats), threads: threads)
    let comparison = try compare(
      [
        Contender("keel", consume: graph.checksum, body: graph.run),
        Contender("floor", consume: floor.checksum, body: floor.run),
      ], sampling: sampling)
    return LineResult(
      name, bytes: batch << 20, threads: threads, moved: (reads + writes) * floats * 4, comparison)
  }

  /// Compares a spread of elements with the formula.
  private func check(_ found: Tensor, _ operands: [Tensor]) throws {
    var random = RandomSource(seed: 7)
    for index in [0, found.count - 1] + (0..<254).map({ _ in random.below(found.count) }) {
      let expected = expected(operands, index)
      let error = abs(Double(found[flat: index]) - expected) / max(1, abs(expected))
      guard error <= 1e-5 else {
        throw Mismatch(
          description: "\(name): element \(index) is \(found[flat: index]), expected \(expected)")
      }
    }
  }

  /// Random numbers, those of 1 MiB again and again: filling large tensors would take longer than
  /// measuring them.
  private static func tensor(_ shape: Shape, seed: UInt64) -> Tensor {
    var random = RandomSource(seed: seed)
    let count = shape.elementCount
    let pattern = Tensor(
      uniform: [min(count, side * side * side)], from: -3, to: 3, using: &random
    ).elements
    var elements: [Float] = []
    elements.reserveCapacity(count)
    while elements.count < count {
      elements.append(contentsOf: pattern.prefix(count - elements.count))
    }
    return try! Tensor(elements, shape: shape)
  }
}
