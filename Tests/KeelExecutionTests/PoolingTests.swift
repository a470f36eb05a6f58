import KeelExecution
import KeelGraph
import KeelKernels
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Classes golden, identity and contract of poolings; reference is in `KernelReferenceTests`.
@Suite struct PoolingTests {
  @Test(arguments: PoolingGolden.all.indices)
  func agreesWithPyTorch(index: Int) throws {
    let golden = PoolingGolden.all[index]
    let geometry = golden.geometry
    let (x, dy) = (Tensor(rounding: golden.x), Tensor(rounding: golden.dy))
    let y = try apply(.pooling(geometry), [.float32(x)])
    expectClose(
      y, try DoubleTensor(golden.y, shape: y.shape), bound: Tolerance.reduction(length: 12), "y")
    var operands = [dy]
    if geometry.kind == .maximum { operands = [dy, x] }
    if geometry.kind == .l2 { operands = [dy, x, y] }
    let dx = try apply(.poolingGradient(geometry), operands.map(TensorValue.float32))
    expectClose(
      dx, try DoubleTensor(golden.dx, shape: x.shape), bound: Tolerance.reduction(length: 12), "dx")
    if let expected = golden.indices {
      #expect(try maxima(geometry, x).indices.elements.map(Int.init) == expected)
    }
  }

  /// Result and indices, the same by plan and interpreter at one and two threads.
  private func maxima(_ geometry: PoolingGeometry, _ x: Tensor) throws -> (
    y: Tensor, indices: IndexTensor
  ) {
    var builder = GraphBuilder()
    let input = builder.input("x", ValueType(shape: x.shape))
    let results = try builder.append(.maxPoolingWithIndices(geometry), [input])
    builder.output("y", results[0])
    builder.output("indices", results[1])
    let graph = try builder.finish()
    let first = try Interpreter(graph, parallelism: .serial).run(["x": .float32(x)]).outputs
    for threads in [1, 2] {
      let plan = try Plan(
        graph, inputShapes: ["x": x.shape], options: PlanOptions(threads: threads))
      let outputs = try plan(["x": .float32(x)])
      #expect(outputs["indices"] == first["indices"])
    }
    guard case .int64(let indices) = first["indices"] else {
      throw KeelError(.graph, at: "indices", expected: "int64", found: "another type")
    }
    return (try first["y"]!.floats(at: "y"), indices)
  }

  @Test(
    arguments: KernelCases.poolings.filter {
      if case .pooling(let geometry) = $0.primitive { geometry.kind == .maximum } else { false }
    })
  func indicesAreThoseOfTheReference(_ test: PrimitiveCase) throws {
    guard case .pooling(let geometry) = test.primitive else { return }
    // Whole numbers below 7: many ties.
    var source = TensorSource(seed: 21)
    let shape = test.operands[0].shape
    let labels = source.labels(shape.elementCount, classes: 7)
    let x = try Tensor(labels.elements.map { Float($0) }, shape: shape)
    let (y, indices) = try maxima(geometry, x)
    let expected = try evaluate(.maxPoolingWithIndices(geometry), [DoubleTensor(widening: x)])
    #expect(indices.elements.map(Double.init) == expected[1].elements)
    #expect(DoubleTensor(widening: y) == expected[0])
    #expect(try apply(.pooling(geometry), [.float32(x)]) == y)
    // The gradient goes where the indices say.
    let dy = source.normal(y.shape)
    let dx = try apply(.poolingGradient(geometry), [.float32(dy), .float32(x)])
    let channels = geometry.channels
    var scattered = DoubleTensor(zeros: shape)
    for i in 0..<y.count {
      let image = i / (geometry.outputPositions * channels)
      let position = image * geometry.inputPositions + Int(indices[flat: i])
      scattered[flat: position * channels + i % channels] += Double(dy[flat: i])
    }
    expectClose(dx, scattered, bound: Tolerance.reduction(length: 81), test.name)
  }

  @Test(arguments: [(3, 2), (20, 30)], [1, 16, 37])
  func globalPoolingIsAdaptiveToOne(size: (Int, Int), channels: Int) throws {
    let shape: Shape = [3, size.0, size.1, channels]
    var source = TensorSource(seed: 22)
    let x = source.normal(shape)
    let geometry = try PoolingGeometry(global: .average(countsPadding: true), input: shape)
    let y = try apply(.pooling(geometry), [.float32(x)])
    #expect(y.shape == [3, 1, 1, channels])
    let mean = try evaluate(
      .reduction(Reduction(.mean, axes: [1, 2], keepsAxes: true)), [DoubleTensor(widening: x)])[0]
    expectClose(y, mean, bound: Tolerance.reduction(length: size.0 * size.1), "mean")
    let dy = source.normal(y.shape)
    let dx = try evaluate(
      .expand(shape.extents.map(Extent.fixed), divides: true), [DoubleTensor(widening: dy)])[0]
    expectClose(
      try apply(.poolingGradient(geometry), [.float32(dy)]), dx,
      bound: Tolerance.reduction(length: 1), "gradient")
  }

  /// A long mean at 10⁴ with deviation 0.1 keeps six digits.
  @Test func longMeans() throws {
    var source = TensorSource(seed: 23)
    let x = source.normal([1, 112, 112, 5], mean: 1e4, deviation: 0.1)
    let mean = Primitive.reduction(Reduction(.mean, axes: [1, 2]))
    let y = try apply(mean, [.float32(x)])
    let expected = try evaluate(mean, [DoubleTensor(widening: x)])[0]
    expectClose(y, expected, bound: 2e-6, "mean")
  }

  @Test(arguments: [1, 5, 16, 70])
  func l2OfZerosHasNoGradient(channels: Int) throws {
    let geometry = try PoolingGeometry(
      .l2, inputHeight: 4, inputWidth: 4, channels: channels, window: (2, 2), stride: (2, 2))
    let shape = geometry.inputShape(batch: 1)
    var x = Tensor(zeros: shape)
    x[flat: 0] = -3
    x[flat: channels] = 4
    let y = try apply(.pooling(geometry), [.float32(x)])
    #expect(y[flat: 0] == 5 && y.elements.dropFirst().allSatisfy { $0 == 0 })
    let dy = Tensor(repeating: 10, shape: y.shape)
    let dx = try apply(.poolingGradient(geometry), [.float32(dy), .float32(x), .float32(y)])
    for i in 0..<dx.count {
      let expected: Float = i == 0 ? -6 : i == channels ? 8 : 0
      #expect(abs(dx[flat: i] - expected) <= 1e-5)
    }
  }

  @Test(arguments: PoolingGeometry.Kind.everyKind.map(\.kind), [1, 16, 21])
  func nanStaysInItsWindows(kind: PoolingGeometry.Kind, channels: Int) throws {
    let geometry = try PoolingGeometry(
      kind, inputHeight: 5, inputWidth: 6, channels: channels, window: (3, 2), stride: (1, 2))
    var x = TensorSource(seed: 24).filled(geometry.inputShape(batch: 1))
    let bad = (1 * 6 + 3) * channels
    x[flat: bad] = .nan
    let y = try apply(.pooling(geometry), [.float32(x)])
    for i in 0..<y.count {
      let position = i / channels
      // Window rows 0 and 1 see row 1, window column 1 sees column 3.
      let isHit = i % channels == 0 && position / 3 <= 1 && position % 3 == 1
      #expect(y[flat: i].isNaN == isHit)
    }
  }

  /// Of several NaN the first gets the gradient and the index.
  @Test(arguments: [1, 16, 21], [2, 9])
  func theFirstNaNWins(channels: Int, window: Int) throws {
    let geometry = try PoolingGeometry(
      .maximum, inputHeight: window, inputWidth: window, channels: channels,
      window: (window, window), stride: (1, 1))
    var x = Tensor(repeating: .infinity, shape: geometry.inputShape(batch: 1))
    for position in 1..<window * window {
      for c in 0..<channels { x[flat: position * channels + c] = .nan }
    }
    let (y, indices) = try maxima(geometry, x)
    #expect(y.elements.allSatisfy(\.isNaN) && indices.elements.allSatisfy { $0 == 1 })
    let dy = Tensor(repeating: 2, shape: y.shape)
    let dx = try apply(.poolingGradient(geometry), [.float32(dy), .float32(x)])
    for i in 0..<dx.count { #expect(dx[flat: i] == (i / channels == 1 ? 2 : 0)) }
  }
}

extension TensorSource {
  /// Normal numbers, for a source that is used once.
  fileprivate func filled(_ shape: Shape) -> Tensor {
    var source = self
    return source.normal(shape)
  }
}
