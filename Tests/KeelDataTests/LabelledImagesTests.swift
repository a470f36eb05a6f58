import KeelData
import KeelTensor
import Testing

@Suite struct LabelledImagesTests {
  /// Five images of 1×2×1 whose pixels are 10·i and 10·i + 1, with label i.
  private func five() throws -> LabelledImages {
    try LabelledImages(
      images: Tensor((0..<10).map { Float($0 / 2 * 10 + $0 % 2) }, shape: [5, 1, 2, 1]),
      labels: IndexTensor(0..<5, shape: [5]))
  }

  @Test func subsetKeepsTheOrderAskedFor() throws {
    let subset = try five().subset([3, 0, 3])
    #expect(subset.images.shape == [3, 1, 2, 1])
    #expect(subset.images.elements == [30, 31, 0, 1, 30, 31])
    #expect(subset.labels.elements == [3, 0, 3])
    #expect(try five().subset([]).count == 0)
  }

  @Test func mismatchesThrow() throws {
    let images = Tensor(zeros: [2, 1, 1, 1])
    let short = #expect(throws: KeelError.self) {
      try LabelledImages(images: images, labels: IndexTensor(zeros: [3]))
    }
    #expect(short?.kind == .shape)
    let flat = #expect(throws: KeelError.self) {
      try LabelledImages(images: Tensor(zeros: [2, 4]), labels: IndexTensor(zeros: [2]))
    }
    #expect(flat?.place == "labelled images: images")
  }

  @Test func misuseTraps() async {
    await #expect(processExitsWith: .failure) { _ = Digits.all.subset([1797]) }
  }
}
