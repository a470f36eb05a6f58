import CAllocationCounter
import KeelExecution
import KeelGraph
import KeelKernels
import KeelLayers
import KeelTensor
import KeelTestSupport
import Testing

/// Class allocation: running a plan allocates nothing.
///
/// Counted on the calling thread, so that other tests do not count. With one thread that is everything,
/// and it is none. With more, the tasks that other threads take run the same closures as with one; the
/// caller allocates what it takes to hand a closure to Dispatch, which `allocationsOfARegion` bounds.
///
/// OpenBLAS's own path for small products (AVX-512 builds) allocates a buffer where 1 to 8 columns are
/// left over of blocks of 16 and sums have 16 terms or more; the networks here have none such.
@Suite(.enabled(if: keel_counts_allocations() != 0, "needs glibc"))
struct AllocationTests {
  /// The most that a step may allocate: Dispatch's share of a parallel region, four times (the input
  /// gradient of a convolution of stride 2 has a region for each class of pixels).
  private func limit(threads: Int) -> UInt { threads == 1 ? 0 : 4 * UInt(threads + 3) }

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let weights: PlanOptions.Weights
    let batch: Int
    let graph: @Sendable () throws -> Graph
    var testDescription: String { name }
  }

  private static let widths = [16, 32]

  static let cases: [Case] = [
    Case(name: "folded network", weights: .constant, batch: 16) {
      try PlanTests.residualNetwork(widths: widths).folded().graph
    },
    Case(name: "network as it is", weights: .constant, batch: 16) {
      try PlanTests.residualNetwork(widths: widths)
    },
    Case(name: "training", weights: .variable, batch: 16) {
      try PlanTests.residualNetwork(mode: .training, widths: widths).differentiated()
    },
    Case(name: "fused training", weights: .variable, batch: 64) {
      try PlanTests.residualNetwork(mode: .training, widths: widths).fused().graph.differentiated()
    },
    Case(name: "training with gathered moments", weights: .variable, batch: 64) {
      try PlanTests.residualNetwork(mode: .training, widths: widths).fused().graph.differentiated()
        .gatheringMoments()
    },
    Case(name: "every loss", weights: .variable, batch: 600) { try losses() },
    Case(name: "every operation", weights: .variable, batch: 8) { try everything() },
    Case(name: "every operation, large", weights: .variable, batch: 64) { try everything() },
    Case(name: "transposed, training", weights: .variable, batch: 8) { try transposed() },
    Case(name: "transposed, inference", weights: .constant, batch: 8) { try transposed() },
    Case(name: "movements", weights: .variable, batch: 8) { try movements() },
    Case(name: "selections", weights: .variable, batch: 40) { try selections() },
    Case(name: "normalizations", weights: .variable, batch: 8) { try normalizations() },
    Case(name: "slices and prologues", weights: .constant, batch: 2) {
      try ConcatenationSliceTests.cases[0].graph()
    },
    Case(name: "parts that are moved", weights: .constant, batch: 2) {
      try ReadThroughTests.joined(isSeen: false)
    },
    Case(name: "maxima along the way", weights: .constant, batch: 2) {
      try PooledConvolutionTests.graph(PooledConvolutionTests.cases[4], pools: true)
    },
    Case(name: "moments of tiles of 4×4", weights: .constant, batch: 2) {
      try GatheredMomentsTests.graph(GatheredMomentsTests.cases[1], norms: true)
    },
    Case(name: "moments of windows", weights: .constant, batch: 2) {
      try GatheredMomentsTests.graph(GatheredMomentsTests.cases[7], norms: true)
    },
    Case(name: "slices, and operands that are copied", weights: .constant, batch: 2) {
      try ConcatenationSliceTests.cases[5].graph()
    },
  ]

  @Test func theCounterCounts() {
    let before = keel_allocation_count()
    let tensor = Tensor(zeros: [100])
    #expect(keel_allocation_count() > before)
    withExtendedLifetime(tensor) {}
  }

  @Test(arguments: cases, [1, 2, 3])
  func runAllocatesNothing(_ test: Case, threads: Int) throws {
    let graph = try test.graph()
    let inputs = try graph.randomInputs(seed: 1, batch: test.batch, classes: 6)
    let plan = try Plan(
      graph, inputShapes: inputs.mapValues(\.shape),
      options: PlanOptions(threads: threads, weights: test.weights))
    let workspace = plan.makeWorkspace()
    for (name, value) in inputs { try workspace.setInput(name, value) }
    for _ in 0..<3 { try plan.run(workspace) }
    for index in 0..<plan.stepCount {
      let before = keel_allocation_count()
      try plan.runStep(index, workspace)
      let count = keel_allocation_count() - before
      #expect(count <= limit(threads: threads), "step \(index), \(plan.stepName(index))")
    }
    let before = keel_allocation_count()
    for _ in 0..<5 { try plan.run(workspace) }
    let count = keel_allocation_count() - before
    if threads == 1 { #expect(count == 0) }
  }

  /// Slices, paddings, resizings, concatenations and permutations, of integers too, and all gradients.
  private static func movements() throws -> Graph {
    var writer = NetworkWriter(seed: 54)
    let image = writer.builder.input("x", ValueType([8, 12, 13, 40]))
    func move(_ axes: AxisMovement..., of value: ValueID) throws -> ValueID {
      try writer.builder.append(.movement(Movement(axes)), [value])[0]
    }
    func resize(_ extent: Int, _ kind: Interpolation) -> AxisMovement {
      .resize(to: extent, kind, .halfPixel, scale: nil)
    }
    let small = try move(
      .whole, .slice(start: 1, count: 10, step: 1), .pad(before: -2, after: 1, .zeros),
      .slice(start: 0, count: 20, step: 2), of: image)
    let large = try move(.whole, resize(17, .linear), resize(19, .linear), .whole, of: small)
    let near = try move(
      .whole, resize(17, .nearest(.down)), resize(19, .nearest(.down)), .whole, of: small)
    let joined = try writer.builder.append(.concatenation(axis: 3), [large, near, large])[0]
    let padded = try move(
      .whole, .pad(before: 2, after: 3, .reflect), .pad(before: 4, after: 1, .circular), .whole,
      of: joined)
    let first = try writer.builder.append(.transpose(permutation: [0, 3, 1, 2]), [padded])[0]
    writer.builder.output(
      "y", try writer.builder.append(.transpose(permutation: [2, 1, 0, 3]), [first])[0])
    var labels = writer.builder.input("labels", ValueType(.int64, [240]))
    labels = try writer.builder.append(.reshape([8, 30]), [labels])[0]
    let part = try move(
      .pad(before: 1, after: 1, .zeros), .slice(start: 1, count: 9, step: 3), of: labels)
    let turned = try writer.builder.append(.transpose(permutation: [1, 0]), [part])[0]
    writer.builder.output(
      "z", try writer.builder.append(.concatenation(axis: 0), [turned, turned])[0])
    return try writer.builder.finish().contracted("y", seed: 55)
      .differentiated(contractedName, withRespectTo: .named(["x"]))
  }

  /// Transposed convolutions of images and volumes with their epilogues, and all gradients.
  private static func transposed() throws -> Graph {
    var writer = NetworkWriter(seed: 52)
    let image = writer.builder.input("x", ValueType([8, 6, 6, 24]))
    var x = try writer.transposedConvolution(
      image,
      .transposed(
        inputs: [6, 6], inputChannels: 24, outputChannels: 18, kernel: [3, 3], stride: [2, 2],
        padding: [1, 1], outputPadding: [1, 1], groups: 2), bias: true, label: "a")
    let skip = writer.builder.input("skip", ValueType([8, 12, 12, 18]))
    x = try writer.activation(.leakyReLU(), writer.add(x, skip))
    x = try writer.transposedConvolution(
      x,
      .transposed(
        inputs: [12, 12], inputChannels: 18, outputChannels: 18, kernel: [4, 4], stride: [2, 2],
        padding: [1, 1], groups: 18), bias: true, label: "b")
    x = try writer.builder.append(.reshape([8, 4, 6, 24, 18]), [x])[0]
    x = try writer.transposedConvolution(
      x,
      .transposed(
        inputs: [4, 6, 24], inputChannels: 18, outputChannels: 5, kernel: [3, 3, 2],
        stride: [1, 1, 2], padding: [1, 1, 0]), bias: true, label: "c")
    writer.builder.output("y", x)
    let names = writer.builder.graph.weights.map(\.name) + ["x", "skip"]
    return try writer.builder.finish().fused().graph.contracted("y", seed: 53)
      .differentiated(contractedName, withRespectTo: .named(names))
  }

  /// The sum of all losses and its gradient.
  private static func losses() throws -> Graph {
    var writer = NetworkWriter(seed: 52)
    let x = writer.builder.input("x", ValueType([.batch, 6]))
    let labels = writer.builder.input("labels", ValueType(.int64, [.batch]))
    let weights = writer.builder.weight("weights", writer.numbers([6]), role: .state)
    let y = try writer.linear(x, 6, 6, bias: true, label: "a")
    let target = try writer.builder.append(.softmax, [x])[0]
    var sum: ValueID?
    for kind in Loss.everyKind {
      let loss = Loss(kind, hasWeights: Loss(kind).canHaveWeights)
      var operands = [y, loss.takesLabels ? labels : target, weights]
      if case .marginRanking = kind { operands[2] = target }
      let value = try writer.builder.append(
        .loss(loss), Array(operands.prefix(loss.operandCount)))[0]
      sum = try sum.map { try writer.add($0, value) } ?? value
    }
    writer.builder.output("loss", sum!)
    return try writer.builder.finish().differentiated()
  }

  /// Depthwise, grouped, strided, padded and dilated convolutions, poolings, and all gradients.
  private static func everything() throws -> Graph {
    var writer = NetworkWriter(seed: 51)
    let image = writer.builder.input("x", ValueType([.batch, 12, 12, 6]))
    var x = try writer.convolution(image, sameGeometry(12, 6, 6, groups: 6), bias: true, label: "a")
    x = try writer.relu(x)
    let multiplied = try ConvolutionGeometry(
      inputHeight: 12, inputWidth: 12, inputChannels: 6, outputChannels: 18, kernel: (1, 5),
      padding: (0, 2), groups: 6)
    x = try writer.convolution(x, multiplied, label: "b")
    let strided = try ConvolutionGeometry(
      height: SpatialAxis(input: 12, window: 3, stride: 2, paddingBefore: 1),
      width: SpatialAxis(input: 12, window: 2, stride: 2, dilation: 2), inputChannels: 18,
      outputChannels: 26, groups: 2)
    x = try writer.convolution(x, strided, bias: true, label: "c")
    let size = (strided.height.output, strided.width.output)
    let deep = try ConvolutionGeometry(
      inputHeight: size.0, inputWidth: size.1, inputChannels: 26, outputChannels: 26,
      kernel: (5, 5), stride: (2, 2), padding: (2, 2), groups: 26)
    let branch = try writer.convolution(x, deep, label: "d")
    for kind in [PoolingGeometry.Kind.maximum, .average(countsPadding: false), .l2] {
      let pooling = try PoolingGeometry(
        kind, inputHeight: size.0, inputWidth: size.1, channels: 26, window: (3, 3),
        stride: (1, 1), padding: (1, 1))
      x = try writer.builder.append(.pooling(pooling), [x])[0]
    }
    let pointwise = try ConvolutionGeometry(
      inputHeight: size.0, inputWidth: size.1, inputChannels: 26, outputChannels: 26,
      kernel: (1, 1))
    x = try writer.add(writer.convolution(x, pointwise, label: "e"), x)
    let normalization = try Normalization(statistics: .current, recovery: .none)
    x = try writer.builder.append(.normalization(normalization), [x])[0]
    var logits: [ValueID] = []
    for (value, name) in [(x, "x"), (branch, "branch")] {
      let pooled = try writer.globalAverage(value)
      logits.append(try writer.linear(pooled, 26, 12, bias: true, label: "head.\(name)"))
    }
    let sum = try writer.add(logits[0], logits[1])
    writer.builder.output("y", try writer.builder.append(.softmax, [sum])[0])
    let labels = writer.builder.input("labels", ValueType(.int64, [.batch]))
    writer.builder.output(
      "loss", try writer.builder.append(.loss(Loss(.crossEntropy())), [sum, labels])[0])
    let names = writer.builder.graph.weights.map(\.name) + ["x"]
    return try writer.builder.finish().differentiated(withRespectTo: .named(names))
  }

  /// Rows of a table by index, a norm by them and by labels, and all gradients.
  private static func selections() throws -> Graph {
    var builder = GraphBuilder()
    var source = TensorSource(seed: 10)
    var x = builder.input("x", ValueType([.batch, 6, 300]))
    let labels = builder.input("labels", ValueType(.int64, [.batch]))
    let tables = ["scale", "shift"].map { builder.weight($0, source.normal([6, 300])) }
    let rows = try tables.map { try builder.append(.selection, [$0, labels])[0] }
    let normalization = try Normalization(
      partition: Partition(rows: .labels(6), channels: .each), statistics: .current,
      recovery: .init(.samples))
    x = try builder.append(.normalization(normalization), [x, labels] + rows)[0]
    let constant = try builder.append(.detachment, [x])[0]
    x = try builder.append(.arithmetic(.multiply), [x, constant])[0]
    builder.output(
      "loss", try builder.append(.reduction(Reduction(.mean, axes: [0, 1, 2])), [x])[0])
    return try builder.finish().differentiated()
  }

  /// Normalizations of every partition but those of labels, one after another, and moments apart.
  private static func normalizations() throws -> Graph {
    var builder = GraphBuilder()
    var source = TensorSource(seed: 9)
    var x = builder.input("x", ValueType([.batch, 6, 6, 20]))
    let partitions: [Partition] = [
      .batch, .instance, .layer, .position, .whole, .group(4),
      .init(rows: .axes([1]), channels: .each), .init(rows: .shards(2), channels: .each),
    ]
    for (i, partition) in partitions.enumerated() {
      let recovery = Normalization.Recovery(i % 2 == 0 ? .channels : .elements)
      let shape: Shape = i % 2 == 0 ? [20] : [6, 6, 20]
      let normalization = try Normalization(
        partition: partition, statistics: .current, recovery: recovery,
        epilogue: Epilogue(activation: .relu))
      let affine = ["scale", "shift"].map { builder.weight("\($0)\(i)", source.normal(shape)) }
      x = try builder.append(.normalization(normalization), [x] + affine)[0]
    }
    let tables = try [Partition.batch, .instance].map {
      try builder.append(.moments($0, isWeighted: false), [x])[0]
    }
    let weights = ["w", "v"].map { builder.weight($0, source.uniform([2])) }
    let mixed = try builder.append(
      .mixedMoments(MomentsMixture(.averaged, count: 2)), tables + weights)[0]
    let given = try Normalization(partition: .instance, statistics: .moments, recovery: .none)
    x = try builder.append(.normalization(given), [x, mixed])[0]
    builder.output(
      "loss", try builder.append(.reduction(Reduction(.mean, axes: [0, 1, 2, 3])), [x])[0])
    return try builder.finish().differentiated()
  }
}
