// swift-tools-version: 6.2
import PackageDescription

// A program that fine-tunes an imported network. KEEL_URL names the repository of Keel; without it, the one that
// this example lies in, which then needs a tag.
let keel =
  Context.environment["KEEL_URL"]
  ?? "file:///" + Context.packageDirectory.split(separator: "/").dropLast(2).joined(separator: "/")

// SwiftPM calls a package by the last part of its URL: `keel`, unless the folder is named otherwise.
let package = keel.split(separator: "/").last.map(String.init) ?? "keel"
// KeelImages has the digits, too.
let products = ["Keel", "KeelONNX", "KeelImages"].map {
  Target.Dependency.product(name: $0, package: package)
}

let manifest = Package(
  name: "FineTune",
  dependencies: [.package(url: keel, from: "0.1.0")],
  targets: [.executableTarget(name: "FineTune", dependencies: products)],
  swiftLanguageModes: [.v6]
)
