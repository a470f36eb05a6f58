extension ONNXModel {
  /// The names of the extents that the model's inputs leave open, each once, in the order of the inputs: those for
  /// which `ONNXImportOptions.extents` has values.
  public var openExtents: [String] {
    let initializers = Set(proto.graph.initializer.map(\.name))
    var result: [String] = []
    for input in proto.graph.input where !initializers.contains(input.name) {
      for (axis, dimension) in input.type.tensorType.shape.dim.enumerated() {
        let name: String
        switch dimension.value {
        case .dimValue?: continue
        case .dimParam(let own)? where !own.isEmpty: name = own
        default: name = "\(input.name).\(axis)"
        }
        if !result.contains(name) { result.append(name) }
      }
    }
    return result
  }
}
