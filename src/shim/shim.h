// A shim: `make`, `ninja`, `ctest`, `cmake` ... on PATH that keeps the real tool in the pool.
//
// Inside of a build it gives the tool MAKEFLAGS in its own dialect (whatever happened to MAKEFLAGS
// on the way: a make 4.3 hands descriptors to the ninja below it, gcc's lto-wrapper clears it),
// opens the descriptors again where a parent closed them, and takes -jN off the command line,
// saying so once per tool and build. Outside, or when the pool is gone, the real tool gets exactly
// what the shim got: CMake and others remember a shim's path.
//
// A make that runs below a make -j1 is left alone: one job at a time is what the caller wanted.
// ninja before 1.13 and ctest before 3.29 are no clients and keep their -j; one line says so. The
// same holds for `cmake --build` where the tool that it is going to execute is no client: its -j
// and CMAKE_BUILD_PARALLEL_LEVEL stay (see shim/cmake_build.h, also for --preset).
#pragma once

namespace tokenpool::shim {

/// Becomes the real tool. Returns only if that fails, after one line on stderr: 127 where there is
/// none, 126 where it cannot be executed or shims of several installations call each other.
/// argv[0] stays as invoked for make, so that $(MAKE) is the shim again.
int shim_main(int argc, char** argv);

}  // namespace tokenpool::shim
