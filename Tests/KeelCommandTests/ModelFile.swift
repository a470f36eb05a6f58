import Foundation
import KeelFormats
import KeelTensor
import Testing

/// The path of a file made by Scripts/golden/command.py.
func modelFile(_ name: String) -> String {
  URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Figures/onnx/\(name)").path(percentEncoded: false)
}

/// The Float array of a npy file.
func floats(_ path: String) throws -> Tensor { try NumPyFile.read(path).floats(at: path) }

/// Expects a result to be as large as another and as near to it as the sums of small networks are.
func expectNear(
  _ found: Tensor, _ expected: Tensor, sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.shape == expected.shape else {
    Issue.record("\(found.shape) is not \(expected.shape)", sourceLocation: sourceLocation)
    return
  }
  for (a, b) in zip(found.elements, expected.elements) {
    #expect(abs(a - b) <= 1e-5 * max(1, abs(b)), sourceLocation: sourceLocation)
  }
}
