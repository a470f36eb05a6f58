import Testing

@testable import BenchmarkHarness

@Suite struct OutputTests {
  @Test func columnsAlign() {
    var table = Table([("shape", .left), ("ms", .right), ("note", .left)])
    table.add(["3×3", "0.69", ""])
    table.add(["depthwise", "12.30", "slow"])
    #expect(
      table.render() == """
        shape         ms  note
        ---------  -----  ----
        3×3         0.69
        depthwise  12.30  slow
        """)
  }

  @Test(arguments: [
    (1.0, 0, "1"), (1.25, 1, "1.3"), (-0.5, 2, "-0.50"), (0.04, 3, "0.040"), (-0.0001, 2, "0.00"),
    (1234.5678, 2, "1234.57"), (0, 2, "0.00"),
  ])
  func fixedDigits(number: Double, digits: Int, text: String) {
    #expect(fixed(number, digits) == text)
  }

  @Test func missingAndInfiniteNumbers() {
    #expect(fixed(nil, 2) == "-")
    #expect(fixed(.infinity, 2) == "inf")
    #expect(fixed(.nan, 2) == "nan")
  }

  @Test func jsonKeysAreInSnakeCase() throws {
    struct Sample: Encodable {
      let fmaGflops = 1.5
      let name = "3×3/2"
    }
    #expect(
      try jsonText(Sample()) == """
        {
          "fma_gflops" : 1.5,
          "name" : "3×3/2"
        }
        """)
  }
}
