#!/usr/bin/env bash
# Runs the demo as a program would and checks what it promises: accuracy on digits that nothing has
# seen, and that folding changes no answer. Times are printed, not judged: machines differ.
set -euo pipefail
cd "$(dirname "$0")/.."

result=$(swift run -c release keel demo --json)
echo "$result"
value() { # key
  echo "$result" | sed -nE "s/^  \"$1\" : ([-+.0-9eE]+),?\$/\1/p"
}
check() { # key, comparison, bound
  local found
  found=$(value "$1")
  awk -v found="$found" -v bound="$3" "BEGIN { exit !(found != \"\" && found $2 bound) }" || {
    echo "demo: $1 is '$found', expected $2 $3" >&2
    exit 1
  }
}
check test_accuracy '>=' 0.97
check test_images '>=' 350
check top1_agreement '>=' 1
check max_relative_difference '<=' 1e-5
