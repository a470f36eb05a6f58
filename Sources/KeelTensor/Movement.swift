/// What is put around a tensor.
public enum PaddingMode: Hashable, Sendable {
  /// One value; amounts below 0 cut off.
  case constant(Float)
  /// The elements mirrored at the edge, which is not repeated: c b | a b c | b a.
  case reflect
  /// The edge again and again: a a | a b c | c c.
  case replicate
  /// The other end: b c | a b c | a b.
  case circular

  /// Zeros.
  public static let zeros = PaddingMode.constant(0)
}

/// How an element between others is made.
public enum Interpolation: Hashable, Sendable {
  /// The element whose number is the coordinate rounded.
  case nearest(Rounding)
  /// Between the two elements around the coordinate, by distance: bilinear over two axes, trilinear over
  /// three.
  case linear

  /// How `nearest` rounds.
  public enum Rounding: Hashable, Sendable {
    /// Down: PyTorch's `nearest`.
    case down
    /// Halves down: ONNX's `round_prefer_floor`.
    case halfDown
    /// Halves up: PyTorch's `nearest-exact` over half-pixel coordinates.
    case halfUp
    /// Up.
    case up
  }
}

/// Where element i of a resized axis lies on the axis before, for a scale s = input/output.
///
/// Numerics: coordinates are in Double, and one that is within 10⁻⁹ of a multiple of ½ is that multiple, as a
/// scale such as 1/1.5 means it. PyTorch and ONNX Runtime compute them in Float: of two neighbours as near
/// as each other theirs can be the other one (3 to 123 elements, element 41: PyTorch's `nearest` takes 0, Keel
/// takes 1).
public enum ResizeCoordinates: Hashable, Sendable {
  /// (i + ½)·s − ½: elements are areas. PyTorch's `align_corners=False`.
  case halfPixel
  /// i·(input − 1)/(output − 1): first and last elements stay where they are.
  case alignCorners
  /// i·s.
  case asymmetric
}

/// What a `Movement` does along one axis: each element of the result is a weighted sum of elements of the
/// axis before, or of none.
public enum AxisMovement: Hashable, Sendable {
  /// The axis as it is.
  case whole
  /// Elements start, start + step, start + 2·step, …
  case slice(start: Int, count: Int, step: Int)
  /// More elements before and after.
  case pad(before: Int, after: Int, PaddingMode)
  /// Another number of elements; `scale` is input/output unless given.
  case resize(to: Int, Interpolation, ResizeCoordinates, scale: Double?)
}

/// Slicing, padding and resizing: y[i₀, i₁, …] = Σ w₀·w₁·…·x[j₀, j₁, …] with an `AxisMovement` for each axis, or the
/// padding's value where an axis has no element to take.
///
/// Linear in x, so its gradient is the same sum turned round.
public struct Movement: Hashable, Sendable {
  /// What is done along each axis, outermost first.
  public let axes: [AxisMovement]

  /// Makes a movement.
  public init(_ axes: [AxisMovement]) { self.axes = axes }

  /// The operation's name: `slice`, `pad` or `resize`.
  public var name: String {
    for axis in axes {
      switch axis {
      case .pad: return "pad"
      case .resize: return "resize"
      case .whole, .slice: continue
      }
    }
    return "slice"
  }

  /// The value where there is nothing to take.
  public var fill: Float {
    for axis in axes {
      if case .pad(_, _, .constant(let value)) = axis { return value }
    }
    return 0
  }

  /// Whether each element of the result is one of the operand or zero, so that integers can be moved too.
  public var copies: Bool {
    fill.bitPattern == 0
      && axes.allSatisfy { axis in
        if case .resize(_, .linear, _, _) = axis { false } else { true }
      }
  }

  /// The same without a constant: its gradient's gradient.
  public var linear: Movement {
    Movement(
      axes.map { axis in
        if case .pad(let before, let after, .constant) = axis {
          .pad(before: before, after: after, .zeros)
        } else {
          axis
        }
      })
  }

  /// The extent of a result's axis.
  /// - Throws: `KeelError` of kind `argument` for numbers that the axis cannot have.
  public func extent(ofAxis axis: Int, input: Int, place: String) throws(KeelError) -> Int {
    func fail(_ expected: String, _ found: String) -> KeelError {
      KeelError(.argument, at: place, expected: "\(expected) on axis \(axis)", found: found)
    }
    switch axes[axis] {
    case .whole: return input
    case .slice(let start, let count, let step):
      guard count >= 1, step >= 1 else {
        throw fail("a count and a step of at least 1", "count \(count), step \(step)")
      }
      let (last, overflow) = (count - 1).multipliedReportingOverflow(by: step)
      guard start >= 0, start < input, !overflow, last < input - start else {
        throw fail("elements from 0 to \(input - 1)", "\(count) from \(start) by \(step)")
      }
      return count
    case .pad(let before, let after, let mode):
      let limit: Int
      switch mode {
      case .constant(let value):
        if value != fill, !(value.isNaN && fill.isNaN) {
          throw fail("the value \(fill) of the axes before", "\(value)")
        }
        limit = Int(Int32.max)
        guard before > -input, after > -input else {
          throw fail("cuts of less than \(input) elements", "\(before) and \(after)")
        }
      case .reflect: limit = input - 1
      case .replicate: limit = Int(Int32.max)
      case .circular: limit = input
      }
      if case .constant = mode {
      } else if before < 0 || after < 0 {
        throw fail("\(mode) padding of at least 0", "\(before) and \(after)")
      }
      guard before <= limit, after <= limit else {
        throw fail(
          "\(mode) padding of at most \(limit) (input \(input))", "\(before) and \(after)")
      }
      guard input + before + after >= 1 else {
        throw fail("at least 1 element that is left", "\(input) with \(before) and \(after)")
      }
      return input + before + after
    case .resize(let output, _, _, let scale):
      guard (1...Int(Int32.max)).contains(output) else {
        throw fail("an extent of at least 1 and below 2³¹", "\(output)")
      }
      if let scale, !(scale > 0 && scale.isFinite) {
        throw fail("a finite scale above 0", "\(scale)")
      }
      return output
    }
  }
}

/// The sparse matrix of one axis: output i is Σ weights[t]·x[inputs[t]] over t in starts[i]..<starts[i + 1].
package struct AxisTaps: Hashable, Sendable {
  /// Where each output's terms start, and where the last one's end.
  package private(set) var starts: [Int] = [0]
  /// The elements that are taken.
  package private(set) var inputs: [Int] = []
  /// What they are multiplied by.
  package private(set) var weights: [Float] = []

  /// The number of outputs.
  package var outputCount: Int { starts.count - 1 }

  /// Whether every output is one input as it is, or nothing.
  package var copies: Bool {
    weights.allSatisfy { $0 == 1 } && zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 <= 1 }
  }

  private mutating func append(_ terms: [(input: Int, weight: Double)]) {
    for term in terms {
      inputs.append(term.input)
      weights.append(Float(term.weight))
    }
    starts.append(inputs.count)
  }

  /// The taps of an axis.
  package init(_ axis: AxisMovement, input: Int, output: Int) {
    for i in 0..<output {
      switch axis {
      case .whole: append([(i, 1)])
      case .slice(let start, _, let step): append([(start + i * step, 1)])
      case .pad(let before, _, let mode):
        let j = i - before
        switch mode {
        case .constant: append((0..<input).contains(j) ? [(j, 1)] : [])
        case .reflect: append([(j < 0 ? -j : j >= input ? 2 * (input - 1) - j : j, 1)])
        case .replicate: append([(min(max(j, 0), input - 1), 1)])
        case .circular: append([((j + input) % input, 1)])
        }
      case .resize(_, let interpolation, let coordinates, let scale):
        let x = Self.coordinate(i, coordinates, input, output, scale)
        // Cut to the axis before it is made an integer: a large scale goes beyond those.
        let inside = { (x: Double) in min(max(x, 0), Double(input - 1)) }
        switch interpolation {
        case .nearest(let rounding): append([(Int(inside(Self.rounded(x, rounding))), 1)])
        case .linear:
          let inside = inside(x)
          let first = Int(inside)
          let fraction = inside - Double(first)
          append(
            fraction == 0 ? [(first, 1)] : [(first, 1 - fraction), (first + 1, fraction)])
        }
      }
    }
  }

  private static func coordinate(
    _ i: Int, _ coordinates: ResizeCoordinates, _ input: Int, _ output: Int, _ scale: Double?
  ) -> Double {
    let scale = scale ?? Double(input) / Double(output)
    let x =
      switch coordinates {
      case .halfPixel: (Double(i) + 0.5) * scale - 0.5
      case .alignCorners: output > 1 ? Double(i * (input - 1)) / Double(output - 1) : 0.0
      case .asymmetric: Double(i) * scale
      }
    let halves = (2 * x).rounded()
    return abs(2 * x - halves) <= 2e-9 ? halves / 2 : x
  }

  private static func rounded(_ x: Double, _ rounding: Interpolation.Rounding) -> Double {
    switch rounding {
    case .down: x.rounded(.down)
    case .halfDown: (x - 0.5).rounded(.up)
    case .halfUp: (x + 0.5).rounded(.down)
    case .up: x.rounded(.up)
    }
  }

  /// The matrix turned round: for each of `inputCount` inputs the outputs that take it.
  package func transposed(inputCount: Int) -> AxisTaps {
    var terms = [[(input: Int, weight: Double)]](repeating: [], count: inputCount)
    for output in 0..<outputCount {
      for t in starts[output]..<starts[output + 1] {
        terms[inputs[t]].append((output, Double(weights[t])))
      }
    }
    var result = AxisTaps()
    for term in terms { result.append(term) }
    return result
  }

  private init() {}
}
