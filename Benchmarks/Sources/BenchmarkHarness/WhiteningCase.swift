public import Keel

/// One line of the whitening benchmarks: a method, its blocks of channels, and the shape of x.
public struct WhiteningCase: Hashable, Sendable {
  /// The methods that are timed.
  public enum Method: String, Codable, CaseIterable, Sendable {
    /// Decorrelated batch norm by ZCA.
    case zca
    /// By Cholesky.
    case cholesky
    /// Five coupled steps of Newton and Schulz.
    case iterNorm = "iternorm"
    /// Whitening and coloring: x takes the statistics of a style of its shape, sample by sample.
    case transfer
  }

  /// The method.
  public let method: Method
  /// The channels of a block.
  public let blockSize: Int
  /// N×H×W×C.
  public let shape: Shape
  /// ε on the covariance's diagonal.
  public static let epsilon: Float = 1e-3

  /// Makes a case.
  public init(_ method: Method, blockSize: Int, _ shape: Shape) {
    self.method = method
    self.blockSize = blockSize
    self.shape = shape
  }

  /// What the line is called.
  public var name: String {
    "\(method.rawValue)(\(blockSize)) \(shape.extents.map(String.init).joined(separator: "x"))"
  }

  /// The graph of a pass: inputs `x`, `style` and `dy` as it needs them, output `y`, and those of the gradients'
  /// names.
  public func graph(trains: Bool) throws(KeelError) -> Graph {
    let trace = Trace(model: (), mode: .training)
    let type = ValueType(shape: shape)
    let x = trace.input("x", type)
    var names = ["x"]
    let y: Variable
    if method == .transfer {
      names.append("style")
      y = WhiteningColoring(blockSize: blockSize, epsilon: Self.epsilon)(
        x, style: trace.input("style", type))
    } else {
      let blocks = ChannelBlocks(blockSize)
      let rule = try Whitening(
        method == .zca
          ? .zca : method == .cholesky ? .cholesky : .newtonSchulz(steps: 5, coupled: true),
        epsilon: Self.epsilon)
      let table = x.comoments(blocks)
      y = x.mapped(
        by: table.whiteningMatrix(rule, blocks), blocks, centre: table.comomentsCentre)
    }
    trace.output("y", y)
    let forward = try trace.finish()
    guard trains else { return forward }
    return try forward.differentiated("y", from: "dy", withRespectTo: .named(names))
  }
}
