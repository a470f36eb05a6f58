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
    guard let input = spatialExtents(axes: axes, at: place) else { return nil }
    do {
      return trace.apply(primitive(try geometry(input.extents, input.channels, place)), [self])
    } catch {
      trace.fail(error)
      return nil
    }
  }

  /// The extents of the spatial axes and of the channels; otherwise keeps an error and returns nil.
  public func spatialExtents(axes: Int, at place: String) -> (extents: [Int], channels: Int)? {
    guard let type else { return nil }
    let extents = type.extents.dropFirst().map(\.fixedValue)
    guard type.rank == axes + 2, extents.allSatisfy({ $0 != nil }) else {
      let names =
        axes == 1 ? ["L", "C"] : Array(["D", "H", "W", "C"].suffix(axes + 1))
      trace.fail(
        KeelError(
          .shape, at: place,
          expected: "N×\(names.joined(separator: "×")) of known \(names.joined(separator: ", "))",
          found: "\(type)"))
      return nil
    }
    let known = extents.map { $0! }
    return (Array(known.dropLast()), known[axes])
  }
}
