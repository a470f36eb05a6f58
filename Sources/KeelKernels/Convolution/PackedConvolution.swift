package import KeelTensor

/// A convolution in either direction, prepared: what takes a packed weight and ends in an epilogue.
package protocol PackedConvolution: Sendable {
  /// The geometry of the convolution, or of the one that this is the transpose of.
  var geometry: ConvolutionGeometry { get }

  /// How it computes.
  var algorithmName: String { get }

  /// The floats of a packed weight.
  var packedWeightCount: Int { get }

  /// The floats of workspace that a run needs.
  func workspaceCount(_ parallelism: Parallelism) -> Int

  /// Packs a weight.
  func pack(
    _ weight: UnsafePointer<Float>, into packed: UnsafeMutablePointer<Float>,
    parallelism: Parallelism)

  /// Computes y, which must not overlap any operand.
  func run(
    _ x: InputParts, packed: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    epilogue: EpilogueOperands, scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism)

  /// Computes y with a weight that is used once: packs it into `packed`, or reads it where it lies.
  func run(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, packed: UnsafeMutablePointer<Float>,
    into y: UnsafeMutablePointer<Float>, epilogue: EpilogueOperands,
    scratch: UnsafeMutablePointer<Float>, parallelism: Parallelism)
}

extension PackedConvolution {
  /// Packs a weight from a span into one.
  /// - Precondition: the spans have the weight's and the packed weight's counts.
  internal func packSpan(
    _ weight: Span<Float>, into packed: inout MutableSpan<Float>, _ parallelism: Parallelism
  ) {
    precondition(
      weight.count == geometry.weightCount && packed.count >= packedWeightCount,
      "expected \(geometry.weightCount) weights and room for \(packedWeightCount), found \(weight.count) and \(packed.count)"
    )
    weight.withUnsafeBufferPointer { weight in
      packed.withUnsafeMutableBufferPointer { packed in
        pack(weight.baseAddress!, into: packed.baseAddress!, parallelism: parallelism)
      }
    }
  }

  /// The same on spans that have been checked.
  internal func runPacked(
    _ x: Span<Float>, _ packedWeight: Span<Float>, _ epilogue: EpilogueOperands,
    into y: inout MutableSpan<Float>, workspace: inout MutableSpan<Float>,
    _ parallelism: Parallelism
  ) {
    x.withUnsafeBufferPointer { x in
      packedWeight.withUnsafeBufferPointer { packed in
        workspace.withUnsafeMutableBufferPointer { workspace in
          y.withUnsafeMutableBufferPointer { y in
            run(
              InputParts(x.baseAddress!), packed: packed.baseAddress!, into: y.baseAddress!,
              epilogue: epilogue, scratch: workspace.baseAddress ?? y.baseAddress!,
              parallelism: parallelism)
          }
        }
      }
    }
  }

  /// The same with a weight that is used once.
  internal func runOnce(
    _ x: Span<Float>, _ weight: Span<Float>, _ packedWeight: inout MutableSpan<Float>,
    into y: inout MutableSpan<Float>, workspace: inout MutableSpan<Float>,
    _ parallelism: Parallelism
  ) {
    x.withUnsafeBufferPointer { x in
      weight.withUnsafeBufferPointer { weight in
        packedWeight.withUnsafeMutableBufferPointer { packed in
          workspace.withUnsafeMutableBufferPointer { workspace in
            y.withUnsafeMutableBufferPointer { y in
              run(
                x.baseAddress!, weight: weight.baseAddress!, packed: packed.baseAddress!,
                into: y.baseAddress!, epilogue: EpilogueOperands(),
                scratch: workspace.baseAddress ?? y.baseAddress!, parallelism: parallelism)
            }
          }
        }
      }
    }
  }
}
