import Foundation
import KeelGraph
import KeelTensor

/// Resize where Keel has no movement for it: each axis is a product with a matrix of weights, known before the
/// network runs.
struct Resampling {
  /// The weights of the elements around one place.
  enum Kernel {
    case linear
    /// Cubic convolution (Keys 1981) with coefficient a.
    case cubic(a: Double)
    case nearest(rule: String)
  }

  var kernel: Kernel
  /// The name of ONNX's coordinate transformation.
  var coordinates: String
  /// Whether shrinking widens the kernel by as much.
  var antialias: Bool
  /// Whether elements outside have no weight; otherwise they are those at the edge.
  var excludesOutside: Bool

  /// The place in an axis of `input` elements that element `i` of the result shows; nil for one outside of what
  /// is cropped.
  private func place(_ i: Int, input: Int, output: Int, scale: Double, crop: (Double, Double))
    -> Double?
  {
    let (x, length) = (Double(i), scale * Double(input))
    let last = Double(input - 1)
    switch coordinates {
    case "align_corners": return length == 1 ? 0 : x * last / (length - 1)
    case "asymmetric": return x / scale
    case "pytorch_half_pixel" where length == 1: return -0.5
    case "half_pixel_symmetric":
      let offset = Double(input) / 2 * (1 - Double(output) / length)
      return offset + (x + 0.5) / scale - 0.5
    case "tf_crop_and_resize":
      let size = (crop.1 - crop.0) * last
      let place =
        crop.0 * last
        + (length == 1 ? size / 2 : x * size / (length - 1))
      return place < 0 || place > last ? nil : place
    default: return (x + 0.5) / scale - 0.5
    }
  }

  /// The matrix output×input, and which rows lie inside.
  func weights(input: Int, output: Int, scale: Double, crop: (Double, Double)) -> (
    matrix: [Double], isInside: [Bool]
  ) {
    var matrix = [Double](repeating: 0, count: output * input)
    var isInside = [Bool](repeating: true, count: output)
    for i in 0..<output {
      guard let x = place(i, input: input, output: output, scale: scale, crop: crop) else {
        isInside[i] = false
        continue
      }
      if case .nearest(let rule) = kernel {
        let near = min(max(Int(Self.rounded(x, rule)), 0), input - 1)
        matrix[i * input + near] = 1
        continue
      }
      let reach: Double = if case .cubic = kernel { 2 } else { 1 }
      let shrink = antialias ? min(scale, 1) : 1
      let half = Int((reach / shrink).rounded(.up))
      // Elements on both sides of x, as many before as after.
      let first = Int(x.rounded(.up)) - half
      var sum = 0.0
      var row: [(Int, Double)] = []
      for j in first..<first + 2 * half {
        let isOutside = j < 0 || j >= input
        if isOutside && excludesOutside { continue }
        let weight = value((Double(j) - x) * shrink)
        sum += weight
        row.append((min(max(j, 0), input - 1), weight))
      }
      let divides = antialias || excludesOutside
      for (j, weight) in row { matrix[i * input + j] += divides ? weight / sum : weight }
    }
    return (matrix, isInside)
  }

  private func value(_ distance: Double) -> Double {
    let d = distance.magnitude
    guard case .cubic(let a) = kernel else { return max(0, 1 - d) }
    if d <= 1 { return ((a + 2) * d - (a + 3)) * d * d + 1 }
    return d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0
  }

  private static func rounded(_ x: Double, _ rule: String) -> Double {
    switch rule {
    case "floor": x.rounded(.down)
    case "ceil": x.rounded(.up)
    case "round_prefer_ceil": (x + 0.5).rounded(.down)
    default: (x - 0.5).rounded(.up)
    }
  }
}

extension GraphImporter {
  /// An axis that is resized: its extent afterwards, the factor, and the part of it that is shown.
  struct ResizedAxis {
    var axis: Int
    var size: Int
    var scale: Double
    var crop = (0.0, 1.0)
  }

  /// A value through the matrices of its axes; where a place lies outside, a number instead.
  func resampled(
    _ node: ONNXNode, _ value: OrderedValue, _ axes: [ResizedAxis], _ resampling: Resampling,
    outside number: Float
  ) throws(KeelError) -> ImportedValue {
    var x = value
    var masks: [(axis: Int, isInside: [Bool])] = []
    for request in axes {
      let input = try known(node, x, axis: request.axis)
      try chargeWeight([input, request.size], node)
      let (matrix, isInside) = resampling.weights(
        input: input, output: request.size, scale: request.scale, crop: request.crop)
      if isInside.contains(false) { masks.append((request.axis, isInside)) }
      let isIdentity =
        input == request.size
        && matrix.indices.allSatisfy { matrix[$0] == ($0 / input == $0 % input ? 1 : 0) }
      if isIdentity { continue }
      let name = "\(node.label).axis\(request.axis)"
      let weight = try weight(name, key: name, role: .state) { () throws(KeelError) -> Tensor in
        Tensor(uninitialized: [request.size, input]) { out in
          for i in out.indices { out[i] = Float(matrix[i]) }
        }
      }
      let order = x.order.filter { $0 != request.axis } + [request.axis]
      x = try rows(x, times: weight, order: order, node)
    }
    guard !masks.isEmpty, number != 0 else { return .graph(x) }
    var shape = [Int](repeating: 1, count: x.order.count)
    for mask in masks { shape[mask.axis] = mask.isInside.count }
    let count = shape.reduce(1, *)
    try chargeWeight(shape, node)
    let steps = HostTensor.strides(shape)
    let outside = Tensor(uninitialized: Shape(shape)) { out in
      for i in 0..<count {
        let isInside = masks.allSatisfy { $0.isInside[i / steps[$0.axis] % shape[$0.axis]] }
        out[i] = isInside ? 0 : number
      }
    }
    return .graph(
      try combine(.add, .graph(x), .constant(HostTensor(outside), name: nil), node.label))
  }
}
