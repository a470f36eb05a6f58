import KeelExecution
import KeelGraph
import KeelLayers
import KeelReference
import KeelTensor
import KeelTestSupport
import Testing

/// Norms of several inputs, and what only a run knows: every misfit is an error that says what was found.
@Suite struct BadNormInputTests {
  private func message(
    _ test: NormCase, _ mode: Trace.Mode = .training
  ) -> String? {
    do throws(KeelError) {
      _ = try test.graph(mode)
      return nil
    } catch { return error.description }
  }

  @Test func sizesOfOtherInputs() {
    let x = TensorValue.normal(NormCase.image)
    func domain(_ domains: Int, _ labels: TensorValue) -> NormCase {
      NormCase("domain", DomainBatchNorm(4, domains: domains), [x, labels]) {
        $0($1[0], domains: $1[1])
      }
    }
    #expect(
      message(domain(2, .labels([0, 1])))
        == "shape error at DomainBatchNorm: expected labels int64 3, found int64 2")
    #expect(
      message(domain(0, .labels([0, 1, 1])))
        == "argument error at DomainBatchNorm: expected at least 1 domain, found 0")
    func region(_ regions: Int, _ labels: TensorValue) -> NormCase {
      NormCase("region", RegionNorm(4, regions: regions), [x, labels]) {
        $0($1[0], regions: $1[1])
      }
    }
    #expect(
      message(region(2, .labels([0, 1, 1])))
        == "shape error at RegionNorm: expected regions int64 3×2×3, found int64 3")
    #expect(
      message(region(-1, .labels(Array(repeating: 0, count: 18), [3, 2, 3])))?
        .contains("at least 1") == true)
    func conditional(_ condition: TensorValue, _ partition: Partition = .instance) -> NormCase {
      NormCase(
        "conditional", ConditionalNorm(4, conditions: 2, partition: partition), [x, condition]
      ) { $0($1[0], condition: $1[1]) }
    }
    for wrong in [.labels([0, 1]), .normal([3, 4]), .normal([3])] as [TensorValue] {
      #expect(
        message(conditional(wrong))
          == "shape error at ConditionalNorm: expected conditions int64 3 or weights of them "
          + "float32 3×2, found \(wrong.elementType.rawValue) \(wrong.shape)")
    }
    #expect(
      message(conditional(.labels([0, 1, 1]), .batch))
        == "argument error at ConditionalNorm: expected a partition within samples, "
        + "found statistics of each channel")
    func outside(_ scale: TensorValue, _ shift: TensorValue, affine: Bool? = nil) -> NormCase {
      guard let affine else {
        return NormCase("adaptive", AdaptiveInstanceNorm(), [x, scale, shift]) {
          $0($1[0], scale: $1[1], shift: $1[2])
        }
      }
      return NormCase("batch", BatchNorm(4, affine: affine), [x, scale, shift]) {
        $0($1[0], scale: $1[1], shift: $1[2])
      }
    }
    for affine in [nil, false] {
      let place = affine == nil ? "AdaptiveInstanceNorm after the input" : "BatchNorm"
      #expect(
        message(outside(.normal([3, 8]), .normal([3, 8]), affine: affine))
          == "shape error at \(place): expected scale and shift both float32 3×4 or both "
          + "float32 3×2×3×4, found float32 3×8 and float32 3×8")
      #expect(
        message(outside(.normal([3, 4]), .normal(NormCase.image), affine: affine))
          == "shape error at \(place): expected scale and shift both float32 3×4 or both "
          + "float32 3×2×3×4, found float32 3×4 and float32 3×2×3×4")
    }
    #expect(
      message(outside(.normal([3, 4]), .normal([3, 4]), affine: true))
        == "argument error at BatchNorm: expected a layer without scale and shift of its own, "
        + "found one with them")
    let style = NormCase("style", AdaptiveInstanceNorm(), [x, .normal([3, 5, 5, 3])]) {
      $0($1[0], style: $1[1])
    }
    #expect(message(style)?.hasPrefix("shape error at AdaptiveInstanceNorm") == true)
    let weighted = NormCase("weights", BatchNorm(4), [x, .normal([4])]) {
      $0($1[0], weights: $1[1])
    }
    #expect(message(weighted)?.contains("weights float32 3×2×3, or one per sample") == true)
  }

  @Test func shardsStepsWidths() {
    func shards(_ count: Int, groupSize: Int?) -> NormCase {
      NormCase(
        "synchronized", SynchronizedBatchNorm(4, groupSize: groupSize),
        (0..<count).map { _ in .normal([2, 4]) }
      ) { .concatenation($0($1), axis: 0) }
    }
    #expect(
      message(shards(3, groupSize: 2))
        == "argument error at norm: expected shards in groups of 2, found 3")
    #expect(
      message(shards(3, groupSize: 0))
        == "argument error at norm: expected shards in groups of 0, found 3")
    func step(_ step: Int, of steps: Int) -> NormCase {
      NormCase("recurrent", RecurrentBatchNorm(4, steps: steps), [.normal([3, 4])]) {
        $0($1[0], step: step)
      }
    }
    #expect(
      message(step(-1, of: 2)) == "argument error at RecurrentBatchNorm: "
        + "expected at least 1 step, and one from 0 on, found step -1 of 2")
    #expect(
      message(step(0, of: -1)) == "argument error at RecurrentBatchNorm: "
        + "expected at least 1 step, and one from 0 on, found step 0 of 0")
    for (width, count) in [(-1, 2), (2, 2), (0, 0)] {
      let test = NormCase(
        "switchable", SwitchableBatchNorm(Array(repeating: 4, count: count)), [.normal([3, 4])]
      ) { $0($1[0], width: width) }
      #expect(
        message(test)?.hasSuffix("expected a width from 0 to \(count - 1), found \(width)") == true)
    }
  }

  @Test func spectralNorms() {
    var source = RandomSource(seed: 91)
    let linear = Linear(4, 3, using: &source)
    for (norm, expected) in [
      (
        SpectralNorm(linear, weight: linear.weight, axis: 2, using: &source),
        "argument error at SpectralNorm: expected an axis of a weight 3×4, found 2"
      ),
      (
        SpectralNorm(linear, weight: linear.weight, axis: -3, using: &source),
        "argument error at SpectralNorm: expected an axis of a weight 3×4, found -1"
      ),
      (
        SpectralNorm(linear, weight: linear.weight, iterations: 0, using: &source),
        "argument error at SpectralNorm: expected at least 1 iteration, found 0"
      ),
      (
        SpectralNorm(linear, weight: linear.weight, epsilon: -1, using: &source),
        "argument error at SpectralNorm: expected a finite epsilon of at least 0, found -1.0"
      ),
    ] {
      #expect(failure(norm, [.batch, 4])?.description == expected)
    }
    let stranger = Linear(4, 3, using: &source)
    let wrong = SpectralNorm(linear, weight: stranger.weight, using: &source)
    #expect(
      failure(wrong, [.batch, 4])?.description
        == "argument error at SpectralNorm: expected a weight of the layer that is wrapped, "
        + "found another parameter")
    let none = Linear(0, 3, using: &source)
    let norm = SpectralNorm(none, weight: none.weight, using: &source)
    #expect(failure(norm, [.batch, 4])?.kind == .argument)
  }

  // MARK: What only a run knows

  private func runFailure(_ test: NormCase, _ mode: Trace.Mode = .training) throws -> [KeelError] {
    let graph = try test.graph(mode)
    var errors: [KeelError] = []
    for run in [
      { _ = try Interpreter(graph).run(test.inputs) }, { _ = try graph.reference(test.inputs) },
      { _ = try Plan(graph, inputShapes: test.inputs.mapValues(\.shape))(test.inputs) },
    ] {
      do {
        try run()
        Issue.record("no error")
      } catch { errors.append(error as! KeelError) }
    }
    return errors
  }

  @Test(arguments: [-1, 2, .max, .min] as [Int64])
  func indicesOutOfRange(_ index: Int64) throws {
    let x = TensorValue.normal(NormCase.image)
    let tests = [
      NormCase("conditional", ConditionalNorm(4, conditions: 2), [x, .labels([0, index, 1])]) {
        $0($1[0], condition: $1[1])
      },
      NormCase("domain", DomainBatchNorm(4, domains: 2), [x, .labels([0, index, 0])]) {
        $0($1[0], domains: $1[1])
      },
      NormCase(
        "region", RegionNorm(4),
        [x, .labels([index] + Array(repeating: 0, count: 17), [3, 2, 3])]
      ) { $0($1[0], regions: $1[1]) },
    ]
    for (test, mode) in [
      (tests[0], Trace.Mode.training), (tests[1], .training), (tests[1], .inference),
      (tests[2], .training),
    ] {
      for error in try runFailure(test, mode) {
        #expect(error.kind == .value && error.found.hasPrefix("\(index)"), "\(test.name)")
      }
    }
  }

  @Test func oneValueInTraining() throws {
    // A domain of one vector; the open batch turns out to have one sample.
    let domain = NormCase(
      "domain", DomainBatchNorm(2, domains: 2), [.normal([3, 2]), .labels([0, 1, 0])]
    ) { $0($1[0], domains: $1[1]) }
    for error in try runFailure(domain) {
      #expect(error.kind == .value)
      #expect(error.expected.hasPrefix("more than one value per channel of a label"))
    }
    let ghost = try Graph(
      tracing: GhostBatchNorm(2, shards: 3), input: [.batch, 2], mode: .training)
    for rows in [2, 3, 5] {
      let x = ["x": TensorValue.normal([rows, 2])]
      #expect(throws: KeelError.self) { try Interpreter(ghost).run(x) }
      #expect(throws: KeelError.self) { try ghost.reference(x) }
    }
    #expect(throws: Never.self) { try Interpreter(ghost).run(["x": .normal([6, 2])]) }
  }

  @Test(arguments: [-1, .nan, .infinity] as [Float])
  func weightsThatAreNone(_ weight: Float) throws {
    let test = NormCase(
      "weights", BatchNorm(2),
      [.normal([3, 2]), .float32(try Tensor([1, weight, 1], shape: [3]))]
    ) { $0($1[0], weights: $1[1]) }
    for error in try runFailure(test) { #expect(error.kind == .value) }
  }
}
