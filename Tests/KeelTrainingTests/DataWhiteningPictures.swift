import Foundation
import KeelTensor
import KeelTraining
import Testing

/// What the pictures of the article on whitening data show. `KEEL_PICTURES=FOLDER` writes it, one line of
/// numbers per image; `Scripts/draw-whitening.py FOLDER` draws.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["KEEL_PICTURES"] != nil))
struct DataWhiteningPictures {
  private func write(_ name: String, _ x: [Float], columns: Int) throws {
    let folder = try #require(ProcessInfo.processInfo.environment["KEEL_PICTURES"])
    let lines = stride(from: 0, to: x.count, by: columns).map { first in
      x[first..<first + columns].map { "\($0)" }.joined(separator: ",")
    }
    let url = URL(fileURLWithPath: folder).appendingPathComponent(name + ".csv")
    try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
  }

  /// The first of each digit: as they are, and whitened by each method.
  @Test func digits() throws {
    let x = DataWhiteningTests.digits
    try write("digits", Array(x.elements.prefix(10 * 64)), columns: 64)
    for method in DataWhitening.Method.allCases {
      let y = try DataWhitening(method, epsilon: .relative(0.1), fitting: x).apply(x)
      try write("digits-\(method)", Array(y.elements.prefix(10 * 64)), columns: 64)
    }
  }

  /// Patches before and after ZCA; rows of W for PCA and ZCA.
  @Test func patches() throws {
    let x = DataWhiteningTests.patches
    // Forty of those that are not flat.
    let busy = (0..<x.shape.rowCount).filter { row in
      let pixels = x.elements[row * 144..<(row + 1) * 144]
      let mean = pixels.reduce(0, +) / 144
      return pixels.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } > 144 * 0.01
    }
    let chosen = (0..<40).map { busy[$0 * busy.count / 40] }
    func rows(_ x: Tensor) -> [Float] {
      chosen.flatMap { Array(x.elements[$0 * 144..<($0 + 1) * 144]) }
    }
    try write("patches", rows(x), columns: 144)
    for method in DataWhitening.Method.allCases {
      let whitening = try DataWhitening(method, epsilon: .relative(0.1), fitting: x)
      if method == .zca { try write("patches-zca", rows(whitening.apply(x)), columns: 144) }
      try write("filters-\(method)", whitening.matrix().map { Float($0) }, columns: 144)
    }
  }
}
