// What one call of a compiler or linker does, as its command line tells.
//
// Pure. The grammars are those of gcc 12, clang 14, GNU ld 2.40, rustc 1.95, javac 17, ghc 9.0 and
// OCaml 4.13, as far as it takes to tell an input from an option's value. A command line that is
// not understood is taken for work: a slot too many is better than a job beside the pool.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tokenpool::dialect {

struct WrappedCall {
  /// False: it tells its version, a path, its settings, or that it lacks an input. Then it is over
  /// in no time and is not worth a slot; configure scripts do it a hundred times.
  bool works = true;
  std::string type;    ///< "compile", "link", or empty: not known
  std::string target;  ///< what it makes, else what it reads; empty: not known
  friend bool operator==(const WrappedCall&, const WrappedCall&) = default;
};

/// `name`: of the tool as invoked, with or without folders; `args`: without argv[0].
///  * gcc's drivers: -c, -S, -E, -M, -MM and -fsyntax-only are "compile", anything else "link".
///  * linkers: "link".  rustc, javac, ghc without an option to the contrary: "compile".
///  * ocamlc and ocamlopt: -c is "compile", else "link"; ocamlfind: as the tool that it names.
///  * launchers (ccache): as the tool that they are given.
///  * unknown: work, with neither type nor target.
WrappedCall describe_call(std::string_view name, std::span<const std::string> args);

}  // namespace tokenpool::dialect
