import KeelKernels
import KeelTensor
import Testing

/// Class contract: the column matrix never exists, whatever the image's size.
@Suite struct WorkspaceCapTests {
  /// The most memory of one thread: tables and copies fit into a core's L2.
  static let bytesPerThread = 1 << 20

  @Test func megapixelImage() throws {
    // 3×3, 64 channels, 1024×1024: the column matrix would take 2.4 GB.
    let (size, channels) = (1024, 64)
    let geometry = try ConvolutionGeometry(
      inputHeight: size, inputWidth: size, inputChannels: channels, outputChannels: channels,
      kernel: (3, 3), padding: (1, 1))
    let kernel = try ConvolutionKernel(geometry, batch: 1)
    for threads in [1, 2, 64] {
      let bytes = 4 * kernel.workspaceCount(Parallelism(threads: threads))
      #expect(bytes <= threads * Self.bytesPerThread, "\(bytes) bytes for \(threads) threads")
    }
    // Small whole numbers: every sum is exact.
    func pixel(_ i: Int, _ j: Int, _ c: Int) -> Float { Float((i * 7 + j * 5 + c * 3) % 13 - 6) }
    func tap(_ o: Int, _ u: Int, _ v: Int, _ c: Int) -> Float {
      Float((o * 5 + u * 3 + v * 7 + c) % 5 - 2)
    }
    let x = Tensor(uninitialized: geometry.inputShape(batch: 1)) { out in
      var position = 0
      for i in 0..<size {
        for j in 0..<size {
          for c in 0..<channels {
            out[position] = pixel(i, j, c)
            position += 1
          }
        }
      }
    }
    let weight = Tensor(uninitialized: geometry.weightShape) { out in
      for position in out.indices {
        let (rest, c) = position.quotientAndRemainder(dividingBy: channels)
        out[position] = tap(rest / 9, rest % 9 / 3, rest % 3, c)
      }
    }
    let parallelism = Parallelism()
    var packed = Tensor(zeros: [kernel.packedWeightCount])
    weight.withSpan { weight in packed.withMutableSpan { kernel.pack(weight, into: &$0) } }
    var workspace = Tensor(zeros: [kernel.workspaceCount(parallelism)])
    var y = Tensor(uninitialized: geometry.outputShape(batch: 1)) { _ in }
    x.withSpan { x in
      packed.withSpan { packed in
        y.withMutableSpan { y in
          workspace.withMutableSpan { workspace in
            kernel.run(
              x, packedWeight: packed, into: &y, workspace: &workspace, parallelism: parallelism)
          }
        }
      }
    }
    for (i, j) in [(0, 0), (0, 1023), (1023, 0), (1023, 1023), (512, 511), (77, 900), (1022, 3)] {
      for o in [0, 1, 31, 63] {
        var expected: Float = 0
        for u in 0..<3 {
          for v in 0..<3 {
            let (row, column) = (i + u - 1, j + v - 1)
            guard (0..<size).contains(row), (0..<size).contains(column) else { continue }
            for c in 0..<channels { expected += pixel(row, column, c) * tap(o, u, v, c) }
          }
        }
        #expect(y[0, i, j, o] == expected, "pixel \(i), \(j), channel \(o)")
      }
    }
  }

  @Test(arguments: [(7, 512), (14, 256), (56, 64), (112, 3), (224, 16), (7, 1024)])
  func commonLayers(size: Int, channels: Int) throws {
    for kernel in [1, 3, 5] {
      let geometry = try ConvolutionGeometry(
        inputHeight: size, inputWidth: size, inputChannels: channels, outputChannels: channels,
        kernel: (kernel, kernel), padding: (kernel / 2, kernel / 2))
      let count = try ConvolutionKernel(geometry, batch: 64).workspaceCount(.serial)
      #expect(4 * count <= Self.bytesPerThread, "\(geometry): \(4 * count) bytes")
      // A table of addresses, no copies.
      if kernel == 1 { #expect(4 * count <= 1 << 14, "\(geometry): \(4 * count) bytes") }
    }
  }
}
