import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Class contract: what PReLU, maxout and dropout record, and their errors.
@Suite struct LearnedActivationTests {
  @Test func parametricReLUHasItsSlopes() throws {
    let one = try Graph(tracing: Model(PReLU()), input: [.batch, 6])
    #expect(operations(one) == ["PReLU"])
    #expect(one.weights.map(\.name) == ["net.conv.slope"])
    #expect(one.weights[0].tensor.elements == [0.25] && one.weights[0].role == .trainable)
    #expect(try resultType(PReLU(6, initial: 0.1), [.batch, 5, 6]) == ValueType([.batch, 5, 6]))
    #expect(PReLU(6).trainableCount == 6)
    #expect(
      failure(Model(PReLU(5)), [.batch, 6])?.description
        == "shape error at net.conv: expected slope of 1 or 6 elements for PReLU, found float32 5")
    #expect(
      failure(Model(PReLU(0)), [.batch, 6])?.description
        == "argument error at net.conv: expected at least 1 slope, found 0")
  }

  @Test func maxoutDividesTheChannels() throws {
    #expect(try resultType(Maxout(pieces: 3), [.batch, 4, 6]) == ValueType([.batch, 4, 2]))
    #expect(
      try operations(Graph(tracing: Maxout(), input: [.batch, 6]))
        == ["reshape", "maximum reduction"])
    var source = RandomSource(seed: 1)
    let units = MaxoutLinear(5, 4, pieces: 3, using: &source)
    #expect(try resultType(units, [.batch, 5]) == ValueType([.batch, 4]))
    #expect(units.parameters.map(\.path) == ["linear.weight", "linear.bias"])
    #expect(units.trainableCount == 12 * 6)
    #expect(
      failure(Maxout(pieces: 4), [.batch, 6])?.description
        == "shape error at maxout after the input: expected channels that 4 pieces divide, "
        + "found float32 batch×6")
    #expect(failure(Maxout(pieces: 0), [.batch, 6])?.kind == .argument)
    #expect(failure(Maxout(pieces: 2), [4, .batch])?.kind == .shape)
  }

  @Test(arguments: [Trace.Mode.training, .inference])
  func dropoutChecksItsProbability(_ mode: Trace.Mode) {
    for probability in [-0.1, 1.5, .nan] as [Float] {
      for error in [
        failure(Dropout(probability), [.batch, 6], mode: mode),
        failure(Dropout2d(probability), [.batch, 6], mode: mode),
      ] {
        #expect(error?.kind == .argument && error?.expected == "a probability from 0 to 1")
      }
    }
  }

  @Test func dropoutKeepsItsShape() throws {
    for mode in [Trace.Mode.training, .inference] {
      #expect(try resultType(Dropout(), [.batch, 6], mode: mode) == ValueType([.batch, 6]))
      let image: [Extent] = [.batch, 4, 4, 6]
      #expect(try resultType(Dropout2d(0.1), image, mode: mode) == ValueType(image))
    }
    #expect(Dropout().probability == 0.5 && Dropout2d().probability == 0.5)
  }
}
