"""What a case stands on: it starts arbiters and drivers, and clears them away."""

import os
import pathlib
import select
import shutil
import signal
import socket
import tempfile

from common import COOKIE, Deadline, Skipped, check, equal, same_acquire
from driver import Driver, environment
from fake_arbiter import FakeArbiter


def children():
    """pid -> name of the processes whose parent is the kit; empty where /proc does not tell."""
    found = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        if entry.isdigit():
            try:
                text = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            except OSError:
                continue
            name, rest = text.split("(", 1)[1].rsplit(")", 1)
            if int(rest.split()[1]) == os.getpid():
                found[int(entry)] = name
    return found


class Stage:
    """What a case works with: it starts what the case needs and clears it away."""

    def __init__(self, command, server):
        self.command, self.server = command, server
        # The path of a socket has 107 bytes at the most, whatever TMPDIR has.
        is_long = len(tempfile.gettempdir()) > 40
        self.folder = tempfile.mkdtemp(prefix="kit-", dir="/tmp" if is_long else None)
        self.stderr = open(os.path.join(self.folder, "stderr"), "w+b")
        self.drivers, self.arbiters, self.closers = [], [], []
        self.before = set(children())  # before any driver

    def path(self, name):
        return os.path.join(self.folder, name)

    def unix(self, name="sock"):
        self.arbiters.append(FakeArbiter.unix(self.path(name)))
        return self.arbiters[-1]

    def tcp(self, host="127.0.0.1"):
        try:
            self.arbiters.append(FakeArbiter.tcp(host))
        except OSError as error:
            raise Skipped(f"cannot listen on {host}: {error}") from error
        return self.arbiters[-1]

    def dead_tcp(self):
        """An address where nobody listens, and nobody else will before the case has ended."""
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self.closers.append(sock.close)
        return f"tcp:127.0.0.1:{sock.getsockname()[1]}"

    def environment_of_run(self):
        """With a TMPDIR in which its socket's path fits."""
        return environment({"TMPDIR": self.folder})

    def driver(self, pass_fds=(), **env):
        env = environment(env)
        self.drivers.append(Driver.start(self.command, env, self.stderr, pass_fds))
        return self.drivers[-1]

    def driver_of(self, *addresses, **env):
        """A driver that is told of those arbiters or addresses."""
        addresses = [getattr(a, "address", a) for a in addresses]
        env.setdefault("TOKENPOOL_COOKIE", COOKIE)
        return self.driver(TOKENPOOL_ADDR=";".join(addresses), **env)

    def connected(self, arbiter=None, **env):
        """(driver, arbiter, session) with the hello behind them."""
        arbiter = arbiter or self.unix()
        driver = self.driver_of(arbiter, **env)
        driver.send("connect")
        session = arbiter.session()
        answer = driver.answer()
        equal((answer.get("mode"), answer.get("reason")), ("protocol", "ok"), "(mode, reason)")
        return driver, arbiter, session

    def holding(self, count=1, slots=1, **words):
        """... and with leases 101, 102, ... under the keys a, b, ..."""
        driver, arbiter, session = self.connected()
        for at in range(count):
            acquire(driver, session, "abcdefgh"[at], 101 + at, slots, **words)
        return driver, arbiter, session

    def strays(self):
        """pid -> name of what was born in this case and became the kit's child; reaps the dead."""
        for pid in set(children()) - self.before:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
        return {pid: name for pid, name in children().items() if pid not in self.before}

    def no_child_left(self):
        """Waits until all that was born in this case has ended, its drivers' children too."""
        deadline = Deadline("every process of the driver to end")
        left = self.strays()
        while left:
            pid = next(iter(left))
            end = os.pidfd_open(pid)
            try:
                ended = select.select([end], [], [], deadline.left())[0]
            finally:
                os.close(end)
            check(ended, f"processes of the driver are left: {left}")
            left = self.strays()

    def finish(self):
        """After the case has done well: every driver that is left ends with its stdin."""
        living = [driver for driver in self.drivers if not driver.dead]
        for driver in living:
            driver.hang_up()
        # A client may wait a little for the other end to be closed, too.
        for arbiter in self.arbiters:
            arbiter.see_out()
        for driver in living:
            driver.end_of_input()

    def clear(self):
        for arbiter in self.arbiters:
            arbiter.end()
        for driver in self.drivers:
            driver.clean_up()
        for close in self.closers:
            close()
        for pid in self.strays():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.stderr.seek(0)
        said = self.stderr.read()[-2000:].decode(errors="replace")
        self.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return said


def acquire(driver, session, key, lease, slots=1, **words):
    """The driver acquires and gets that lease of exactly so many slots."""
    if slots > 1:
        words["min"] = slots
    driver.send("acquire", key=key, **words)
    request = session.expect("acquire")
    same_acquire(request.params, words)
    session.answer(request, {"lease": lease, "slots": slots})
    driver.granted(lease, slots)


def quiet(driver, session):
    """Proves that the client has sent nothing else: what it sends next is the status asked for."""
    driver.send("status")
    request = session.expect("status")
    session.answer(request, {"slots": 4})
    driver.done()
