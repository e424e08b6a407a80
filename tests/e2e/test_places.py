"""Builds in places that are not as usual: a make that is no GNU make, the program alone, a sandbox
with a /tmp of its own."""

import os
import shutil
from pathlib import Path

from harness import expect, expect_that, needs

# As strict about MAKEFLAGS as bmake: -j wants a number, and there are no long options.
STRICT = """set -- $MAKEFLAGS
while [ $# -gt 0 ]; do
  if [ "$1" = -j ]; then case $2 in ''|*[!0-9]*) echo "illegal argument to -j" >&2; exit 1 ;; esac; fi
  case $1 in --*) echo "unknown option $1" >&2; exit 1 ;; esac
  shift
done
job --say built by
make -C m
"""


def strict_make(name):
    def body(ctx):
        """It dies of the words that GNU make needs; what it starts is in the pool all the same."""
        ctx.makefile("m", 6, "m")
        bin_folder = os.path.dirname(ctx.write(f"bin/{name}", "#!/bin/bash\n" + STRICT, 0o755))
        path = ctx.environment("make-4.4.1")["PATH"]
        run = ctx.run([name, "-j8"], slots=2, env={"PATH": f"{bin_folder}:{path}"})
        ctx.desk.drive(2, total=6, prefix="m")
        run.finish()
        expect(ctx.desk.texts("built"), ["by"], "it ran")
        if name != "make":
            expect_that(any("does not obey the pool: that needs GNU make" in line
                            for line in run.notes()), f"it is named: {run.notes()}")

    body.__name__ = f"test_strict_{name}"
    globals()[body.__name__] = needs("make-4.4.1")(body)


for make in ("bmake", "pmake", "pdpmake"):
    strict_make(make)


@needs("bmake", "make-4.3")
def test_bmake(ctx):
    ctx.write("m/Makefile", "all: a b\na b:\n\t@job ${.TARGET}\n")
    for words in ([], ["-j2"]):
        run = ctx.run(["bmake", "-C", "m", *words], slots=2, tools=["make-4.3"])
        ctx.desk.let_all_out(run)
        run.finish()
    expect(ctx.desk.entered, 4, "jobs")


@needs("make-4.3")
def test_the_program_alone(ctx):
    """No shims are beside it, so it makes them itself, once."""
    program = shutil.copy(ctx.tokenpool, f"{ctx.dir}/tokenpool")
    ctx.makefile("m", 8, "m")
    for _ in range(2):
        run = ctx.spawn([program, "run", "-q", "-j2", "--", "make", "-C", "m", "-j8"],
                        slots=2, tools=["make-4.3"])
        ctx.desk.drive(2, total=8)
        expect(run.wait(), 0, "status")
        ctx.desk.entered = 0
    place = Path(f"{ctx.dir}/data/tokenpool/shims")
    made = [{path.name for path in folder.iterdir()} for folder in place.iterdir()]
    # Where a BSD make is on PATH, its shims are in a second one.
    expect(sum("make" in names for names in made), 1, f"folders of make's shim among {made}")
    expect_that(any({"make", "ninja", "ctest", "cmake"} <= names for names in made), f"{made}")


@needs("make-4.3")
def test_the_program_alone_with_no_place_for_shims(ctx):
    program = shutil.copy(ctx.tokenpool, f"{ctx.dir}/tokenpool")
    ctx.write("file", "")
    run = ctx.spawn([program, "run", "-j2", "--", "job", "a"],
                    env={"XDG_DATA_HOME": f"{ctx.dir}/file"})
    ctx.desk.let_all_out(run)
    expect(run.wait(), 0, "status")
    expect_that(any("no shims are installed" in line for line in run.notes()),
                f"it says so: {run.notes()}")


# ---- a /tmp of its own -------------------------------------------------------------------------


def private_tmp(name, tool, *command):
    def body(ctx):
        """The FIFO's path is not there, but its descriptors are open: the tool stays in the pool."""
        ctx.makefile("m", 8, "p")
        ctx.ninjafile("n", 8, "p")
        line = " ".join(command)
        step = f"mount -t tmpfs none {ctx.tmp} && cd {ctx.dir} && {line}"
        run = ctx.run(["unshare", "-m", "sh", "-c", step], slots=3, tools=[tool])
        ctx.desk.drive(3, total=8)
        run.finish()
        expect([line for line in run.notes() if "took -j8" not in line], [], "notes")

    body.__name__ = f"test_private_tmp_{name}"
    globals()[body.__name__] = needs("root", "unshare", tool)(body)


private_tmp("make441", "make-4.4.1", "make -C m -j8")
private_tmp("make43", "make-4.3", "make -C m -j8")
private_tmp("ninja", "ninja-1.13.2", "ninja -C n -j8")


@needs("root", "unshare", "make-4.4.1")
def test_private_tmp_and_no_descriptors(ctx):
    """Nothing of the pool is to be had there: its words are taken out, and one line says so."""
    ctx.makefile("m", 2, "p")
    step = f"mount -t tmpfs none {ctx.tmp} && exec {ctx.dir}/step"
    ctx.program("step", "os.closerange(3, 4096)\nos.execvp('make', ['make', '-C', 'm'])\n")
    run = ctx.run(["unshare", "-m", "sh", "-c", step], slots=3, tools=["make-4.4.1"])
    ctx.desk.let_all_out(run)
    run.finish()
    said = [line for line in run.notes() if "cannot be opened here" in line]
    expect(len(said), 1, f"lines that say so: {run.notes()}")
