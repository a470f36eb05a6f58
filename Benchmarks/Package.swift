// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that programs that depend on Keel never build the benchmarks. Each suite is
// an executable on the shared harness: `swift run -c release convolution`.

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
  name: "KeelBenchmarks",
  products: [
    .library(name: "BenchmarkHarness", targets: ["BenchmarkHarness"]),
    .executable(name: "convolution", targets: ["convolution"]),
    .executable(name: "memory", targets: ["memory"]),
    .executable(name: "normalization", targets: ["normalization"]),
    .executable(name: "peer", targets: ["peer"]),
    .executable(name: "whitening", targets: ["whitening"]),
  ],
  dependencies: [
    .package(name: "Keel", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
  ],
  targets: [
    // Loops that measure what the machine can do at most: multiply-adds, and bytes per access mix.
    .target(name: "CBenchmarkLoops"),
    .target(
      name: "BenchmarkHarness",
      dependencies: [
        "CBenchmarkLoops", .product(name: "Keel", package: "Keel"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "convolution",
      dependencies: [
        "BenchmarkHarness", .product(name: "Keel", package: "Keel"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "memory",
      dependencies: [
        "BenchmarkHarness", .product(name: "Keel", package: "Keel"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "normalization",
      dependencies: [
        "BenchmarkHarness", .product(name: "Keel", package: "Keel"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    // Keel's side of peers/compare.py: serves requests of another process.
    .executableTarget(
      name: "peer",
      dependencies: [
        "BenchmarkHarness", .product(name: "Keel", package: "Keel"),
        .product(name: "KeelONNX", package: "Keel"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "whitening",
      dependencies: [
        "BenchmarkHarness", .product(name: "Keel", package: "Keel"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "BenchmarkHarnessTests", dependencies: ["BenchmarkHarness", "CBenchmarkLoops"],
      swiftSettings: settings),
    .testTarget(
      name: "ConvolutionBenchmarkTests", dependencies: ["convolution"], swiftSettings: settings),
    .testTarget(
      name: "NormalizationBenchmarkTests", dependencies: ["normalization"], swiftSettings: settings),
    .testTarget(
      name: "PeerTests",
      dependencies: [
        "peer", .product(name: "Keel", package: "Keel"),
        .product(name: "KeelONNX", package: "Keel"),
      ],
      swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
