import KeelTensor
import Testing

@Suite struct ValueTests {
  @Test func shapes() {
    let image: Shape = [2, 3, 4, 5]
    #expect(image.rank == 4 && image.elementCount == 120)
    #expect(image.channelCount == 5 && image.rowCount == 24 && image[2] == 4)
    #expect("\(image)" == "2×3×4×5")
    let scalar: Shape = []
    #expect(scalar.rank == 0 && scalar.elementCount == 1)
    #expect(scalar.channelCount == 1 && scalar.rowCount == 1 && "\(scalar)" == "scalar")
  }

  @Test func tensorValues() throws {
    let tensor = Tensor(zeros: [2])
    #expect(try TensorValue.float32(tensor).floats(at: "x") == tensor)
    #expect(TensorValue.bool(DenseArray(zeros: [3])).shape == [3])
    #expect(TensorValue.int64(IndexTensor(zeros: [4])).elementType == .int64)
    let error = #expect(throws: KeelError.self) {
      try TensorValue.int64(IndexTensor(zeros: [4])).floats(at: "x")
    }
    #expect(error?.kind == .shape && error?.place == "x" && error?.found == "int64")
  }

  @Test func errorsReadAsOneSentence() {
    let error = KeelError(.value, at: "head", expected: "labels from 0 to 9", found: "12")
    #expect("\(error)" == "value error at head: expected labels from 0 to 9, found 12")
  }

  @Test(arguments: [-1, .nan, .infinity] as [Float])
  func normalizationRefusesEpsilon(epsilon: Float) {
    let error = #expect(throws: KeelError.self) {
      try Normalization(
        statistics: .current, operation: .standardize(epsilon: epsilon), place: "bn1")
    }
    #expect(error?.kind == .argument && error?.place == "bn1")
  }

  @Test func normalizationRefusesABias() throws {
    let error = #expect(throws: KeelError.self) {
      try Normalization(
        statistics: .current, epilogue: Epilogue(hasBias: true, activation: .relu), place: "bn1")
    }
    #expect(error?.kind == .argument && error?.place == "bn1")
    let normalization = try Normalization(statistics: .given)
    #expect(normalization.epsilon == 1e-5 && normalization.hasScale && normalization.hasShift)
    #expect(normalization.epilogue.isEmpty)
  }

  @Test func environmentListsWhatItReads() {
    #expect(
      KeelEnvironment.variables.map(\.name) == [
        "KEEL_THREADS", "KEEL_VECTOR_LEVEL", "KEEL_CACHE_DIR", "KEEL_LOG_LEVEL",
      ])
    #expect(KeelEnvironment.current.value(of: "PATH") == nil)
  }
}
