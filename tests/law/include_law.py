#!/usr/bin/env python3
"""The law of the house: which room may include which, how long a file may be, and that a name
stands once in a room.

Usage: include_law.py TREE        every breach on one line, status 1 when there is any
       include_law.py --self-test proves on bad trees that each rule can fail
"""

import pathlib
import re
import sys
import tempfile

# Arrows point downward only: a room may include itself and those of the lines above its own.
LEVELS = (
    ("core",),
    ("control", "wire"),
    ("dialect", "proc"),
    ("jobserver", "client", "session"),
    ("launcher", "board"),
    ("shim", "watch"),
    ("arbiter", "serve"),
    ("front",),
    ("cli",),
)
ALLOWED = {room: {room}.union(*LEVELS[:level]) for level, rooms in enumerate(LEVELS) for room in rooms}
PURE = ("core", "control")  # functions of their input
SOURCE_ONLY = ("asio", "nlohmann", "CLI", "fmt", "toml++", "sqlite3", "gtest", "gmock", "rapidcheck")
MAX_LINES = {".cc": 600, ".h": 200, ".hpp": 200}
MAX_COLUMNS = 100
PLATFORM_SUFFIX = re.compile(r"_(linux|win32|posix|macos)\.(cc|h)$")
PLATFORM_MACRO = re.compile(
    r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*?\b(__linux__|__linux|linux|_WIN32|_WIN64|WIN32|"
    r"__APPLE__|__unix__|__unix|__FreeBSD__|__MINGW32__|_MSC_VER|BOOST_OS_\w+)\b"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# What a pure room may include besides such rooms: the C++ library (no dot), never a header of C or POSIX.
STANDARD = re.compile(r"^[a-z_0-9]+$")
# Clocks, threads, randomness and streams would make it more than a function of its input.
IMPURE = {
    "thread", "mutex", "shared_mutex", "condition_variable", "future", "atomic", "random", "iostream",
    "fstream", "filesystem", "ctime", "csignal", "stop_token", "semaphore", "latch",
    "barrier", "syncstream",
}
IMPURE_EXEMPT = {"check.cc"}  # says what broke, then aborts


NAMED_TYPE = re.compile(r"(?:enum class|enum|struct|class|union) (\w+)")
ALIAS = re.compile(r"(?:using|namespace) (?:[\w:]*::)?(\w+)( = .*)?;")


def breaches_of_include(room, path, line, quote, target):
    """Yields what is wrong with one #include of a file in src/room/."""
    first = target.split("/")[0]
    if first in ALLOWED:
        if quote != '"':
            yield f'{path}:{line}: <{target}> is ours: write "{target}"'
        if first not in ALLOWED[room]:
            yield f"{path}:{line}: {room}/ may not include {first}/ ({target})"
        return
    if quote == '"' and first != "tokenpool":
        yield f'{path}:{line}: "{target}" is in no room; ours are included as "room/file.h"'
    header = path.suffix != ".cc"
    third_party = first in SOURCE_ONLY or pathlib.PurePath(first).stem in SOURCE_ONLY
    if third_party and header:
        yield f"{path}:{line}: {target} is a third party's and may appear in .cc files only"
    if first == "CLI" and path.name != "command_line.cc":
        yield f"{path}:{line}: {target} belongs into cli/command_line.cc only"
    if room in PURE:
        if not STANDARD.match(target):
            yield f"{path}:{line}: {room}/ includes the C++ standard library and core/ only, not {target}"
        elif target in IMPURE and path.name not in IMPURE_EXEMPT:
            yield f"{path}:{line}: {room}/ is a pure function of its input; <{target}> is not"


def name_declared_by(line):
    """What a line of a namespace declares at column 0; nothing: a member, or no declaration."""
    found = ALIAS.match(line) or NAMED_TYPE.match(line)
    if found:
        return found.group(1)
    was = None
    while was != line:  # template arguments may hold whatever ends a name
        was, line = line, re.sub(r"<[^<>]*>", "", line)
    found = re.match(r"[A-Za-z][^({=;]*?(::)?\b(\w+)(?:\[\w*\])*\s*[({=;]", line)
    is_name = found and not found.group(1) and found.group(2) not in ("operator", "static_assert")
    return found.group(2) if is_name else None


def breaches_of_names(tree, room):
    """Yields names of anonymous namespaces that stand in two files of one room. Such files cannot
    be compiled in one; the same alias twice can."""
    first = {}
    for path in sorted(room.glob("*.cc")):
        is_inside = False
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            is_inside = line == "namespace {" or (is_inside and line != "}  // namespace")
            name = name_declared_by(line) if is_inside and line != "namespace {" else None
            if not name:
                continue
            file, text = first.setdefault(name, (path.name, line))
            if file != path.name and not (text == line and ALIAS.match(line)):
                yield (f"{path.relative_to(tree)}:{number}: {name} is in {file}, too; share it, or"
                       " give one of them another name")


def breaches_of_file(tree, path):
    """Yields what is wrong with one file of ours."""
    relative = path.relative_to(tree)
    lines = path.read_text(encoding="utf-8").split("\n")
    # A header of src/ is a contract and short; one of tests/ may hold a whole model.
    public = relative.parts[0] in ("src", "include")
    limit = MAX_LINES[path.suffix if public else ".cc"]
    if len(lines) - 1 > limit:
        yield f"{relative}:{limit}: {len(lines) - 1} lines, the limit for {path.suffix} is {limit}"
    if path.suffix != ".cc" and "#pragma once" not in lines:
        yield f"{relative}:1: no #pragma once"
    room = relative.parts[1] if relative.parts[0] == "src" and len(relative.parts) > 2 else None
    for number, text in enumerate(lines, 1):
        if len(text) > MAX_COLUMNS:
            yield f"{relative}:{number}: {len(text)} columns, the limit is {MAX_COLUMNS}"
        if not PLATFORM_SUFFIX.search(path.name):
            macro = PLATFORM_MACRO.match(text)
            if macro:
                yield (f"{relative}:{number}: {macro.group(1)} in shared code; platforms are chosen by"
                       " file suffix (*_linux.cc)")
        include = INCLUDE.match(text)
        if include and room:
            yield from breaches_of_include(room, relative, number, *include.groups())


def breaches(tree):
    """All breaches in src/ (rooms and files) and in include/, sim/ and tests/ (files only)."""
    found = []
    for room in sorted((tree / "src").iterdir()):
        if room.is_dir() and room.name not in ALLOWED:
            found.append(f"src/{room.name}: is no room; add it to tests/law/include_law.py")
        elif room.is_dir():
            found.extend(breaches_of_names(tree, room))
    for top in ("src", "include", "sim", "tests", "fuzz", "bench"):
        for path in sorted((tree / top).rglob("*")):
            if path.suffix in MAX_LINES and path.is_file():
                if top == "src" and path.parts[len(tree.parts) + 1] not in ALLOWED:
                    continue
                found.extend(breaches_of_file(tree, path))
    return found


# A file, its text, and a word of the breach that must be found (None: it is lawful).
CASES = [
    ("src/core/a.h", '#pragma once\n#include <vector>\n#include "core/b.h"\n', None),
    ("src/core/a.cc", '#include "wire/codec.h"\n', "core/ may not include wire/"),
    ("src/core/a.cc", "#include <unistd.h>\n", "core/ includes the C++ standard library"),
    ("src/core/a.cc", "#include <tl/expected.hpp>\n", "core/ includes the C++ standard library"),
    ("src/core/a.cc", "#include <thread>\n", "pure"),
    ("src/core/check.cc", "#include <cstdio>\n", None),
    ("src/wire/a.h", "#pragma once\n#include <tl/expected.hpp>\n", None),
    ("src/wire/a.cc", '#include "proc/spawn.h"\n', "wire/ may not include proc/"),
    ("src/proc/a.cc", '#include "jobserver/fifo.h"\n', "proc/ may not include jobserver/"),
    ("src/proc/a.cc", '#include "front/run.h"\n', "proc/ may not include front/"),
    ("src/jobserver/a.cc", '#include "front/run.h"\n', "jobserver/ may not include front/"),
    ("src/jobserver/a.cc", '  #  include "client/x.h"\n', "jobserver/ may not include client/"),
    ("src/client/a.cc", '#include "jobserver/fifo.h"\n', "client/ may not include jobserver/"),
    ("src/arbiter/a.cc", '#include "front/run.h"\n', "arbiter/ may not include front/"),
    ("src/arbiter/a.cc", '#include "serve/serve.h"\n', "arbiter/ may not include serve/"),
    ("src/dialect/a.cc", '#include "proc/tool.h"\n', "dialect/ may not include proc/"),
    ("src/control/a.cc", '#include "core/pool.h"\n', None),
    ("src/control/a.cc", "#include <thread>\n", "pure"),
    ("src/cli/command_line.cc", '#include <CLI/CLI.hpp>\n#include "front/run.h"\n', None),
    ("src/cli/a.cc", "#include <CLI/App.hpp>\n", "command_line.cc only"),
    ("src/cli/a.h", "#pragma once\n#include <CLI/CLI.hpp>\n", ".cc files only"),
    ("src/arbiter/a.h", "#pragma once\n#include <asio.hpp>\n", ".cc files only"),
    ("src/arbiter/a.h", "#pragma once\n#include <asio/ip/tcp.hpp>\n", ".cc files only"),
    ("src/wire/a.h", "#pragma once\n#include <nlohmann/json.hpp>\n", ".cc files only"),
    ("src/wire/a.h", "#pragma once\n#include <fmt/core.h>\n", ".cc files only"),
    ("src/wire/a.cc", "#include <fmt/core.h>\n", None),
    ("src/wire/a.cc", '#include "codec.h"\n', "is in no room"),
    ("src/wire/a.cc", "#include <core/pool.h>\n", "is ours"),
    ("src/proc/a.cc", "#ifdef __linux__\n#endif\n", "__linux__ in shared code"),
    ("src/proc/a.cc", "#if defined(_WIN32)\n#endif\n", "_WIN32 in shared code"),
    ("src/proc/a_linux.cc", "#ifdef __linux__\n#endif\n", None),
    ("src/proc/a.cc", "// linux is fine in a comment\n", None),
    ("src/core/a.h", "#include <vector>\n", "#pragma once"),
    ("src/core/a.cc", "\n" * 600, None),
    ("src/core/a.cc", "\n" * 601, "601 lines"),
    ("src/core/a.h", "#pragma once\n" + "\n" * 200, "201 lines"),
    ("tests/core/a.h", "#pragma once\n" + "\n" * 200, None),
    ("src/core/a.cc", "// " + "x" * 98 + "\n", "101 columns"),
    ("sim/a.cc", "#ifdef _WIN32\n#endif\n", "_WIN32 in shared code"),
    ("src/attic/a.cc", "", "is no room"),
]
# What the anonymous namespaces of two files of a room hold, and a word of the breach.
NAME_CASES = [
    ("int f(int x) {\n", "bool f() {\n", "f is in a.cc, too"),
    ("std::map<int, int (*)(int)> f() {\n", "std::array<int, 2> f(\n", "f is in a.cc, too"),
    ("constexpr int kMost = 1;\n", "constexpr int kMost = 1;\n", "kMost is in a.cc, too"),
    ("constexpr char kMost[] = {\n", "const Row* kMost{nullptr};\n", "kMost is in a.cc, too"),
    ("struct Row {\n", "enum class Row : std::uint8_t {\n", "Row is in a.cc, too"),
    ("class Row {\n", "using Row = int;\n", "Row is in a.cc, too"),
    ("using Row = int;\n", "using Row = char;\n", "Row is in a.cc, too"),
    ("using core::Row;\n", "using wire::Row;\n", "Row is in a.cc, too"),
    ("using Row = int;\nusing core::Call;\n", "using Row = int;\nusing core::Call;\n", None),
    ("int f();\nint f(int x) {\n  g();\n}\n", "int h() {\n  g();\n}\n", None),
    ("void A::close() {\n", "void B::close() {\n", None),
    ("int f();\n}  // namespace\n", "}  // namespace\nint f();\n", None),
]


def cases():
    """Yields files with their texts, and a word of the breach that must be found in them."""
    for name, text, expected in CASES:
        yield {name: text}, expected
    for one, other, expected in NAME_CASES:
        texts = {"src/arbiter/a.cc": one, "src/arbiter/b.cc": other}
        yield {name: f"namespace {{\n{text}}}  // namespace\n" for name, text in texts.items()}, expected


def self_test():
    """Each case in a tree of its own; answers how many went wrong."""
    wrong = 0
    for files, expected in cases():
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            (tree / "src").mkdir()
            for name, text in files.items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(text, encoding="utf-8")
            found = breaches(tree)
        right = not found if expected is None else any(expected in breach for breach in found)
        if not right:
            wrong += 1
            shown = {name: text[:60] for name, text in files.items()}
            print(f"self-test: {shown}: expected {expected!r}, found {found}")
    count = len(CASES) + len(NAME_CASES)
    print(f"include_law: self-test, {count - wrong} of {count} cases right")
    return wrong


def main(arguments):
    if arguments == ["--self-test"]:
        return 1 if self_test() else 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    tree = pathlib.Path(arguments[0]).resolve()
    if not (tree / "src").is_dir():
        print(f"include_law: {tree} has no src folder", file=sys.stderr)
        return 2
    found = breaches(tree)
    for breach in found:
        print(breach)
    print(f"include_law: {len(found)} breaches" if found else "include_law: no breach")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
