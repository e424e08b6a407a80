"""The client under test: a driver process that takes commands and answers them, see README.md."""

import json
import os
import select
import signal
import subprocess

from common import Deadline, Failure, check, equal

# What a driver must not inherit from whoever runs the kit.
FOREIGN = ("MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKELEVEL", "CARGO_MAKEFLAGS")


def environment(extra):
    """The kit's own, without any trace of a pool, and `extra` (None: that variable is not set)."""
    plain = {k: v for k, v in os.environ.items()
             if not k.startswith("TOKENPOOL") and k not in FOREIGN}
    plain.update(extra)
    return {k: v for k, v in plain.items() if v is not None}


class Driver:
    """Its commands go to `write`, its answers come from `read`, both descriptors of ours."""

    def __init__(self, read, write, pid, name="the driver"):
        self.read, self.write, self.pid, self.name = read, write, pid, name
        self.bytes, self.asked, self.process, self.dead = b"", [], None, False
        self.hang_up = None  # ends its stdin

    @classmethod
    def start(cls, command, env, stderr, pass_fds=()):
        process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=stderr, pass_fds=pass_fds, start_new_session=True)
        driver = cls(process.stdout.fileno(), process.stdin.fileno(), process.pid)
        driver.process, driver.hang_up = process, process.stdin.close
        return driver

    def send(self, do, **members):
        """Gives a command and does not wait for its answer."""
        line = json.dumps(dict({"do": do}, **members)).encode() + b"\n"
        try:
            os.write(self.write, line)
        except OSError as error:
            raise Failure(f"{self.name} takes no command: {error}") from error
        self.asked.append(line.decode().strip())

    def answer(self):
        """The answer to the oldest command that has none yet."""
        check(self.asked, "the case has an error: it waits for an answer and gave no command")
        asked = self.asked[0]
        line = self.line(f"{self.name} to answer {asked}")
        check(line is not None, f"{self.name} ended instead of answering {asked}")
        self.asked.pop(0)
        try:
            answer = json.loads(line)
        except ValueError:
            raise Failure(f"{self.name} answered {asked} with {line[:300]!r}, no JSON") from None
        good = isinstance(answer, dict) and isinstance(answer.get("ok"), bool)
        check(good, f"{self.name} answered {asked} with {line[:300]!r}: ok is missing")
        return answer

    def do(self, do, **members):
        self.send(do, **members)
        return self.answer()

    # --- what most commands must answer ---

    def done(self, do=None, **members):
        """... with ok true: of a command that it gives, or (none) of the oldest under way."""
        if do is not None:
            self.send(do, **members)
        asked = self.asked[0] if self.asked else ""
        answer = self.answer()
        check(answer["ok"], f"{asked} failed: {answer.get('code')!r} {answer.get('error')!r}")
        return answer

    def refused(self, codes, do=None, **members):
        """... with ok false and one of those codes."""
        if do is not None:
            self.send(do, **members)
        asked = self.asked[0] if self.asked else ""
        answer = self.answer()
        check(not answer["ok"], f"{asked} must fail and answered {answer!r}")
        codes = codes if isinstance(codes, tuple) else (codes,)
        check(answer.get("code") in codes, f"{asked}: code {answer.get('code')!r}, not {codes}")
        check(isinstance(answer.get("error"), str), f"{asked}: error is no text in {answer!r}")
        return answer

    def granted(self, lease, slots, do=None, **members):
        answer = self.done(do, **members)
        equal((answer.get("lease"), answer.get("slots")), (lease, slots), "(lease, slots)")

    def leases(self):
        """{key: (lease, slots)}"""
        rows = self.done("leases")["leases"]
        return {key: (row["lease"], row["slots"]) for key, row in rows.items()}

    def holds(self, **held):
        equal(self.leases(), held, "leases {key: (lease, slots)}")

    # --- ends ---

    def line(self, what):
        """A line of its stdout without the newline; None at the end of it."""
        deadline = Deadline(what)
        while b"\n" not in self.bytes:
            if not select.select([self.read], [], [], deadline.left())[0]:
                deadline.left()
            try:
                got = os.read(self.read, 65536)
            except ConnectionError:
                got = b""
            if not got:
                check(not self.bytes, f"{self.name} ended in the middle of {self.bytes[:200]!r}")
                return None
            self.bytes += got
        line, self.bytes = self.bytes.split(b"\n", 1)
        return line

    def expect_exit(self, what):
        """It says no more, and exits with 0."""
        line = self.line(f"{self.name} to exit after {what}")
        check(line is None, f"{self.name} said {line!r} that nobody asked for")
        self.dead = True
        if self.process is not None:
            deadline = Deadline(f"{self.name} to exit after {what}")
            try:
                status = self.process.wait(deadline.left())
            except subprocess.TimeoutExpired:
                raise Failure(f"{self.name} did not exit after {what}") from None
            equal(status, 0, f"the exit status of {self.name} after {what}")

    def quit(self):
        self.done("quit")
        self.expect_exit("quit")

    def end_of_input(self):
        self.hang_up()
        self.asked.clear()
        self.expect_exit("the end of its stdin")

    def kill(self, client=None):
        """SIGKILL, to it and to the process of its client, where a script has started that."""
        self.dead = True
        for pid in (client or self.pid, self.pid):
            try:
                if os.getsid(pid) == os.getsid(self.pid):  # never somebody else's
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process is not None:
            self.process.wait()

    def clean_up(self):
        """Whatever is left of it ends; never fails."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except OSError:
                pass
