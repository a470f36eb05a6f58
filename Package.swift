// swift-tools-version: 6.2
import PackageDescription

// Targets stand in dependency order: a target imports only targets listed above it.

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
  name: "Keel",
  products: [
    .library(name: "Keel", targets: ["Keel"]),
    .library(name: "KeelONNX", targets: ["KeelONNX"]),
    .library(name: "KeelImages", targets: ["KeelImages", "KeelData"]),
    .executable(name: "keel", targets: ["KeelCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.28.0"),
  ],
  targets: [
    // System libraries: a module map and one shim header each.
    .systemLibrary(
      name: "KeelCBLAS", path: "Sources/CBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .systemLibrary(
      name: "KeelCLAPACKE", path: "Sources/CLAPACKE", pkgConfig: "lapacke",
      providers: [.apt(["liblapacke-dev"]), .brew(["lapack"])]),
    .systemLibrary(
      name: "KeelZlib", path: "Sources/Zlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .systemLibrary(
      name: "KeelPNG", path: "Sources/PNG", pkgConfig: "libpng",
      providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),

    // Leaf loops in C, compiled for several instruction sets and chosen at run time.
    .target(name: "CKeelLoops"),
    // The handwritten digits as a C array: a resource bundle traps once a program is moved.
    .target(name: "CKeelDigits"),

    .target(name: "KeelTensor", swiftSettings: settings),
    .target(name: "KeelGraph", dependencies: ["KeelTensor"], swiftSettings: settings),
    .target(name: "KeelReference", dependencies: ["KeelGraph"], swiftSettings: settings),
    .target(
      name: "KeelLinearAlgebra", dependencies: ["KeelTensor", "KeelCBLAS", "KeelCLAPACKE"],
      swiftSettings: settings),
    .target(
      name: "KeelKernels", dependencies: ["KeelTensor", "KeelLinearAlgebra", "CKeelLoops"],
      swiftSettings: settings),
    .target(
      name: "KeelFormats", dependencies: ["KeelTensor", "KeelZlib"], swiftSettings: settings),
    .target(
      name: "KeelExecution",
      dependencies: [
        "KeelGraph", "KeelLinearAlgebra", "KeelKernels", "KeelFormats",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .target(name: "KeelLayers", dependencies: ["KeelGraph"], swiftSettings: settings),
    .target(
      name: "KeelImages", dependencies: ["KeelFormats", "KeelPNG"], swiftSettings: settings),
    .target(
      name: "KeelData", dependencies: ["KeelFormats", "KeelImages", "CKeelDigits"],
      swiftSettings: settings),
    .target(
      name: "KeelTraining",
      dependencies: [
        "KeelLinearAlgebra", "KeelKernels", "KeelExecution", "KeelLayers",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .target(
      name: "Keel",
      dependencies: [
        "KeelTensor", "KeelGraph", "KeelLinearAlgebra", "KeelKernels", "KeelExecution",
        "KeelLayers", "KeelFormats", "KeelTraining",
      ],
      swiftSettings: settings),
    // ONNX files to graphs and back; no other target needs protobuf.
    .target(
      name: "KeelONNX",
      dependencies: [
        "KeelGraph", "KeelExecution", "KeelFormats",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Schema/onnx.proto"], swiftSettings: settings),
    .executableTarget(
      name: "KeelCommand",
      dependencies: [
        "Keel", "KeelReference", "KeelData", "KeelImages", "KeelONNX",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),

    // Tests mirror Sources; the support target has comparisons, tolerances and gradient checks.
    .target(
      name: "KeelTestSupport", dependencies: ["KeelGraph", "KeelReference"],
      path: "Tests/KeelTestSupport", swiftSettings: settings),
    // Damaged files, for the tests of readers and the fuzzer.
    .target(
      name: "KeelMutations", dependencies: ["KeelTensor"], path: "Tests/KeelMutations",
      swiftSettings: settings),
    // `make fuzz`: damaged files in their thousands, from the committed ones in its folder.
    .executableTarget(
      name: "KeelFuzz",
      dependencies: [
        "KeelFormats", "KeelImages", "KeelData", "KeelONNX", "KeelMutations", "KeelZlib",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      path: "Tests/KeelFuzz", exclude: ["Seeds"], swiftSettings: settings),
    // `make regions`: parallel regions by Keel's pool and by Dispatch, which a package of benchmarks cannot reach.
    .executableTarget(
      name: "KeelRegions",
      dependencies: [
        "KeelKernels", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Tests/KeelRegions", swiftSettings: settings),
    // Counts allocations: linked into the tests, it stands before the C library's malloc.
    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .testTarget(
      name: "KeelTensorTests", dependencies: ["KeelTensor", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelGraphTests", dependencies: ["KeelGraph", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelReferenceTests", dependencies: ["KeelReference", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelLinearAlgebraTests", dependencies: ["KeelLinearAlgebra", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelKernelsTests",
      dependencies: [
        "KeelKernels", "KeelGraph", "KeelReference", "KeelTestSupport", "CAllocationCounter",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "KeelExecutionTests",
      dependencies: [
        "KeelLinearAlgebra", "KeelExecution", "KeelLayers", "KeelReference", "KeelTestSupport",
        "CAllocationCounter",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "KeelLayersTests",
      dependencies: [
        "KeelExecution", "KeelLayers", "KeelFormats", "KeelReference", "KeelTestSupport",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "KeelFormatsTests", dependencies: ["KeelFormats", "KeelMutations", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelImagesTests",
      dependencies: ["KeelImages", "KeelZlib", "KeelMutations", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelDataTests",
      dependencies: ["KeelData", "KeelZlib", "KeelMutations", "KeelTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "KeelTrainingTests",
      dependencies: [
        "KeelTraining", "KeelData", "KeelReference", "KeelKernels", "KeelTestSupport",
      ],
      swiftSettings: settings),
    .testTarget(
      name: "KeelONNXTests",
      dependencies: [
        "KeelONNX", "KeelExecution", "KeelLayers", "KeelReference", "KeelTraining", "KeelData",
        "KeelTestSupport", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: settings),
    // Reads the sources: the documentation's tables of methods name what there is.
    .testTarget(name: "KeelDocumentationTests", swiftSettings: settings),
    // Runs the command as a process; the dependency on it is what has it built.
    .testTarget(
      name: "KeelCommandTests",
      dependencies: ["KeelCommand", "KeelFormats", "KeelImages", "KeelTestSupport"],
      swiftSettings: settings),
  ],
  swiftLanguageModes: [.v6]
)
