#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs everything, as a packager does, and uses the programs from there: programs.sh BUILD_DIR
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install "$1" --prefix "$prefix" >/dev/null

diff <(cd "$prefix" && find bin tmpdump share/man -type f | grep -v '/tmpdump-[a-z-]*\.1$' | sort) - <<'END'
bin/tmpdump
bin/tmpdump-prefetch
share/man/man1/exec-wrapper.1
share/man/man1/tmpdump.1
tmpdump/exec-wrapper
END
test -s "$prefix/share/man/man1/tmpdump-fetch.1"

mkdir -p "$work/tree/lib"
seq 100000 >"$work/tree/lib/numbers"
ln -s numbers "$work/tree/lib/link"
cd "$work"
"$prefix/bin/tmpdump" pack --quiet --fast tree -o tree.zip
"$prefix/bin/tmpdump" fetch --quiet tree.zip --dest out
diff -r --no-dereference tree out/tree
"$prefix/bin/tmpdump-prefetch" --version | grep -q '^tmpdump-prefetch '
"$prefix/tmpdump/exec-wrapper" true
