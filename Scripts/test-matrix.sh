#!/usr/bin/env bash
# Runs the test suite at each level of vector loops that this machine has, with OpenBLAS's own choice of
# core and with an older one, and with one thread and two. Builds once.
set -euo pipefail
cd "$(dirname "$0")/.."

has_flags() {
  for flag in "$@"; do
    grep -m1 -E '^flags' /proc/cpuinfo 2>/dev/null | grep -qw "$flag" || return 1
  done
}

# Each row: vector level (- for the default), OpenBLAS core (- for its own choice), threads.
rows=("baseline - 2")
if has_flags avx2 fma; then rows+=("avx2 Haswell 2" "avx2 - 1"); fi
if has_flags avx512f avx512bw avx512dq avx512vl; then rows+=("avx512 - 2" "avx512 Haswell 1"); fi
case "$(uname -m)" in
  aarch64 | arm64) rows=("neon - 1" "neon - 2") ;;
esac

# `swift build --build-tests` compiles with other flags than `swift test`, which would build all again.
swift test list -c release >/dev/null
for row in "${rows[@]}"; do
  read -r level core threads <<<"$row"
  setting=(-u KEEL_VECTOR_LEVEL -u OPENBLAS_CORETYPE)
  [ "$level" = - ] || setting+=("KEEL_VECTOR_LEVEL=$level")
  [ "$core" = - ] || setting+=("OPENBLAS_CORETYPE=$core")
  echo "== vector level $level, OpenBLAS core $core, threads $threads"
  env "${setting[@]}" "KEEL_THREADS=$threads" swift test -c release --skip-build 2>&1 |
    awk '/Test run with/ || !/^(◇|✔) |^Test (Suite|Case) |Executed 0 tests|^↳|Planning build/ { print; fflush() }'
done
