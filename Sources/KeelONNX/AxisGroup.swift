import KeelGraph

/// A run of axes that a reshape turns into a run of axes of the same number of elements.
struct AxisGroup {
  var old: [Int]
  var new: [Int]

  /// The smallest runs of axes in row-major order that become each other.
  static func matching(_ old: [Extent], _ new: [Extent]) -> [AxisGroup] {
    var result: [AxisGroup] = []
    var (i, j) = (0, 0)
    while i < old.count || j < new.count {
      if i < old.count, old[i] == 1 {
        result.append(AxisGroup(old: [i], new: []))
        i += 1
      } else if j < new.count, new[j] == 1 {
        result.append(AxisGroup(old: [], new: [j]))
        j += 1
      } else if i < old.count, j < new.count, old[i] == new[j] {
        result.append(AxisGroup(old: [i], new: [j]))
        i += 1
        j += 1
      } else {
        // Grow the side with fewer elements until both have as many; open extents end it at once.
        let (firstOld, firstNew) = (i, j)
        var (a, b) = (1, 1)
        func grow(_ count: inout Int, _ extent: Extent) {
          let (product, overflow) = count.multipliedReportingOverflow(by: extent.fixedValue ?? 0)
          count = overflow ? 0 : product
        }
        repeat {
          if a <= b, i < old.count {
            grow(&a, old[i])
            i += 1
          } else if j < new.count {
            grow(&b, new[j])
            j += 1
          } else if i < old.count {
            grow(&a, old[i])
            i += 1
          } else {
            break
          }
          if a == 0 || b == 0 { (i, j) = (old.count, new.count) }
        } while a != b && (i < old.count || j < new.count)
        result.append(AxisGroup(old: Array(firstOld..<i), new: Array(firstNew..<j)))
      }
    }
    return result
  }
}
