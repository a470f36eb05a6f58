import Foundation
import Testing

@testable import peer

@Suite struct ServiceTests {
  /// A 1×1 convolution of 2×2 pixels from two channels to one.
  private static func request(_ pass: String, batch: Int = 1) -> String {
    """
    prepare {"pass": "\(pass)", "transposed": false, "batch": \(batch), "threads": 1, "height": 2, \
    "width": 2, "input_channels": 2, "output_channels": 1, "kernel": 1, "stride": 1, "padding": 0, \
    "output_padding": 0, "groups": 1}
    """
  }

  /// A transposed 1×1 convolution with stride 2 and output padding 1 of one pixel from two channels to
  /// one.
  private static func transposedRequest(_ pass: String) -> String {
    """
    prepare {"pass": "\(pass)", "transposed": true, "batch": 1, "threads": 1, "height": 1, \
    "width": 1, "input_channels": 2, "output_channels": 1, "kernel": 1, "stride": 2, "padding": 0, \
    "output_padding": 1, "groups": 1}
    """
  }

  private static let results: [(request: String, x: [Float], expected: [Float])] = [
    (request("forward"), [1, 2, 3, 4, 5, 6, 7, 8], [12, 34, 56, 78]),
    (request("input_gradient"), [1, 2, 3, 4, 5, 6, 7, 8], [10, 1, 20, 2, 30, 3, 40, 4]),
    (request("weight_gradient"), [1, 2, 3, 4, 5, 6, 7, 8], [50, 60]),
    (transposedRequest("forward"), [5, 6], [56, 0, 0, 0]),
    (transposedRequest("input_gradient"), [5, 6], [10, 1]),
    (transposedRequest("weight_gradient"), [5, 6], [5, 6]),
  ]

  @Test(arguments: results)
  func computesEachPass(request: String, x: [Float], expected: [Float]) throws {
    try TestFolder.with { folder in
      try TestFolder.write(x, to: folder.appending(path: "x"))
      try TestFolder.write([10, 1], to: folder.appending(path: "weight"))
      try TestFolder.write([1, 2, 3, 4], to: folder.appending(path: "dy"))
      var service = Service(folder: folder.path)
      #expect(service.answer(request) == "ok")
      let answer = service.answer("run 3").split(separator: " ")
      #expect(answer.count == 2 && answer[0] == "ok")
      #expect(try #require(Double(answer[1])) > 0)
      #expect(service.answer("rerun 2").hasPrefix("ok "))
      #expect(service.answer("result y") == "ok")
      #expect(try TestFolder.read(folder.appending(path: "y")) == expected)
    }
  }

  /// Two channels of x are (1, 3) and (0, 4): z is −1 and 1 but for ε.
  @Test func normalizes() throws {
    try TestFolder.with { folder in
      for (name, numbers) in [
        ("x", [1, 0, 3, 4]), ("scale", [2, 3]), ("shift", [0, 1]), ("residual", [4, 0, 0, 0]),
        ("dy", [1, 2, 3, 4]),
      ] as [(String, [Float])] {
        try TestFolder.write(numbers, to: folder.appending(path: name))
      }
      var service = Service(folder: folder.path)
      let request = """
        normalize {"method": "batch", "form": "add_relu", "pass": "training", "extents": [2, 2], \
        "groups": 8, "threads": 1}
        """
      #expect(service.answer(request) == "ok")
      #expect(service.answer("run 1").hasPrefix("ok "))
      for (name, expected) in [
        ("y", [2, 0, 2, 4]), ("dx", [0, 0, 0, 0]), ("dscale", [2, 4]), ("dshift", [4, 4]),
        ("dresidual", [1, 0, 3, 4]),
      ] as [(String, [Float])] {
        #expect(service.answer("result \(name)") == "ok")
        let found = try TestFolder.read(folder.appending(path: name))
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-3 }, "\(name) \(found)")
      }
      #expect(service.answer("result z").hasPrefix("error graph error"))
      #expect(service.answer("normalize {}").hasPrefix("error argument error at normalize"))
    }
  }

  @Test func errorsNameWhatIsWrong() throws {
    try TestFolder.with { folder in
      var service = Service(folder: folder.path)
      #expect(service.answer("").hasPrefix("error argument error at request"))
      #expect(service.answer("dance").hasSuffix("found dance"))
      #expect(service.answer("run 1").contains("expected prepare before it"))
      #expect(service.answer("rerun 1").contains("expected prepare before it"))
      #expect(service.answer("run 0").contains("a number of at least 1, found 0"))
      #expect(service.answer("prepare {}").hasPrefix("error argument error at prepare"))
      #expect(service.answer(Self.request("sideways")).hasPrefix("error argument error at prepare"))
      #expect(service.answer(Self.request("forward", batch: 0)).hasPrefix("error shape error"))
      #expect(service.answer(Self.request("forward")).hasPrefix("error file error"))
      try TestFolder.write([1, 2, 3], to: folder.appending(path: "x"))
      #expect(service.answer(Self.request("forward")).hasSuffix("expected 32 bytes, found 12"))
    }
  }

  @Test func machineIsOneLine() {
    var service = Service(folder: "/tmp")
    let answer = service.answer("machine 1")
    #expect(answer.hasPrefix("ok {") && answer.hasSuffix("}") && !answer.contains("\n"))
    #expect(answer.contains("\"blas_core\""))
  }
}
