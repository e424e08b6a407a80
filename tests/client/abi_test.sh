#!/usr/bin/env bash
# Holds the C interface against abi.txt: what PROGRAM (abi.c) prints of the header, and that LIBRARY
# has exactly those functions. Usage: abi_test.sh PROGRAM LIBRARY
# A difference breaks programs that are built already. Where that is meant: PROGRAM >tests/client/abi.txt
set -euo pipefail

[ $# -eq 2 ] || { echo "usage: abi_test.sh PROGRAM LIBRARY" >&2; exit 2; }
kept=$(dirname "${BASH_SOURCE[0]}")/abi.txt

diff -u "$kept" <("$1") || { echo "abi_test: tokenpool.h is another one than abi.txt says" >&2; exit 1; }
diff <(sed -nE 's/^[a-z].*(\*| )(tokenpool_[a-z_]+)\(.*/\2/p' "$kept" | sort) \
  <(nm -g --defined-only "$2" | sed -nE 's/^[0-9a-f]+ T (tokenpool_[a-z_]+)$/\1/p' | sort) ||
  { echo "abi_test: the library has other functions than abi.txt says" >&2; exit 1; }
