#!/usr/bin/env bash
# Builds everything, tests too, from scratch and fails where a file of this package gives a warning.
# (-warnings-as-errors for the whole build would also stop at a warning of a dependency.)
set -euo pipefail
cd "$(dirname "$0")/.."

log=.build-ci/build.log
mkdir -p .build-ci
swift package clean
# `swift build --build-tests` compiles with other flags than `swift test`, which would build all again.
swift test list -c release 2>&1 | tee "$log" | grep -vE '^Keel[A-Za-z]*Tests\.'

# The compiler names files with their whole path; SwiftPM names the package, which is the folder.
package=$(basename "$PWD" | tr '[:upper:]' '[:lower:]')
if grep -E "^($PWD/(Sources|Tests)/[^ ]*: warning: |warning: '$package')" "$log" |
  sort -u >.build-ci/warnings.log; then
  echo "$(wc -l <.build-ci/warnings.log) warnings:" >&2
  cat .build-ci/warnings.log >&2
  exit 1
fi
