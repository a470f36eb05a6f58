#!/usr/bin/env bash
# Sees to what Keel needs beside a Swift toolchain: pkg-config, OpenBLAS, LAPACKE, zlib, libpng, make.
# Installs what is missing where that needs no question (root, or sudo without a password);
# otherwise prints the one line to run and exits with 1.
# With "conformance" also to pip, for ONNX's own cases; with "arm64" to what Scripts/check-arm64.sh needs: an emulator and glibc for arm64.
set -euo pipefail

extra=${1:-}

has_library() { # pkg-config name, Debian package
  if command -v pkg-config >/dev/null && pkg-config --exists "$1"; then return 0; fi
  command -v dpkg-query >/dev/null &&
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$2" 2>/dev/null)" = installed ]
}

find_missing() {
  missing=()
  command -v make >/dev/null || missing+=(make)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  has_library openblas libopenblas-dev || missing+=(libopenblas-dev)
  has_library lapacke liblapacke-dev || missing+=(liblapacke-dev)
  has_library zlib zlib1g-dev || missing+=(zlib1g-dev)
  has_library libpng libpng-dev || missing+=(libpng-dev)
  if [ "$extra" = conformance ]; then python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip); fi
  [ "$extra" = arm64 ] || return 0
  command -v qemu-aarch64-static >/dev/null || missing+=(qemu-user-static)
  [ -f /usr/aarch64-linux-gnu/lib/Scrt1.o ] || missing+=(libc6-dev-arm64-cross)
}

if ! command -v swift >/dev/null; then
  echo "Keel needs a Swift toolchain (6.2 or later) on the PATH: https://www.swift.org/install" >&2
  exit 1
fi

find_missing
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(uname -s)" = Darwin ]; then
  echo "Keel needs OpenBLAS, LAPACKE and libpng. Run:" >&2
  # shellcheck disable=SC2016 # the user's shell is to expand these
  echo '  brew install openblas lapack libpng pkg-config && export PKG_CONFIG_PATH="$(brew --prefix openblas)/lib/pkgconfig:$(brew --prefix lapack)/lib/pkgconfig"' >&2
  exit 1
fi

if ! command -v apt-get >/dev/null; then
  echo "Keel needs, by their Debian names: ${missing[*]}. Install them with your package manager." >&2
  exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  echo "Keel needs more packages. Run:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi

echo "Installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2

find_missing
if [ ${#missing[@]} -ne 0 ]; then
  echo "Still missing after the installation: ${missing[*]}" >&2
  exit 1
fi
