import KeelTensor
import Testing

/// Class contract: memory of arrays, below and beyond the size from which on it is mapped.
@Suite struct LargeMemoryTests {
  @Test(arguments: [1, 64, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 2 << 20, (5 << 20) + 12_345])
  func takesAndGivesBack(byteCount: Int) {
    // Often enough to run out of mappings, or into one another's, if what is spare were not given back.
    var held: [UnsafeMutableRawPointer] = []
    for round in 0..<40 {
      let memory =
        round % 2 == 0
        ? LargeMemory.allocateZeroed(byteCount) : LargeMemory.allocate(byteCount)
      #expect(UInt(bitPattern: memory) % 64 == 0)
      let bytes = memory.assumingMemoryBound(to: UInt8.self)
      if round % 2 == 0 {
        #expect(bytes[0] == 0 && bytes[byteCount / 2] == 0 && bytes[byteCount - 1] == 0)
      }
      bytes[0] = UInt8(round)
      bytes[byteCount - 1] = UInt8(round)
      held.append(memory)
    }
    for (round, memory) in held.enumerated() {
      let bytes = memory.assumingMemoryBound(to: UInt8.self)
      #expect(bytes[byteCount - 1] == UInt8(round))
      LargeMemory.free(memory, byteCount)
    }
  }

  /// What is freed does not stay resident: a hundred arrays of 64 MB, one after another, touched.
  @Test func arraysOneAfterAnother() {
    for round in 0..<100 {
      let array = Tensor(uninitialized: [1 << 24]) { out in
        for i in stride(from: 0, to: out.count, by: 1024) { out[i] = Float(round) }
        out[out.count - 1] = Float(round)
      }
      #expect(array[flat: (1 << 24) - 1] == Float(round))
    }
  }
}
