import KeelExecution
import KeelGraph
import KeelKernels
import KeelTensor
import KeelTestSupport
import Testing

/// Class identity: plans write into slices of concatenations what the interpreter copies, to the same bits.
@Suite struct ConcatenationSliceTests {
  /// A graph, and how many of its concatenations a plan still runs.
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let copies: Int
    let graph: @Sendable () throws -> Graph
    var testDescription: String { name }
  }

  static let cases: [Case] = [
    Case(name: "dense block", copies: 0) {
      try graph { writer, x in
        var parts = [try writer.convolution(x, sameGeometry(6, 3, 5), label: "first")]
        var joined = parts[0]
        for (index, channels) in [3, 8, 16, 7].enumerated() {
          let inputs = writer.channels(joined)
          let normed = try writer.norm(
            joined, epilogue: Epilogue(activation: .relu), label: "norm\(index)")
          let middle = try writer.convolution(
            normed, sameGeometry(6, inputs, 12, kernel: 1), bias: true, label: "narrow\(index)")
          parts.append(
            try writer.convolution(middle, sameGeometry(6, 12, channels), label: "grow\(index)"))
          joined = try writer.concatenation(parts)
        }
        return try writer.norm(joined, label: "last")
      }
    },
    Case(name: "nested the other way round", copies: 0) {
      try graph { writer, x in
        var joined = try writer.convolution(x, sameGeometry(6, 3, 5), label: "first")
        for index in 0..<3 {
          let next = try writer.convolution(
            joined, sameGeometry(6, writer.channels(joined), 4), label: "grow\(index)")
          joined = try writer.concatenation([next, joined])
        }
        return joined
      }
    },
    Case(name: "skip and up", copies: 0) {
      try graph { writer, x in
        let skip = try writer.convolution(x, sameGeometry(6, 3, 8), bias: true, label: "skip")
        let small = try writer.pooling(skip, .maximum, window: 2, stride: 2)
        let deep = try writer.convolution(small, sameGeometry(3, 8, 10), label: "deep")
        let up = try writer.transposedConvolution(
          deep,
          .transposed(
            inputs: [3, 3], inputChannels: 10, outputChannels: 7, kernel: [2, 2], stride: [2, 2]),
          bias: true, label: "up")
        let joined = try writer.concatenation([up, skip])
        return try writer.convolution(joined, sameGeometry(6, 15, 6), label: "last")
      }
    },
    Case(name: "branches of every kind", copies: 0) {
      try graph { writer, x in
        let y = try writer.convolution(x, sameGeometry(6, 3, 8), label: "first")
        let parts = [
          try writer.convolution(y, sameGeometry(6, 8, 1, kernel: 1), label: "pointwise"),
          try writer.convolution(y, sameGeometry(6, 8, 8, groups: 8), bias: true, label: "deep"),
          try writer.convolution(y, sameGeometry(6, 8, 6, groups: 2), label: "grouped"),
          try writer.pooling(y, .maximum, window: 3, stride: 1),
          try writer.pooling(y, .average(countsPadding: true), window: 3, stride: 1),
          try writer.norm(y, epilogue: Epilogue(activation: .relu), label: "norm"),
        ]
        let joined = try writer.concatenation(parts)
        let channels = writer.channels(joined)
        let wide = try writer.convolution(
          joined, sameGeometry(6, channels, channels, groups: channels), label: "depthwise")
        return try writer.concatenation([
          writer.pooling(joined, .maximum, window: 3, stride: 1), wide,
        ])
      }
    },
    Case(name: "residual of a slice", copies: 0) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 8), label: "a")
        let b = try writer.convolution(a, sameGeometry(6, 8, 8), label: "b")
        let weight = writer.builder.weight("c.weight", writer.numbers([8, 3, 3, 8]))
        let c = try writer.builder.append(
          .convolution(sameGeometry(6, 8, 8), Epilogue(hasResidual: true, activation: .silu)),
          [b, weight, a])[0]
        let d = try writer.norm(
          c, epilogue: Epilogue(hasResidual: true), residual: b, label: "d")
        return try writer.concatenation([a, b, c, d])
      }
    },
    Case(name: "a dense residual of a slice, and a slice for a dense result", copies: 0) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 8), label: "a")
        let dense = try writer.activation(
          .tanh, writer.convolution(x, sameGeometry(6, 3, 8), label: "d"))
        let weight = writer.builder.weight("w", writer.numbers([8, 3, 3, 8]))
        let epilogue = Primitive.convolution(
          try sameGeometry(6, 8, 8), Epilogue(hasResidual: true, activation: .relu))
        let b = try writer.builder.append(epilogue, [a, weight, dense])[0]
        writer.builder.output("c", try writer.builder.append(epilogue, [dense, weight, a])[0])
        let d = try writer.norm(
          a, epilogue: Epilogue(hasResidual: true), residual: dense, label: "n")
        writer.builder.output(
          "e",
          try writer.norm(dense, epilogue: Epilogue(hasResidual: true), residual: a, label: "m"))
        return try writer.concatenation([a, b, d])
      }
    },
    // The sum may be written over neither: its second operand is a part of its first.
    Case(name: "a result and a part of it", copies: 0) {
      try graph { writer, x in
        let one = Movement([.slice(start: 0, count: 1, step: 1), .whole, .whole, .whole])
        let image = try writer.builder.append(.movement(one), [x])[0]
        let a = try writer.convolution(image, sameGeometry(6, 3, 4), label: "a")
        let b = try writer.convolution(image, sameGeometry(6, 3, 4), label: "b")
        return try writer.add(writer.concatenation([a, b], axis: 0), a)
      }
    },
    Case(name: "an operand twice", copies: 1) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 8), label: "a")
        let b = try writer.convolution(x, sameGeometry(6, 3, 3), label: "b")
        return try writer.concatenation([a, b, a])
      }
    },
    Case(name: "an operand that is an output", copies: 1) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 8), label: "a")
        writer.builder.output("a", a)
        let b = try writer.convolution(a, sameGeometry(6, 8, 3), label: "b")
        return try writer.concatenation([b, a])
      }
    },
    Case(name: "an operand that is an input", copies: 1) {
      try graph { writer, x in
        let b = try writer.convolution(x, sameGeometry(6, 3, 5), label: "b")
        return try writer.concatenation([x, b])
      }
    },
    Case(name: "operands that others must find dense", copies: 1) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 8), label: "a")
        let b = try writer.convolution(x, sameGeometry(6, 3, 8), label: "b")
        let sum = try writer.add(a, b)
        let c = try writer.convolution(sum, sameGeometry(6, 8, 9), label: "c")
        return try writer.concatenation([a, b, c])
      }
    },
    Case(name: "a result within another that must be dense", copies: 1) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 5), label: "a")
        let b = try writer.convolution(a, sameGeometry(6, 5, 3), label: "b")
        let sigmoid = try writer.activation(.sigmoid, writer.concatenation([a, b]))
        let c = try writer.convolution(sigmoid, sameGeometry(6, 8, 9), label: "c")
        return try writer.concatenation([a, b, c])
      }
    },
    Case(name: "two concatenations of one operand", copies: 1) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 4), label: "a")
        let b = try writer.convolution(x, sameGeometry(6, 3, 5), label: "b")
        let c = try writer.convolution(x, sameGeometry(6, 3, 5), label: "c")
        writer.builder.output("other", try writer.concatenation([b, a]))
        return try writer.concatenation([a, c])
      }
    },
    Case(name: "reshaped operand and result", copies: 1) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 4), label: "a")
        let b = try writer.builder.append(.reshape([.fixed(2), 6, 6, 4]), [a])[0]
        let c = try writer.convolution(x, sameGeometry(6, 3, 2), label: "c")
        let joined = try writer.concatenation([b, c])
        return try writer.builder.append(.reshape([.fixed(2), .fixed(216)]), [joined])[0]
      }
    },
    Case(name: "along the rows of images", copies: 2) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 4), label: "a")
        let b = try writer.convolution(x, sameGeometry(6, 3, 4), label: "b")
        let tall = try writer.concatenation([a, b], axis: 1)
        let c = try writer.builder.append(.concatenation(axis: 1), [b, a])[0]
        return try writer.concatenation([tall, c])
      }
    },
    Case(name: "along the first axis", copies: 0) {
      try graph { writer, x in
        let a = try writer.convolution(x, sameGeometry(6, 3, 4), label: "a")
        let b = try writer.activation(
          .tanh, writer.convolution(x, sameGeometry(6, 3, 4), label: "b"))
        let c = try writer.convolution(x, sameGeometry(6, 3, 3), label: "c")
        let d = try writer.convolution(x, sameGeometry(6, 3, 3), label: "d")
        let images = try writer.concatenation([a, b], axis: 0)
        let others = try writer.concatenation([c, d], axis: 0)
        return try writer.concatenation([writer.norm(images, label: "n"), others])
      }
    },
  ]

  /// A graph on two images of 6×6 pixels, three channels each.
  private static func graph(
    _ body: (inout NetworkWriter, ValueID) throws -> ValueID
  ) throws -> Graph {
    var writer = NetworkWriter(seed: 71)
    let x = writer.builder.input("x", ValueType([2, 6, 6, 3]))
    writer.builder.output("y", try body(&writer, x))
    return try writer.builder.finish()
  }

  @Test(arguments: cases, [1, 2])
  func planEqualsInterpreter(_ test: Case, threads: Int) throws {
    let graph = try test.graph()
    let inputs = try graph.randomInputs(seed: 72)
    let expected = try Interpreter(graph, parallelism: .serial).run(inputs).outputs
    for weights in [PlanOptions.Weights.constant, .variable] {
      let plan = try Plan(
        graph, inputShapes: inputs.mapValues(\.shape),
        options: PlanOptions(threads: threads, weights: weights, exact: true))
      let workspace = plan.makeWorkspace()
      for (name, value) in inputs { try workspace.setInput(name, value) }
      for _ in 0..<2 {
        try plan.run(workspace)
        for (name, value) in expected {
          #expect(try workspace.output(name).bits == value.bits, "\(weights), \(name)")
        }
      }
      let copies = (0..<plan.stepCount).filter { plan.stepName($0).hasPrefix("concatenation") }
      #expect(copies.count == test.copies, "\(weights)")
    }
  }

  /// The arena holds the widest result of a dense block and what is made beside it, no second copy.
  @Test func memoryOfADenseBlock() throws {
    let graph = try Self.cases[0].graph()
    let plan = try Plan(graph, inputShapes: ["x": [2, 6, 6, 3]])
    // 39 channels, and 12 between the convolutions of a layer, whose norm is done by the first of them.
    #expect(plan.arenaByteCount == [39, 12].reduce(0) { $0 + ArenaLayout.aligned(288 * $1) })
  }

  /// Random graphs of operations that read or write slices, and some that do not.
  @Test(arguments: Array(1...300) as [UInt64])
  func randomGraphs(seed: UInt64) throws {
    let graph = try RandomConcatenations.graph(seed: seed)
    let inputs = try graph.randomInputs(seed: seed)
    let expected = try Interpreter(graph, parallelism: .serial).run(inputs).outputs
    for weights in [PlanOptions.Weights.constant, .variable] {
      let plan = try Plan(
        graph, inputShapes: inputs.mapValues(\.shape),
        options: PlanOptions(threads: 1, weights: weights, exact: true))
      expectSameBits(try plan(inputs), expected, "seed \(seed), \(weights)")
    }
  }
}

/// Random graphs with many concatenations, of one another's operands too.
private struct RandomConcatenations {
  private var random: RandomSource
  private var writer: NetworkWriter
  private var values: [ValueID] = []

  static func graph(seed: UInt64) throws -> Graph {
    var made = RandomConcatenations(
      random: RandomSource(seed: seed), writer: NetworkWriter(seed: seed))
    return try made.graph()
  }

  private func shape(_ value: ValueID) -> [Int] {
    writer.builder.graph.type(of: value).extents.map { $0.fixedValue! }
  }

  private mutating func pick(_ from: [ValueID]) -> ValueID {
    random.below(2) == 0 ? from[from.count - 1] : from[random.below(from.count)]
  }

  private mutating func graph() throws -> Graph {
    let channels = 1 + random.below(9)
    values.append(
      writer.builder.input(
        "x", ValueType([.fixed(1 + random.below(2)), 4, 5, .fixed(channels)])))
    for index in 0..<4 + random.below(14) { values.append(try node(index)) }
    writer.builder.output("last", values[values.count - 1])
    for (index, value) in values.enumerated() where random.below(8) == 0 {
      writer.builder.output("value \(index)", value)
    }
    return try writer.builder.finish()
  }

  private mutating func node(_ index: Int) throws -> ValueID {
    let x = pick(values)
    let extents = shape(x)
    let channels = extents[3]
    switch random.below(9) {
    case 0, 1, 2: return try concatenation(x)
    case 3:
      return try writer.pooling(
        x, [.maximum, .l2][random.below(2)], window: 3, stride: 1)
    case 4:
      return try writer.norm(
        x, epilogue: Epilogue(activation: random.below(2) == 0 ? .relu : nil), label: "n\(index)")
    case 5 where random.below(2) == 0:
      let fitting = values.filter { shape($0) == extents }
      return try writer.add(x, pick(fitting))
    case 6 where random.below(2) == 0: return try writer.activation(.tanh, x)
    case 6:
      let extents = [extents[0], extents[2], extents[1], channels]
      let first = try writer.builder.append(.reshape(extents.map(Extent.fixed)), [x])[0]
      return try writer.builder.append(.reshape(shape(x).map(Extent.fixed)), [first])[0]
    default:
      let isDepthwise = random.below(4) == 0
      let size = 1 + 2 * random.below(2)
      return try writer.convolution(
        x,
        ConvolutionGeometry(
          inputHeight: extents[1], inputWidth: extents[2], inputChannels: channels,
          outputChannels: isDepthwise ? channels : 1 + random.below(20), kernel: (size, size),
          padding: (size / 2, size / 2), groups: isDepthwise ? channels : 1),
        bias: random.below(2) == 0, label: "c\(index)")
    }
  }

  private mutating func concatenation(_ x: ValueID) throws -> ValueID {
    let axis = [3, 3, 3, 0, 1][random.below(5)]
    let fitting = values.filter {
      var (a, b) = (shape($0), shape(x))
      (a[axis], b[axis]) = (0, 0)
      return a == b
    }
    var operands = [x]
    for _ in 0..<random.below(4) { operands.append(pick(fitting)) }
    if random.below(2) == 0 { operands.reverse() }
    let total = operands.reduce(0) { $0 + shape($1)[axis] }
    return total <= 60 ? try writer.concatenation(operands, axis: axis) : x
  }
}

extension NetworkWriter {
  fileprivate func channels(_ value: ValueID) -> Int {
    builder.graph.type(of: value).channelCount!
  }

  /// A square window; of stride 1 it keeps height and width.
  fileprivate mutating func pooling(
    _ x: ValueID, _ kind: PoolingGeometry.Kind, window: Int, stride: Int
  ) throws -> ValueID {
    let extents = builder.graph.type(of: x).extents.map { $0.fixedValue! }
    let padding = stride == 1 ? window / 2 : 0
    let geometry = try PoolingGeometry(
      kind, inputHeight: extents[1], inputWidth: extents[2], channels: extents[3],
      window: (window, window), stride: (stride, stride), padding: (padding, padding))
    return try builder.append(.pooling(geometry), [x], label: "pooling")[0]
  }
}
