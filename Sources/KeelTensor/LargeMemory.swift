#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Memory of arrays and workspaces, aligned to cache lines.
///
/// From a quarter of a megabyte on it is mapped by itself: what is freed goes back to the system at once, so that the weights that
/// folding and packing leave behind do not stay resident, and what is never touched takes nothing. Where the system
/// lets programs ask for large pages, it is asked: long rows of weights are then read without a stop at each 4 kB.
package enum LargeMemory {
  private static let mappedByteCount = 1 << 18
  private static let largePage = 2 << 20

  #if os(Linux)
    /// `MADV_HUGEPAGE`, which the importer does not see: advice that a system may not know.
    private static let hugePageAdvice: Int32 = 14
  #endif

  /// Whether memory of so many bytes is mapped; then it is all zero.
  private static func isMapped(_ byteCount: Int) -> Bool { byteCount >= mappedByteCount }

  /// The same as `allocate`, with all bytes 0.
  package static func allocateZeroed(_ byteCount: Int) -> UnsafeMutableRawPointer {
    let memory = allocate(byteCount)
    if !isMapped(byteCount) {
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }
    return memory
  }

  /// Takes memory, which `free` gives back.
  package static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
    guard isMapped(byteCount) else {
      return .allocate(byteCount: byteCount, alignment: 64)
    }
    // Large pages begin at multiples of their size: map more, and give the ends back.
    let length = roundedToPages(byteCount)
    let spare = byteCount >= largePage ? largePage : 0
    let start = mmap(
      nil, length + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let start, start != UnsafeMutableRawPointer(bitPattern: -1) else {
      fatalError(
        "out of memory: expected \(byteCount) bytes, found \(String(cString: strerror(errno)))")
    }
    guard spare > 0 else { return start }
    let aligned = start.alignedUp(toMultipleOf: largePage)
    let before = aligned - start
    if before > 0 { munmap(start, before) }
    if spare > before { munmap(aligned + length, spare - before) }
    #if os(Linux)
      madvise(aligned, length, hugePageAdvice)
    #endif
    return aligned
  }

  /// Gives memory back.
  /// - Parameter byteCount: what it was taken with.
  package static func free(_ memory: UnsafeMutableRawPointer, _ byteCount: Int) {
    if isMapped(byteCount) {
      munmap(memory, roundedToPages(byteCount))
    } else {
      memory.deallocate()
    }
  }

  private static func roundedToPages(_ byteCount: Int) -> Int {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    return (byteCount + page - 1) / page * page
  }
}
