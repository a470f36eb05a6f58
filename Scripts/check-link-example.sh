#!/usr/bin/env bash
# Builds and runs the examples against the last commit, as programs that depend on a tagged version do: SwiftPM
# then refuses unsafe flags and sees only committed files.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch="$PWD/.build-link"
mkdir -p "$scratch"
# Anew each time: SwiftPM remembers which commit a version was, and here 0.1.0 moves.
rm -rf "$scratch/keel" "$scratch"/example-* "$scratch/security"
git clone --quiet . "$scratch/keel"
git -C "$scratch/keel" tag --force 0.1.0 >/dev/null

for program in LinkKeel/LinkKeel LinkKeel/TenLines FineTune/FineTune; do
  KEEL_URL="file://$scratch/keel" swift run -c release \
    --package-path "$scratch/keel/Examples/${program%/*}" \
    --scratch-path "$scratch/example-${program%/*}" --security-path "$scratch/security" "${program#*/}"
done
