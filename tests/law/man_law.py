"""What the man pages must keep to: whoever reads one in a terminal of 80 columns can paste its
examples, since none of their lines is broken by the formatter.

An example is an indented line, or one between ``` fences. man(1) leaves 78 of 80 columns and indents
text by 7, scdoc an example by 4 more.

Usage: man_law.py FOLDER        every breach on one line, status 1 when there is any
       man_law.py --self-test   proves on bad pages that the rule can fail
"""

import pathlib
import re
import sys

ROOM = 78 - 7 - 4


def shown(line):
    """An indented line as it is read: without scdoc's escapes, line breaks and emphasis."""
    line = line.strip().removesuffix("++")
    return re.sub(r"\\(.)", r"\1", line)


def breaches(name, text):
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() == "```":
            fenced = not fenced
            continue
        example = fenced or re.match(r"\t(\$|>|<) ", line) or re.match(r"(\$|>|<) ", line)
        if not example:
            continue
        length = len(re.sub(r"\\(.)", r"\1", line)) if fenced else len(shown(line))
        if length > ROOM:
            yield f"{name}:{number}: an example of {length} columns is broken, {ROOM} are shown"


def self_test():
    long = "x" * (ROOM - 2)
    good = [f"\t$ {long}++\n", f"\t$ {long[2:]}\\_x\n", f"```\n$ {long}\n```\n", "y" * 200 + "\n"]
    bad = [f"\t$ {long}x++\n", f"\t$ a++\n$ {long}x\n", f"```\n$ {long}x\n```\n"]
    failed = [page for page in good if list(breaches("p", page))]
    failed += [page for page in bad if len(list(breaches("p", page))) != 1]
    for page in failed:
        print(f"man_law: judged wrongly: {page!r}")
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = [line for page in sorted(pathlib.Path(sys.argv[1]).glob("*.scd"))
             for line in breaches(page, page.read_text(encoding="utf-8"))]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
