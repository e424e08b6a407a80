"""The harness of the end-to-end tests.

A test is a function `test_NAME(ctx)` in a file test_*.py, with @needs(...) and @timeout(seconds)
where it wants them. It runs in a process of its own that is the subreaper of all that it starts, so
nothing that it starts can get lost, whatever it does. Figures that it answers are printed with its
name.

  run = ctx.run(["make"], slots=4)      `tokenpool run -j4 --report ... -- make`, in the background
  ctx.desk.wait(lambda: len(ctx.desk.inside) == 4, "four jobs in")
  ctx.desk.drive(4, total=20)           proves that 4 jobs are in at once and never 5
  report = run.finish()                 waits, checks status 0 and the books, answers the report

A build's job is `job NAME` (job.c; on PATH): it is inside from its connection to the desk until the
test lets it out, so the test knows exactly who is in. When the test function returns, the audit
follows: every run has ended, its books are right, no arbiter died that the test has not killed, no
sanitizer found anything, no process and no FIFO, socket or folder is left.

Nothing here sleeps in place of an event or judges by the clock; the deadline of a wait is the
watchdog's, and a wait that meets it fails the test.
"""

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

from stall import stall

PR_SET_CHILD_SUBREAPER = 36
POLL = 0.01  # between two looks at something that sends no event, see pauses()
NOBODY = 65534

# What no program of ours may ever say: a sanitizer's finding, or a CHECK that failed.
FINDINGS = ("Sanitizer", "runtime error:", "internal error: CHECK")

# ... nor end by.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)

# Why some tests cannot run against a program with a sanitizer in it.
LINKED_DYNAMICALLY = "the program is linked dynamically"


class Failure(Exception):
    """The test has failed; the text says why."""


class BrokenPromise(Failure):
    """... in a way that no slow machine excuses: a token, process, file or group is lost, or a
    program of ours crashed, failed a CHECK or has a sanitizer's finding."""


@contextlib.contextmanager
def promised():
    """What fails in here is a broken promise."""
    try:
        yield
    except Failure as failure:
        raise BrokenPromise(str(failure)) from failure


class Skipped(Exception):
    """The test cannot run here; the text says why."""


class MachineLacks(Skipped):
    """... because this machine is not made for it, whatever is installed."""


def needs(*what):
    """What a test needs: "root", "user" (root, to become another user), "static" (a
    program that starts without a loader, which the sanitizers cannot give) or a tool by name."""

    def mark(function):
        function.needs = what
        return function

    return mark


def timeout(seconds):
    """The watchdog's patience with a test; 90 s otherwise."""

    def mark(function):
        function.timeout = seconds
        return function

    return mark


def long(function, is_long=True):
    """A test of minutes, or one of many that differ in the tools' versions: only `--which long` and
    `--which all` run it."""
    function.long = is_long
    return function


def pauses():
    """The seconds between one look and the next at something that sends no event: few at first, and
    a twentieth of what it has taken so far, so that many that wait long leave the CPUs to others."""
    begun = time.monotonic()
    while True:
        yield min(max(POLL, (time.monotonic() - begun) / 20), 5 * POLL)


def become_subreaper():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


# ---- processes ---------------------------------------------------------------------------------


def read_proc(pid, name):
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)


def stat_of(pid):
    """(state, parent, start) or None."""
    text = read_proc(pid, "stat")
    if not text:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return fields[0].decode(), int(fields[1]), int(fields[19])


def command_of(pid):
    words = read_proc(pid, "cmdline").rstrip(b"\0").split(b"\0")
    return b" ".join(words).decode(errors="replace")


def comm_of(pid):
    return read_proc(pid, "comm").decode(errors="replace").strip()


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_alive(pid):
    """A zombie has ended."""
    found = stat_of(pid)
    return found is not None and found[0] not in "ZX"


def descendants(root):
    """All living descendants of `root`, parents first."""
    answer = []
    todo = [root]
    while todo:
        pid = todo.pop(0)
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for thread in threads:
            for word in read_proc(pid, f"task/{thread}/children").split():
                if is_alive(int(word)):
                    answer.append(int(word))
                    todo.append(int(word))
    return answer


def all_descendants(root):
    """The same from one look at all processes: slower, but it misses none while others end."""
    children = {}
    for pid in all_pids():
        found = stat_of(pid)
        if found is not None and found[0] not in "ZX":
            children.setdefault(found[1], []).append(pid)
    answer = []
    todo = [root]
    while todo:
        for child in children.get(todo.pop(), []):
            answer.append(child)
            todo.append(child)
    return answer


def ancestors(pid):
    answer = []
    while pid > 1:
        found = stat_of(pid)
        if found is None:
            break
        pid = found[1]
        answer.append(pid)
    return answer


def without_children(pids):
    """Of a launcher and its job, which waits for its slots and has the same words, the launcher."""
    return [pid for pid in pids if not set(ancestors(pid)[:1]) & set(pids)]


arbiters_killed = set()  # by this test: so many may die, and no other


def kill(pid, number=signal.SIGKILL):
    """False when it is gone."""
    if number in (signal.SIGKILL, signal.SIGABRT) and comm_of(pid).startswith("tokenpool-arb"):
        arbiters_killed.add(pid)
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


PIDFD_GET_INFO = 0xC040FF0B  # _IOWR(0xFF, 11, 64 bytes), see src/proc/pidfd_info.h
PIDFD_INFO_EXIT = 1 << 3


@functools.cache
def tells_how_processes_end():
    """Whether the kernel tells how a process ended that its parent has reaped (Linux 6.15). Where it
    does not, the arbiter knows it only when it looks before the parent does."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    pidfd = os.pidfd_open(pid)
    os.waitpid(pid, 0)
    info = bytearray(PIDFD_INFO_EXIT.to_bytes(8, sys.byteorder) + bytes(56))
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, info)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return bool(int.from_bytes(info[:8], sys.byteorder) & PIDFD_INFO_EXIT)


def need_told_ends():
    """For a test of what follows from how a process ended: a holder that is taken for a helper keeps
    its tokens in its shell's name."""
    if not tells_how_processes_end():
        raise MachineLacks("the kernel does not tell how a process ended that was reaped")


def reap_strays(known):
    """Collects the orphans that came to us, and leaves the processes in `known` to their owners."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        if found.si_pid in known:
            # Only one zombie can be looked at: a known one hides the strays behind it until its
            # owner has collected it.
            for pid in all_pids():
                state = stat_of(pid)
                if pid not in known and state and state[0] == "Z" and state[1] == os.getpid():
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except ChildProcessError:
                        pass
            return
        try:
            os.waitpid(found.si_pid, 0)
        except ChildProcessError:
            return


# ---- the desk ----------------------------------------------------------------------------------


class Guest:
    """A job that is inside."""

    def __init__(self, connection):
        self.connection = connection
        self.name = ""
        self.text = b""
        self.released = False
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.pid = int.from_bytes(credentials[:4], sys.byteorder, signed=True)

    def __repr__(self):
        return f"{self.name}({self.pid})"


class Desk:
    """Where the jobs of a test's builds come in, and are let out."""

    def __init__(self, ctx, path):
        self.ctx = ctx
        self.path = path
        self.inside = []  # guests, oldest first
        self.said = []  # (name, text)
        self.entered = 0
        self.peak = 0  # most that were inside at one time
        self.names = []  # of all that ever entered
        self._driven = None  # (prefix, most with it at one time), while drive() looks
        self.on_enter = None  # called with each guest that enters
        self._guests = {}
        self._ends = set()  # pidfds of runs, each until its process has ended
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(1024)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def expect_end(self, pid):
        """The end of that child is an event, too."""
        pidfd = os.pidfd_open(pid)
        self._ends.add(pidfd)
        self._selector.register(pidfd, selectors.EVENT_READ)

    def pump(self, seconds=0.0):
        """Takes in what has happened; waits at most `seconds` for something."""
        events = [key.fileobj for key, _ in self._selector.select(seconds)]
        new = self._accept() if self._listener in events else []
        if new:
            # Whoever left before the newcomers came has made room for them: look once more.
            events = [key.fileobj for key, _ in self._selector.select(0)]
        for source in events:
            if source in self._ends:
                self._selector.unregister(source)
                self._ends.remove(source)
                os.close(source)
            elif source is not self._listener:
                self._read(source)
        for connection in new:
            self._guests[connection] = Guest(connection)
            self._selector.register(connection, selectors.EVENT_READ)
            self._read(connection)
        return bool(events or new)

    def _accept(self):
        new = []
        while True:
            try:
                new.append(self._listener.accept()[0])
            except BlockingIOError:
                return new

    def _read(self, connection):
        guest = self._guests[connection]
        try:
            data = connection.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._gone(guest)
            return
        guest.text += data
        if not guest.text.endswith(b"\n"):
            return
        verb, _, rest = guest.text.decode(errors="replace").strip().partition(" ")
        guest.name, _, text = rest.partition(" ")
        if verb == "say":
            self.said.append((guest.name, text))
            self._answer(guest, b"k")
            return
        self.inside.append(guest)
        self.entered += 1
        self.names.append(guest.name)
        self.peak = max(self.peak, len(self.inside))
        if self._driven is not None:
            prefix, most = self._driven
            self._driven = (prefix, max(most, self.count(prefix)))
        if self.on_enter is not None:
            self.on_enter(guest)

    def _gone(self, guest):
        self._selector.unregister(guest.connection)
        guest.connection.close()
        del self._guests[guest.connection]
        if guest in self.inside:
            self.inside.remove(guest)

    def _answer(self, guest, word):
        try:
            guest.connection.send(word, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        except OSError:
            pass

    def release(self, guest, word=b"o"):
        """Lets the job out (b"o": done, b"f": it fails). It is inside until it has ended."""
        guest.released = True
        self._answer(guest, word)

    def held(self, prefix=""):
        """Jobs inside that have not been let out, oldest first."""
        return [g for g in self.inside if not g.released and g.name.startswith(prefix)]

    def count(self, prefix=""):
        return sum(1 for g in self.inside if g.name.startswith(prefix))

    def has_said(self, name, text=None):
        return any(n == name and (text is None or t == text) for n, t in self.said)

    def texts(self, name):
        return [t for n, t in self.said if n == name]

    def wait(self, predicate, what):
        """Until `predicate` holds. Fails when the watchdog's time is over, or when every run has
        ended and it still does not hold."""
        for pause in pauses():
            self.pump()
            if predicate():
                return
            if self.ctx.all_runs_ended():
                while self.pump():
                    pass
                if predicate():
                    return
                raise Failure(f"the run ended before: {what}; {self._state()}")
            if time.monotonic() > self.ctx.deadline:
                raise Failure(f"waited in vain for: {what}; {self._state()}")
            self.pump(pause)
            self.ctx.reap()

    def _state(self):
        return (
            f"inside: {self.inside}, entered so far: {self.entered}, peak: {self.peak}, "
            f"said: {self.said[-10:]}"
        )

    def drive(self, width, total=None, until=None, prefix=""):
        """Proves that `width` jobs (with that prefix) are in at once and never more: waits until
        `width` are in, lets the oldest out, waits until its place is taken, and so on, until
        `total` jobs have entered since the call (those inside count) or until() holds. Then lets
        everything out that comes, until all runs have ended (see finish) or the caller goes on.
        """
        start = len([n for n in self.names if n.startswith(prefix)]) - self.count(prefix)

        def entered():
            return len([n for n in self.names if n.startswith(prefix)]) - start

        self._driven = (prefix, self.count(prefix))
        while True:
            self.wait(
                lambda: self.count(prefix) >= width,
                f"{width} jobs {prefix or 'of any kind'} in at once",
            )
            self._expect_driven(width)
            if (total is not None and entered() >= total) or (until is not None and until()):
                break
            before = entered()
            self.release(self.held(prefix)[0])
            self.wait(lambda: entered() > before, "the next job, in the place of the one let out")
        for guest in self.held(prefix):
            self.release(guest)
        self._expect_driven(width)
        self._driven = None

    def _expect_driven(self, width):
        if self._driven[1] > width:
            raise BrokenPromise(f"{self._driven[1]} jobs at once, not {width}; {self._state()}")

    def let_all_out(self, run, word=b"o"):
        """Lets out whoever comes, until `run` has ended."""
        for pause in pauses():
            self.pump(pause)
            for guest in self.held():
                self.release(guest, word)
            if run.ended():
                return
            if time.monotonic() > self.ctx.deadline:
                raise Failure(f"the run did not end; {self._state()}")
            self.ctx.reap()

    def close(self):
        for connection in list(self._guests):
            connection.close()
        for pidfd in self._ends:
            os.close(pidfd)
        self._listener.close()


# ---- a run -------------------------------------------------------------------------------------


class Run:
    """One `tokenpool run` (or any command, see ctx.spawn)."""

    def __init__(self, ctx, argv, slots, report_path, environment, name, stdin, options):
        self.ctx = ctx
        self.argv = argv
        self.slots = slots
        self.report_path = report_path
        self.out_path = f"{ctx.logs}/{name}.out"
        self.err_path = f"{ctx.logs}/{name}.err"
        self.checked = False
        self.books = True  # whether the audit looks at the report
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            arguments = {"start_new_session": True, "stdout": out, "stderr": err}
            arguments.update(options)
            self.process = subprocess.Popen(
                argv, stdin=stdin, env=environment, cwd=arguments.pop("cwd", ctx.dir), **arguments
            )
        self.pid = self.process.pid
        ctx.desk.expect_end(self.pid)

    def ended(self):
        return self.process.poll() is not None

    @property
    def status(self):
        """As of a shell: 128 + signal when a signal ended it."""
        code = self.process.returncode
        return code if code is None or code >= 0 else 128 - code

    def wait(self):
        """Until it has ended; answers its status."""
        self.ctx.wait(self.ended, f"the end of {' '.join(self.argv)}")
        return self.status

    def stderr(self):
        with open(self.err_path, "rb") as file:
            return file.read().decode(errors="replace")

    def stdout(self):
        with open(self.out_path, "rb") as file:
            return file.read().decode(errors="replace")

    def notes(self):
        """Tokenpool's own lines on stderr."""
        return [line for line in self.stderr().splitlines() if line.startswith("tokenpool")]

    def report(self):
        with open(self.report_path, encoding="utf-8") as file:
            return json.load(file)

    def finish(self, status=0, held=0, lent=0, minted=0):
        """Waits for its end and checks status and books. Answers the report. `lent`: slots that a
        client lent and took to its grave, in use until they could be taken out. `minted`: tokens
        in place of others."""
        self.wait()
        if status is not None and self.status != status:
            raise Failure(f"the run ended with {self.status}, expected {status}")
        return self.check_books(held, lent, minted)

    def check_books(self, held=0, lent=0, minted=0):
        self.checked = True
        if self.report_path is None:
            return None
        with promised():
            return self._books(held, lent, minted)

    def _books(self, held, lent, minted):
        try:
            report = self.report()
        except (OSError, ValueError) as error:
            raise Failure(f"no report that can be read: {error}") from error
        tokens = report["tokens"]
        expect(tokens["missing"], 0, "tokens missing")
        slots = report["slots"]
        least, most = self.slots if isinstance(self.slots, tuple) else (self.slots, self.slots)
        expect(tokens["issued"], slots["final"] - 1, "tokens issued")
        if not least <= slots["final"] <= most:
            raise Failure(f"{slots['final']} slots at the end of {self.slots}")
        expect(tokens["held"], held, "tokens still held")
        expect(tokens["minted"], minted, "tokens minted")
        if slots["peak_in_use"] > most + lent + minted:
            raise Failure(f"{slots['peak_in_use']} slots in use of {self.slots}")
        self._expect_deaths(report["arbiter_restarts"])
        return report

    @staticmethod
    def _expect_deaths(seen):
        allowed = len(arbiters_killed)
        expect_that(seen <= allowed, f"{seen} arbiters died, the test has killed {allowed}")

    def check_stderr(self):
        """What the front says of its arbiter; also where nobody looks at a report."""
        self._expect_deaths(sum("the arbiter died" in line for line in self.notes()))

    def check_crash(self):
        """No program of ours ended by a signal that says it is broken."""
        ours = self.argv[0] == self.ctx.tokenpool
        code = self.process.returncode
        expect_that(not ours or code is None or -code not in CRASHES,
                    f"{' '.join(self.argv)} ended by signal {-(code or 0)}")

    def front(self):
        """The pid of the front, also where a wrapper runs it."""
        for pid in [self.pid, *descendants(self.pid)]:
            words = command_of(pid).split(" ")
            if comm_of(pid) == "tokenpool" and len(words) > 1 and words[1] == "run":
                return pid
        return None

    def arbiter(self):
        """The pid of the living arbiter, or None."""
        front = self.front() or self.pid
        for pid in descendants(front):
            if comm_of(pid).startswith("tokenpool-arb"):
                return pid
        return None

    def find(self, word, under=None):
        """Living processes of the build whose program (last part of argv[0]) is `word`."""
        answer = []
        for pid in descendants(self.pid if under is None else under):
            first = command_of(pid).split(" ")[0]
            if first.rsplit("/", 1)[-1] == word:
                answer.append(pid)
        return answer


def expect(seen, expected, what):
    if seen != expected:
        raise Failure(f"{what}: expected {expected!r}, saw {seen!r}")


def expect_that(condition, what):
    if not condition:
        raise Failure(what)


def expect_cause(seen, expected):
    """How a process ended, as a report says it."""
    if seen != "unknown" or tells_how_processes_end():
        expect(seen, expected, "cause")


# ---- a test's surroundings ---------------------------------------------------------------------


class Ctx:
    """What a test has: its folder, its desk, its runs."""

    def __init__(self, session, name, seconds):
        self.session = session
        self.name = name
        self.deadline = time.monotonic() + seconds
        self.seed = session.seed
        self.dir = tempfile.mkdtemp(prefix="t", dir=session.dir)
        os.chmod(self.dir, 0o777)
        self.tmp = f"{self.dir}/tmp"
        self.logs = f"{self.dir}/logs"
        for folder in (self.tmp, self.logs):
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        self.runs = []
        self.leftovers_allowed = False
        self.tokenpool = session.program
        self.shims = os.path.dirname(session.program) + "/shims"
        self.python = session.python
        self.desk = Desk(self, f"{self.dir}/desk")
        if session.profiles:
            os.makedirs(f"{session.profiles}/{name}", exist_ok=True)
            os.chmod(f"{session.profiles}/{name}", 0o777)

    # -- tools

    def tool(self, name):
        """The folder that holds a tool: make-4.3, make-4.4.1, ninja-1.13.2, ninja-1.11,
        cmake-4.3.1, cargo (the one on PATH), cargo-1.65 (with rustc 1.63)."""
        folder = self.session.tool(name)
        if folder is None:
            raise Skipped(f"{name} is not here")
        return folder

    def environment(self, *tools, **more):
        """A clean environment with these tools first on PATH."""
        path = [self.tool(name) for name in tools]
        path += [self.session.bin, "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        answer = {
            "PATH": ":".join(path),
            "TMPDIR": self.tmp,
            "HOME": os.environ.get("HOME", self.dir),
            "XDG_CACHE_HOME": f"{self.dir}/cache",
            "XDG_DATA_HOME": f"{self.dir}/data",
            "XDG_CONFIG_HOME": f"{self.dir}/config",
            "LANG": "C",
            "E2E_DESK": self.desk.path,
            "E2E_TEST": self.dir,
            "PYTHONPATH": self.session.lib,
            "PYTHONUNBUFFERED": "1",
        }
        for name in ("CARGO_HOME", "RUSTUP_HOME"):
            if name in os.environ:
                answer[name] = os.environ[name]
        # A finding is kept also where stderr is a terminal, or an arbiter has left it.
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            answer[name] = f"{os.environ.get(name, '')}:log_path={self.logs}/sanitizer".lstrip(":")
        if self.session.profiles:
            # Kept up to date in a mapped file (%c), since most of our processes are killed.
            answer["LLVM_PROFILE_FILE"] = f"{self.session.profiles}/{self.name}/%c%p.profraw"
        answer.update(more)
        return {name: value for name, value in answer.items() if value is not None}

    # -- files

    def write(self, name, text, mode=0o644):
        """A file in the test's folder; answers its path. Folders are made."""
        path = f"{self.dir}/{name}"
        if os.path.dirname(name):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            folder = os.path.dirname(path)
            while folder != self.dir:
                os.chmod(folder, 0o777)
                folder = os.path.dirname(folder)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def script(self, name, text):
        """A shell script (bash) that ends at the first failure only if it says so."""
        return self.write(name, "#!/bin/bash\n" + text, 0o755)

    def program(self, name, text):
        """A Python program; `from e2eclient import *` finds the pool and the desk."""
        head = f"#!{self.python} -S\nimport os, sys\nfrom e2eclient import *\n"
        return self.write(name, head + text, 0o755)

    def makefile(self, folder, jobs, prefix, extra=""):
        """A makefile with `jobs` independent jobs PREFIX0, PREFIX1, … ."""
        names = " ".join(f"{prefix}{i}" for i in range(jobs))
        text = f"all: {names}\n.PHONY: all {names}\n{names}:\n\t@job $@\n" + extra
        return self.write(f"{folder}/Makefile", text)

    def ninjafile(self, folder, jobs, prefix):
        """A build.ninja with `jobs` independent jobs."""
        text = "rule job\n  command = job $name $out\n"
        for i in range(jobs):
            text += f"build {prefix}{i}.o: job\n  name = {prefix}{i}\n"
        return self.write(f"{folder}/build.ninja", text)

    def cmakefile(self, folder, jobs, *prefixes):
        """A CMakeLists.txt with a target PREFIX_jobs of `jobs` independent jobs for each prefix.
        Answers the folder's path."""
        text = "cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES NONE)\n"
        for prefix in prefixes:
            names = [f"{prefix}{i}" for i in range(jobs)]
            for name in names:
                text += (f"add_custom_command(OUTPUT {name} COMMAND job {name} "
                         f"${{CMAKE_BINARY_DIR}}/{name})\n")
            text += f"add_custom_target({prefix}_jobs ALL DEPENDS {' '.join(names)})\n"
        return os.path.dirname(self.write(f"{folder}/CMakeLists.txt", text))

    # -- runs

    def run(self, command, slots=4, tools=(), options=(), wrap=(), user=None, env=None,
            report=True, stdin=subprocess.DEVNULL, **popen):
        """Starts `tokenpool run -jSLOTS --report R OPTIONS -- COMMAND` in a session of its own.
        `slots`: a number, or (min, max) of an elastic pool. `wrap`: words in front of it (bwrap
        ...). `user`: the uid to become."""
        number = len(self.runs)
        report_path = f"{self.logs}/report{number}.json" if report else None
        words = "-".join(map(str, slots)) if isinstance(slots, tuple) else slots
        argv = [self.tokenpool, "run", f"-j{words}"]
        if report_path:
            argv += ["--report", report_path]
        # Jobs stand still at the desk for as long as the test likes.
        if not any(word.startswith("--standstill") for word in options):
            argv += ["--standstill", "off"]
        argv += [*options, "--", *command]
        return self.spawn(argv, slots=slots, tools=tools, wrap=wrap, user=user, env=env,
                          report_path=report_path, stdin=stdin, **popen)

    def spawn(self, argv, slots=0, tools=(), wrap=(), user=None, env=None, report_path=None,
              stdin=subprocess.DEVNULL, **popen):
        """Starts any command as a Run."""
        prefix = []
        if user is not None:
            prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            env = {"HOME": self.dir, **(env or {})}
        environment = self.environment(*tools, **(env or {}))
        run = Run(self, [*prefix, *wrap, *argv], slots, report_path, environment,
                  f"run{len(self.runs)}", stdin, popen)
        self.runs.append(run)
        if self.session.stalls:
            stall(run)
        return run

    def all_runs_ended(self):
        return bool(self.runs) and all(run.ended() for run in self.runs)

    def reap(self):
        reap_strays({run.pid for run in self.runs})

    def wait(self, predicate, what):
        """Until `predicate` holds; the desk is served meanwhile."""
        for pause in pauses():
            if predicate():
                return
            if time.monotonic() > self.deadline:
                raise Failure(f"waited in vain for: {what}")
            self.desk.pump(pause)
            self.reap()

    def wait_gone(self, pid):
        self.wait(lambda: not is_alive(pid), f"the end of process {pid}")

    def kill(self, pid, number=signal.SIGKILL):
        """Sends the signal; False when the process was gone."""
        return kill(pid, number)

    # -- the audit

    def audit(self):
        with promised():
            for run in self.runs:
                if not run.ended():
                    raise Failure(f"the test is over, but this still runs: {' '.join(run.argv)}")
                if run.books and not run.checked and run.report_path:
                    run.check_books()
            self.desk.close()
            if not self.leftovers_allowed:
                self._no_process_left()
            self.no_files_left()
            self.no_crash()

    def no_crash(self):
        """No program of ours has died, or said what it never may; also for a test that failed."""
        for run in self.runs:
            run.check_stderr()
            run.check_crash()
        for name, text in self._outputs():
            for finding in FINDINGS:
                expect_that(finding not in text, f"{name} has {finding!r}")

    def _outputs(self):
        """(name, text) of all that the test's programs have said."""
        for name in sorted(os.listdir(self.logs)):
            with open(f"{self.logs}/{name}", encoding="utf-8", errors="replace") as file:
                yield name, file.read()

    def leftovers(self):
        self.reap()
        found = set(all_descendants(os.getpid()))
        mark = f"TOKENPOOL_FIFO={self.tmp}/".encode()
        for pid in all_pids():
            if mark in read_proc(pid, "environ") and is_alive(pid):
                found.add(pid)
        return found

    def _no_process_left(self):
        end = min(self.deadline, time.monotonic() + 20)
        while left := self.leftovers():
            if time.monotonic() > end:
                text = "; ".join(f"{pid} {command_of(pid)[:120]}" for pid in sorted(left))
                raise Failure(f"processes are left: {text}")
            time.sleep(POLL)

    def no_files_left(self):
        """No FIFO, socket or folder of ours in TMPDIR."""
        left = []
        for folder, folders, files in os.walk(self.tmp):
            left += [f"{folder}/{name}" for name in folders if name.startswith("tokenpool-")]
            for name in files:
                try:
                    mode = os.lstat(f"{folder}/{name}").st_mode
                except OSError:
                    continue
                if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
                    left.append(f"{folder}/{name}")
        expect_that(not left, f"files are left: {left}")

    def kill_all(self):
        """Ends everything that the test started."""
        for _ in range(1000):
            living = all_descendants(os.getpid())
            # What is stopped forks no more, so that nobody runs ahead of us.
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in living:
                    kill(pid, number)
            for run in self.runs:
                run.process.poll()
            self.reap()
            if not living:
                return
            time.sleep(POLL)

    def explain(self):
        """For a failed test: what was run, and what it said."""
        parts = []
        for run in self.runs:
            parts.append(f"$ {' '.join(run.argv)}   -> {run.status}")
            for title, text in (("stdout", run.stdout()), ("stderr", run.stderr())):
                if text:
                    parts.append(f"--- {title}\n{text[-3000:].rstrip()}")
            if run.report_path and os.path.exists(run.report_path):
                with open(run.report_path, encoding="utf-8") as file:
                    parts.append(f"--- report\n{file.read()[:5000].rstrip()}")
        for name, text in self._outputs():
            if name.startswith("sanitizer"):
                parts.append(f"--- {name}\n{text[:6000].rstrip()}")
        parts.append("--- processes")
        for pid in descendants(os.getpid()):
            state = (stat_of(pid) or "?")[0]
            where = read_proc(pid, "wchan").decode()
            parts.append(f"{pid} {state} {where} {command_of(pid)[:140]}")
        return "\n".join(parts)

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- a session ---------------------------------------------------------------------------------


class Session:
    """What all tests of one call share: the program in a folder that every user can read, the job
    program, the tools."""

    def __init__(self, program, tools, seed):
        self.seed = seed
        self.stalls = False  # each arbiter is stopped now and then
        self.profiles = None  # where a program that counts its branches (clang) leaves the counts
        base = "/tmp" if len(tempfile.gettempdir()) > 20 else tempfile.gettempdir()
        self.dir = tempfile.mkdtemp(prefix="tpe", dir=base)
        os.chmod(self.dir, 0o755)
        self.tools = os.path.abspath(tools) if tools else None
        self.bin = f"{self.dir}/bin"
        self.lib = f"{self.dir}/lib"
        self.home = f"{self.dir}/tokenpool"
        for folder in (self.bin, self.lib, self.home, f"{self.home}/shims"):
            os.mkdir(folder)
            os.chmod(folder, 0o755)
        self.program = f"{self.home}/tokenpool"
        shutil.copy(program, self.program)
        with open(program, "rb") as binary:
            self.is_static = b"/ld-linux" not in binary.read()
        os.chmod(self.program, 0o755)
        for name in ("make", "gmake", "ninja", "ninja-build", "ctest", "cmake"):
            os.symlink("../tokenpool", f"{self.home}/shims/{name}")
        os.symlink("tokenpool", f"{self.home}/tokenpool-exec")
        here = os.path.dirname(os.path.abspath(__file__))
        shutil.copy(f"{here}/e2eclient.py", self.lib)
        os.chmod(f"{self.lib}/e2eclient.py", 0o644)
        subprocess.run(
            ["gcc", "-O1", "-static", "-o", f"{self.bin}/job", f"{here}/job.c"], check=True
        )
        self.python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        self._folders = {}
        for name, path in (
            ("make-4.4.1", "make-4.4.1/bin/make"),
            ("ninja-1.13.2", "ninja-1.13.2/bin/ninja"),
        ):
            if self.tools and os.path.exists(f"{self.tools}/{path}"):
                folder = f"{self.dir}/{name}"
                os.mkdir(folder)
                os.chmod(folder, 0o755)
                tool = shutil.copy(f"{self.tools}/{path}", folder)
                os.chmod(tool, 0o755)
                self._folders[name] = folder
        if self.tools and os.path.exists(f"{self.tools}/bazel-2.1.0/bin/bazel"):
            self._folders["bazel-2.1.0"] = f"{self.tools}/bazel-2.1.0/bin"
        if self.tools and os.path.exists(f"{self.tools}/cmake-4.3.1/bin/ctest"):
            self._folders["cmake-4.3.1"] = f"{self.tools}/cmake-4.3.1/bin"
        self._find_cargo()
        self._find_old("make-4.3", "/usr/bin/make", lambda text: text.startswith(b"GNU Make 4.3"))
        self._find_old("ninja-1.11", "/usr/bin/ninja", lambda text: text.startswith(b"1.11."))

    def _find_cargo(self):
        cargo = shutil.which("cargo")
        if cargo:
            self._folders["cargo"] = os.path.dirname(cargo)
        if self.tools and os.path.exists(f"{self.tools}/cargo-1.65/bin/cargo"):
            self._folders["cargo-1.65"] = f"{self.tools}/cargo-1.65/bin"

    def _find_old(self, name, path, known):
        """A tool of the system, in a folder where it is alone, if known(its version) holds."""
        if not os.path.exists(path):
            return
        version = subprocess.run([path, "--version"], capture_output=True, check=False).stdout
        if known(version):
            folder = f"{self.dir}/{name}"
            os.mkdir(folder)
            os.chmod(folder, 0o755)
            os.symlink(path, f"{folder}/{os.path.basename(path)}")
            self._folders[name] = folder

    def tool(self, name):
        if name in self._folders:
            return self._folders[name]
        path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        return os.path.dirname(path) if path else None

    def lacks(self, what):
        """Why a test that needs `what` cannot run; None if it can."""
        if what in ("root", "user"):
            return None if os.geteuid() == 0 else "not root"
        if what == "static":
            return None if self.is_static else LINKED_DYNAMICALLY
        return None if self.tool(what) else f"{what} is not here"

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
