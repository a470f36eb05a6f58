import KeelTensor

extension Variable {
  /// Pools over one, two or three axes between batch and channels; `geometry` is given their extents,
  /// outermost first, and the number of channels.
  public func pooled(
    axes: Int = 2,
    _ geometry: (_ input: [Int], _ channels: Int, _ place: String) throws(KeelError)
      -> PoolingGeometry
  ) -> Variable {
    pooled(axes, geometry) { .pooling($0) }?[0] ?? trace.nothing()
  }

  /// Max pooling that also says where each maximum stands: int64 positions within the image, counted in
  /// row-major order over the spatial axes.
  public func maxPooledWithIndices(
    axes: Int = 2,
    _ geometry: (_ input: [Int], _ channels: Int, _ place: String) throws(KeelError)
      -> PoolingGeometry
  ) -> (y: Variable, indices: Variable) {
    let results = pooled(axes, geometry) { .maxPoolingWithIndices($0) }
    return (results?[0] ?? trace.nothing(), results?[1] ?? trace.nothing())
  }

  /// The largest element of each channel of N×…×C, with one to three axes between: N×C.
  public func globalMaxPooled() -> Variable {
    let axes = min(max((type?.rank ?? 4) - 2, 1), 3)
    let pooled = pooled(axes: axes) { (input, channels, place) throws(KeelError) in
      try PoolingGeometry(
        global: .maximum, input: Shape([1] + input + [channels]), place: place)
    }
    return pooled.flattened()
  }

  private func pooled(
    _ axes: Int,
    _ geometry: ([Int], Int, String) throws(KeelError) -> PoolingGeometry,
    _ primitive: (PoolingGeometry) -> Primitive
  ) -> [Variable]? {
    let place = "pooling after \(trace.lastLayer)"
    guard let input = spatialExtents(axisCount: axes, at: place) else { return nil }
    do {
      return trace.apply(primitive(try geometry(input.axes, input.channels, place)), [self])
    } catch {
      trace.fail(error)
      return nil
    }
  }
}
