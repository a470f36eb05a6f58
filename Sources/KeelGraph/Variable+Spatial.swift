import KeelTensor

extension Variable {
  /// The spatial extents and the channels of a variable N×…×C of `axisCount` spatial axes; otherwise keeps
  /// an error and returns nil.
  public func spatialExtents(axisCount: Int, at place: String) -> (axes: [Int], channels: Int)? {
    guard let type else { return nil }
    let extents = type.extents.dropFirst().compactMap(\.fixedValue)
    guard type.rank == axisCount + 2, extents.count == axisCount + 1 else {
      let letters = axisCount == 1 ? ["L", "C"] : ["D", "H", "W", "C"].suffix(axisCount + 1)
      trace.fail(
        KeelError(
          .shape, at: place,
          expected: "N×\(letters.joined(separator: "×")) of known "
            + letters.joined(separator: ", "), found: "\(type)"))
      return nil
    }
    return (Array(extents.dropLast()), extents[axisCount])
  }
}
