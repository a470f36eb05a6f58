import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Wrong sizes of convolutions over one and three axes, and of transposed ones.
@Suite struct BadConvolutionTests {
  typealias Case = BadInputTests.Case

  static let line: [Extent] = [.batch, 8, 4]
  static let image: [Extent] = [.batch, 8, 8, 4]
  static let volume: [Extent] = [.batch, 8, 8, 8, 4]

  static let convolutions = [
    Case(line, "argument error at net.conv: expected kernel size of length at least 1, found 0") {
      Conv1d(4, 8, kernel: 0, using: &$0)
    },
    Case(line, "argument error at net.conv: expected input channels at least 1, found 0") {
      Conv1d(0, 8, kernel: 1, using: &$0)
    },
    Case(
      line,
      "shape error at net.conv: expected a kernel of at most 8 on length "
        + "(input 8 with padding 0+0), found 9 (kernel 9, dilation 1)"
    ) { Conv1d(4, 8, kernel: 9, using: &$0) },
    Case(image, "shape error at net.conv: expected N×L×C of known L, C, found float32 batch×8×8×4")
    { Conv1d(4, 8, kernel: 3, using: &$0) },
    Case(
      line,
      "shape error at net.conv: expected input float32 batch×8×3 for convolution, "
        + "found float32 batch×8×4"
    ) { Conv1d(3, 8, kernel: 3, using: &$0) },
    Case(line, "argument error at net.conv: expected padding of length at least 0, found -1") {
      Conv1d(4, 8, kernel: 3, padding: .sides(before: 2, after: -1), using: &$0)
    },
    Case(image, "argument error at net.conv: expected stride 1 for padding .same, found 2") {
      Conv2d(
        4, 8, kernel: 3, stride: PerAxis(height: 1, width: 2), padding: .same, using: &$0)
    },
    Case(image, "argument error at net.conv: expected kernel size of height at least 1, found 0") {
      Conv2d(4, 8, kernel: AxisNumbers(0), padding: .same, using: &$0)
    },
    Case(
      image, "argument error at net.conv: expected sizes of height below 2³¹, found \(Int.max)"
    ) { Conv2d(4, 8, kernel: AxisNumbers(.max), padding: .same, using: &$0) },
    Case(volume, "argument error at net.conv: expected stride of depth at least 1, found 0") {
      Conv3d(4, 8, kernel: 3, stride: 0, using: &$0)
    },
    Case(volume, "argument error at net.conv: expected dilation of width at least 1, found -2") {
      Conv3d(
        4, 8, kernel: 3, dilation: AxisNumbers(depth: 1, height: 1, width: -2), using: &$0)
    },
    Case(
      image,
      "shape error at net.conv: expected N×D×H×W×C of known D, H, W, C, "
        + "found float32 batch×8×8×4"
    ) { Conv3d(4, 8, kernel: 3, using: &$0) },
    Case(
      volume,
      "argument error at net.conv: expected groups that divide input and output channels, "
        + "found 3 groups for 4 and 6 channels"
    ) { Conv3d(4, 6, kernel: 3, groups: 3, using: &$0) },
  ]

  static let transposed = [
    Case(line, "argument error at net.conv: expected input channels at least 1, found -1") {
      ConvTranspose1d(-1, 8, kernel: 3, using: &$0)
    },
    Case(image, "argument error at net.conv: expected output channels at least 1, found 0") {
      ConvTranspose2d(4, 0, kernel: 3, using: &$0)
    },
    Case(image, "argument error at net.conv: expected groups at least 1, found 0") {
      ConvTranspose2d(4, 8, kernel: 3, groups: 0, using: &$0)
    },
    Case(
      image,
      "argument error at net.conv: expected groups that divide input and output channels, "
        + "found 2 groups for 4 and 7 channels"
    ) { ConvTranspose2d(4, 7, kernel: 3, groups: 2, using: &$0) },
    Case(
      volume,
      "argument error at net.conv: expected output padding of depth from 0 to below the larger of "
        + "stride and dilation, 2, found 2"
    ) { ConvTranspose3d(4, 8, kernel: 3, stride: 2, outputPadding: 2, using: &$0) },
    Case(
      line,
      "argument error at net.conv: expected output padding of length from 0 to below the larger of "
        + "stride and dilation, 1, found -1"
    ) { ConvTranspose1d(4, 8, kernel: 3, outputPadding: -1, using: &$0) },
    Case(
      image,
      "shape error at net.conv: expected padding of height that leaves some of 10 positions, "
        + "found 5+5"
    ) { ConvTranspose2d(4, 8, kernel: 3, padding: 5, using: &$0) },
    Case(image, "argument error at net.conv: expected stride 1 for padding .same, found 2") {
      ConvTranspose2d(4, 8, kernel: 3, stride: 2, padding: .same, using: &$0)
    },
    Case(
      image,
      "shape error at net.conv: expected input float32 batch×8×8×3 for transposed convolution, "
        + "found float32 batch×8×8×4"
    ) { ConvTranspose2d(3, 8, kernel: 3, using: &$0) },
    Case(
      line,
      "shape error at net.conv: expected N×H×W×C of known H, W, C, found float32 batch×8×4"
    ) { ConvTranspose2d(4, 8, kernel: 3, using: &$0) },
    Case(
      [.batch, .symbol("length"), 4],
      "shape error at net.conv: expected N×L×C of known L, C, found float32 batch×length×4"
    ) { ConvTranspose1d(4, 8, kernel: 3, using: &$0) },
    Case(
      image,
      "argument error at net.conv.weight: expected at most 2147483647 elements, "
        + "found 4000000×3×3×1000000"
    ) { ConvTranspose2d(4_000_000, 1_000_000, kernel: 3, using: &$0) },
    Case(
      image, "argument error at net.conv: expected sizes of height below 2³¹, found \(Int.max)"
    ) { ConvTranspose2d(4, 8, kernel: 3, stride: .max, using: &$0) },
  ]

  @Test(arguments: convolutions + transposed)
  func message(_ bad: Case) {
    func check(_ layer: some Layer) {
      for mode in [Trace.Mode.inference, .training] {
        #expect(failure(Model(layer), bad.input, mode: mode)?.description == bad.message)
      }
    }
    check(bad.layer)
  }

  @Test func aLayerThatIsTheModelIsNamedByItsKind() {
    var source = RandomSource(seed: 1)
    #expect(failure(Conv1d(4, 8, kernel: 3, using: &source), Self.image)?.place == "Conv1d")
    #expect(failure(Conv3d(4, 8, kernel: 3, using: &source), Self.image)?.place == "Conv3d")
    #expect(
      failure(ConvTranspose1d(4, 8, kernel: 3, using: &source), Self.image)?.place
        == "ConvTranspose1d")
    #expect(
      failure(ConvTranspose2d(4, 8, kernel: 3, using: &source), Self.line)?.place
        == "ConvTranspose2d")
    #expect(
      failure(ConvTranspose3d(4, 8, kernel: 3, using: &source), Self.line)?.place
        == "ConvTranspose3d")
  }
}
