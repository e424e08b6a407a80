#include "dialect/wrapped_call.h"

#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "dialect/wrapped_tool.h"

namespace tokenpool::dialect {
namespace {

WrappedCall call(const std::string& line) {
  std::istringstream words(line);
  std::string name;
  words >> name;
  std::vector<std::string> args;
  for (std::string word; words >> word;) args.push_back(word);
  return describe_call(name, args);
}

WrappedCall compile(const std::string& target) { return {true, "compile", target}; }
WrappedCall link(const std::string& target) { return {true, "link", target}; }
const WrappedCall kNoWork{false, "", ""};

TEST(WrappedKind, Names) {
  for (const char* name : {"cc", "gcc-12", "/usr/bin/c++", "x86_64-linux-gnu-gcc-12", "avr-gcc",
                           "clang++-19", "x86_64-linux-gnu-cc", "c99-gcc"}) {
    EXPECT_EQ(wrapped_kind(name), WrappedKind::driver) << name;
  }
  for (const char* name : {"ld", "ld.lld-14", "x86_64-linux-gnu-ld.bfd", "mold", "wasm-ld-14"}) {
    EXPECT_EQ(wrapped_kind(name), WrappedKind::linker) << name;
  }
  for (const char* name : {"", "-", "-cc", "gcc-ar-12", "x86_64-linux-gnu-gcc-nm", "dh-cc", "as",
                           "make", "ar", "tokenpool", "gcc-", "12", "git-ld"}) {
    EXPECT_EQ(wrapped_kind(name), WrappedKind::unknown) << name;
  }
  EXPECT_EQ(wrapped_kind("rustc"), WrappedKind::rustc);
  EXPECT_EQ(wrapped_kind("ghc-9.0.2"), WrappedKind::ghc);
  EXPECT_EQ(wrapped_kind("ocamldep.opt"), WrappedKind::companion);
}

TEST(WrapNames, Lists) {
  EXPECT_EQ(parse_wrap("*"), WrapNames{});
  EXPECT_EQ(parse_wrap("cc,myc"), (WrapNames{false, {"cc", "myc"}, {}}));
  EXPECT_EQ(parse_wrap("+myc,-ld"), (WrapNames{true, {"myc"}, {"ld"}}));
  for (const char* text : {"", ",", "cc,", "+", "+a,b", "a,-b", "/usr/bin/cc", ".."}) {
    const auto names = parse_wrap(text);
    ASSERT_FALSE(names) << text;
    EXPECT_EQ(names.error().status, 2);
    EXPECT_EQ(names.error().sentence.rfind("--wrap=" + std::string(text) + ": ", 0), 0U);
  }
}

TEST(WrapNames, Defaults) {
  EXPECT_TRUE(wraps_by_default({}, "gcc-12"));
  EXPECT_FALSE(wraps_by_default({}, "myc"));
  EXPECT_FALSE(wraps_by_default({true, {}, {"ld"}}, "ld"));
  EXPECT_TRUE(wraps_by_default({true, {}, {"ld"}}, "ld.bfd"));
  EXPECT_FALSE(wraps_by_default({false, {"cc"}, {}}, "cc"));
}

TEST(WrappedCall, DriversCompile) {
  EXPECT_EQ(call("cc -c a.c"), compile("a.c"));
  EXPECT_EQ(call("g++ -O2 -o out/a.o -c a.cc"), compile("out/a.o"));
  EXPECT_EQ(call("gcc-12 -MD -MF a.d -MT a.o -oa.o -c -I inc a.c"), compile("a.o"));
  EXPECT_EQ(call("cc -E - -o /dev/null"), compile(""));
  EXPECT_EQ(call("cc -x c -S -"), compile(""));
  EXPECT_EQ(call("clang -fsyntax-only a.c"), compile("a.c"));
  EXPECT_EQ(call("cc -v -c a.c"), compile("a.c"));
  EXPECT_EQ(call("cc @args -c"), compile("@args"));
}

TEST(WrappedCall, DriversLink) {
  EXPECT_EQ(call("cc a.o b.o -o app"), link("app"));
  EXPECT_EQ(call("c++ -shared -Wl,-soname,x -L lib -l m a.o"), link("a.o"));
  EXPECT_EQ(call("cc a.c"), link("a.c"));
}

TEST(WrappedCall, DriversThatAnswer) {
  for (const char* line :
       {"cc", "cc --version", "gcc -v", "gcc -dumpmachine", "gcc -print-prog-name=ld",
        "clang --print-search-dirs", "cc -### -c a.c", "gcc --help=optimizers", "cc -Wl,--version",
        "cc -c -o a.o", "cc -I a.c", "g++ -print-multi-os-directory -c a.c"}) {
    EXPECT_EQ(call(line), kNoWork) << line;
  }
}

TEST(WrappedCall, Linkers) {
  EXPECT_EQ(call("ld -m elf_x86_64 -o app crt1.o a.o"), link("app"));
  EXPECT_EQ(call("ld.lld --output=app a.o"), link("app"));
  EXPECT_EQ(call("ld -r a.o"), link("a.o"));
  for (const char* line : {"ld", "ld -v", "ld --version", "ld --help", "ld -m elf_x86_64 -V"}) {
    EXPECT_EQ(call(line), kNoWork) << line;
  }
}

TEST(WrappedCall, Rust) {
  EXPECT_EQ(call("rustc --crate-name app src/main.rs --emit=link -C opt-level=3 --out-dir d"),
            compile("app"));
  EXPECT_EQ(call("rustc --crate-name=app src/main.rs"), compile("app"));
  EXPECT_EQ(call("rustc -o app main.rs"), compile("app"));
  EXPECT_EQ(call("rustc -o app --crate-name x main.rs"), compile("x"));
  EXPECT_EQ(call("rustc --print link-args a.rs"), compile("a.rs"));
  for (const char* line :
       {"rustc -vV", "rustc --version", "rustc", "rustc --print cfg", "rustc --explain E0001",
        "rustc - --crate-name ___ --print=file-names --crate-type bin"}) {
    EXPECT_EQ(call(line), kNoWork) << line;
  }
}

TEST(WrappedCall, Java) {
  EXPECT_EQ(call("javac -d classes -cp lib/x.jar A.java B.java"), compile("classes"));
  EXPECT_EQ(call("javac A.java"), compile("A.java"));
  EXPECT_EQ(call("javac -version"), kNoWork);
  EXPECT_EQ(call("javac -cp A.java"), kNoWork);
}

TEST(WrappedCall, Haskell) {
  EXPECT_EQ(call("ghc -c A.hs -o A.o"), compile("A.o"));
  EXPECT_EQ(call("ghc --make Main.hs"), compile("Main.hs"));
  EXPECT_EQ(call("ghc --numeric-version"), kNoWork);
  EXPECT_EQ(call("ghc --print-libdir"), kNoWork);
}

TEST(WrappedCall, Ocaml) {
  EXPECT_EQ(call("ocamlopt.opt -w -a -I x -c -o a.cmx a.ml"), compile("a.cmx"));
  EXPECT_EQ(call("ocamlc -c -impl a.ml"), compile("a.ml"));
  EXPECT_EQ(call("ocamlc -o app a.cmo"), link("app"));
  EXPECT_EQ(call("ocamlfind ocamlopt -package unix -c a.ml"), compile("a.ml"));
  for (const char* line : {"ocamlc -config", "ocamlc -config-var x", "ocamlfind query unix",
                           "ocamlfind", "ocamlfind ocamldep a.ml", "ocamldep.opt a.ml"}) {
    EXPECT_EQ(call(line), kNoWork) << line;
  }
}

TEST(WrappedCall, Launchers) {
  EXPECT_EQ(call("ccache gcc -c a.c -o a.o"), compile("a.o"));
  EXPECT_EQ(call("ccache debug=true /usr/bin/gcc a.o -o app"), link("app"));
  EXPECT_EQ(call("ccache gcc --version"), kNoWork);
  EXPECT_EQ(call("ccache -s"), kNoWork);
  EXPECT_EQ(call("ccache"), kNoWork);
}

TEST(WrappedCall, AnyWordsAreAccepted) {
  EXPECT_TRUE(rc::check([] {
    const auto name = *rc::gen::element<std::string>("cc", "ld", "rustc", "javac", "ghc", "ocamlc",
                                                     "ocamlfind", "ccache", "myc", "");
    const auto word = rc::gen::weightedOneOf<std::string>(
        {{4, rc::gen::element<std::string>("-o", "-c", "-", "a.c", "ccache", "cc", "-oa", "--print",
                                           "-v", "--version", "ocamlopt", "--crate-name", "x=y",
                                           "--output=", "")},
         {1, rc::gen::arbitrary<std::string>()}});
    const auto args = *rc::gen::container<std::vector<std::string>>(word);
    const WrappedCall call = describe_call(name, args);
    RC_ASSERT(call.works || (call.type.empty() && call.target.empty()));
    RC_ASSERT(call.type.empty() || call.type == "compile" || call.type == "link");
    for (const std::string& one : args) (void)parse_wrap(one);
  }));
}

TEST(WrappedCall, OfUnknownToolsEveryCallIsWork) {
  EXPECT_EQ(call("myc --version"), WrappedCall{});
  EXPECT_EQ(call("myc"), WrappedCall{});
}

}  // namespace
}  // namespace tokenpool::dialect
