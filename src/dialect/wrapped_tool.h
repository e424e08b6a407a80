// The tools that `run --wrap` puts a shim in front of: compilers, linkers and their like, of which
// each call is one job. By name alone; dialect/wrapped_call.h reads their command lines.
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wire/error.h"

namespace tokenpool::dialect {

enum class WrappedKind : std::uint8_t {
  unknown,  ///< none of those below; --wrap=NAME can name it all the same
  driver,   ///< compiles and links by the grammar of gcc: cc, g++, clang, gfortran ...
  linker,   ///< ld and those that take its place
  rustc,
  javac,
  ghc,
  ocaml,           ///< ocamlc, ocamlopt
  ocaml_launcher,  ///< ocamlfind: its first argument names the tool
  launcher,        ///< ccache: its first argument names the tool, or it was called as the tool
  companion,       ///< no job itself: dune looks for ocamldep only beside the ocamlc that it found
};

/// By the last part of a path, without a version behind it (gcc-12) and, for compilers and linkers
/// in C's family, without a target in front of it (x86_64-linux-gnu-ld).
WrappedKind wrapped_kind(std::string_view name);

/// Which names `--wrap` is for.
struct WrapNames {
  bool defaults = true;              ///< all that wrapped_kind() knows
  std::vector<std::string> added;    ///< besides, or, without the defaults, instead
  std::vector<std::string> removed;  ///< from the defaults
  friend bool operator==(const WrapNames&, const WrapNames&) = default;
};

/// "*": the defaults. "cc,myc": these alone. "+myc,-ld": the defaults with and without. Error 2,
/// with a sentence, for other text: an empty name, one with a slash, both forms at once.
wire::Result<WrapNames> parse_wrap(std::string_view text);

/// Whether a program called `name` is among the defaults of `names` and not taken out of them.
bool wraps_by_default(const WrapNames& names, std::string_view name);

}  // namespace tokenpool::dialect
