package import KeelTensor

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A file that appears whole or not at all.
///
/// What is written goes to a temporary file in the same folder, which is brought to the disk and then renamed. A
/// write that fails takes the temporary file away; one that is interrupted leaves it behind, under a name that
/// begins with `.keel-`. An old file of that name is whole in both cases. A symbolic link is followed, and the
/// old file's permissions are kept.
package struct AtomicFile: ~Copyable {
  private let descriptor: Int32
  private let path: String

  /// Writes a file by a closure.
  /// - Throws: `KeelError` of kind `file` where the system refuses; what the closure throws.
  package static func write(
    to path: String, _ body: (borrowing AtomicFile) throws(KeelError) -> Void
  ) throws(KeelError) {
    let target = try Target(path)
    let (temporary, descriptor) = try target.makeTemporary()
    do throws(KeelError) {
      do throws(KeelError) {
        try body(AtomicFile(descriptor: descriptor, path: path))
        if let mode = target.mode { fchmod(descriptor, mode) }
        guard fsync(descriptor) == 0 else { throw .system(path, expected: "a disk to write to") }
      } catch {
        close(descriptor)
        throw error
      }
      guard close(descriptor) == 0, rename(temporary, target.path) == 0 else {
        throw .system(path, expected: "a file that can be written")
      }
    } catch {
      unlink(temporary)
      throw error
    }
    target.synchronizeFolder()
  }

  /// Appends bytes.
  package func append(_ bytes: UnsafeRawBufferPointer) throws(KeelError) {
    var done = 0
    while done < bytes.count {
      // Linux writes at most 2 GiB at a time.
      let length = min(bytes.count - done, 1 << 30)
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, bytes.baseAddress! + done, length)
      #else
        let count = Darwin.write(descriptor, bytes.baseAddress! + done, length)
      #endif
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .system(path, expected: "space for \(bytes.count) bytes") }
      done += count
    }
  }

  /// Appends bytes.
  package func append(_ bytes: [UInt8]) throws(KeelError) {
    try bytes.withBytes { (buffer) throws(KeelError) in try append(buffer) }
  }

  /// Where a file goes.
  private struct Target {
    let path: String
    /// The permissions of the old file.
    let mode: mode_t?

    init(_ path: String) throws(KeelError) {
      var status = stat()
      guard stat(path, &status) == 0 else {
        self.path = path
        mode = nil
        return
      }
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw KeelError(
          .file, at: path, expected: "a file, or none yet",
          found: status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "something else")
      }
      if let resolved = realpath(path, nil) {
        self.path = String(cString: resolved)
        free(resolved)
      } else {
        self.path = path
      }
      mode = status.st_mode & 0o7777
    }

    private var folder: String {
      guard let slash = path.lastIndex(of: "/") else { return "." }
      return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    func makeTemporary() throws(KeelError) -> (path: String, descriptor: Int32) {
      while true {
        let name = "\(folder)/.keel-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        if descriptor >= 0 { return (name, descriptor) }
        guard errno == EEXIST else {
          throw .system(path, expected: "a folder that can be written to")
        }
      }
    }

    /// Brings the new name to the disk, where the system can.
    func synchronizeFolder() {
      let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return }
      fsync(descriptor)
      close(descriptor)
    }
  }
}
