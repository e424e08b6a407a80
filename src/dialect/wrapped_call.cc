#include "dialect/wrapped_call.h"

#include <algorithm>
#include <optional>

#include "core/check.h"
#include "dialect/wrapped_tool.h"

namespace tokenpool::dialect {
namespace {

using Words = std::span<const std::string_view>;

constexpr std::string_view kCompile = "compile";
constexpr std::string_view kLink = "link";

// What a command line of this kind looks like.
struct Grammar {
  Words asks;                 ///< options that make it answer a question, and do nothing else
  Words ask_if;               ///< ... whatever follows in the same word
  Words valued;               ///< options whose value is the next word
  Words compiles;             ///< options by which it only compiles
  Words targets;              ///< options that name what it makes: as a word of its own, or joined
  std::string_view type;      ///< without one of `compiles`
  bool joined_output = true;  ///< -oFILE
  bool lone_dash_is_input = true;  ///< "-" is stdin
};

constexpr std::string_view kDriverAsks[] = {
    "--version", "-dumpversion", "-dumpmachine",  "-dumpspecs", "-dumpfullversion",
    "--help",    "-###",         "-Wl,--version", "-Wl,-v",     "--target-help"};
constexpr std::string_view kDriverAskIf[] = {"-print-", "--print-", "--help="};
constexpr std::string_view kDriverValued[] = {"-o",
                                              "-x",
                                              "-I",
                                              "-L",
                                              "-D",
                                              "-U",
                                              "-l",
                                              "-B",
                                              "-T",
                                              "-u",
                                              "-z",
                                              "-e",
                                              "-A",
                                              "-G",
                                              "-include",
                                              "-imacros",
                                              "-isystem",
                                              "-iquote",
                                              "-idirafter",
                                              "-iprefix",
                                              "-isysroot",
                                              "-MF",
                                              "-MT",
                                              "-MQ",
                                              "-Xlinker",
                                              "-Xassembler",
                                              "-Xclang",
                                              "-target",
                                              "--param",
                                              "-Xpreprocessor",
                                              "-aux-info",
                                              "-wrapper",
                                              "-framework",
                                              "-mllvm",
                                              "-arch",
                                              "-iwithprefix",
                                              "-dumpbase",
                                              "-dumpdir",
                                              "-J",
                                              "--sysroot",
                                              "-dumpbase-ext",
                                              "-iwithprefixbefore",
                                              "-imultilib",
                                              "-rpath",
                                              "-soname"};
constexpr std::string_view kDriverCompiles[] = {"-c", "-S", "-E", "-M", "-MM", "-fsyntax-only"};
constexpr std::string_view kOutput[] = {"-o"};

constexpr std::string_view kLinkerAsks[] = {"--version", "-v", "-V", "--help",
                                            "--print-output-format"};
constexpr std::string_view kLinkerValued[] = {"-o",
                                              "--output",
                                              "-L",
                                              "-l",
                                              "-m",
                                              "-z",
                                              "-T",
                                              "-e",
                                              "--entry",
                                              "-u",
                                              "-rpath",
                                              "--rpath",
                                              "-soname",
                                              "-h",
                                              "-Map",
                                              "--script",
                                              "-plugin",
                                              "-dynamic-linker",
                                              "--plugin",
                                              "-y",
                                              "-b",
                                              "-R",
                                              "-plugin-opt",
                                              "--dynamic-linker",
                                              "-A",
                                              "-a",
                                              "-c",
                                              "-f",
                                              "-flavor",
                                              "--library-path",
                                              "-F",
                                              "-G",
                                              "-Y",
                                              "--undefined",
                                              "--version-script",
                                              "-rpath-link",
                                              "--sysroot",
                                              "--defsym",
                                              "-dT",
                                              "--library",
                                              "-assert",
                                              "--dynamic-list"};
constexpr std::string_view kLinkerOutput[] = {"-o", "--output"};

constexpr std::string_view kRustAsks[] = {"-V", "-vV",    "-Vv",      "--version",
                                          "-h", "--help", "--explain"};
constexpr std::string_view kRustValued[] = {"--cfg",
                                            "-L",
                                            "-l",
                                            "--crate-type",
                                            "--crate-name",
                                            "--edition",
                                            "--emit",
                                            "--print",
                                            "-o",
                                            "--out-dir",
                                            "--explain",
                                            "--target",
                                            "-A",
                                            "-W",
                                            "-D",
                                            "-F",
                                            "-C",
                                            "-Z",
                                            "--codegen",
                                            "--cap-lints",
                                            "--extern",
                                            "--sysroot",
                                            "--error-format",
                                            "--json",
                                            "--color",
                                            "--allow",
                                            "--warn",
                                            "--deny",
                                            "--forbid",
                                            "--check-cfg",
                                            "--diagnostic-width",
                                            "--remap-path-prefix",
                                            "--force-warn"};
constexpr std::string_view kRustTargets[] = {"--crate-name", "-o"};

constexpr std::string_view kJavaAsks[] = {"-version",     "--version",    "-help",
                                          "--help",       "-h",           "-X",
                                          "--help-extra", "-fullversion", "--full-version"};
constexpr std::string_view kJavaValued[] = {"-d",
                                            "-cp",
                                            "-classpath",
                                            "--class-path",
                                            "-sourcepath",
                                            "--source-path",
                                            "-s",
                                            "-source",
                                            "-target",
                                            "--release",
                                            "-encoding",
                                            "-processor",
                                            "-processorpath",
                                            "--processor-path",
                                            "-p",
                                            "--module-path",
                                            "--source",
                                            "--target",
                                            "-bootclasspath",
                                            "--system",
                                            "--add-modules",
                                            "--add-exports",
                                            "--add-reads",
                                            "--patch-module",
                                            "--limit-modules",
                                            "--upgrade-module-path",
                                            "--module-source-path",
                                            "-extdirs",
                                            "-endorseddirs",
                                            "-Xmaxerrs",
                                            "-Xmaxwarns"};
constexpr std::string_view kJavaTargets[] = {"-d"};

constexpr std::string_view kGhcAsks[] = {"--version",
                                         "-V",
                                         "--numeric-version",
                                         "--info",
                                         "--supported-extensions",
                                         "--supported-languages",
                                         "--help",
                                         "-?"};
constexpr std::string_view kGhcAskIf[] = {"--print-"};
constexpr std::string_view kGhcValued[] = {
    "-o",          "-odir",         "-hidir",        "-outputdir", "-package",
    "-package-id", "-package-db",   "-this-unit-id", "-x",         "-ohi",
    "-main-is",    "-dep-makefile", "-stubdir",      "-e"};

constexpr std::string_view kOcamlAsks[] = {
    "-version", "--version", "-v", "-vnum", "-config", "-where", "-help", "--help", "-config-var"};
// -impl and -intf stand in front of an input.
constexpr std::string_view kOcamlValued[] = {"-o",
                                             "-I",
                                             "-w",
                                             "-warn-error",
                                             "-pp",
                                             "-ppx",
                                             "-open",
                                             "-cclib",
                                             "-ccopt",
                                             "-cc",
                                             "-inline",
                                             "-for-pack",
                                             "-intf-suffix",
                                             "-package",
                                             "-predicates",
                                             "-color",
                                             "-error-style",
                                             "-dllib",
                                             "-dllpath",
                                             "-use-runtime",
                                             "-syntax",
                                             "-ppopt",
                                             "-unboxed-types",
                                             "-map",
                                             "-config-var",
                                             "-runtime-variant",
                                             "-dumpdir",
                                             "-plugin",
                                             "-intf_suffix",
                                             "-H"};
constexpr std::string_view kOcamlCompiles[] = {"-c", "-i"};

constexpr Grammar kDriver{kDriverAsks,     kDriverAskIf, kDriverValued,
                          kDriverCompiles, kOutput,      kLink};
constexpr Grammar kLinker{kLinkerAsks, {}, kLinkerValued, {}, kLinkerOutput, kLink};
constexpr Grammar kRust{kRustAsks, {}, kRustValued, {}, kRustTargets, kCompile, false};
constexpr Grammar kJava{kJavaAsks, {}, kJavaValued, {}, kJavaTargets, kCompile, false, false};
constexpr Grammar kGhc{kGhcAsks, kGhcAskIf, kGhcValued, {}, kOutput, kCompile, false, false};
constexpr Grammar kOcaml{kOcamlAsks, {}, kOcamlValued, kOcamlCompiles, kOutput, kLink, false};

bool has(Words words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

/// The value of a target's option that is joined to it: -oFILE, --output=FILE.
std::optional<std::string> joined_target(const Grammar& grammar, const std::string& word) {
  for (const std::string_view option : grammar.targets) {
    if (option.starts_with("--")) {
      if (word.starts_with(std::string(option) + "=")) return word.substr(option.size() + 1);
    } else if (grammar.joined_output && word.starts_with(option) && word.size() > option.size()) {
      return word.substr(option.size());
    }
  }
  return std::nullopt;
}

WrappedCall read_call(const Grammar& grammar, std::span<const std::string> args) {
  WrappedCall call;
  call.type = grammar.type;
  std::optional<std::string> input;
  std::optional<std::string> target;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    const bool option = word.size() > 1 && word.front() == '-';
    if (!option) {
      if (!input && (word != "-" || grammar.lone_dash_is_input)) input = word;
      continue;
    }
    const auto begins = [&](std::string_view start) { return word.starts_with(start); };
    // -v alone asks; beside an input it only tells more, and then there is an input.
    if (has(grammar.asks, word) && !(word == "-v" || word == "-V")) return {false, {}, {}};
    if (std::ranges::any_of(grammar.ask_if, begins)) return {false, {}, {}};
    if (has(grammar.compiles, word)) call.type = kCompile;
    if (has(grammar.valued, word) && i + 1 < args.size()) {
      const bool first = !target || word == grammar.targets.front();
      if (has(grammar.targets, word) && first) target = args[i + 1];
      ++i;
    } else if (auto joined = joined_target(grammar, word); joined && !target) {
      target = std::move(joined);
    }
  }
  if (!input) return {false, {}, {}};
  const bool made = target && !target->empty() && *target != "/dev/null" && *target != "-";
  call.target = made ? *target : *input == "-" ? std::string() : *input;
  return call;
}

// cargo asks `rustc - --crate-name ___ --print=file-names ...` before anything else.
WrappedCall read_rustc(std::span<const std::string> args) {
  const bool prints = std::ranges::any_of(
      args, [](const std::string& word) { return word.starts_with("--print"); });
  const bool from_stdin = std::ranges::find(args, "-") != args.end();
  WrappedCall call = read_call(kRust, args);
  if (prints && from_stdin) return {false, {}, {}};
  return call;
}

// `ccache cc -c a.c`, but also `ccache -s`; ocamlfind has commands of its own, such as query.
WrappedCall read_launcher(std::span<const std::string> args) {
  // ccache takes settings in front of the compiler: KEY=VALUE.
  while (!args.empty() && !args.front().starts_with('-') &&
         args.front().find('=') != std::string::npos) {
    args = args.subspan(1);
  }
  if (args.empty() || args.front().starts_with('-')) return {false, {}, {}};
  return describe_call(args.front(), args.subspan(1));
}

WrappedCall read_ocamlfind(std::span<const std::string> args) {
  if (args.empty() || wrapped_kind(args.front()) != WrappedKind::ocaml) return {false, {}, {}};
  return read_call(kOcaml, args.subspan(1));
}

}  // namespace

WrappedCall describe_call(std::string_view name, std::span<const std::string> args) {
  switch (wrapped_kind(name)) {
    case WrappedKind::driver:
      return read_call(kDriver, args);
    case WrappedKind::linker:
      return read_call(kLinker, args);
    case WrappedKind::rustc:
      return read_rustc(args);
    case WrappedKind::javac:
      return read_call(kJava, args);
    case WrappedKind::ghc:
      return read_call(kGhc, args);
    case WrappedKind::ocaml:
      return read_call(kOcaml, args);
    case WrappedKind::ocaml_launcher:
      return read_ocamlfind(args);
    case WrappedKind::launcher:
      return read_launcher(args);
    case WrappedKind::companion:
      return {false, {}, {}};
    case WrappedKind::unknown:
      return {};
  }
  TOKENPOOL_CHECK(false);
}

}  // namespace tokenpool::dialect
