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

  /// Whether memory of so many bytes is mapped; then it is all zero.
  package static func isMapped(_ byteCount: Int) -> Bool { byteCount >= mappedByteCount }

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
      // 14: MADV_HUGEPAGE, advice that a system may not know.
      madvise(aligned, length, 14)
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
