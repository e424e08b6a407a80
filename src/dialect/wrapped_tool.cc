#include "dialect/wrapped_tool.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tokenpool::dialect {
namespace {

struct WrappedName {
  std::string_view name;
  WrappedKind kind;
  /// How a target may stand in front: 'n' not at all, 'a' any word (avr-gcc), 'd' one with a dash
  /// in it, lest every program whose name ends in -cc be taken for a compiler.
  char target;
};

constexpr std::array<WrappedName, 59> kWrappedNames = {{
    {"cc", WrappedKind::driver, 'd'},
    {"c++", WrappedKind::driver, 'd'},
    {"c89", WrappedKind::driver, 'n'},
    {"c99", WrappedKind::driver, 'n'},
    {"gcc", WrappedKind::driver, 'a'},
    {"g++", WrappedKind::driver, 'a'},
    {"gfortran", WrappedKind::driver, 'a'},
    {"gdc", WrappedKind::driver, 'a'},
    {"clang", WrappedKind::driver, 'a'},
    {"clang++", WrappedKind::driver, 'a'},
    {"tcc", WrappedKind::driver, 'n'},
    {"ld", WrappedKind::linker, 'd'},
    {"ld.bfd", WrappedKind::linker, 'd'},
    {"ld.gold", WrappedKind::linker, 'd'},
    {"ld.lld", WrappedKind::linker, 'd'},
    {"ld.mold", WrappedKind::linker, 'd'},
    {"gold", WrappedKind::linker, 'd'},
    {"lld", WrappedKind::linker, 'n'},
    {"mold", WrappedKind::linker, 'n'},
    {"wasm-ld", WrappedKind::linker, 'n'},
    {"rustc", WrappedKind::rustc, 'n'},
    {"javac", WrappedKind::javac, 'n'},
    {"ghc", WrappedKind::ghc, 'n'},
    {"ocamlc", WrappedKind::ocaml, 'n'},
    {"ocamlc.opt", WrappedKind::ocaml, 'n'},
    {"ocamlc.byte", WrappedKind::ocaml, 'n'},
    {"ocamlopt", WrappedKind::ocaml, 'n'},
    {"ocamlopt.opt", WrappedKind::ocaml, 'n'},
    {"ocamlopt.byte", WrappedKind::ocaml, 'n'},
    {"ocamlfind", WrappedKind::ocaml_launcher, 'n'},
    {"ccache", WrappedKind::launcher, 'n'},
    {"ocaml", WrappedKind::companion, 'n'},
    {"ocamlcmt", WrappedKind::companion, 'n'},
    {"ocamlcp", WrappedKind::companion, 'n'},
    {"ocamldebug", WrappedKind::companion, 'n'},
    {"ocamldep", WrappedKind::companion, 'n'},
    {"ocamldep.byte", WrappedKind::companion, 'n'},
    {"ocamldep.opt", WrappedKind::companion, 'n'},
    {"ocamldoc", WrappedKind::companion, 'n'},
    {"ocamldoc.opt", WrappedKind::companion, 'n'},
    {"ocamllex", WrappedKind::companion, 'n'},
    {"ocamllex.byte", WrappedKind::companion, 'n'},
    {"ocamllex.opt", WrappedKind::companion, 'n'},
    {"ocamlmklib", WrappedKind::companion, 'n'},
    {"ocamlmktop", WrappedKind::companion, 'n'},
    {"ocamlobjinfo", WrappedKind::companion, 'n'},
    {"ocamlobjinfo.opt", WrappedKind::companion, 'n'},
    {"ocamloptp", WrappedKind::companion, 'n'},
    {"ocamlprof", WrappedKind::companion, 'n'},
    {"ocamlrun", WrappedKind::companion, 'n'},
    {"ocamlyacc", WrappedKind::companion, 'n'},
    {"ghc-pkg", WrappedKind::companion, 'n'},
    {"ghci", WrappedKind::companion, 'n'},
    {"haddock", WrappedKind::companion, 'n'},
    {"hp2ps", WrappedKind::companion, 'n'},
    {"hpc", WrappedKind::companion, 'n'},
    {"hsc2hs", WrappedKind::companion, 'n'},
    {"runghc", WrappedKind::companion, 'n'},
    {"runhaskell", WrappedKind::companion, 'n'},
}};

const WrappedName* find_name(std::string_view name) {
  const auto* found = std::ranges::find(kWrappedNames, name, &WrappedName::name);
  return found == kWrappedNames.end() ? nullptr : found;
}

std::string_view without_version(std::string_view name) {
  const std::size_t dash = name.find_last_of('-');
  if (dash == std::string_view::npos || dash + 1 == name.size()) return name;
  const bool version = name.find_first_not_of("0123456789.", dash + 1) == std::string_view::npos;
  return version ? name.substr(0, dash) : name;
}

tl::unexpected<wire::Error> bad(std::string_view text, std::string_view why) {
  return tl::make_unexpected(
      wire::Error{2, "--wrap=" + std::string(text) + ": " + std::string(why)});
}

}  // namespace

WrappedKind wrapped_kind(std::string_view name) {
  name = without_version(name.substr(name.find_last_of('/') + 1));
  if (const WrappedName* found = find_name(name)) return found->kind;
  const std::size_t dash = name.find_last_of('-');
  if (dash == std::string_view::npos || dash == 0) return WrappedKind::unknown;
  const WrappedName* found = find_name(name.substr(dash + 1));
  if (found == nullptr || found->target == 'n') return WrappedKind::unknown;
  const bool has_dash = name.substr(0, dash).find('-') != std::string_view::npos;
  return found->target == 'a' || has_dash ? found->kind : WrappedKind::unknown;
}

wire::Result<WrapNames> parse_wrap(std::string_view text) {
  WrapNames names;
  if (text == "*") return names;
  bool changes = false;
  bool plain = false;
  for (std::string_view rest = text;;) {
    const std::size_t comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    const char sign = name.empty() ? '\0' : name.front();
    const bool change = sign == '+' || sign == '-';
    (change ? changes : plain) = true;
    if (change) name.remove_prefix(1);
    if (name.empty() || name == "." || name == "..") {
      return bad(text, "an empty name in the list, give names of tools, for example cc,ld");
    }
    if (name.find('/') != std::string_view::npos) {
      return bad(text, "it is found on PATH by its name, give " +
                           std::string(name.substr(name.find_last_of('/') + 1)));
    }
    (sign == '-' ? names.removed : names.added).emplace_back(name);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (changes && plain) {
    return bad(text, "a + or - in front of some names only; give it to all, or to none");
  }
  names.defaults = changes;
  return names;
}

bool wraps_by_default(const WrapNames& names, std::string_view name) {
  return names.defaults && wrapped_kind(name) != WrappedKind::unknown &&
         std::ranges::find(names.removed, name) == names.removed.end();
}

}  // namespace tokenpool::dialect
