"""The clients that docs/clients.md shows do what it says."""

import pathlib
import re
import shutil

from harness import Skipped, expect

CLIENTS = pathlib.Path(__file__).resolve().parents[2] / "docs/clients.md"


def example(language):
    """The one block of that language."""
    blocks = re.findall(rf"(?ms)^```{language}\n(.*?)^```", CLIENTS.read_text(encoding="utf-8"))
    expect(len(blocks), 1, f"blocks of {language}")
    expect(len(blocks[0].splitlines()), 10, "lines of it")
    return blocks[0]


def example_test(ctx, command):
    """It gets three of four slots, and they are free again when it has ended."""
    again = f"{ctx.tokenpool} exec --slots 4 --timeout 0 -- job --say slots {{slots}}"
    run = ctx.run([ctx.script("x", f"{command}\n{again}\n")])
    run.finish()
    expect(run.stdout(), "link with 3 threads\n", "what it prints")
    expect(ctx.desk.texts("slots"), ["4"], "slots afterwards")


def test_ten_lines_of_python(ctx):
    example_test(ctx, f"{ctx.session.python} {ctx.write('ten.py', example('python'))}")


def test_ten_lines_of_javascript(ctx):
    node = shutil.which("node")
    if node is None:
        raise Skipped("node is not here")
    example_test(ctx, f"{node} {ctx.write('ten.mjs', example('js'))}")
