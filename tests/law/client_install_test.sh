#!/usr/bin/env bash
# Installs a build folder to a temporary prefix, moves that elsewhere, and builds and runs a small
# project in C++ and one in C against the client library that is there: by CMake and by pkg-config.
# Usage: client_install_test.sh BUILD. Needs cmake, pkg-config, gcc and g++ (or CC and CXX).
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: client_install_test.sh BUILD" >&2; exit 2; }
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
passed=0

expect() {  # WHAT COMMAND…
  local what=$1
  shift
  if "$@" >"$work/.log" 2>&1; then
    passed=$((passed + 1))
    return
  fi
  echo "client_install_test: $what" >&2
  sed 's/^/  /' "$work/.log" >&2
  failures=$((failures + 1))
}

cmake --install "$build" --prefix "$work/first" >"$work/.install" 2>&1 ||
  { cat "$work/.install" >&2; echo "client_install_test: cmake --install $build failed" >&2; exit 1; }
prefix="$work/a place of its own"
mv "$work/first" "$prefix"

for header in client.hpp result.hpp tokenpool.h; do
  expect "include/tokenpool/$header is not installed" test -s "$prefix/include/tokenpool/$header"
done
library=$(find "$prefix" -name libtokenpool.a)
expect "libtokenpool.a is not installed" test -s "$library"
packages=$(find "$prefix" -name pkgconfig -type d)
expect "tokenpool.pc is not installed" test -s "$packages/tokenpool.pc"

# Each takes two slots from a jobserver with two tokens beside its own slot, and leaves both there.
mkdir "$work/project"
cat >"$work/project/in_cpp.cc" <<'END'
#include <tokenpool/client.hpp>

#include <cstdio>

int main() {
  auto pool = tokenpool::client::Pool::connect({});
  tokenpool::client::Wanted wanted;
  wanted.max = 2;
  auto lease = pool->acquire(wanted);
  if (!lease) return 1;
  std::printf("%s %s %d of %d\n", to_string(pool->mode()), to_string(pool->reason()),
              lease->slots(), pool->slots());
  return 0;
}
END
cat >"$work/project/in_c.c" <<'END'
#include <tokenpool/tokenpool.h>

#include <stdio.h>

int main(void) {
  tokenpool_wanted wanted = TOKENPOOL_WANTED_INIT;
  tokenpool_lease* lease = NULL;
  tokenpool_pool* pool = tokenpool_connect(NULL);
  wanted.max = 2;
  if (tokenpool_acquire(pool, &wanted, &lease) != TOKENPOOL_OK) return 1;
  printf("%s %s %d of %d\n", tokenpool_mode_name(pool), tokenpool_reason(pool),
         tokenpool_lease_slots(lease), tokenpool_slots(pool));
  tokenpool_release(lease);
  tokenpool_free(pool);
  return 0;
}
END
cat >"$work/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.16)
project(uses_tokenpool LANGUAGES ${LANGUAGE})
find_package(tokenpool 0.1 REQUIRED)
if(LANGUAGE STREQUAL "CXX")
  add_executable(program in_cpp.cc)
  set_target_properties(program PROPERTIES CXX_STANDARD 17 CXX_EXTENSIONS OFF)
  target_compile_options(program PRIVATE -fno-exceptions -Wall -Wextra -Wpedantic -Werror)
else()
  add_executable(program in_c.c)
  set_target_properties(program PROPERTIES C_STANDARD 90 C_EXTENSIONS OFF)
  target_compile_options(program PRIVATE -Wall -Wextra -Wpedantic -Werror)
endif()
target_link_libraries(program PRIVATE tokenpool::tokenpool)
if(NOT TARGET tokenpool::client)
  message(FATAL_ERROR "the target's other name is missing")
endif()
END

runs() {  # PROGRAM: it takes what it should, and all tokens are there again
  local fifo=$work/fifo
  rm -f "$fifo"
  mkfifo "$fifo"
  exec 9<>"$fifo"
  printf 'xy' >&9
  env -u TOKENPOOL_ADDR -u TOKENPOOL_COOKIE MAKEFLAGS=" -j3 --jobserver-auth=fifo:$fifo" "$1" \
    >"$work/said" || { echo "it failed with $?"; return 1; }
  local left
  IFS= read -r -N 2 -u 9 left
  exec 9>&-
  cat "$work/said"
  [ "$left" = yx ] || [ "$left" = xy ] || { echo "left in the FIFO: $left"; return 1; }
  [ "$(cat "$work/said")" = "jobserver no-address 2 of 3" ]
}

by_cmake() {  # LANGUAGE
  cmake -S "$work/project" -B "$work/$1" -DLANGUAGE="$1" -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$work/$1" && runs "$work/$1/program"
}

flags() {  # pkg-config quotes blanks for a shell
  local words
  words=$(PKG_CONFIG_PATH=$packages pkg-config "$@" tokenpool) && eval "set -- $words" &&
    printf '%s\n' "$@"
}

link() {  # SOURCE COMPILER…: with what pkg-config says
  local source=$1 cflags libs
  shift
  mapfile -t cflags < <(flags --cflags)
  mapfile -t libs < <(flags --libs)
  rm -f "$work/linked"
  "$@" "${cflags[@]}" -o "$work/linked" "$work/project/$source" "${libs[@]}"
}
by_pkg_config() { link "$@" && runs "$work/linked"; }

expect "a C++ project by CMake" by_cmake CXX
expect "a C project by CMake" by_cmake C
expect "a C++ project by pkg-config" by_pkg_config in_cpp.cc "${CXX:-g++}" -std=c++17
expect "a C project by pkg-config" by_pkg_config in_c.c "${CC:-gcc}" -std=c89 -pedantic-errors
expect "a shared library with the client in it" link in_c.c "${CC:-gcc}" -shared -fPIC -Wl,-z,defs

if [ "$failures" -gt 0 ]; then exit 1; fi
echo "client_install_test: $passed expectations met"
