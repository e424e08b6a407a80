#!/usr/bin/env bash
# Installs a build folder to a temporary prefix and checks what is there: the program, which must be
# static and run in an empty chroot, its shims, the man pages and the completions; and that a build in
# a pool works from there, by the installed shims.
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

launcher=$prefix/usr/bin/tokenpool-exec
expect "bin/tokenpool-exec is not a relative link to the program" \
  test "$(readlink "$launcher")" = tokenpool
launches() { [ "$(env -u TOKENPOOL_ADDR -u MAKEFLAGS "$launcher" echo '{slots}' 2>/dev/null)" = '{slots}' ]; }
expect "bin/tokenpool-exec does not launch a command" launches

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
units=$prefix/usr/lib/systemd
for unit in system/tokenpool.service system/tokenpool.socket user/tokenpool.service user/tokenpool.socket; do
  expect "the unit $unit is not installed" test -s "$units/$unit"
done
for manager in system user; do
  expect "the $manager unit does not name the installed program" \
    grep -qxF "ExecStart=$program serve \$TOKENPOOL_SERVE_OPTIONS" "$units/$manager/tokenpool.service"
done
expect "below a home folder, systemd finds no unit" cmp \
  "$units/user/tokenpool.service" "$prefix/usr/share/systemd/user/tokenpool.service"

# A prefix with characters that mean something to systemd, and one of a package.
odd="$prefix/a b%c"
cmake --install "$build" --prefix "$odd" >/dev/null
DESTDIR=$prefix/staged cmake --install "$build" --prefix /usr >/dev/null
expect "a package's unit does not name the program where it will be" \
  grep -q "^ExecStart=/usr/bin/tokenpool serve" "$prefix/staged/usr/lib/systemd/system/tokenpool.service"
if command -v systemd-analyze >/dev/null; then
  for tree in "$prefix/usr" "$odd"; do
    for unit in service socket; do
      expect "systemd-analyze verify refuses tokenpool.$unit of $tree" \
        systemd-analyze verify --man=no "$tree/lib/systemd/system/tokenpool.$unit"
    done
  done
fi

for name in set pause resume; do
  expect "there is no man page for tokenpool $name" \
    grep -qxF ".so man1/tokenpool-status.1" "$share/man/man1/tokenpool-$name.1"
done

is_stripped() { file -b "$program" | grep -q ', stripped'; }
keeps_symbols() { grep -q '^CMAKE_BUILD_TYPE:.*=Debug' "$build/CMakeCache.txt" || ! grep -q '^TOKENPOOL_SANITIZE:STRING=$' "$build/CMakeCache.txt"; }
keeps_symbols || expect "the program of a release build is installed with its symbols" is_stripped

# A build by the installed program: it finds its own shims, and they keep make -j4 in two slots.
mkdir "$prefix/work"
cat >"$prefix/work/Makefile" <<'END'
all: a b c
a b c:
	@echo "$@ by $$(command -v make)"
.PHONY: all a b c
END

shims=$prefix/usr/lib/tokenpool/shims

builds() {
  env -u MAKEFLAGS -u MFLAGS -u GNUMAKEFLAGS XDG_DATA_HOME="$prefix/data" "$program" run -j2 --report "$prefix/work/report" \
    -- make -j4 -C "$prefix/work" >"$prefix/work/out" 2>&1 || { cat "$prefix/work/out"; return 1; }
  cat "$prefix/work/out"
  grep -qF 'tokenpool: took -j4 off make: the pool decides (2 slots); for 4' "$prefix/work/out" &&
    [ "$(grep -cE "^[abc] by $shims/make\$" "$prefix/work/out")" -eq 3 ] &&
    grep -q '"missing": 0' "$prefix/work/report"
}
expect "the installed program does not keep make -j4 in a pool of two" builds

# In an empty chroot there is no loader, no library and no /proc.
cage=$prefix/cage
mkdir "$cage"
cp "$program" "$cage/tokenpool"
if [ "$(id -u)" -eq 0 ]; then
  enter=(chroot "$cage")
else
  enter=(unshare -r chroot "$cage")
fi
expect "the program does not run in an empty chroot" "${enter[@]}" /tokenpool --version
mkdir "$cage/tmp"  # the least that a run needs: a place for its FIFO

runs_in_cage() {
  env -u TMPDIR "${enter[@]}" /tokenpool run -j2 --report /report -- /tokenpool --version &&
    grep -q '"missing": 0' "$cage/report" && [ -z "$(ls -A "$cage/tmp")" ]
}
expect "the program cannot run a command in an empty chroot" runs_in_cage

if [ "$failures" -gt 0 ]; then exit 1; fi
echo "install_test: $(find "$prefix/usr" ! -type d | wc -l) files installed, all in place"
