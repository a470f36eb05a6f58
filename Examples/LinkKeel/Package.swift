// swift-tools-version: 6.2
import PackageDescription

// A program that depends on Keel by a tagged version. KEEL_URL names the repository; without it, the
// one that this example lies in, which then needs a tag.
let keel =
  Context.environment["KEEL_URL"]
  ?? "file:///" + Context.packageDirectory.split(separator: "/").dropLast(2).joined(separator: "/")

// SwiftPM calls a package by the last part of its URL: `keel`, unless the folder is named otherwise.
let product = Target.Dependency.product(
  name: "Keel", package: keel.split(separator: "/").last.map(String.init) ?? "keel")

let package = Package(
  name: "LinkKeel",
  dependencies: [.package(url: keel, from: "0.1.0")],
  targets: [
    .executableTarget(name: "LinkKeel", dependencies: [product]),
    // The ten lines of the README, checked to be the same by Scripts/lint.sh.
    .executableTarget(name: "TenLines", dependencies: [product]),
  ],
  swiftLanguageModes: [.v6]
)
