import Testing

import KeelLinearAlgebra

@Suite struct BLASInfoTests {
  @Test func describesTheLinkedLibrary() {
    #expect(BLASInfo.configuration.hasPrefix("OpenBLAS"))
    #expect(BLASInfo.version?.split(separator: ".").count == 3)
    #expect(!BLASInfo.coreName.isEmpty)
    #expect(BLASInfo.parallelism != .unknown)
    #expect(BLASInfo.hasSmallMatrixPath == BLASInfo.hasSmallMatrixPath(onCore: BLASInfo.coreName))
  }

  @Test func readsTheVersion() {
    #expect(BLASInfo.version(inConfiguration: "OpenBLAS 0.3.21 NO_LAPACKE Haswell") == "0.3.21")
    #expect(BLASInfo.version(inConfiguration: "NO_LAPACKE Haswell") == nil)
    #expect(BLASInfo.version(inConfiguration: "") == nil)
  }

  @Test(arguments: ["SkylakeX", "Cooperlake", "SapphireRapids", "COOPERLAKE"])
  func coresWithASmallMatrixPath(name: String) {
    #expect(BLASInfo.hasSmallMatrixPath(onCore: name))
  }

  @Test(arguments: ["Haswell", "Zen", "neoversen1", ""])
  func coresWithoutASmallMatrixPath(name: String) {
    #expect(!BLASInfo.hasSmallMatrixPath(onCore: name))
  }
}
