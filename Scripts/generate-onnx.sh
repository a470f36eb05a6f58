#!/usr/bin/env bash
# Makes Sources/KeelONNX/Schema/onnx.pb.swift of onnx.proto. The result is committed: building Keel needs
# neither protoc nor its plugin.
#
# Needs protoc (apt install protobuf-compiler, or `python -m grpc_tools.protoc` of pip's grpcio-tools) and
# protoc-gen-swift, a product of swift-protobuf: git clone https://github.com/apple/swift-protobuf,
# `swift build -c release --product protoc-gen-swift`.
#
# PROTOC and PROTOC_GEN_SWIFT name them where they are not on the path.
set -euo pipefail
cd "$(dirname "$0")/../Sources/KeelONNX/Schema"

plugin=${PROTOC_GEN_SWIFT:-$(command -v protoc-gen-swift)}
# Unquoted: PROTOC may be a command with arguments.
${PROTOC:-protoc} --plugin=protoc-gen-swift="$plugin" --proto_path=. \
  --swift_opt=Visibility=Package --swift_out=. onnx.proto
