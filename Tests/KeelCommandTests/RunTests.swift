import Foundation
import KeelFormats
import KeelImages
import KeelTensor
import KeelTestSupport
import Testing

@Suite struct RunTests {
  private struct Result: Decodable {
    struct Port: Decodable {
      let name: String
      let elementType: String
      let shape: [Int]
      let files: [String]
    }
    let network: String
    let threads: Int
    let runMs: Double
    let inputs: [Port]
    let outputs: [Port]
  }

  @Test func arrays() async throws {
    let folder = try TemporaryFolder()
    let out = folder.file("new/folder")
    let run = try await CommandRun(
      "run", modelFile("classifier.onnx"), modelFile("classifier-x.npy"), "-o", out, "--json")
    #expect(run.status == 0, "\(run.messages)")
    #expect(run.messages.isEmpty)
    let result = try run.json(Result.self)
    #expect(result.inputs[0].shape == [2, 3, 8, 6])
    #expect(result.inputs[0].files == [modelFile("classifier-x.npy")])
    #expect(result.outputs[0].name == "logits" && result.outputs[0].shape == [2, 5])
    #expect(result.outputs[0].files == ["\(out)/logits.npy"])
    #expect(result.runMs > 0)
    expectNear(try floats("\(out)/logits.npy"), try floats(modelFile("classifier-logits.npy")))
  }

  /// Inputs by position, by name and from an npz file; names that are no file names.
  @Test func severalInputs() async throws {
    let folder = try TemporaryFolder()
    let (image, index) = (modelFile("ports-image.npy"), modelFile("ports-index.npy"))
    let archive = folder.file("both.npz")
    try NumPyArchive.write(
      ["image": try NumPyFile.read(image), "index": try NumPyFile.read(index)], to: archive)
    let single = folder.file("single.npz")
    try NumPyArchive.write(["arr_0": try NumPyFile.read(image)], to: single)
    for inputs in [
      [image, index], ["index=\(index)", "image=\(image)"], ["index=\(index)", image], [archive],
      [single, index], ["image=\(single)", index],
    ] {
      let out = folder.file("out")
      let run = try await CommandRun(["run", modelFile("ports.onnx")] + inputs + ["-o", out])
      #expect(run.status == 0, "\(inputs): \(run.messages)")
      #expect(run.output.contains("int64 2"))
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: out).sorted()
          == ["_.rows.npy", "map_out_0.npy"])
      expectNear(try floats("\(out)/map_out_0.npy"), try floats(modelFile("ports-map.npy")))
      #expect(try floats("\(out)/_.rows.npy") == floats(modelFile("ports-rows.npy")))
      try FileManager.default.removeItem(atPath: out)
    }
  }

  /// A grey picture as it is.
  @Test func greyPicture() async throws {
    let folder = try TemporaryFolder()
    let picture = folder.file("grey.png")
    try PNGFile.write(
      try Tensor((0..<20).map { Float($0 * 12) / 255 }, shape: [4, 5, 1]), to: picture)
    let out = folder.file("out")
    let run = try await CommandRun(
      "run", modelFile("segmenter.onnx"), picture, "-o", out, "--extent", "height=4", "--extent",
      "width=5")
    #expect(run.status == 0, "\(run.messages)")
    expectNear(try floats("\(out)/mask.npy"), try floats(modelFile("segmenter-mask.npy")))
  }

  /// Two pictures are a batch of two, channels first, scaled and standardized; the grey one has all channels.
  @Test func colourPictures() async throws {
    let folder = try TemporaryFolder()
    let (mean, std): ([Float], [Float]) = ([0.5, 0.25, 0.125], [2, 0.5, 0.25])
    let colour = try Tensor(
      (0..<144).map { Float($0) / 255 }, shape: [8, 6, 3])
    let grey = try Tensor((0..<48).map { Float($0 * 5) / 255 }, shape: [8, 6, 1])
    let pictures = [folder.file("colour.png"), folder.file("grey.PNG")]
    try PNGFile.write(colour, to: pictures[0])
    try PNGFile.write(grey, to: pictures[1])
    let array = Tensor(uninitialized: [2, 3, 8, 6]) { out in
      for c in 0..<3 {
        for p in 0..<48 {
          out[c * 48 + p] = (colour[flat: p * 3 + c] - mean[c]) / std[c]
          out[(3 + c) * 48 + p] = (grey[flat: p] - mean[c]) / std[c]
        }
      }
    }
    try NumPyFile.write(.float32(array), to: folder.file("x.npy"))
    let options = ["--mean", "0.5,0.25,0.125", "--std", "2,0.5,0.25"]
    let model = modelFile("classifier.onnx")
    let run = try await CommandRun(
      ["run", model] + pictures + ["-o", folder.file("a")] + options)
    #expect(run.status == 0, "\(run.messages)")
    let same = try await CommandRun("run", model, folder.file("x.npy"), "-o", folder.file("b"))
    #expect(same.status == 0, "\(same.messages)")
    expectNear(
      try floats(folder.file("a/logits.npy")), try floats(folder.file("b/logits.npy")))
  }

  /// Built-in networks take channels last.
  @Test func builtIn() async throws {
    let folder = try TemporaryFolder()
    try NumPyFile.write(.float32(Tensor(zeros: [2, 8, 8, 1])), to: folder.file("x.npy"))
    let run = try await CommandRun(
      "run", "digits", folder.file("x.npy"), "-o", folder.file("out"))
    #expect(run.status == 0, "\(run.messages)")
    #expect(try floats(folder.file("out/y.npy")).shape == [2, 10])
  }

  @Test func wrongInputs() async throws {
    let folder = try TemporaryFolder()
    let picture = folder.file("p.png")
    try PNGFile.write(Tensor(zeros: [4, 5, 3]), to: picture)
    let x = modelFile("classifier-x.npy")
    let (image, index) = (modelFile("ports-image.npy"), modelFile("ports-index.npy"))
    let archive = folder.file("a.npz")
    try NumPyArchive.write(
      ["a": .float32(Tensor(zeros: [1])), "b": .float32(Tensor(zeros: [1]))], to: archive)
    let cases: [(model: String, inputs: [String], status: Int32, message: String)] = [
      ("classifier", [], 2, "found none for x (float32 N×3×8×6)"),
      ("classifier", ["/nonexistent.npy"], 3, "/nonexistent.npy"),
      ("classifier", [modelFile("classifier.onnx")], 3, "expected an npy file"),
      ("classifier", ["z=\(x)"], 2, "expected a file, or one for x"),
      ("classifier", [x, x], 2, "Expected one file for input x"),
      ("classifier", ["x=\(x)", x], 2, "Expected at most 0 inputs without a name, found 1"),
      ("classifier", [index], 2, "expected float32 N×3×8×6 for input x, found int64 2"),
      ("classifier", [image], 2, "N×3×8×6"),
      (
        "classifier", [picture], 2,
        "expected a picture of 8×6 with 3 channels for input x, found 4×5"
      ),
      ("classifier", [x, "--mean", "1"], 2, "--mean is for PNG inputs"),
      ("classifier", [picture, "--mean", "1,2"], 2, "expected a picture of 8×6"),
      ("classifier", [archive], 2, "expected arrays for x, found one for a"),
      ("classifier", ["x=\(archive)"], 2, "expected one array, found 2"),
      ("ports", [image], 2, "found none for index (int64 2)"),
      ("ports", [image, picture], 2, "expected an array int64 2 for input index, found a picture"),
      ("ports", [image, index, index], 2, "Expected at most 2 inputs without a name, found 3"),
      ("ports", [index, image], 2, "expected float32 1×3×2×4 for input image, found int64 2"),
    ]
    for (model, inputs, status, message) in cases {
      let run = try await CommandRun(
        ["run", modelFile("\(model).onnx")] + inputs + ["-o", folder.file("out")])
      #expect(run.status == status, "\(inputs): \(run.messages)")
      #expect(run.messages.contains(message), "\(inputs): \(run.messages)")
      #expect(run.output.isEmpty)
    }
    #expect(!FileManager.default.fileExists(atPath: folder.file("out")))
  }

  /// An index that the table does not have.
  @Test func valuesOutOfRange() async throws {
    let folder = try TemporaryFolder()
    try NumPyFile.write(.int64(try IndexTensor([0, 9], shape: [2])), to: folder.file("index.npy"))
    let run = try await CommandRun(
      "run", modelFile("ports.onnx"), modelFile("ports-image.npy"), folder.file("index.npy"), "-o",
      folder.file("out"))
    #expect(run.status == 2)
    #expect(run.messages.contains("9"), "\(run.messages)")
  }

  @Test func foldersThatCannotBeMade() async throws {
    let folder = try TemporaryFolder()
    let file = try folder.write([0], to: "file")
    let run = try await CommandRun(
      "run", modelFile("classifier.onnx"), modelFile("classifier-x.npy"), "-o", file)
    #expect(run.status == 3)
    #expect(run.messages.contains("expected a folder that can be written to"))
  }
}
