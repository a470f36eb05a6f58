internal import Foundation
internal import KeelFormats
internal import KeelKernels
internal import KeelLinearAlgebra
internal import KeelTensor
internal import Logging

/// The algorithms that were measured to be the fastest on one machine, and the file that keeps them.
internal struct AlgorithmTable: Codable, Equatable {
  /// What the file is, its format, and the machine that it was measured on.
  struct Header: Codable, Equatable {
    var format = "keel-choices"
    var version = 1
    var machine = Header.thisMachine

    /// The CPU, the vector loops and the build of OpenBLAS.
    private static let thisMachine = [
      Processor.current.name, VectorLevel.current.name, BLASInfo.coreName,
    ].joined(separator: ", ")
  }

  private var header = Header()
  private var algorithms: [String: String] = [:]

  /// The algorithm of a convolution, where it has been measured.
  subscript(key: AlgorithmKey) -> ConvolutionAlgorithm? {
    get { algorithms[key.text].flatMap(ConvolutionAlgorithm.init(rawValue:)) }
    set { algorithms[key.text] = newValue?.rawValue }
  }

  /// Nothing has been measured.
  init() {}

  /// Reads a file; what is none of this machine and version counts as empty.
  init(readingFrom path: String) {
    guard let data = FileManager.default.contents(atPath: path) else { return }
    let log = Logger(label: "keel.choices")
    do {
      let table = try JSONDecoder().decode(AlgorithmTable.self, from: data)
      if table.header == header {
        self = table
      } else {
        log.notice(
          "\(path): choices of another machine or version are left aside (\(table.header.machine), version \(table.header.version); here \(header.machine), version \(header.version))"
        )
      }
    } catch {
      log.notice("\(path): not a file of choices, left aside")
    }
  }

  /// Writes the file, whole or not at all.
  /// - Throws: `KeelError` of kind `file` where the system refuses.
  func write(to path: String) throws(KeelError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do { data = try encoder.encode(self) } catch {
      throw KeelError(.file, at: path, expected: "choices that can be encoded", found: "\(error)")
    }
    try AtomicFile.write(to: path) { file throws(KeelError) in
      try file.append([UInt8](data))
    }
  }
}

/// What a measured choice depends on.
internal struct AlgorithmKey: Hashable {
  let geometry: ConvolutionGeometry
  let batch: Int
  let threads: Int
  let exact: Bool
  let demands: ConvolutionDemands

  /// The key in a file.
  var text: String {
    let axes = geometry.axes.map {
      "\($0.input)+\($0.paddingBefore)+\($0.paddingAfter):\($0.window)/\($0.stride)*\($0.dilation)"
    }
    return
      "\(axes.joined(separator: " ")) \(geometry.inputChannels)-\(geometry.outputChannels)/\(geometry.groups) batch \(batch) threads \(threads)"
      + (exact ? " exact" : "")
      + (demands.parts > 0 ? " through \(demands.parts)" : "") + (demands.pools ? " pooled" : "")
      + (demands.gathersMoments ? " moments" : "")
  }
}
