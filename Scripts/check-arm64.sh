#!/usr/bin/env bash
# Tries the leaf loops by themselves (Tests/LoopsSelfTest): at every level of this machine, and those of
# arm64 as the toolchain's clang compiles them, under emulation.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(dirname "$(readlink -f "$(command -v swift)")")
clang=$tools/clang
[ -x "$clang" ] || clang=clang
scratch=.build-loops
mkdir -p "$scratch"
# The optimization that SwiftPM gives a release build.
flags=(-O2 -D_GNU_SOURCE -Wall -Wextra -Werror -ISources/CKeelLoops/include)
sources=(Sources/CKeelLoops/*.c Tests/LoopsSelfTest/*.c)

"$clang" "${flags[@]}" "${sources[@]}" -lm -o "$scratch/native"
"$scratch/native"

case "$(uname -sm)" in
  "Linux x86_64") ;;
  *)
    echo "emulating arm64 is for x86-64 machines with Linux"
    exit 0
    ;;
esac

# glibc's headers, libraries and start files for arm64, and no second compiler: the toolchain's clang and
# linker know the target.
Scripts/install-dependencies.sh arm64
root=/usr/aarch64-linux-gnu
start=("$root/lib/Scrt1.o" "$root/lib/crti.o" "$root/lib/crtn.o")
"$clang" --target=aarch64-linux-gnu -nostdlib -fuse-ld=lld -isystem "$root/include" "${flags[@]}" \
  "${sources[@]}" "${start[@]}" "-L$root/lib" -lm -lc -o "$scratch/arm64"
qemu-aarch64-static -L "$root" "$scratch/arm64" neon
