import KeelGraph
import KeelLayers
import KeelTensor
import Testing

/// Every wrong size is an error that names the layer, what was expected and what was found.
@Suite struct BadNormTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let layer: any Layer
    let input: [Extent]
    let message: String
    /// The modes in which it is an error.
    let modes: [Trace.Mode]
    var testDescription: String { message }

    init(
      _ layer: any Layer, _ input: [Extent], _ message: String,
      _ modes: [Trace.Mode] = [.training, .inference]
    ) {
      self.layer = layer
      self.input = input
      self.message = message
      self.modes = modes
    }
  }

  static let image: [Extent] = [.batch, 8, 8, 4]

  static let layers: [Case] = [
    Case(
      LayerNorm(3), image,
      "shape error at net.conv: expected an input whose last axes are 3, found float32 batch×8×8×4"),
    Case(
      LayerNorm([8, 8, 3]), image,
      "shape error at net.conv: expected an input whose last axes are 8×8×3, "
        + "found float32 batch×8×8×4"),
    Case(
      LayerNorm([2, 8, 8, 4]), [2, 8, 8, 4],
      "shape error at net.conv: expected an input whose last axes are 2×8×8×4, "
        + "found float32 2×8×8×4"),
    Case(
      LayerNorm([]), image,
      "argument error at net.conv: expected a shape of at least one axis, sizes at least 1, "
        + "found scalar"),
    Case(
      LayerNorm([0, 4], affine: false), image,
      "argument error at LayerNorm after the input: expected a shape of at least one axis, "
        + "sizes at least 1, found 0×4"),
    Case(
      RMSNorm(4, epsilon: -1), image,
      "argument error at net.conv: expected a finite epsilon of at least 0, found -1.0"),
    Case(
      RMSNorm([8, 5]), image,
      "shape error at net.conv: expected an input whose last axes are 8×5, "
        + "found float32 batch×8×8×4"),
    Case(
      LayerNorm(1), [.batch, 1],
      "shape error at net.conv: expected more than one value per position for layer norm, "
        + "found float32 batch×1"),
    Case(
      GroupNorm(3, 4), image,
      "shape error at net.conv: expected channels in 3 equal groups for group norm, "
        + "found float32 batch×8×8×4"),
    Case(
      GroupNorm(0, 4), image,
      "argument error at net.conv: expected at least 1 group of channels, found 0"),
    Case(
      GroupNorm(2, 6), image,
      "shape error at net.conv: expected an input of 6 channels, found float32 batch×8×8×4"),
    Case(
      GroupNorm(4, 4), [.batch, 4],
      "shape error at net.conv: expected more than one value per group of channels of a sample "
        + "for group norm, found float32 batch×4"),
    Case(
      InstanceNorm(4, affine: true), [.batch, 1, 1, 4],
      "shape error at net.conv: expected more than one value per channel of a sample "
        + "for instance norm, found float32 batch×1×1×4"),
    Case(
      InstanceNorm(4, momentum: -0.5, affine: true), image,
      "argument error at net.conv: expected a momentum from 0 to 1 (the weight of the new value), "
        + "found -0.5"),
    Case(
      InstanceNorm(0), image,
      "argument error at InstanceNorm after the input: expected channels at least 1, found 0"),
    Case(
      WholeTensorNorm(4), [1, 4, 1],
      "shape error at net.conv: expected an input of 4 channels, "
        + "found float32 1×4×1"),
    Case(
      WholeTensorNorm(1), [1, 1],
      "shape error at net.conv: expected more than one value per tensor for whole-tensor norm, "
        + "found float32 1×1"),
    Case(
      PixelNorm(epsilon: .nan), image,
      "argument error at normalization after the input: expected a finite epsilon of at least 0, "
        + "found nan"),
    Case(
      L2Norm(affine: 3), image,
      "shape error at net.conv: expected an input of 3 channels, found float32 batch×8×8×4"),
    Case(
      MeanVarianceNorm(axes: [1, -3]), image,
      "argument error at MeanVarianceNorm after the input: expected at least one axis, each once, "
        + "of float32 batch×8×8×4, found axes [1, -3]"),
    Case(
      MeanVarianceNorm(axes: [4]), image,
      "argument error at MeanVarianceNorm after the input: expected at least one axis, each once, "
        + "of float32 batch×8×8×4, found axes [4]"),
    Case(
      MeanVarianceNorm(axes: []), image,
      "argument error at MeanVarianceNorm after the input: expected at least one axis, each once, "
        + "of float32 batch×8×8×4, found axes []"),
    Case(
      DoubleCentering(), image,
      "shape error at double centering after the input: expected a matrix of rows×columns, "
        + "found float32 batch×8×8×4"),
    Case(
      BatchInstanceNorm(4), [.batch, 4],
      "shape error at net.conv: expected more than one value per channel of a sample "
        + "for instance norm, found float32 batch×4"),
    Case(
      MixedNorm(4, sources: []), image,
      "argument error at net.conv: expected sources of statistics, at least one and each once, "
        + "found none"),
    Case(
      MixedNorm(4, sources: [.layer, .layer]), image,
      "argument error at net.conv: expected sources of statistics, at least one and each once, "
        + "found layer, layer"),
    Case(
      GhostBatchNorm(4, shards: 0), image,
      "argument error at net.conv.norm: expected at least 1 shard, found 0", [.training]),
    Case(
      GhostBatchNorm(4, shards: 3), [2, 8, 8, 4],
      "shape error at net.conv.norm: expected a sample for each of 3 shards for sub-batch norm, "
        + "found float32 2×8×8×4", [.training]),
    Case(
      BatchNorm(4, momentum: 2), image,
      "argument error at net.conv: expected a momentum from 0 to 1 (the weight of the new value), "
        + "found 2.0"),
  ]

  @Test(arguments: layers)
  func message(_ bad: Case) {
    func check(_ layer: some Layer) {
      for mode in bad.modes {
        #expect(failure(Model(layer), bad.input, mode: mode)?.description == bad.message)
      }
    }
    check(bad.layer)
  }
}
