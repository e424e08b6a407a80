"""Processes that ignore the pool are named and paid for; those that follow it are not accused.

Nobody looks at a clock: who is to be named spins until the test has seen the name, and who is not
to be named burns so much CPU time that a false accusation would have come long before its end."""

import os
import subprocess

from harness import Failure, expect, expect_that, long, needs, timeout
from lifecycle_kit import cli
from protocol_kit import reach, variables_of
from test_status import look, wait_status

# Computes until there is a file of that name.
SPIN = "until [ -e {stop} ]; do :; done"

# THREADS threads until there is a file of that name, or for SECONDS of CPU time each.
THREADS = r"""
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
static const char* stop;
static double limit;
static void* spin(void* unused) {
  struct timespec used = {0, 0};
  do {
    for (volatile int i = 0; i < 1000000; ++i) {
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  } while (access(stop, F_OK) != 0 && used.tv_sec + used.tv_nsec / 1e9 < limit);
  return unused;
}
int main(int argc, char** argv) {
  pthread_t others[64];
  int count = argc > 1 ? atoi(argv[1]) : 1;
  stop = argv[2];
  limit = atof(argv[3]);
  for (int i = 1; i < count; ++i) pthread_create(&others[i], NULL, spin, NULL);
  spin(NULL);
  for (int i = 1; i < count; ++i) pthread_join(others[i], NULL);
  return 0;
}
"""


def spinner(ctx):
    """A program: spinner THREADS STOP SECONDS."""
    path = f"{ctx.dir}/spinner"
    source = ctx.write("spinner.c", THREADS)
    subprocess.run(["cc", "-O1", "-pthread", "-o", path, source], check=True)
    return path


def stop_file(ctx):
    return f"{ctx.dir}/stop"


def named(run):
    return [line for line in run.notes() if "does not follow the pool" in line]


def expect_named(ctx, run, word, begun):
    """The one process of that name is accused, and nobody else. `begun`: it is at work."""
    ctx.wait(begun, f"{word} at work")
    pid = run.find(word)[-1]
    ctx.wait(lambda: named(run) or run.ended(), f"the name of {word}")
    expect_that(not run.ended(), "the run has ended")
    expect(len(named(run)), 1, "processes named")
    expect_that(f"process {pid} (" in named(run)[0], f"{pid} is named in {named(run)[0]!r}")
    return pid


def stop(ctx, run, pid, word):
    ctx.write("stop", "")
    report = run.finish()
    rows = report["uncooperative"]
    expect([row["pid"] for row in rows], [pid], "processes in the report")
    expect_that(word in rows[0]["command"], f"{word} in {rows[0]['command']!r}")
    expect_that(rows[0]["cores"] > 0.5 and rows[0]["seconds"] >= 0, f"a row that can be: {rows[0]}")


def spinning(run, word, count):
    return lambda: len(run.find(word)) >= count or run.ended()


@needs("make-4.3")
@timeout(120)
def test_nested_make_with_its_own_pool(ctx):
    spin = SPIN.format(stop=stop_file(ctx))
    ctx.write("rogue.mk", "all: a b c d\n.PHONY: all a b c d\n"
                          f"a b c d:\n\t@exec bash -c '{spin}' spin-$@\n")
    ctx.write("Makefile", "all:\n\t@MAKEFLAGS= make -j4 -f rogue.mk\n")
    run = ctx.run(["make"], tools=["make-4.3"], options=["--shims", "off"])
    ctx.wait(lambda: len(run.find("bash")) == 4, "four spinners")
    inner = [pid for pid in run.find("make") if run.find("bash", pid) and not run.find("make", pid)]
    expect(len(inner), 1, "makes with spinners below")
    ctx.wait(lambda: named(run) or run.ended(), "a name")
    expect_that(f"process {inner[0]} (make -j4 -f rogue.mk)" in named(run)[0],
                f"{inner[0]} is named in {named(run)}")
    stop(ctx, run, inner[0], "make -j4")


@timeout(120)
def test_xargs(ctx):
    run = ctx.run(["sh", "-c", "seq 4 | xargs -P4 -n1 bash -c '" +
                   SPIN.format(stop=stop_file(ctx)) + "'"])
    pid = expect_named(ctx, run, "xargs", spinning(run, "bash", 4))
    stop(ctx, run, pid, "xargs")


@timeout(120)
def test_threads(ctx):
    run = ctx.run([spinner(ctx), "4", stop_file(ctx), "1e9"])
    pid = expect_named(ctx, run, "spinner", spinning(run, "spinner", 1))
    stop(ctx, run, pid, "spinner 4")


@timeout(120)
def test_without_a_tracker(ctx):
    run = ctx.run([spinner(ctx), "6", stop_file(ctx), "1e9"], options=["--track", "infer"])
    pid = expect_named(ctx, run, "spinner", spinning(run, "spinner", 1))
    stop(ctx, run, pid, "spinner 6")


@needs("make-4.3")
@timeout(120)
def test_its_build_pays_until_it_stops(ctx):
    """Three jobs beside one that runs as four: places of jobs that end are not filled any more,
    status tells why, and when it stops they are."""
    ctx.write("Makefile", "J = j0 j1 j2 j3 j4 j5 j6 j7\nall: rogue $J\n.PHONY: all rogue $J\n"
                          f"rogue:\n\t@{spinner(ctx)} 8 {stop_file(ctx)} 1e9\n$J:\n\t@job $@\n")
    run = ctx.run(["make"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "three jobs beside the rogue")
    variables = reach(ctx, run)
    pid = expect_named(ctx, run, "spinner", lambda: True)
    row = look(ctx, variables)["uncooperative"][0]
    expect(row["pid"], pid, "pid in the status")
    expect_that(row["millicores"] > 500, f"what it has too much: {row}")
    expect_that("Not following the pool" in cli(ctx, "status", env=variables).stdout(), "a heading")
    guest = ctx.desk.inside[0]
    ctx.desk.release(guest)
    wait_status(ctx, variables, lambda status: status["tokens"] == 2, "a token swallowed")
    expect(look(ctx, variables)["free"], 0, "free slots")
    expect(ctx.desk.count(), 2, "jobs: its place stays empty")
    ctx.write("stop", "")
    # The rogue's own place, and the one that was withheld.
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs")
    wait_status(ctx, variables, lambda status: "uncooperative" not in status, "its release")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect([row["pid"] for row in report["uncooperative"]], [pid], "processes in the report")


@needs("make-4.3")
@timeout(120)
def test_an_arbiter_that_takes_over(ctx):
    """The one that withholds slots is killed: the next one has the same books, gives them back, and
    finds the rogue anew."""
    ctx.write("Makefile", "J = j0 j1 j2 j3 j4 j5\nall: rogue $J\n.PHONY: all rogue $J\n"
                          f"rogue:\n\t@{spinner(ctx)} 8 {stop_file(ctx)} 1e9\n$J:\n\t@job $@\n")
    run = ctx.run(["make"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "three jobs beside the rogue")
    pid = expect_named(ctx, run, "spinner", lambda: True)
    variables = reach(ctx, run)
    ctx.desk.release(ctx.desk.inside[0])
    wait_status(ctx, variables, lambda status: status["tokens"] == 2, "a token swallowed")
    killed = run.arbiter()
    ctx.kill(killed)
    ctx.wait(lambda: run.arbiter() not in (None, killed), "another arbiter")
    ctx.wait(lambda: len(named(run)) == 2, "the name once more")
    ctx.write("stop", "")
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect([row["pid"] for row in report["uncooperative"]], [pid, pid], "processes in the report")
    expect(report["tokens"]["unseen_taken"], 0, "tokens that nobody saw")


@timeout(120)
def test_left_running(ctx):
    """Who ignores the pool outlives the command: nothing stays withheld."""
    run = ctx.run(["bash", "-c", f"{spinner(ctx)} 6 {stop_file(ctx)} 1e9 & until [ -e end ]; do "
                                 "sleep 0.05; done"])
    pid = expect_named(ctx, run, "spinner", spinning(run, "spinner", 1))
    ctx.write("end", "")
    report = run.finish()
    expect(report["left_running"], 1, "processes left running")
    expect([row["pid"] for row in report["uncooperative"]], [pid], "processes in the report")
    ctx.write("stop", "")
    ctx.wait_gone(pid)


@timeout(120)
def test_quiet(ctx):
    run = ctx.run([spinner(ctx), "4", stop_file(ctx), "1e9"], options=["-q"])
    ctx.wait(spinning(run, "spinner", 1), "the spinner")
    variables = variables_of(run.find("spinner")[0])
    wait_status(ctx, variables, lambda status: status.get("uncooperative"), "an accusation")
    ctx.write("stop", "")
    report = run.finish()
    expect(len(report["uncooperative"]), 1, "processes in the report")
    expect(run.notes(), [], "lines on stderr")


# --- those that follow the pool ---


def expect_nobody(run):
    report = run.finish()
    if report["uncooperative"] or named(run):
        raise Failure(f"falsely accused: {report['uncooperative']} {named(run)}")


@long
@needs("make-4.3")
@timeout(200)
def test_make_within_the_pool(ctx):
    jobs = " ".join(f"j{i}" for i in range(8))
    ctx.write("Makefile", f"all: {jobs}\n.PHONY: all {jobs}\n"
                          f"{jobs}:\n\t@{spinner(ctx)} 1 {stop_file(ctx)} 2\n")
    expect_nobody(ctx.run(["make"], tools=["make-4.3"], slots=4))


@long
@needs("make-4.3")
@timeout(200)
def test_compilers(ctx):
    """gcc -pipe: driver, cc1 and as, a new set for each of many short jobs."""
    functions = "\n".join(f"int f{i}(int a) {{ return a * {i} + (a >> {i % 9}); }}"
                          for i in range(1000))
    ctx.write("source.c", functions)
    jobs = " ".join(f"o{i}" for i in range(24))
    ctx.write("Makefile", f"all: {jobs}\n.PHONY: all {jobs}\n"
                          f"{jobs}:\n\t@gcc -pipe -O2 -c source.c -o $@.o\n")
    expect_nobody(ctx.run(["make"], tools=["make-4.3"], slots=3))


@long
@timeout(200)
def test_lease_of_two_with_two_threads(ctx):
    expect_nobody(ctx.run([ctx.tokenpool, "exec", "--slots", "2", "--", spinner(ctx), "2",
                           stop_file(ctx), "5"]))


# --- all of them, labelled ---

LIMIT = 60  # seconds of CPU time after which a program gives up that nobody has named


def uncooperative(ctx, spin):
    """What each is called, the word by which it is to be named, and its command."""
    bash = f"bash -c '{SPIN.format(stop=stop_file(ctx))}'"
    ctx.write("own.mk", f"all: a b c d\n.PHONY: all a b c d\na b c d:\n\t@exec {bash} $@\n")
    ctx.write("nested.mk", "all:\n\t@MAKEFLAGS= make -j4 -f own.mk\n")
    ctx.write("link.mk", f"all:\n\t@{spin} 4 {stop_file(ctx)} {LIMIT}\n")
    daemon = f"setsid {spin} 4 {stop_file(ctx)} {LIMIT} & wait"
    return [("xargs -P4", "xargs", ["sh", "-c", f"seq 4 | xargs -P4 -n1 {bash}"]),
            ("make -j4 with a pool of its own", "make -j4", ["make", "-f", "nested.mk"]),
            ("a job with four threads", "spinner", ["make", "-f", "link.mk"]),
            ("a command with four threads", "spinner", [spin, "4", stop_file(ctx), str(LIMIT)]),
            ("a daemon", "spinner", ["sh", "-c", daemon])]


def cooperative(ctx, spin):
    """Each computes for some seconds, or in bursts."""
    never = f"{ctx.dir}/never"
    jobs = " ".join(f"j{i}" for i in range(8))
    ctx.write("jobs.mk", f"all: {jobs}\n.PHONY: all {jobs}\n{jobs}:\n\t@{spin} 1 {never} 1\n")
    ctx.write("build.ninja", f"rule r\n  command = {spin} 1 {never} 1\n" +
              "".join(f"build n{i}: r\n" for i in range(8)))
    ctx.write("burst.mk", "all:\n" + f"\t@{spin} 4 {never} 0.1; sleep 0.7\n" * 4)
    exec_one = f"{ctx.tokenpool} exec -- {spin} 1 {never} 1"
    return [("make", ["make", "-f", "jobs.mk"]),
            ("ninja", ["ninja"]),
            ("xargs -P4 with exec", ["sh", "-c", f"seq 6 | xargs -P4 -I% {exec_one}"]),
            ("a lease of two", [ctx.tokenpool, "exec", "--slots", "2", "--", spin, "2", never, "4"]),
            ("short bursts of threads", ["make", "-f", "burst.mk"])]


@long
@needs("make-4.3", "ninja-1.13.2")
@timeout(400)
def test_recall_and_precision(ctx):
    """Of a labelled set: who is named of those that ignore the pool, and who is named rightly."""
    spin = spinner(ctx)
    tools = {"tools": ["make-4.3", "ninja-1.13.2"], "slots": 3, "options": ["--shims", "off"]}
    missed, wrong = [], []
    guilty, innocent = uncooperative(ctx, spin), cooperative(ctx, spin)
    for what, word, command in guilty:
        run = ctx.run(command, **tools)
        ctx.wait(lambda seen=run: named(seen) or seen.ended(), f"the end of {what}, or its name")
        ctx.write("stop", "")
        commands = [row["command"] for row in run.finish()["uncooperative"]]
        if not any(word in command for command in commands):
            missed.append(what)
        wrong += [f"{command} for {what}" for command in commands if word not in command]
        os.unlink(stop_file(ctx))
    for what, command in innocent:
        rows = ctx.run(command, **tools).finish()["uncooperative"]
        wrong += [f"{row['command']} of {what}" for row in rows]
    found = len(guilty) - len(missed)
    expect((missed, wrong), ([], []), "not named, wrongly named")
    return (f"recall {found} of {len(guilty)}, precision {found} of {found + len(wrong)} "
            f"({len(innocent)} follow the pool)")
