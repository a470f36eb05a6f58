import KeelGraph
import KeelTensor
import KeelTestSupport

/// Cases at the sizes where kernels change their way: vector widths 4, 8 and 16, blocks of several
/// vectors, GEMM panels of 64, tiles, chunks of 256 rows, and enough work for two threads.
enum KernelCases {
  static let convolutions: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    func add(
      _ size: Int, _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
      dilation: Int = 1, groups: Int = 1, batch: Int = 2, epilogue: Epilogue = Epilogue()
    ) {
      let geometry = try! ConvolutionGeometry(
        inputHeight: size, inputWidth: size + 1, inputChannels: inputs, outputChannels: outputs,
        kernel: (kernel, kernel), stride: (stride, stride), padding: (padding, padding),
        dilation: (dilation, dilation), groups: groups)
      cases.append(.convolution("\(geometry), batch \(batch)", geometry, epilogue, batch: batch))
    }
    let full = Epilogue(hasBias: true, hasResidual: true, activation: .relu)
    for channels in [1, 3, 15, 16, 17, 31, 64, 65] {
      add(9, channels, 20, kernel: 3, padding: 1)
      add(6, 12, channels, kernel: 3, stride: 2, padding: 1, epilogue: full)
      add(7, channels, 33, kernel: 1, epilogue: full)
      if channels > 1 {
        add(8, channels, channels, kernel: 3, padding: 1, groups: channels, epilogue: full)
        add(9, channels, channels, kernel: 5, stride: 2, padding: 2, groups: channels)
      }
    }
    // Depthwise windows that are flat or narrow, with strides that leap over their rows.
    for kernel in [(1, 3), (3, 1), (2, 5), (1, 7), (5, 3)] {
      for stride in [1, 2] {
        let geometry = try! ConvolutionGeometry(
          inputHeight: 9, inputWidth: 12, inputChannels: 37, outputChannels: 37, kernel: kernel,
          stride: (stride, stride), padding: (kernel.0 / 2, kernel.1 / 2), groups: 37)
        cases.append(.convolution("\(geometry), depthwise \(kernel)", geometry, full, batch: 2))
      }
    }
    add(7, 130, 140, kernel: 3, padding: 1, batch: 3)
    add(5, 48, 200, kernel: 3, padding: 1, batch: 1, epilogue: full)
    add(28, 32, 48, kernel: 3, padding: 1, batch: 2, epilogue: full)
    add(20, 3, 64, kernel: 7, stride: 2, padding: 3, batch: 2)
    add(17, 24, 36, kernel: 3, stride: 3, padding: 2, dilation: 2, groups: 3, batch: 2)
    add(24, 64, 96, kernel: 1, stride: 2, batch: 3)
    add(3, 512, 512, kernel: 3, padding: 1, batch: 1)
    add(33, 96, 96, kernel: 3, padding: 1, groups: 96, batch: 4)
    add(12, 8, 8, kernel: 9, padding: 4, groups: 8, batch: 1)
    return cases
  }()

  static let normalizations: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    let full = Epilogue(hasResidual: true, activation: .relu)
    for (shape, name) in [
      ([255, 7] as Shape, "255×7"), ([257, 16], "257×16"), ([16, 33], "16×33"),
      ([17, 64], "17×64"), ([600, 65], "600×65"), ([4, 31, 30, 20], "image"),
      ([9000, 130], "several tasks"), ([6, 3], "few rows"),
    ] {
      for statistics in [Normalization.Statistics.current, .given] {
        for epilogue in [Epilogue(), Epilogue(activation: .relu), full] {
          cases.append(
            .normalization(
              "\(name), \(statistics), \(epilogue)", shape,
              try! Normalization(statistics: statistics, epilogue: epilogue)))
        }
      }
    }
    return cases
  }()

  /// Partitions on several tasks and chunks, around vector widths, and on work for two threads.
  static let largePartitions: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    let full = Epilogue(hasResidual: true, activation: .relu)
    let partitions: [(String, Partition)] = [
      ("instance", .instance), ("layer", .layer), ("position", .position), ("whole", .whole),
      ("groups", .group(4)), ("position groups", .init(rows: .position, channels: .groups(4))),
      ("shards", .init(rows: .shards(3), channels: .each)),
      ("columns", .init(rows: .axes([2]), channels: .each)),
      ("labels of samples", .init(rows: .labels(3), channels: .groups(2))),
      ("labels of positions", .init(rows: .labels(3), channels: .each)),
    ]
    for (name, partition) in partitions {
      for shape in [[5, 17, 18, 20], [8, 33, 34, 64], [3, 9, 9, 132], [3, 70, 70, 8]] as [Shape] {
        for (recovery, epilogue) in [
          (.affine, Epilogue()), (.init(.samples), Epilogue(activation: .relu)),
          (.init(.elements), full), (.affine, full),
        ] as [(Normalization.Recovery, Epilogue)] {
          cases.append(
            .normalization(
              "\(name), \(shape), \(recovery), \(epilogue)", shape,
              try! Normalization(
                partition: partition, statistics: .current, recovery: recovery,
                epilogue: epilogue), labelsPerPosition: name == "labels of positions"))
        }
      }
    }
    for shape in [[4096, 40], [700, 768], [40, 5000]] as [Shape] {
      for operation in [
        .standardize(epsilon: 1e-5), .rootMeanSquare(epsilon: 1e-6),
      ] as [Normalization.Operation] {
        cases.append(
          .normalization(
            "rows, \(shape), \(operation)", shape,
            try! Normalization(
              partition: .position, statistics: .current, operation: operation, epilogue: full)))
      }
    }
    return cases
  }()

  static let activations: [PrimitiveCase] = Activation.everyKind.flatMap { activation in
    ([3, 4, 5, 8, 15, 16, 17, 31, 33, 65_539] as [Int]).map { count in
      .activation(activation, [1, count])
    }
  }

  static let losses: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for shape in [
      [70, 1], [3, 2], [16, 3], [17, 4], [65, 5], [1, 8], [33, 15], [15, 16], [129, 17], [18, 31],
      [19, 32], [20, 33], [5, 64], [4, 65], [3, 1023], [2, 2049], [1, 20_000], [2500, 10],
    ] as [Shape] {
      cases += PrimitiveCase.softmaxes(shape)
      for kind in Loss.everyKind {
        // With one class the gradient is 0, or what rounding leaves of it.
        if shape.channelCount == 1, Loss(kind).isAlongRows { continue }
        let hasWeights = Loss(kind).canHaveWeights && shape[0] % 2 == 0
        cases.append(.loss(Loss(kind, hasWeights: hasWeights), shape))
        cases.append(.loss(Loss(kind, reduction: .none, hasWeights: hasWeights), shape))
      }
    }
    for kind in [.crossEntropy(), .squaredError, .entropy, .binaryFocal()] as [Loss.Kind] {
      cases.append(.loss(Loss(kind), [23_000, 11]))
    }
    return cases
  }()

  /// Rows around vector widths and the slices of a gradient's tasks, and work for two threads.
  static let selections: [PrimitiveCase] = [
    ([7, 15], 40), ([7, 17], 3), ([300, 64], 9), ([5, 255], 30), ([5, 257], 30), ([3, 600], 900),
    ([40, 1030], 513), ([100_000, 3], 50),
  ].flatMap { (table: [Int], count: Int) in
    let indices = PrimitiveCase.Operand(
      "indices", [count], .labels(classes: table[0]), isDifferentiable: false)
    return [
      PrimitiveCase(
        "\(count) rows of \(table)", .selection, [.init("table", Shape(table)), indices]),
      PrimitiveCase(
        "gradient of \(count) rows of \(table)", .selectionGradient(rows: table[0]),
        [.init("dy", [count, table[1]]), indices]),
    ]
  }

  static let movements: [PrimitiveCase] = {
    func move(_ name: String, _ axes: AxisMovement...) -> PrimitiveCase {
      PrimitiveCase(name, .movement(Movement(axes)), [.init("x", [5, 40, 41, 33])])
    }
    func resize(_ extent: Int) -> AxisMovement {
      .resize(to: extent, .linear, .halfPixel, scale: nil)
    }
    let channels = AxisMovement.slice(start: 3, count: 20, step: 1)
    return [
      move("slice of many channels", .whole, .whole, .whole, channels),
      move(
        "large padding", .whole, .pad(before: 3, after: 2, .reflect),
        .pad(before: 1, after: 4, .reflect), .whole),
      move("large resize", .whole, resize(70), resize(65), .whole),
      PrimitiveCase(
        "large concatenation", .concatenation(axis: 3),
        [.init("a", [5, 40, 41, 33]), .init("b", [5, 40, 41, 17])]),
      PrimitiveCase(
        "large transpose", .transpose(permutation: [0, 3, 1, 2]), [.init("x", [5, 40, 41, 33])]),
      PrimitiveCase(
        "large transpose of a plane", .transpose(permutation: [1, 0]), [.init("x", [700, 513])]),
    ]
  }()

  static let others: [PrimitiveCase] = {
    var cases: [PrimitiveCase] = []
    for channels in [1, 5, 16, 33] {
      cases.append(
        PrimitiveCase(
          "ReLU, \(channels)", .activation(.relu), [.init("x", [37, 41, channels], .distinct)]))
    }
    return cases
  }()
}
