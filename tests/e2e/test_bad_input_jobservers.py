"""A jobserver that is there already: a run says what it does with it, and leaves it alone."""

import fcntl
import json
import os
import struct
import termios

from harness import expect, expect_that
from lifecycle_kit import expect_quiet, finished


def level(fd):
    """Bytes that lie in a pipe."""
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def outer_fifo(ctx, tokens):
    path = f"{ctx.dir}/outer"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"+" * tokens)
    return path, fd


def notes_about_another(run):
    return [line for line in run.notes() if "another jobserver" in line]


def test_living_fifo_is_left_alone(ctx):
    path, fd = outer_fifo(ctx, 5)
    ctx.makefile("a", 12, "a")
    run = ctx.run(["make", "-C", "a"], env={"MAKEFLAGS": f" -j6 --jobserver-auth=fifo:{path}"})
    ctx.desk.drive(4, total=12)
    run.finish()
    expect(level(fd), 5, "tokens in the outer pool")
    notes = notes_about_another(run)
    expect_that(len(notes) == 1 and "alive" in notes[0], f"one line: {run.notes()}")
    os.close(fd)


def test_living_pipe_is_left_alone(ctx):
    read_end, write_end = os.pipe()
    os.write(write_end, b"+++")
    ctx.makefile("a", 12, "a")
    flags = f" -j4 --jobserver-auth={read_end},{write_end}"
    run = ctx.run(["make", "-C", "a"], env={"MAKEFLAGS": flags}, pass_fds=(read_end, write_end))
    ctx.desk.drive(4, total=12)
    run.finish()
    expect(level(read_end), 3, "tokens in the outer pool")
    notes = notes_about_another(run)
    expect_that(len(notes) == 1 and "alive" in notes[0], f"one line: {run.notes()}")


def test_dead_ones_are_ignored(ctx):
    ctx.makefile("a", 12, "a")
    dead = ctx.write("dead", "")
    for words in (f"fifo:{ctx.dir}/none", f"fifo:{dead}", "700,701", "-2,-2"):
        entered = ctx.desk.entered
        run = ctx.run(["make", "-C", "a"], env={"MAKEFLAGS": f"k -j4 --jobserver-auth={words}"})
        ctx.desk.drive(4, total=12)
        run.finish()
        expect(ctx.desk.entered - entered, 12, "jobs")
        notes = notes_about_another(run)
        # -2,-2 is how make says that there is none.
        expected = 0 if words == "-2,-2" else 1
        expect_that(len(notes) == expected, f"{expected} line for {words}: {run.notes()}")
        expect_that(all("dead" in note for note in notes), f"dead: {notes}")


def test_same_jobserver_in_several_variables_is_one_line(ctx):
    words = f" -j6 --jobserver-auth=fifo:{ctx.dir}/none"
    run = finished(ctx, ["true"], env={"MAKEFLAGS": words, "CARGO_MAKEFLAGS": words, "MFLAGS": words})
    expect(len(notes_about_another(run)), 1, "lines")


def test_flags_of_others_are_kept(ctx):
    ctx.write("Makefile", "all:\n\t@echo '$(MAKEFLAGS) $(X)'\n")
    run = finished(ctx, ["make", "--no-print-directory"], env={"MAKEFLAGS": "ks -- X=yes"})
    text = run.stdout()
    expect_that("yes" in text and "k" in text.split("--")[0], text)


def test_garbage_in_makeflags(ctx):
    for value in ("--jobserver-auth=", "--jobserver-auth", "--jobserver-auth=fifo:", "-j",
                  "--jobserver-auth=1,2,3", "--jobserver-fds=99999999999,4", "\\", "'", "-- =",
                  "x" * 100000, "\x01\x7f", "--jobserver-auth=fifo:/a\\ b"):
        run = finished(ctx, ["sh", "-c", "exit 4"], 4, env={"MAKEFLAGS": value})
        expect_that(len(run.notes()) <= 1, f"at most one line for {value[:40]!r}: {run.notes()}")


def test_run_inside_of_make(ctx):
    """make -j3 is a jobserver of its own; the run below it has its own pool and leaves make's."""
    ctx.makefile("inner", 12, "i")
    ctx.write("Makefile", (
        f"all:\n\t+@{ctx.tokenpool} run -j4 --report {ctx.dir}/r.json -- $(MAKE) -C inner\n"))
    run = ctx.spawn(["make", "-j3"], slots=4, report_path=f"{ctx.dir}/r.json")
    ctx.desk.drive(4, total=12)
    run.finish()
    expect_that("jobserver tokens" not in run.stderr(), run.stderr())


def nested(ctx, *options):
    ctx.makefile("a", 12, "a")
    inner = f"{ctx.dir}/inner.json"
    run = ctx.run([ctx.tokenpool, "run", "-j3", "--report", inner, *options, "make", "-C", "a"])
    ctx.desk.drive(3, total=12)
    run.finish()
    return run, inner


def test_run_inside_of_a_run(ctx):
    """The inner one cannot have a filter of its own; it says so, and both end well."""
    run, inner = nested(ctx)
    with open(inner, encoding="utf-8") as file:
        books = json.load(file)
    expect((books["tokens"]["missing"], books["tokens"]["issued"]), (0, 2), "inner tokens")
    expect(books["tracking"], "infer", "inner tracking")
    expect(run.report()["tracking"], "exact", "outer tracking")
    expect(run.report()["tokens"]["taken"], 0, "tokens of the outer pool that were taken")
    about = [line for line in run.notes() if "exact tracking" in line]
    expect(len(about), 1, "lines about tracking")
    expect(len(run.notes()), 2, f"lines, about tracking and about the outer pool, in {run.notes()}")


def test_run_inside_of_a_run_that_infers(ctx):
    run, _ = nested(ctx, "--track=infer")
    expect(len([line for line in run.notes() if "exact tracking" in line]), 0, "lines about tracking")


def test_killed_client_of_an_inner_run(ctx):
    """Inference: what was lost is there again at the end."""
    holder = ctx.program("holder.py", "import signal\nos.read(fds()[0], 1)\n"
                         "os.kill(os.getpid(), signal.SIGKILL)\n")
    inner = f"{ctx.dir}/inner.json"
    run = ctx.run([ctx.tokenpool, "run", "-j3", "--report", inner, "sh", "-c", f"{holder} & wait"])
    run.finish()
    with open(inner, encoding="utf-8") as file:
        tokens = json.load(file)["tokens"]
    expect((tokens["missing"], tokens["recovered"]), (0, 1), "inner tokens")


def test_parallel_levels_are_said_in_one_line_each(ctx):
    run = finished(ctx, ["true"], env={"CMAKE_BUILD_PARALLEL_LEVEL": "9", "CTEST_PARALLEL_LEVEL": "9"})
    expect(len(run.notes()), 2, f"lines in {run.notes()}")
    expect_quiet(finished(ctx, ["true"]))
