/// How far folding goes where it is exact but has a price.
public enum FoldExtent: Hashable, Sendable {
  /// As far as runs become faster by it.
  case whereItPays
  /// As far as it is exact, also where it costs more than the norm: to leave as few norms as possible.
  case everywhere
}
