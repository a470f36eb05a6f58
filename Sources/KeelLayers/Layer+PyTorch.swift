import KeelGraph
import KeelTensor

extension Layer {
  /// Gives every parameter the value that a PyTorch state dict has for it: all of them, or none where something
  /// does not fit.
  ///
  /// A parameter's name is its path with PyTorch's last part: `scale` and `shift` are `weight` and `bias`,
  /// `runningMean` and `runningVariance` are `running_mean` and `running_var`, `slope` is `weight`, `weightIH`
  /// is `weight_ih`; `num_batches_tracked` is read where the layer has a `batchCount`, and passed over where it
  /// has none. What PyTorch has channels first is turned: weights of convolutions O×I×kH×kW, transposed ones
  /// I×O×kH×kW, and scale and shift of layer norms over C×H×W.
  ///
  /// A layer behind a flattening sees features in the order H, W, C, PyTorch's in the order C, H, W, and its
  /// shapes do not tell. `flattened` names such layers by path, with the channels that were flattened; left out,
  /// the network computes something else.
  ///
  ///     let file = try SafeTensorsFile(path: "lenet.safetensors")
  ///     try lenet.loadPyTorch(file.values(), flattened: ["fc1": 50])
  ///
  /// - Parameters:
  ///   - names: the state dict's name of what is called so here; `ResNet.torchvisionName` for torchvision's.
  ///   - flattened: the channels that were flattened in front of a layer, by its path.
  /// - Throws: one `KeelError` that lists the names that are missing, unexpected or of another shape, as `load`
  ///   does; of kind `argument` for a path in `flattened` without a layer that its channels fit.
  public func loadPyTorch(
    _ weights: [String: TensorValue], names: (String) -> String = { $0 },
    flattened: [String: Int] = [:]
  ) throws(KeelError) {
    let parameters = try pyTorchParameters(names: names, flattened: flattened)
    var problems = WeightProblems(parameterCount: parameters.count)
    var known: Set<String> = []
    var values: [Tensor] = []
    for entry in parameters {
      known.insert(entry.name)
      if let ignored = entry.ignoredName { known.insert(ignored) }
      guard let value = weights[entry.name] else {
        problems.missing.append(entry.name)
        continue
      }
      if let tensor = entry.value(of: value) {
        values.append(tensor)
      } else {
        problems.misshapen.append(
          "\(entry.name) \(value.elementType.rawValue) \(value.shape) for \(entry.layout.shape)")
      }
    }
    problems.unexpected = weights.keys.filter { !known.contains($0) }.sorted()
    if let error = problems.error { throw error }
    for (entry, value) in zip(parameters, values) { entry.parameter.value = value }
  }

  /// The contents of every parameter by PyTorch's names and in its layouts, for `load_state_dict`: the inverse of
  /// `loadPyTorch`, whose parameters these are.
  /// - Throws: `KeelError` of kind `argument` for a path in `flattened` without a layer that its channels fit.
  public func pyTorchWeights(
    names: (String) -> String = { $0 }, flattened: [String: Int] = [:]
  ) throws(KeelError) -> [String: Tensor] {
    var result: [String: Tensor] = [:]
    for entry in try pyTorchParameters(names: names, flattened: flattened) where !entry.isCount {
      result[entry.name] = entry.layout.fromKeel(entry.parameter.value)
    }
    return result
  }

  private func pyTorchParameters(
    names: (String) -> String, flattened: [String: Int]
  ) throws(KeelError) -> [PyTorchParameter] {
    var unused = Set(flattened.keys)
    var result: [PyTorchParameter] = []
    for (path, parameter) in parameters {
      if let failure = parameter.failure {
        throw KeelError(failure.kind, at: path, expected: failure.expected, found: failure.found)
      }
      let (layer, own) = splitPath(path)
      // A bias has one number per output, which no flattening reorders.
      let channels = own == "bias" ? nil : flattened[layer]
      if let channels {
        unused.remove(layer)
        guard channels >= 1, (1...2).contains(parameter.shape.rank),
          parameter.shape.channelCount % channels == 0
        else {
          throw KeelError(
            .argument, at: path, expected: "flattened channels that divide its inputs",
            found: "\(channels) for \(parameter.shape)")
        }
      }
      result.append(
        PyTorchParameter(
          name: names(pyTorchName(of: path)),
          ignoredName: own == "runningMean"
            ? names(joinedPath(layer, "num_batches_tracked")) : nil,
          parameter: parameter, isCount: own == "batchCount",
          layout: PyTorchLayout(parameter.shape, of: own, flattenedChannels: channels)))
    }
    if let path = unused.min() {
      throw KeelError(
        .argument, at: "flattened", expected: "paths of layers with weights", found: path)
    }
    return result
  }
}

extension ResNet {
  /// The name that torchvision's residual networks have for one of Keel's: `layer1.0.downsample.0.weight` for
  /// `stage1.0.shortcut.conv.weight`, `fc.bias` for `classifier.bias`. For `loadPyTorch`.
  public static func torchvisionName(_ name: String) -> String {
    var parts = name.split(separator: ".").map(String.init)
    if let at = parts.firstIndex(of: "shortcut"), at + 1 < parts.count {
      parts[at] = "downsample"
      parts[at + 1] = parts[at + 1] == "conv" ? "0" : "1"
    }
    if let first = parts.first {
      if first == "classifier" { parts[0] = "fc" }
      if first.hasPrefix("stage") { parts[0] = "layer" + first.dropFirst(5) }
    }
    return parts.joined(separator: ".")
  }
}

/// PyTorch's name of a parameter.
package func pyTorchName(of path: String) -> String {
  let (layer, own) = splitPath(path)
  let names = [
    "scale": "weight", "shift": "bias", "runningMean": "running_mean",
    "runningVariance": "running_var", "batchCount": "num_batches_tracked", "slope": "weight",
    "weightIH": "weight_ih", "weightHH": "weight_hh", "biasIH": "bias_ih", "biasHH": "bias_hh",
  ]
  return joinedPath(layer, names[own] ?? own)
}

/// A parameter's path as its layer's and its own name there.
private func splitPath(_ path: String) -> (layer: String, own: String) {
  guard let dot = path.lastIndex(of: ".") else { return ("", path) }
  return (String(path[..<dot]), String(path[path.index(after: dot)...]))
}

private func joinedPath(_ layer: String, _ own: String) -> String {
  layer.isEmpty ? own : "\(layer).\(own)"
}

/// A parameter and what PyTorch makes of it.
private struct PyTorchParameter {
  let name: String
  /// What PyTorch has beside it and Keel has not.
  let ignoredName: String?
  let parameter: Parameter
  /// Whether it is one number in PyTorch, and one for each channel here.
  let isCount: Bool
  let layout: PyTorchLayout

  /// The parameter's value; nil where the shape or element type is not PyTorch's.
  func value(of value: TensorValue) -> Tensor? {
    switch value {
    case .int64(let count) where isCount && count.count == 1:
      return Tensor(repeating: Float(count[flat: 0]), shape: parameter.shape)
    case .float32(let tensor) where !isCount && tensor.shape == layout.shape:
      return layout.toKeel(tensor, parameter.shape)
    default: return nil
    }
  }
}

/// How PyTorch lays out a parameter: as so many matrices of channels by positions, which are positions by
/// channels here.
private struct PyTorchLayout {
  let shape: Shape
  private let matrices: Int
  private let channels: Int
  private let positions: Int

  /// The layout of a parameter by its shape here and its own name.
  init(_ keel: Shape, of own: String, flattenedChannels: Int?) {
    let extents = keel.extents
    channels = flattenedChannels ?? keel.channelCount
    if flattenedChannels != nil {
      shape = keel
      matrices = keel.rowCount
    } else if own == "weight", keel.rank >= 3 {
      shape = Shape([extents[0], channels] + extents[1..<extents.count - 1])
      matrices = extents[0]
    } else if own == "scale" || own == "shift", keel.rank >= 3 {
      shape = Shape([channels] + extents.dropLast())
      matrices = 1
    } else {
      shape = keel
      matrices = keel.rowCount
    }
    positions = keel.elementCount / max(matrices * channels, 1)
  }

  func toKeel(_ tensor: Tensor, _ keel: Shape) -> Tensor {
    transposed(tensor, rows: channels, columns: positions, shape: keel)
  }

  func fromKeel(_ tensor: Tensor) -> Tensor {
    transposed(tensor, rows: positions, columns: channels, shape: shape)
  }

  /// Transposes each matrix of rows×columns.
  private func transposed(_ tensor: Tensor, rows: Int, columns: Int, shape: Shape) -> Tensor {
    // The same number of elements by construction.
    guard positions > 1 else { return try! tensor.reshaped(to: shape) }
    return Tensor(uninitialized: shape) { out in
      tensor.withSpan { x in
        for first in stride(from: 0, to: out.count, by: rows * columns) {
          for column in 0..<columns {
            for row in 0..<rows {
              out[first + column * rows + row] = x[first + row * columns + column]
            }
          }
        }
      }
    }
  }
}
