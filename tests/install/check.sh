#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the client and builds the consumer with it by CMake and by pkg-config: check.sh BUILD_DIR LIBDIR CC
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --component client --prefix "$work/prefix" >/dev/null
cmake -S "$here" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$3" >/dev/null
cmake --build "$work/build" >/dev/null
"$work/build/use_client"
"$work/build/use_client_static"
if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH="$work/prefix/$2/pkgconfig"
  # shellcheck disable=SC2046 # flags are words
  "$3" "$here/use.c" -o "$work/use" $(pkg-config --define-variable=prefix="$work/prefix" --cflags --libs tmpdump)
  LD_LIBRARY_PATH="$work/prefix/$2" "$work/use"
fi
