/// When results are stored past the caches.
///
/// A plain store brings its line into the caches first, and pushes out what is read; a result of 6 MB and more
/// is not in the second level of caches when it is read. One core of 2 MB of it, milliseconds by plain stores
/// and past the caches: a map of x alone 4 MB 0.48 and 0.37, 6 MB 0.76 and 0.59, 10 MB 1.46 and 0.89, and with a
/// sum over its result 4 MB 0.65 and 0.70, 6 MB 1.06 and 1.07, 8 MB 1.51 and 1.42, 16 MB 2.93 and 2.50, 128 MB
/// 27.5 and 21.3. It gains as much on two cores, and where x and the result stay in the last level of caches.
internal enum LargeResult {
  private static let floats = 3 << 19

  /// 1 where a result of so many floats goes past the caches, else 0. One that is written over what is read
  /// does not: its lines are there already.
  static func streams(
    _ count: Int, _ result: UnsafePointer<Float>?, over x: UnsafePointer<Float>,
    and other: UnsafePointer<Float>? = nil
  ) -> Int32 { count >= floats && result != x && result != other ? 1 : 0 }
}
