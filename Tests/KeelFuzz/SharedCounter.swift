import Foundation
import KeelTensor

/// A number in a file that two processes see: it outlives the one that crashes.
final class SharedCounter {
  private let memory: UnsafeMutablePointer<Int>

  /// Maps a file of eight bytes.
  init(_ path: String) throws {
    let descriptor = open(path, O_RDWR)
    guard descriptor >= 0 else {
      throw KeelError(.file, at: path, expected: "a file to map", found: "none")
    }
    defer { close(descriptor) }
    let address = mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let address, address != UnsafeMutableRawPointer(bitPattern: -1) else {
      throw KeelError(.file, at: path, expected: "a file to map", found: "another")
    }
    memory = address.assumingMemoryBound(to: Int.self)
  }

  deinit { munmap(memory, 8) }

  /// The number.
  var value: Int {
    get { memory.pointee }
    set { memory.pointee = newValue }
  }
}
