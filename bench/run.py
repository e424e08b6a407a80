#!/usr/bin/env python3
"""Measures tokenpool against its baselines and prints both sides, the ratio and the target.

    python3 bench/run.py --program build/tokenpool [--build DIR] [--tools DIR] [--quick]
                         [--only NAME] [--json FILE]

The sides of a comparison take turns (A B A B ...), and a ratio is the median of the ratios of
neighbours, so that what else the machine does hits both. Ends with a table in Markdown. Status 0
when everything could be measured, whether or not the targets are met.
"""

import argparse
import ctypes
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

import census
import costs
import elastic
import mixed
import protocol
from frame import Failure, Samples, kilobytes, percentile, ratio_of, ratio_text, stop

HERE = pathlib.Path(__file__).resolve().parent
# Helpers that measure a part of the house, and the rooms that they need.
ROOMS = {"census": ("core", "wire", "proc")}
SET_CHILD_SUBREAPER = 36  # prctl(2)
# What an outer build or pool would tell ours.
OUTER = re.compile(r"^(MAKEFLAGS|MFLAGS|MAKELEVEL|GNUMAKEFLAGS|CARGO_MAKEFLAGS|TOKENPOOL_.*)$")


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = pathlib.Path(folder)
        self.program = str(pathlib.Path(options.program).resolve())
        self.rows = []
        self.environment = {k: v for k, v in os.environ.items() if not OUTER.match(k)}
        self.environment["XDG_CACHE_HOME"] = f"{folder}/cache"
        self.environment["XDG_DATA_HOME"] = f"{folder}/data"  # for the shims of --wrap
        self.helpers = pathlib.Path(options.build).resolve() if options.build else self.folder

    def compile_helper(self, name):
        """Where --build names no folder in which they are; each when it is first used."""
        if self.options.build:
            stop(f"{self.helpers}/bench_{name} is missing; configure with -DTOKENPOOL_BENCH=ON")
        source = HERE.parent / "src"
        rooms = [str(file) for room in ROOMS.get(name, ())
                 for file in sorted((source / room).glob("*.cc"))]
        command = ["c++", "-std=c++20", "-O2", "-static", str(HERE / f"bench_{name}.cc"),
                   *rooms, f"-I{source}", '-DTOKENPOOL_VERSION="bench"',
                   "-o", str(self.folder / f"bench_{name}")]
        if subprocess.run(command, check=False).returncode != 0:
            stop(f"{HERE}/bench_{name}.cc does not compile; the compiler's messages are above")

    def pick(self, full, quick):
        return quick if self.options.quick else full

    def rounds(self, full, quick):
        """Counts the rounds of a comparison; on a busy machine three must do."""
        end = time.monotonic() + self.pick(130, 12)
        for number in range(self.pick(full, quick)):
            if number >= 3 and time.monotonic() > end:
                print(f"  a busy machine: {number} runs of each side only")
                return
            yield number

    def helper(self, name, *arguments):
        file = self.helpers / f"bench_{name}"
        if not file.exists():
            self.compile_helper(name)
        return [str(file), *map(str, arguments)]

    def pooled(self, slots, command):
        return [self.program, "run", "-q", f"-j{slots}", *command]

    def fetched(self, *tools):
        """For PATH: the folders of those named so in --tools; "" where one is not there."""
        found = [sorted(pathlib.Path(self.options.tools or "/none").glob(f"{name}/bin"))
                 for name in tools]
        return ":".join(str(folders[-1]) for folders in found) if all(found) else ""

    def run(self, command, path=None):
        """Runs it to its end: (standard output, wall seconds, CPU seconds of its whole tree, with
        what ends after it)."""
        environment = dict(self.environment)
        if path:
            environment["PATH"] = f"{path}:{environment['PATH']}"
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            begin = time.monotonic()
            process = subprocess.Popen(command, stdout=output, stderr=errors,
                                       stdin=subprocess.DEVNULL, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                errors.seek(0)
                words = errors.read().decode(errors="replace").strip()
                raise Failure(f"{' '.join(command)} ended with {process.returncode}: {words}")
            output.seek(0)
            text = output.read().decode()
        return text, wall, usage.ru_utime + usage.ru_stime + orphans_cpu()

    def row(self, metric, baseline, ours, ratio, target="", met=None, clear=True):
        """One row of the table; `clear` is false when some single runs say otherwise than `met`."""
        goal = "" if met is None else f"; target {target}: {'met' if met else 'missed'}"
        goal += "" if clear else " (not by every run)"
        self.rows.append({"metric": metric, "baseline": baseline, "tokenpool": ours,
                          "ratio": ratio, "target": target, "met": met, "clear": clear})
        print(f"  {metric}\n    baseline   {baseline}\n    tokenpool  {ours}")
        print(f"    ratio      {ratio}{goal}")

    def compare(self, metric, theirs, ours, target=None):
        """One row for two sides that were measured in turns; less is better."""
        ratios = ratio_of(ours, theirs)
        if target is None:
            self.row(metric, theirs.text(), ours.text(), ratio_text(ratios))
            return
        self.row(metric, theirs.text(), ours.text(), ratio_text(ratios), f"<= {target}",
                 ratios[0] <= target, not ratios[1] <= target < ratios[2])


def adopt_orphans():
    """Whoever outlives its parent becomes this process's child."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1)


def orphans_cpu():
    """The CPU seconds of those that outlive their parents; waits for them."""
    seconds = 0
    for pid in pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        name = pathlib.Path(f"/proc/{pid}/comm")
        if name.exists() and name.read_text().startswith("tokenpool-arb"):
            _, _, usage = os.wait4(int(pid), 0)
            seconds += usage.ru_utime + usage.ru_stime
    return seconds


# --- the benchmarks ------------------------------------------------------------------------------


def recovery(bench):
    """A holder is killed; when does a client that waits have its token?"""
    rounds, kills = bench.pick((5, 120), (3, 40))
    sides = {
        "bare": bench.helper("recovery", "bare", kills),
        "blocking": bench.pooled(2, bench.helper("recovery", "pool", kills, "blocking")),
        "poll": bench.pooled(2, bench.helper("recovery", "pool", kills, "poll")),
    }
    measured = {side: [] for side in sides}
    for _ in range(rounds):
        for side, command in sides.items():
            lines = bench.run(command)[0].split()
            if "lost" in lines:
                raise Failure(f"a token did not come back within 10 s: {' '.join(command)}")
            measured[side] += [int(line) / 1e3 for line in lines]
    plain_kills = bench.pick(20, 5)
    lost = bench.run(bench.helper("recovery", "plain", plain_kills))[0].split().count("lost")
    print(f"  {rounds * kills} kills on each side; in a plain pipe {lost} of {plain_kills} tokens "
          "were lost for good")
    for side, name in (("blocking", "blocked in read"), ("poll", "in poll, as make")):
        for share, label, target in ((0.5, "p50", 1000), (0.99, "p99", 10000)):
            ours, floor = percentile(measured[side], share), percentile(measured["bare"], share)
            baseline = (f"plain pipe: never ({lost} of {plain_kills} lost); "
                        f"bare pidfd + write: {floor:.0f} us")
            bench.row(f"holder killed -> token usable, waiter {name}, {label}", baseline,
                      f"{ours:.0f} us", f"{ours / floor:.2f} x bare", f"<= {target} us",
                      ours <= target)


def utilisation(bench):
    """A crowd of clients, every fifth of which is killed while it holds a token."""
    slots, jobs, job_ms = 8, bench.pick(600, 240), 20
    makefile = bench.folder / "crowd.mk"
    command = " ".join(bench.helper("pool", slots, jobs, job_ms, "$(KILL_EVERY)"))
    makefile.write_text(f"all:\n\t+@{command}\n")
    sides = {}
    for leaks in (0, 5):
        make = ["make", "-f", str(makefile), f"KILL_EVERY={leaks}"]
        sides["make", leaks] = make[:1] + [f"-j{slots}"] + make[1:]
        sides["tokenpool", leaks] = bench.pooled(slots, make)
    measured = {side: Samples("%", 1) for side in sides}
    killed = dict.fromkeys(sides, 0)
    for _ in bench.rounds(5, 3):
        for side, line in sides.items():
            words = bench.run(line)[0].split()
            measured[side].add(100 * float(words[1]) / (float(words[2]) * slots))
            killed[side] += int(words[3])
    print(f"  {jobs} jobs of {job_ms} ms in {slots} slots; killed under make: "
          f"{killed['make', 5]} (then the pool is empty), "
          f"under tokenpool: {killed['tokenpool', 5]}")
    for name, target in (("make", None), ("tokenpool", 0.99)):
        ratios = ratio_of(measured[name, 5], measured[name, 0])
        bench.row(f"slots in use, every 5th client killed, under {name}",
                  "no kills: " + measured[name, 0].text(),
                  "with kills: " + measured[name, 5].text(), ratio_text(ratios),
                  f">= {target}" if target else "",
                  ratios[0] >= target if target else None,
                  not target or not ratios[1] < target <= ratios[2])
    for kills, words in ((0, "nobody killed"), (5, "every 5th client killed")):
        theirs, ours = measured["make", kills], measured["tokenpool", kills]
        bench.row(f"slots in use, {words}, make against tokenpool", theirs.text(), ours.text(),
                  ratio_text(ratio_of(ours, theirs)))


def build_files(bench, jobs, words):
    """A build of that many independent jobs, for make and for ninja."""
    command = " ".join(bench.helper("job", *words))
    names = [f"j{i}" for i in range(jobs)]
    makefile = bench.folder / "build.mk"
    makefile.write_text(f".PHONY: all {' '.join(names)}\nall: {' '.join(names)}\n"
                        f"{' '.join(names)}:\n\t@{command}\n")
    ninja = bench.folder / "build.ninja"
    edges = "".join(f"build {name}: job\n" for name in names)
    ninja.write_text(f"rule job\n  command = {command}\n{edges}build all: phony {' '.join(names)}\n"
                     "default all\n")
    return makefile, ninja


def overhead_of(bench, tool, words, slots, title, path=None):
    jobs = bench.pick(2000, 150)
    makefile, ninja = build_files(bench, jobs, words)
    # The log that ninja leaves would make every next run read more.
    base = {"make": ["make", "-f", str(makefile)],
            "ninja": ["ninja", "--quiet", "-f", str(ninja)]}[tool]
    plain = base[:1] + [f"-j{slots}"] + base[1:]
    sides = {"plain": plain, "pooled": bench.pooled(slots, base)}
    wall = {side: Samples("s") for side in sides}
    cpu = {side: Samples("s") for side in sides}
    os.chdir(bench.folder)
    for number in bench.rounds(5, 3):
        # Who begins alternates, so that neither always runs on the warmer machine.
        for side in (list(sides) if number % 2 == 0 else list(sides)[::-1]):
            _, seconds, used = bench.run(sides[side], path)
            wall[side].add(seconds)
            cpu[side].add(used)
            for log in (".ninja_log", ".ninja_deps"):
                (bench.folder / log).unlink(missing_ok=True)
    what = f"{jobs} jobs of 10 ms ({title}), {tool} -j{slots}"
    # In the short builds of --quick the start is a large part, and the targets are not for them.
    bench.compare(f"{what}: wall", wall["plain"], wall["pooled"], bench.pick(1.02, None))
    bench.compare(f"{what}: CPU", cpu["plain"], cpu["pooled"], bench.pick(1.03, None))


def start(bench):
    """A run that does nothing."""
    wall = {side: Samples("ms", 1) for side in ("plain", "pooled")}
    cpu = {side: Samples("ms", 1) for side in ("plain", "pooled")}
    for _ in bench.rounds(30, 10):
        for side, command in (("plain", ["true"]), ("pooled", bench.pooled(4, ["true"]))):
            _, seconds, used = bench.run(command)
            wall[side].add(seconds * 1000)
            cpu[side].add(used * 1000)
    for what, samples, most in (("wall", wall, 8), ("CPU", cpu, 4)):
        own = samples["pooled"]
        bench.row(f"start and end, command true: {what}", samples["plain"].text(), own.text(),
                  ratio_text(ratio_of(own, samples["plain"])), f"<= {most} ms",
                  own.median <= most, not min(own.values) <= most < max(own.values))


def overhead(bench):
    """A whole build without any accident."""
    cores = max(2, len(os.sched_getaffinity(0)))
    overhead_of(bench, "make", ("burn", 10), cores, "computing")
    overhead_of(bench, "make", ("sleep", 10), 4, "waiting")
    ninja = bench.fetched("ninja-1.1[3-9]*")
    if not ninja:
        print("  no ninja 1.13 in --tools DIR: not measured with ninja")
        return
    overhead_of(bench, "ninja", ("burn", 10), cores, "computing", ninja)
    overhead_of(bench, "ninja", ("sleep", 10), 4, "waiting", ninja)


def calls(bench):
    """Single system calls."""
    count = bench.pick(20000, 5000)
    sides = {
        "none": bench.helper("calls", count),
        "bare": bench.helper("calls", count, "bare"),
        "tokenpool": bench.pooled(4, bench.helper("calls", count)),
    }
    measured = {}
    for _ in bench.rounds(7, 3):
        for side, command in sides.items():
            for line in bench.run(command)[0].splitlines():
                name, ns = line.split()
                measured.setdefault((side, name), Samples("us", 2)).add(float(ns) / 1000)
    for name, words in (("token", "take and give a token"),
                        ("foreign", "1-byte call on another pipe"), ("getppid", "another call")):
        bench.compare(f"{words}: no filter", measured["none", name], measured["tokenpool", name])
        if name != "getppid":
            bench.compare(f"{words}: filter whose listener only lets calls go on",
                          measured["bare", name], measured["tokenpool", name],
                          1.8 if name == "token" else None)


def memory_of(bench, clients):
    """(Pss, peak resident) of front and arbiter together, in MB, while that many clients live."""
    command = bench.pooled(8, bench.helper("clients", clients))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=bench.environment, text=True)
    try:
        if process.stdout.readline().strip() != "ready":
            raise Failure(f"{' '.join(command)} ended early")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        own = [pid for pid in children.split()
               if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(bench.program)]
        if len(own) != 1:
            raise Failure(f"expected one arbiter below {process.pid}, found {len(own)}")
        pids = [process.pid, own[0]]
        pss = sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in pids)
        peak = sum(kilobytes(pid, "status", "VmHWM") for pid in pids)
    finally:
        process.stdin.close()
        process.wait()
    return pss / 1024, peak / 1024


def memory(bench):
    """Front and arbiter, as long as clients live."""
    one, many, peak = Samples("MB"), Samples("MB"), Samples("MB")
    for _ in range(5):
        one.add(memory_of(bench, 1)[0])
        pss, resident = memory_of(bench, 200)
        many.add(pss)
        peak.add(resident)
    print(f"  peak resident, pages that both share counted twice: {peak.text()}")
    bench.row("memory of run (front + arbiter, Pss), 200 clients", "1 client: " + one.text(),
              many.text(), ratio_text(ratio_of(many, one)), "<= 10 MB",
              max(many.values) <= 10)


# --- the frame -----------------------------------------------------------------------------------

BENCHMARKS = {"recovery": recovery, "utilisation": utilisation, "calls": calls, "memory": memory,
              "start": start, "overhead": overhead, **elastic.BENCHMARKS, **protocol.BENCHMARKS,
              **census.BENCHMARKS, **mixed.BENCHMARKS, **costs.BENCHMARKS}


def describe_machine():
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (f"{len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}, load {load}")


def print_table(rows):
    print("| metric | baseline | tokenpool | ratio | target | met |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        met = {None: "", True: "yes", False: "**no**"}[row["met"]]
        met += "" if row["clear"] else " \\*"
        cells = (row["metric"], row["baseline"], row["tokenpool"], row["ratio"], row["target"], met)
        print("| " + " | ".join(cells) + " |")
    if not all(row["clear"] for row in rows):
        print("\n\\* Single runs lie on both sides of the target: the machine is noisier than "
              "the target is narrow.")


def parse_options():
    parser = argparse.ArgumentParser(description="Measures tokenpool against its baselines.")
    parser.add_argument("--program", default="build/tokenpool", help="with its shims beside it")
    parser.add_argument("--build", help="folder of the compiled bench_* helpers "
                        "(default: compile them with c++)")
    parser.add_argument("--tools", help="folder that tools/fetch-tools made")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, below 90 s")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="may be given again")
    parser.add_argument("--json", help="write the rows to this file, too")
    options = parser.parse_args()
    if not os.access(options.program, os.X_OK):
        stop(f"{options.program} is no program; ./dev build makes build/tokenpool")
    # Some benchmarks change the working directory.
    if options.json:
        options.json = os.path.abspath(options.json)
    if options.tools:
        options.tools = os.path.abspath(options.tools)
    return options


def main():
    options = parse_options()
    adopt_orphans()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        machine = describe_machine()
        print(f"{machine}{' (quick: fewer and shorter runs)' if options.quick else ''}")
        begin = time.monotonic()
        for name in options.only or BENCHMARKS:
            print(f"\n== {name}: {BENCHMARKS[name].__doc__}", flush=True)
            try:
                BENCHMARKS[name](bench)
            except Failure as failure:
                failures += 1
                print(f"bench: {name} could not be measured: {failure}", file=sys.stderr)
        os.chdir("/")
        seconds = time.monotonic() - begin
    print(f"\n{seconds:.0f} s in all; load at the end {os.getloadavg()[0]:.1f}. A value is a "
          "median, with least and largest;\na ratio is the median of the ratios of neighbours.\n")
    print_table(bench.rows)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "quick": options.quick, "seconds": round(seconds),
                       "rows": bench.rows}, file, indent=2)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
