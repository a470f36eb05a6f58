import BenchmarkHarness
import Foundation
import Keel
import Testing

@testable import convolution

@Suite struct ShapeTests {
  @Test func everyShapeIsThereOnce() {
    let lines = ShapeTable.all.map(\.line)
    #expect(Set(lines).count == lines.count)
    #expect(Set(ShapeTable.all.map(\.network)) == ["ResNet-18", "VGG-11", "MobileNetV2", "U-Net"])
    // Eleven geometries in ResNet-18, at two batch sizes.
    #expect(ShapeTable.all.filter { $0.network == "ResNet-18" }.count == 22)
    #expect(ShapeTable.all.contains { $0.geometry.isDepthwise && $0.geometry.height.stride == 2 })
  }

  @Test func linesAndSizes() throws {
    let shape = try #require(
      ShapeTable.all.first { $0.line == "ResNet-18 b8 3x3/2 64-128 @56x56" })
    #expect((shape.rows, shape.columns, shape.depth) == (8 * 28 * 28, 128, 576))
    #expect(shape.operations == 2 * 8 * 28 * 28 * 128 * 576)
    #expect(shape.isDense && shape.countsForGEMM && shape.countsForFusion)
    let depthwise = try #require(ShapeTable.all.first { $0.geometry.isDepthwise })
    #expect(!depthwise.isDense && !depthwise.countsForGEMM && !depthwise.countsForFusion)
    let stem = try #require(ShapeTable.all.first)
    #expect(stem.line == "ResNet-18 b1 7x7/2 3-64 @224x224")
    #expect(!stem.countsForGEMM)
  }

  @Test func graphsHaveTheNodesTheyAreTimedFor() throws {
    let small = ShapeTable.all.first { $0.line.contains("320-1280") }
    let data = ShapeData(try #require(small))
    #expect(try data.convolutionGraph().nodes.count == 1)
    #expect(try data.unfusedGraph().nodes.count == 3)
  }

  @Test func oneElementByTheDefinition() throws {
    let geometry = try ConvolutionGeometry(
      inputHeight: 4, inputWidth: 5, inputChannels: 4, outputChannels: 6, kernel: (3, 3),
      stride: (2, 2), padding: (1, 1), groups: 2)
    let data = ShapeData(ConvolutionShape(network: "test", geometry: geometry, batch: 2))
    // The corner of image 1, output channel 4 (group 1): taps at −1 are outside.
    let position = (2 * 3 + 0) * 6 + 4
    var expected = 0.0
    for u in 1..<3 {
      for v in 1..<3 {
        for c in 0..<2 {
          expected +=
            Double(data.input[1, u - 1, v - 1, 2 + c]) * Double(data.weight[4, u, v, c])
        }
      }
    }
    #expect(abs(data.expected(flat: position) - expected) <= 1e-12)
  }
}

@Suite struct CheckTests {
  private func tensor(_ elements: [Float]) throws -> Tensor {
    try Tensor(elements, shape: [elements.count])
  }

  @Test func differencesAreRelativeToTheLargest() throws {
    #expect(try Checks.difference(tensor([1, 4]), tensor([1, 4])) == 0)
    #expect(try Checks.difference(tensor([1, 5]), tensor([2, 4])) == 0.25)
  }

  @Test(arguments: [([Float.nan, 1], [1, 1] as [Float]), ([1, 1], [1, .nan]), ([1], [1, 1])])
  func differencesThatNoToleranceCovers(found: [Float], expected: [Float]) throws {
    #expect(throws: Mismatch.self) {
      try Checks.equal(tensor(found), tensor(expected), depth: 100, what: "test")
    }
  }

  @Test func toleranceGrowsWithTheDepth() throws {
    #expect(Checks.tolerance(depth: 9) <= 2e-5)
    #expect(Checks.tolerance(depth: 9216) <= 2e-4)
    #expect(throws: Mismatch.self) {
      try Checks.equal(tensor([1.001]), tensor([1]), depth: 9216, what: "test")
    }
  }

  @Test func aWrongConvolutionIsFound() throws {
    let shape = ConvolutionShape(
      network: "test",
      geometry: try ConvolutionGeometry(
        inputHeight: 5, inputWidth: 4, inputChannels: 6, outputChannels: 8, kernel: (3, 3),
        padding: (1, 1)),
      batch: 2)
    let data = ShapeData(shape)
    var result = Tensor(zeros: shape.geometry.outputShape(batch: shape.batch))
    for index in 0..<result.count { result[flat: index] = Float(data.expected(flat: index)) }
    try Checks.convolution(result, data)
    result[flat: result.count - 1] += 0.01
    #expect(throws: Mismatch.self) { try Checks.convolution(result, data) }
  }

  @Test func meansWithoutShapesAreNull() throws {
    let report = Report(
      machine: Machine(threads: 1, blasThreads: 1),
      peaks: Peaks.measure(threads: 1, bufferBytes: 1 << 12, rounds: 1), rounds: 1, shapes: [])
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(try jsonText(report).utf8)) as? [String: Any])
    #expect(object["fused_over_convolution_geomean"] is NSNull)
    #expect(object["gemm_fraction_geomean"] is NSNull)
    #expect(
      Set(object.keys).isSuperset(of: ["machine", "peaks", "rounds", "shapes"]))
    #expect(!report.text.isEmpty)
  }
}
