internal import Foundation
internal import KeelImages
public import KeelTensor

/// Pictures in folders, one folder for each class.
///
///     photographs/cat/1.png
///     photographs/cat/2.png
///     photographs/dog/1.png
public struct ImageFolder: Sendable {
  /// The folders' names, sorted: class k is the k-th.
  public let classNames: [String]
  /// The pictures, class by class and sorted by name in each, N×H×W×C in 0…1.
  public let images: LabelledImages
  /// The path of each picture.
  public let paths: [String]

  /// Reads all pictures of a folder of folders. Files beside the folders, and names that begin with a point, are
  /// passed over.
  ///
  /// - Parameter background: what is behind transparent pixels, as in `PNGFile.read(_:background:)`.
  /// - Throws: `KeelError` of kind `file` where there is no folder, a class is without pictures, or a file is not a
  ///   PNG picture; of kind `shape` for a picture of another size or number of channels than the first.
  public init(path: String, background: Float = 1) throws(KeelError) {
    classNames = try Self.entries(of: path).filter { Self.isFolder("\(path)/\($0)") }
    guard !classNames.isEmpty else {
      throw KeelError(.file, at: path, expected: "a folder for each class", found: "none")
    }
    var paths: [String] = []
    var labels: [Int64] = []
    for (label, name) in classNames.enumerated() {
      let files = try Self.entries(of: "\(path)/\(name)")
      guard !files.isEmpty else {
        throw KeelError(.file, at: "\(path)/\(name)", expected: "pictures", found: "none")
      }
      paths += files.map { "\(path)/\(name)/\($0)" }
      labels += files.map { _ in Int64(label) }
    }
    let first = try PNGFile.read(paths[0], background: background)
    let size = first.count
    let all = try Tensor(uninitialized: Shape([paths.count] + first.shape.extents.dropFirst())) {
      (out) throws(KeelError) in
      for (position, path) in paths.enumerated() {
        let image = position == 0 ? first : try PNGFile.read(path, background: background)
        guard image.shape == first.shape else {
          throw KeelError(
            .shape, at: path,
            expected: "a picture \(Shape(Array(first.shape.extents.dropFirst())))",
            found: "\(Shape(Array(image.shape.extents.dropFirst())))")
        }
        image.withSpan { x in
          for i in 0..<size { out[position * size + i] = x[i] }
        }
      }
    }
    self.paths = paths
    images = try LabelledImages(
      images: all, labels: IndexTensor(labels, shape: [labels.count]))
  }

  /// The names in a folder, sorted by their Unicode scalars, which is the same in every language.
  private static func entries(of path: String) throws(KeelError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path)
        .filter { !$0.hasPrefix(".") }
        .sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
    } catch {
      throw KeelError(
        .file, at: path, expected: "a folder that can be read", found: error.localizedDescription)
    }
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }
}
