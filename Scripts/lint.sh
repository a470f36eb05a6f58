#!/usr/bin/env bash
# Checks what the compiler and `swift format` do not: prints one line per finding, exits with 1 for any.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
report() {
  echo "$1" >&2
  found=1
}

# 1. No unsafe flags: a package with them cannot be a dependency of a tagged version.
while IFS= read -r line; do
  report "unsafe flags: $line"
done < <(grep -n unsafeFlags Package.swift ./*/Package.swift Examples/*/Package.swift 2>/dev/null)

# 2. Layering: a target imports only targets listed above it in Package.swift.
targets=$(awk '
  /\.(target|executableTarget|testTarget|systemLibrary)\(/ { inTarget = 1 }
  inTarget && match($0, /name: "[^"]+"/) {
    print substr($0, RSTART + 7, RLENGTH - 8)
    inTarget = 0
  }' Package.swift)

imports() { # folder: file, line and module of each import
  grep -rnE '^[[:space:]]*((@[A-Za-z_]+|public|package|internal|fileprivate|private)[[:space:]]+)*import[[:space:]]' \
    --include='*.swift' "$1" |
    sed -E 's/^([^:]+:[0-9]+):.*import[[:space:]]+((struct|class|enum|protocol|func|typealias|let|var)[[:space:]]+)?([A-Za-z0-9_]+).*/\1 \4/' ||
    true
}

above=" "
for target in $targets; do
  folder="Sources/$target"
  [ -d "$folder" ] || folder="Tests/$target"
  if [ -d "$folder" ]; then
    while read -r place module; do
      case " $(echo "$targets" | tr '\n' ' ') " in
        *" $module "*)
          case "$above" in
            *" $module "*) ;;
            *) report "layering: $place: $target imports $module, which is not listed above it" ;;
          esac ;;
      esac
    done < <(imports "$folder")
  fi
  above="$above$target "
done

# 3. Layers describe networks; they do not compute.
while read -r place module; do
  case "$module" in
    KeelKernels | KeelLinearAlgebra | KeelExecution | KeelReference | CKeelLoops | KeelCBLAS | KeelCLAPACKE)
      report "layering: $place: KeelLayers imports $module, but layers import no kernels" ;;
  esac
done < <(imports Sources/KeelLayers)

# 4. One owner of OpenBLAS's process-wide thread count.
while IFS= read -r line; do
  report "thread count: $line: only BLASThreads sets it"
done < <(grep -rn openblas_set_num_threads --include='*.swift' --include='*.c' Sources |
  grep -v '^Sources/KeelLinearAlgebra/BLASThreads.swift:' || true)

# 5. No file over 500 lines, but what scripts made.
while read -r lines file; do
  report "length: $file has $lines lines: split it (500 at most)"
done < <(find ./* \( -name '.build*' -o -name '.venv*' \) -prune -o -type f \
  \( -name '*.swift' -o -name '*.c' -o -name '*.h' -o -name '*.inc' -o -name '*.sh' -o -name '*.py' \) \
  ! -name '*.pb.swift' ! -path ./Sources/CKeelDigits/digits.c -exec wc -l {} + |
  awk '$2 != "total" && $1 > 500')

# 6. The digits in C are those of the file.
if command -v python3 >/dev/null; then
  Scripts/make-digits.py --check || found=1
fi

# 7. The ten lines of the README are those that are built.
awk '/^```swift/ { block++; next } /^```$/ { if (block == 1) exit } block == 1' README.md |
  diff -q - Examples/LinkKeel/Sources/TenLines/main.swift >/dev/null ||
  report "README: its first Swift block differs from Examples/LinkKeel/Sources/TenLines/main.swift"

exit "$found"
