/// When results are stored past the caches.
///
/// A plain store brings its line into the caches first, and pushes out what is read; a result of 8 MB and more
/// is not in the second level of caches when it is read. One core of 2 MB of it, a map of x and a sum over its
/// result, milliseconds by plain stores and past the caches: 4 MB 0.60 and 0.64, 8 MB 1.27 and 1.25, 16 MB
/// 2.93 and 2.50, 32 MB 5.94 and 4.85, 128 MB 27.5 and 21.3.
internal enum LargeResult {
  private static let floats = 2 << 20

  /// 1 where a result of so many floats goes past the caches, else 0. One that is written over what is read
  /// does not: its lines are there already.
  static func streams(
    _ count: Int, _ result: UnsafePointer<Float>?, over x: UnsafePointer<Float>,
    and other: UnsafePointer<Float>? = nil
  ) -> Int32 { count >= floats && result != x && result != other ? 1 : 0 }
}
