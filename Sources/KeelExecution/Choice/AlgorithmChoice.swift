/// How a plan chooses between the algorithms that serve a convolution.
public enum AlgorithmChoice: Hashable, Sendable {
  /// By `ConvolutionCost`: takes no time.
  case estimated
  /// By running when the plan is made each of those that can do what was fused: pooling, reading through, statistics.
  ///
  /// What was measured is kept in a file, which later plans read instead of measuring again. A file of another machine,
  /// version or format is left aside, with a line in the log, and written anew.
  /// - Parameters:
  ///   - seconds: how long a plan may measure; convolutions that are not reached are estimated.
  ///   - file: the file's path; nil stands for `choices.json` in `KEEL_CACHE_DIR`, or for none where that is not set.
  case measured(seconds: Double, file: String? = nil)
}
