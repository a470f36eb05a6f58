import KeelTensor
import Testing

@Suite struct DenseArrayTests {
  // MARK: Making

  @Test func initializers() throws {
    #expect(Tensor(zeros: [2, 3]).elements == [0, 0, 0, 0, 0, 0])
    #expect(IndexTensor(repeating: 7, shape: [3]).elements == [7, 7, 7])
    #expect(try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3]).elements == [1, 2, 3, 4, 5, 6])
    let squares = DoubleTensor(uninitialized: [4]) { out in
      for i in out.indices { out[i] = Double(i * i) }
    }
    #expect(squares.elements == [0, 1, 4, 9])
    #expect(Tensor(repeating: 5, shape: []).elements == [5])
    #expect(Tensor(zeros: [3, 0]).elements.isEmpty)
    #expect(DenseArray<Bool>(zeros: [2]).elements == [false, false])
  }

  @Test func uninitializedPassesErrorsOn() {
    struct Refusal: Error {}
    #expect(throws: Refusal.self) {
      try Tensor(uninitialized: [4]) { (_) throws(Refusal) in throw Refusal() }
    }
  }

  @Test(arguments: [[2, 2], [5], [-1, -3], []] as [Shape])
  func elementsThatDoNotFit(shape: Shape) throws {
    let error = try #require(
      #expect(throws: KeelError.self) { try Tensor([1, 2, 3] as [Float], shape: shape) })
    #expect(error.kind == .shape)
    #expect(error.expected.contains("\(shape)"))
    #expect(error.found == "3")
  }

  @Test func reshaping() throws {
    let tensor = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
    let reshaped = try tensor.reshaped(to: [3, 1, 2])
    #expect(reshaped.shape == [3, 1, 2])
    #expect(reshaped.elements == tensor.elements)
    for shape in [[4], [-2, -3], []] as [Shape] {
      let error = #expect(throws: KeelError.self) { try tensor.reshaped(to: shape) }
      #expect(error?.kind == .shape && error?.expected == "a shape of 6 elements")
    }
  }

  // MARK: Value semantics

  @Test func copiesDoNotSeeEachOther() {
    let original = Tensor(zeros: [4])
    var byElement = original
    byElement[flat: 1] = 5
    var byIndex = original
    byIndex[2] = 6
    var bySpan = original
    bySpan.withMutableSpan { span in span[3] = 7 }
    #expect(original.elements == [0, 0, 0, 0])
    #expect(byElement.elements == [0, 5, 0, 0])
    #expect(byIndex.elements == [0, 0, 6, 0])
    #expect(bySpan.elements == [0, 0, 0, 7])
  }

  @Test func reshapedCopiesDoNotSeeEachOther() throws {
    var original = Tensor(zeros: [4])
    let reshaped = try original.reshaped(to: [2, 2])
    original[flat: 0] = 1
    #expect(reshaped.elements == [0, 0, 0, 0])
  }

  private func address(_ tensor: Tensor) -> UInt {
    tensor.withSpan { span in
      span.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }
  }

  @Test func writingAloneDoesNotCopy() {
    var tensor = Tensor(zeros: [1000])
    let before = address(tensor)
    tensor[flat: 3] = 1
    tensor.withMutableSpan { $0[4] = 2 }
    #expect(address(tensor) == before)
    let copy = tensor
    #expect(address(copy) == before)
    tensor[flat: 3] = 2
    #expect(address(tensor) != before)
    #expect(address(copy) == before && copy[3] == 1)
  }

  @Test func storageIsAlignedTo64Bytes() {
    // Several alive at once, of sizes that are no multiple of 64 bytes, so that luck does not do.
    var arrays = (1..<40).map { Tensor(zeros: [$0 * 7]) }
    arrays += arrays.map { array in
      var copy = array
      copy[flat: 0] = 1
      return copy
    }
    for array in arrays { #expect(address(array) % 64 == 0) }
  }

  // MARK: Elements

  @Test func rowMajorOrder() throws {
    var tensor = try Tensor((0..<24).map(Float.init), shape: [2, 3, 4])
    #expect(tensor[1, 2, 3] == 23)
    #expect(tensor[0, 1, 2] == 6)
    #expect(tensor[flat: 13] == tensor[1, 0, 1])
    tensor[1, 0, 1] = -1
    #expect(tensor.elements[13] == -1)
    #expect(Tensor(repeating: 5, shape: [])[flat: 0] == 5)
  }

  @Test func indexOutsideTraps() async {
    await #expect(processExitsWith: .failure) { _ = Tensor(zeros: [2, 3])[0, 3] }
    await #expect(processExitsWith: .failure) { _ = Tensor(zeros: [2, 3])[flat: 6] }
    await #expect(processExitsWith: .failure) { _ = Tensor(zeros: [2, 3])[1] }
    await #expect(processExitsWith: .failure) { _ = Tensor(zeros: [2, -3]) }
  }

  @Test func equality() throws {
    let tensor = try Tensor([1, 2], shape: [2])
    #expect(try tensor == Tensor([1, 2], shape: [2]))
    #expect(try tensor != Tensor([1, 3], shape: [2]))
    #expect(try tensor != tensor.reshaped(to: [1, 2]))
    #expect(try Set([tensor, Tensor([1, 2], shape: [2])]).count == 1)
    #expect(try Tensor([0], shape: [1]).hashValue == Tensor([-0.0], shape: [1]).hashValue)
    let nan = Tensor(repeating: .nan, shape: [1])
    #expect(nan != nan)
  }
}
