#!/usr/bin/env bash
# Installs a build folder to a temporary prefix and checks what is there: the program, which must be
# static and run in an empty chroot, its shims, the man pages and the completions.
# Usage: install_test.sh BUILD. The chroot needs root or an unprivileged user namespace.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: install_test.sh BUILD" >&2; exit 2; }
build=$1
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
failures=0

expect() {  # WHAT COMMAND…
  local what=$1
  shift
  if "$@" >"$prefix/.log" 2>&1; then return; fi
  echo "install_test: $what" >&2
  sed 's/^/  /' "$prefix/.log" >&2
  failures=$((failures + 1))
}

cmake --install "$build" --prefix "$prefix/usr" >"$prefix/.install" 2>&1 ||
  { cat "$prefix/.install" >&2; echo "install_test: cmake --install $build failed" >&2; exit 1; }

program=$prefix/usr/bin/tokenpool
expect "the program is not at bin/tokenpool or not executable" test -x "$program"
expect "the program does not answer --version" "$program" --version

is_static() { ! LC_ALL=C ldd "$program" 2>/dev/null | grep -q '=>' && file -b "$program" | grep -qE 'statically linked|static-pie'; }
expect "the program is not static" is_static

for shim in make gmake ninja ninja-build ctest cmake; do
  link=$prefix/usr/lib/tokenpool/shims/$shim
  expect "lib/tokenpool/shims/$shim is not a relative link to the program" \
    test "$(readlink "$link")" = ../../../bin/tokenpool
  expect "lib/tokenpool/shims/$shim does not lead to the program" test "$link" -ef "$program"
done

for page in "$source"/man/*.scd; do
  name=$(basename "$page" .scd)
  expect "the man page $name is not installed" test -s "$prefix/usr/share/man/man${name##*.}/$name"
done
for page in tokenpool.1 tokenpool-run.1 tokenpool-doctor.1 tokenpool-report.5; do
  expect "there is no man page $page" test -s "$prefix/usr/share/man/man${page##*.}/$page"
done

share=$prefix/usr/share
expect "no bash completion" test -s "$share/bash-completion/completions/tokenpool"
expect "no zsh completion" test -s "$share/zsh/vendor-completions/_tokenpool"
expect "no fish completion" test -s "$share/fish/vendor_completions.d/tokenpool.fish"

# In an empty chroot there is no loader, no library, no /proc and no /tmp.
cage=$prefix/cage
mkdir "$cage"
cp "$program" "$cage/tokenpool"
if [ "$(id -u)" -eq 0 ]; then
  enter=(chroot "$cage")
else
  enter=(unshare -r chroot "$cage")
fi
expect "the program does not run in an empty chroot" "${enter[@]}" /tokenpool --version

if [ "$failures" -gt 0 ]; then exit 1; fi
echo "install_test: $(find "$prefix/usr" ! -type d | wc -l) files installed, all in place"
