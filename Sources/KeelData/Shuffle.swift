internal import KeelTensor

/// Shuffles by Fisher and Yates with numbers drawn here: the standard library does not promise that
/// its own shuffle stays the same from version to version, and splits and orders of batches should.
internal func shuffled(_ values: [Int], using source: inout RandomSource) -> [Int] {
  var values = values
  for i in values.indices.dropFirst().reversed() {
    values.swapAt(i, Int(source.next().multipliedFullWidth(by: UInt64(i + 1)).high))
  }
  return values
}
