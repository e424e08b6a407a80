"""What it costs to know the processes of a build, against python3-psutil doing the same."""

import contextlib
import subprocess
import sys
import time

from frame import Failure, Samples, ratio_of, ratio_text

# The same facts of the same processes: parent, CPU time, memory, threads, command.
PSUTIL = """
import psutil, sys, time
root = psutil.Process(int(sys.argv[1]))
def walk():
    for process in root.children(recursive=True):
        try:
            with process.oneshot():
                (process.ppid(), process.cpu_times(), process.memory_info(),
                 process.num_threads(), process.name())
        except psutil.NoSuchProcess:
            pass
walk()
for line in sys.stdin:
    begin = time.process_time()
    for _ in range(int(line)):
        walk()
    print((time.process_time() - begin) / int(line) * 1e9, flush=True)
"""


def python_with_psutil():
    # Debian's package is for Debian's Python, which need not be the first one on PATH.
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import psutil"], check=False,
                          capture_output=True).returncode == 0:
            return python
    raise Failure("python3-psutil is missing (Debian package of that name)")


def ask(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise Failure(f"{process.args[0]} ended early")
    return float(answer)


PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


@contextlib.contextmanager
def sleepers(bench, count):
    """bench_census with so many processes below it, all of which are gone at the end."""
    with subprocess.Popen(bench.helper("census", count), **PIPES) as root:
        if root.stdout.readline().strip() != "ready":
            raise Failure(f"bench_census could not start {count} processes")
        yield root
        root.stdin.close()
        if root.stdout.read() != "":
            raise Failure("bench_census said more than it was asked for")


def census_of(bench, count, python):
    ours, theirs = Samples("ms", 3), Samples("ms", 3)
    glance = Samples("us", 1)
    with sleepers(bench, count) as build:
        with subprocess.Popen([python, "-c", PSUTIL, str(build.pid)], **PIPES) as psutil:
            rounds = max(1, bench.pick(2000, 500) // count)
            for _ in range(bench.pick(7, 3)):
                ours.add(ask(build, f"walk {rounds}") / 1e6)
                theirs.add(ask(psutil, str(rounds)) / 1e6)
                glance.add(ask(build, "glance 1000") / 1e3)
            psutil.stdin.close()
    bench.row(f"one walk over {count} processes, CPU time", "psutil: " + theirs.text(),
              ours.text(), ratio_text(ratio_of(ours, theirs)))
    return ours.median, theirs.median, glance.median


def share_row(bench, title, theirs, ours, target):
    bench.row(title, f"psutil at 1 Hz: {100 * theirs:.2f} %", f"{100 * ours:.4f} %",
              f"{ours / theirs:.5f}", f"<= {100 * target:.1f} %", ours <= target)


def census(bench):
    """All processes of a build: one walk, and what watching costs while nobody is suspected."""
    python = python_with_psutil()
    for count, target in ((100, None), (200, 0.001), (1000, None), (10000, 0.005)):
        walk, psutil, glance = census_of(bench, count, python)
        # control/census_pace.h: a glance each half second; where strangers keep the machine busy, a
        # walk every five seconds, but never for more than a thousandth of a CPU; where somebody is
        # suspected, each half second, but never for more than a two hundredth.
        glances = 2 * glance / 1e6
        busy = glances + walk / 1e3 / max(5, walk / 1e3 / 0.001)
        suspicious = glances + walk / 1e3 / max(0.5, walk / 1e3 / 0.005)
        if target:
            share_row(bench, f"watching {count} processes, share of a CPU: own slots in use",
                      psutil / 1e3, glances, target)
            share_row(bench, f"watching {count} processes: strangers keep the machine busy",
                      psutil / 1e3, busy, target)
            bench.row(f"watching {count} processes: somebody is suspected",
                      f"psutil at 1 Hz: {psutil / 10:.2f} %", f"{100 * suspicious:.3f} %",
                      f"{suspicious / (psutil / 1e3):.5f}")


def named_after(bench, command):
    """Seconds until the run has named somebody; the run is ended then."""
    line = [bench.program, "run", "-j2", *command]
    begin = time.monotonic()
    with subprocess.Popen(line, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                          env=bench.environment) as run:
        for said in run.stderr:
            if "does not follow the pool" in said:
                break
        else:
            raise Failure(f"nobody was named: {' '.join(line)}")
        seconds = time.monotonic() - begin
        run.kill()  # its arbiter ends the whole build
        run.stderr.read()
    return seconds


def named_row(bench, name, command):
    seconds = Samples("s")
    for _ in range(bench.pick(7, 3)):
        seconds.add(named_after(bench, command))
    bench.row(f"{name} starts -> it is named", "make, ninja, cargo: never", seconds.text(), "",
              "<= 3 s", seconds.median <= 3, max(seconds.values) <= 3 or seconds.median > 3)


def uncooperative(bench):
    """How long somebody who ignores the pool is not named."""
    spin = "sh -c 'while :; do :; done'"
    sides = {
        "xargs -P4": ["sh", "-c", f"seq 4 | xargs -P4 -I+ {spin}; true"],
        "a nested make -j4": ["sh", "-c", "printf 'all: a b c d\\na b c d:\\n\\t" +
                              spin.replace("'", '"') + "\\n' >$0/n.mk; "
                              "MAKEFLAGS= PATH=/usr/bin:/bin make -s -j4 -f $0/n.mk; true",
                              str(bench.folder)],
        "two processes in one slot": ["sh", "-c", f"{spin} & {spin}; true"],
    }
    for name, command in sides.items():
        named_row(bench, name, command)
    with sleepers(bench, 10000):
        named_row(bench, "xargs -P4, beside 10000 strangers,", sides["xargs -P4"])


BENCHMARKS = {"census": census, "uncooperative": uncooperative}
