import KeelTensor

/// A value of a graph under tracing: what layers take and give.
public struct Variable {
  /// The trace that records it.
  public let trace: Trace
  /// The value; nil after an error, which the trace keeps.
  public let value: ValueID?

  internal init(trace: Trace, value: ValueID?) {
    self.trace = trace
    self.value = value
  }

  /// The type; nil after an error.
  public var type: ValueType? { value.map { trace.type(of: $0) } }

  /// The sum of two variables of one shape.
  public static func + (left: Variable, right: Variable) -> Variable {
    left.trace.apply(.add, [left, right])[0]
  }

  /// Softmax along the last axis of a matrix.
  public func softmax() -> Variable { trace.apply(.softmax, [self])[0] }

  /// The mean over the positions of N×H×W×C: N×C.
  public func globalAveragePooled() -> Variable { trace.apply(.globalAveragePooling, [self])[0] }

  /// The same elements as a matrix: the first axis stays, the others become one (channels last, so in
  /// the order H, W, C).
  public func flattened() -> Variable {
    guard let type else { return self }
    let tail = type.extents.dropFirst().map(\.fixedValue)
    guard type.rank >= 1, tail.allSatisfy({ $0 != nil }) else {
      trace.fail(
        KeelError(
          .shape, at: "flatten after \(trace.lastLayer)",
          expected: "known extents after the first axis", found: "\(type)"))
      return trace.nothing()
    }
    let count = tail.reduce(1) { $0 * $1! }
    return trace.apply(.reshape([type.extents[0], .fixed(count)]), [self])[0]
  }

  /// The mean softmax cross-entropy of logits N×K with labels N.
  public func softmaxCrossEntropy(labels: Variable) -> Variable {
    trace.apply(.softmaxCrossEntropy, [self, labels])[0]
  }

  /// Pools N×H×W×C; `geometry` is given the input's height, width and channels.
  public func pooled(
    _ geometry: (_ height: Int, _ width: Int, _ channels: Int, _ place: String) throws(KeelError)
      -> PoolingGeometry
  ) -> Variable {
    let place = "pooling after \(trace.lastLayer)"
    guard let image = imageExtents(at: place) else { return trace.nothing() }
    do {
      return trace.apply(
        .pooling(try geometry(image.height, image.width, image.channels, place)), [self])[0]
    } catch {
      trace.fail(error)
      return trace.nothing()
    }
  }
}
