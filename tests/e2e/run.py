#!/usr/bin/env python3
"""Runs the end-to-end tests against real tools.

  tests/e2e/run.py --program build/tokenpool --tools build/tools [-k PATTERN] [-x PATTERN] [-v]
                   [--repeat N] [--flakes FILE]

The last line is `N passed, N failed, N skipped`; the exit status is 1 when one failed. With CI=true
in the environment a test must not be skipped, but for those that a sanitizer keeps from running
and those that this machine is not made for.

With --flakes a test that fails is tried once more, alone, after the others, unless it broke a
promise (harness.BrokenPromise). One that passes then is a flake: it counts as passed, and a line
`FLAKE name seed` and FILE tell of it. FILE (JSON) is added to; its folder `flakes` keeps what the
first tries have left. More than two flakes in FILE fail the run.
"""

import argparse
import contextlib
import fnmatch
import glob
import importlib
import os
import random
import select
import signal
import sys
import time
import traceback

import harness
from flakes import KEPT, MOST_FLAKES, Flakes


def matches(name, patterns):
    for text in patterns:
        parts = [part.strip() for part in text.split(" or ")]
        if any(part in name or fnmatch.fnmatch(name, part) for part in parts):
            return True
    return False


def listed(path):
    """The names in a file of --only: one a line, # begins a comment."""
    with open(path, encoding="utf-8") as lines:
        return [name for line in lines if (name := line.partition("#")[0].strip())]


def discover(options):
    """The tests that the options ask for, as (name, function)."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    found = []
    for file in sorted(os.listdir(here)):
        if not (file.startswith("test_") and file.endswith(".py")):
            continue
        module = importlib.import_module(file[:-3])
        for name, function in list(vars(module).items()):
            own = getattr(function, "__module__", None) == module.__name__
            if name.startswith("test_") and callable(function) and own:
                found.append((f"{module.__name__[5:]}.{name[5:]}", function))
    names = {name for name, _ in found}
    only = listed(options.only) if options.only else names
    others = listed(options.others_than) if options.others_than else ()
    if unknown := {*only, *others} - names:
        raise SystemExit(f"the list names tests that do not exist: {sorted(unknown)}")
    lengths = {"short": (False,), "long": (True,), "all": (False, True)}[options.which]
    return [(name, function) for name, function in found
            if name in only and name not in others and getattr(function, "long", False) in lengths
            and not matches(name, options.x) and (not options.k or matches(name, options.k))]


class Running:
    """A test under way, in a process of its own."""

    def __init__(self, name, function, pid, log, deadline):
        self.name = name
        self.function = function
        self.pid = pid
        self.end = os.pidfd_open(pid)  # can be read once it has ended
        self.log = log
        self.deadline = deadline
        self.start = time.monotonic()
        self.took = 0.0  # seconds, when it has ended
        self.computed = 0.0  # seconds of CPU of all its processes

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip()


PASSED, FAILED, SKIPPED, BROKEN = 0, 1, 2, 3  # BROKEN: failed, and never tried again
MOST_SLOW = 10
MOST_PAUSE = 1.0  # seconds between two looks at the tests' deadlines


def skipped(reason):
    """The status of a test that cannot run here."""
    allowed = os.environ.get("CI") != "true" or reason == harness.LINKED_DYNAMICALLY
    return SKIPPED if allowed else FAILED


MEASURED = "measured: "  # before what a test has answered, which is printed with its name


def has_broken(ctx, error):
    """Whether the failure is of the kind that is never tried again."""
    try:
        ctx.no_crash()
    except harness.Failure as found:
        print(f"also: {found}")
        return True
    return isinstance(error, harness.BrokenPromise)


def run_one(session, name, function, seconds):
    """In the child: answers the exit status."""
    # A caller in the background (nohup, a shell's &) ignores signals that the tests are about.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    harness.become_subreaper()
    ctx = harness.Ctx(session, name, seconds)

    def bark(*_):
        raise harness.Failure("the watchdog's time is over")

    signal.signal(signal.SIGALRM, bark)
    signal.alarm(int(seconds) + 5)
    status = PASSED
    try:
        measured = function(ctx)
        ctx.audit()
        if measured:
            print(f"{MEASURED}{measured}")
    except harness.Skipped as reason:
        print(f"skipped: {reason}")
        machine = isinstance(reason, harness.MachineLacks)
        status = SKIPPED if machine else skipped(str(reason))
    except BaseException as error:  # also an interrupt must end what was started
        signal.alarm(0)
        status = FAILED
        if isinstance(error, harness.Failure):
            frames = traceback.extract_tb(error.__traceback__)
            places = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in frames[1:]]
            print(f"FAILED: {error}   [{' < '.join(reversed(places))}]")
        else:
            traceback.print_exc(file=sys.stdout)
        if has_broken(ctx, error):
            status = BROKEN
        print(ctx.explain())
    finally:
        signal.alarm(0)
        ctx.kill_all()
        if session.keep and status in (FAILED, BROKEN):
            print(f"{KEPT}{ctx.dir}")
        else:
            ctx.remove()
    return status


def start(session, name, function, factor, log):
    seconds = getattr(function, "timeout", 90) * factor
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        status = FAILED
        try:
            status = run_one(session, name, function, seconds)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(status)
    return Running(name, function, pid, log, time.monotonic() + seconds + 40)


def strays(children):
    """What a test has left, by pid."""
    for pid in harness.all_pids():
        found = harness.stat_of(pid)
        if found and found[1] == os.getpid() and pid not in children:
            yield from [*harness.all_descendants(pid), pid]


def end_strays(children):
    """Ends what a test left that had to be killed itself. An arbiter ends by itself when nobody is
    left, and removes the control group then."""
    arbiters = []
    for pid in strays(children):
        if harness.comm_of(pid).startswith("tokenpool-arb"):
            arbiters.append(pid)
        else:
            harness.kill(pid)
    deadline = time.monotonic() + 5
    while any(harness.is_alive(pid) for pid in arbiters) and time.monotonic() < deadline:
        harness.reap_strays(children)
        time.sleep(0.005)
    for pid in strays(children):
        harness.kill(pid)
    harness.reap_strays(children)


def collect(running):
    """Waits until one of the tests has ended; answers (test, status)."""
    while True:
        for test in running:
            pid, status, usage = os.wait4(test.pid, os.WNOHANG)
            if pid:
                os.close(test.end)
                test.computed = usage.ru_utime + usage.ru_stime
                return test, os.waitstatus_to_exitcode(status)
            if time.monotonic() > test.deadline:
                harness.kill(test.pid)
                os.waitpid(test.pid, 0)
                os.close(test.end)
                return test, FAILED
        select.select([test.end for test in running], [], [], MOST_PAUSE)


def tell(test, status, verbose):
    word = {PASSED: "ok", SKIPPED: "skip"}.get(status, "FAIL")
    took = f" ({test.took:.1f} s, {test.computed:.1f} s of CPU)" if verbose else ""
    text = test.output()
    if status == SKIPPED:
        print(f"{word:4} {test.name}: {text.removeprefix('skipped: ')}")
        return
    figures = [line.removeprefix(MEASURED) for line in text.splitlines() if line.startswith(MEASURED)]
    print(f"{word:4} {test.name}{took}" + "".join(f": {line}" for line in figures))
    if text and (status != PASSED or verbose):
        print("     " + text.replace("\n", "\n     "))
    sys.stdout.flush()


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the tokenpool to test")
    parser.add_argument("--tools", help="the folder with ninja-1.13.2, cmake-4.3.1, make-4.4.1")
    parser.add_argument("-k", action="append", default=[], metavar="PATTERN",
                        help="only tests whose name contains it ('a or b'; * and ? work)")
    parser.add_argument("-x", action="append", default=[], metavar="PATTERN",
                        help="not the tests whose name contains it")
    parser.add_argument("--only", metavar="FILE", help="only the tests that are named in FILE")
    parser.add_argument("--others-than", metavar="FILE", help="not the tests that are named in FILE")
    parser.add_argument("--which", choices=("short", "long", "all"), default="all",
                        help="without the tests of minutes, only these, or all (all)")
    parser.add_argument("-v", action="store_true", help="also the output of tests that pass")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run everything N times")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="tests at one time (2)")
    parser.add_argument("--seed", type=lambda text: text if text == "fresh" else int(text),
                        help="for the tests that choose at random: a number, or fresh "
                             "(the number in tests/seeds/e2e)")
    parser.add_argument("--factor", type=float, help="multiplies the watchdog's time (1)",
                        default=float(os.environ.get("E2E_TIME_FACTOR", "1")))
    parser.add_argument("--stall", action="store_true",
                        help="stop each arbiter for short whiles, as a machine under load does")
    parser.add_argument("--flakes", metavar="FILE",
                        help="try a failed test once more, and add those that pass then to FILE")
    parser.add_argument("--profiles", metavar="DIR",
                        help="where a program that counts its branches leaves the counts of a test")
    parser.add_argument("--list", action="store_true", help="only print the names")
    return parser.parse_args(argv)


def seed_of(word):
    if word == "fresh":
        return random.SystemRandom().randrange(1 << 31)
    if word is not None:
        return word
    seeds = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../seeds/e2e")
    return int(listed(seeds)[0])


class OwnGroup:
    """A control group (cgroup v2) that this process and all its tests are in: the groups that are
    left in it at the end are theirs, whoever else runs tokenpool here. Where none can be made,
    nothing is looked for."""

    def __init__(self):
        self.path = None
        with open("/proc/self/cgroup", encoding="ascii") as lines:
            own = [line.strip()[3:] for line in lines if line.startswith("0::")]
        for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            self.parent = f"{top}{own[0] if own else ''}".rstrip("/")
            if not os.access(f"{self.parent}/cgroup.procs", os.W_OK):
                continue
            path = f"{self.parent}/e2e-{os.getpid()}"
            try:
                os.mkdir(path)
                self.path = path
                self.enter(path)
                return
            except OSError:
                self.leave()

    @staticmethod
    def enter(path):
        with open(f"{path}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))

    def left(self):
        return sorted(glob.glob(f"{self.path}/*/")) if self.path else []

    def leave(self):
        """Removes the group; what is left in it, too, as far as nobody is in there."""
        if not self.path:
            return
        with contextlib.suppress(OSError):
            self.enter(self.parent)
        for path in [*self.left(), self.path]:
            with contextlib.suppress(OSError):
                os.rmdir(path)
        self.path = None


class Suite:
    """The tests of one call, as they run, and what became of them."""

    def __init__(self, options, session, flakes):
        self.options = options
        self.session = session
        self.flakes = flakes
        self.running = []
        self.counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.failed = []  # names
        self.times = []  # (seconds, of CPU, name)
        self._number = 0

    def fail(self, name):
        self.counts[FAILED] += 1
        self.failed.append(name)

    def begin(self, name, function):
        """Starts a test, if it can run here."""
        reasons = [self.session.lacks(what) for what in getattr(function, "needs", ())]
        reasons = [reason for reason in reasons if reason]
        if reasons:
            status = skipped(reasons[0])
            print(f"{'skip' if status == SKIPPED else 'FAIL'} {name}: {reasons[0]}")
            if status == FAILED:
                self.fail(name)
            else:
                self.counts[SKIPPED] += 1
            return
        self._number += 1
        log = f"{self.session.dir}/log{self._number}"
        self.running.append(start(self.session, name, function, self.options.factor, log))

    def next_end(self):
        """Waits for the end of a test that runs; answers it with its status."""
        test, status = collect(self.running)
        self.running.remove(test)
        end_strays({one.pid for one in self.running})
        test.took = time.monotonic() - test.start
        self.times.append((test.took, test.computed, test.name))
        if self.session.profiles:
            with open(f"{self.session.profiles}/{test.name}/seconds", "w", encoding="ascii") as file:
                file.write(f"{test.computed:.2f}\n")
        status = status if status in (PASSED, SKIPPED, BROKEN) else FAILED
        tell(test, status, self.options.v)
        return test, status

    def run(self, tests):
        todo = list(tests)
        while todo or self.running:
            while todo and len(self.running) < self.options.jobs:
                self.begin(*todo.pop(0))
            if not self.running:
                continue
            test, status = self.next_end()
            if status in (PASSED, SKIPPED):
                self.counts[status] += 1
            elif status == BROKEN or not self.flakes.retries(test):
                self.fail(test.name)

    def try_again(self):
        for name, function, output, folder in self.flakes.again:
            print(f"once more, alone: {name}")
            self.begin(name, function)
            _, status = self.next_end()
            if status == PASSED:
                self.counts[PASSED] += 1
                self.flakes.add(name, output, folder)
            else:
                self.fail(name)
        if self.flakes.save() > MOST_FLAKES:
            self.fail(f"not more than {MOST_FLAKES} flakes")

    def end(self):
        for test in self.running:
            for pid in [*harness.all_descendants(test.pid), test.pid]:
                harness.kill(pid)
        end_strays(set())

    def sum_up(self):
        self.times.sort(reverse=True)
        for seconds, computed, name in self.times[:MOST_SLOW]:
            print(f"slow: {seconds:5.1f} s, {computed:4.1f} s of CPU: {name}")
        print(f"all tests, one after the other: {sum(time for time, *_ in self.times):.0f} s, "
              f"{sum(computed for _, computed, _ in self.times):.0f} s of CPU")
        for name in self.failed:
            print(f"failed: {name}")
        for row in self.flakes.rows:
            print(f"FLAKE {row['name']} {row['seed']}   (kept: {row['kept']})")
        counts = self.counts
        print(f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")


def main(argv):
    options = parse(argv)
    tests = discover(options)
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    seed = seed_of(options.seed)
    print(f"seed {seed}")
    for name in [n for n in os.environ if n in ("MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS")]:
        del os.environ[name]
    harness.become_subreaper()
    group = OwnGroup()
    session = harness.Session(options.program, options.tools, seed)
    session.stalls = options.stall
    session.profiles = options.profiles
    session.keep = options.flakes is not None
    suite = Suite(options, session, Flakes(options.flakes, seed))
    try:
        suite.run([test for _ in range(options.repeat) for test in tests])
        suite.try_again()
    finally:
        suite.end()
        session.remove()
    deadline = time.monotonic() + 20
    while group.left() and time.monotonic() < deadline:
        time.sleep(0.05)
    left = group.left()
    group.leave()
    # Under a sanitizer an arbiter may die of a limit where it cannot clean up.
    if session.is_static and left:
        print(f"left behind: {left}")
        suite.fail("control groups are removed")
    suite.sum_up()
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
