import KeelGraph
import KeelTensor
import KeelTestSupport
import Testing

extension ShapeInferenceTests {
  @Test(arguments: [-0.1, 1.5, .nan] as [Float])
  func probabilityOutsideItsRange(probability: Float) throws {
    let dropout = DropoutMask(probability: probability, stream: 0)
    let error = #expect(throws: KeelError.self) {
      try Primitive.dropout(dropout).resultTypes(
        [Self.image, ValueType(.int64, [])], at: "layer3")
    }
    #expect(error?.kind == .argument && error?.place == "layer3")
    #expect(error?.found == "\(probability)")
  }
}
