"""What the tests of `tokenpool serve` share: a server, a client of the protocol that says whatever
a test wants, byte by byte, and one that behaves well and must not notice anything."""

import collections
import itertools
import json
import os
import signal
import socket
import threading
import time

from harness import Failure, expect, expect_that, read_proc
from lifecycle_kit import expect_one_line

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
UNAUTHORIZED, UNAVAILABLE, IMPOSSIBLE, NO_LEASE = -32001, -32003, -32005, -32006
TOO_MANY, DRAINING = -32007, -32008


def line_of(method, call=None, **params):
    """A request, or without `call`, its id, a notification; with its newline."""
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    if call is not None:
        message["id"] = call
    return json.dumps(message).encode() + b"\n"


class Server:
    """`tokenpool serve`, once it says that it serves (or that it cannot)."""

    def __init__(self, ctx, *words, path=None, slots=4, **options):
        """`path`: of the Unix socket; "" where `words` or nobody says where to listen."""
        self.ctx = ctx
        self.path = f"{ctx.dir}/serve/socket" if path is None else path
        listen = ["--listen", f"unix:{self.path}"] if self.path else []
        jobs = [f"-j{slots}"] if slots else []
        # Clients do nothing for as long as the test likes.
        still = [] if {"--standstill", "--config"} & set(words) else ["--standstill", "off"]
        self.run = ctx.spawn([ctx.tokenpool, "serve", *jobs, *listen, *still, *words], **options)
        ctx.wait(lambda: self.run.ended() or "cookie in" in self.run.stderr(), "the server's word")

    @property
    def pid(self):
        return self.run.pid

    def word(self):
        """The line that says what is served."""
        said = self.run.stderr()
        expect_that("cookie in" in said, f"it serves: {said}")
        return said.splitlines()[0]

    def addresses(self):
        return self.word().partition(" on ")[2].partition(" (cookie in ")[0].split(";")

    def cookie_file(self):
        return self.word().partition(" (cookie in ")[2].removesuffix(")")

    def cookie(self):
        with open(self.cookie_file(), encoding="ascii") as file:
            return file.read().strip()

    def peer(self, address=None):
        """A connection that has said nothing."""
        return Peer(self.ctx, address or self.addresses()[0])

    def member(self, address=None, **hello):
        """One that has said hello."""
        peer = self.peer(address)
        peer.hello(self.cookie(), **hello)
        return peer

    def variables(self):
        return {"TOKENPOOL_ADDR": ";".join(self.addresses()), "TOKENPOOL_COOKIE": self.cookie()}

    def signal(self, number):
        self.ctx.kill(self.pid, number)

    def end(self):
        self.signal(signal.SIGTERM)
        expect(self.run.wait(), 0, "status of the server")

    def expect_refused(self, status, *words):
        """It did not serve, and said why in one line."""
        self.run.wait()
        expect_one_line(self.run, status, "tokenpool serve: ", *words)


def variables_of(pid):
    """By which the pool of that job is reached."""
    words = read_proc(pid, "environ").split(b"\0")
    found = dict(word.decode(errors="replace").partition("=")[::2] for word in words if b"=" in word)
    return {name: found[name] for name in ("TOKENPOOL_ADDR", "TOKENPOOL_COOKIE")}


def reach(ctx, run):
    """The variables by which a shell that is no part of `run` reaches its arbiter. A job is in."""
    answer = variables_of(ctx.desk.inside[0].pid)
    expect_that(not run.ended(), "the run has ended")
    return answer


class Peer:
    """One connection. What it waits for comes, or the watchdog's time is over."""

    def __init__(self, ctx, address):
        self.ctx = ctx
        self.ids = itertools.count(1)
        self.lines = collections.deque()  # that were not looked at yet
        self.text = b""  # the begin of a line
        self.others = []  # read while something else was waited for
        kind, _, rest = address.partition(":")
        host, _, port = rest.rpartition(":")
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(self.left())
            self.socket.connect(rest)
        else:
            self.socket = socket.create_connection((host.strip("[]"), int(port)), self.left())

    def left(self):
        return max(0.001, self.ctx.deadline - time.monotonic())

    def send(self, data):
        """False: the arbiter takes no more."""
        self.socket.settimeout(self.left())
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def message(self):
        """The next one; None at the end of the connection."""
        if self.others:
            return self.others.pop(0)
        return self._read()

    def _read(self):
        while not self.lines:
            self.socket.settimeout(self.left())
            try:
                more = self.socket.recv(1 << 20)
            except ConnectionResetError:  # it was closed before all that we sent was read
                more = b""
            except TimeoutError as error:
                raise Failure("the arbiter says nothing") from error
            if not more:
                expect(self.text, b"", "the rest of a line")
                return None
            self.take(more)
        return json.loads(self.lines.popleft())

    def take(self, more):
        """Bytes that have come."""
        *lines, self.text = (self.text + more).split(b"\n")
        self.lines.extend(lines)

    def answer(self, call):
        """That of the request with this id, which may be None (null)."""
        for at, message in enumerate(self.others):
            if "method" not in message and message["id"] == call:
                return self.others.pop(at)
        while True:
            message = self._read()
            if message is None:
                raise Failure(f"the connection has ended before the answer to {call}")
            if "method" not in message and message["id"] == call:
                return message
            self.others.append(message)

    def ask(self, method, **params):
        """Sends a request; answers its id."""
        call = next(self.ids)
        self.send(line_of(method, call, **params))
        return call

    def result(self, call):
        message = self.answer(call)
        expect_that("result" in message, f"an error: {message}")
        return message["result"]

    def code(self, call):
        message = self.answer(call)
        expect_that("error" in message, f"no error: {message}")
        return message["error"]["code"]

    def call(self, method, **params):
        return self.result(self.ask(method, **params))

    def refused(self, expected, method, **params):
        expect(self.code(self.ask(method, **params)), expected, f"code of {method} {params}")

    def status(self):
        return self.call("status")

    def hello(self, cookie, **more):
        words = {"protocol": 1, "cookie": cookie, "name": "test", "pid": os.getpid(), **more}
        return self.call("hello", **words)

    def expect_closed(self, *codes):
        """The connection ends after errors with these codes and nothing else."""
        seen = []
        while (message := self.message()) is not None:
            expect_that("error" in message, f"no error: {message}")
            seen.append(message["error"]["code"])
        expect(seen, list(codes), "codes before the connection was closed")
        self.close()

    def close(self):
        self.socket.close()


class Bystander:
    """A client that takes slots and gives them back all the time, in a thread, and must not notice
    what others do: each of its requests is granted, and nothing breaks."""

    def __init__(self, server, spare=1):
        """`spare`: slots that it leaves to others at the least."""
        self.peer = server.member(name="bystander")
        self.most = self.peer.status()["slots"] - spare
        self.rounds = 0
        self.trouble = None
        self._stop = False
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self):
        try:
            while not self._stop:
                lease = self.peer.call("acquire", min=1, max=self.most)
                expect_that(1 <= lease["slots"] <= self.most, f"slots of its lease: {lease}")
                given_back = self.peer.call("release", lease=lease["lease"])
                expect(given_back, {"slots": 0}, "what its lease has left")
                self.rounds += 1
        except BaseException as error:  # whatever it was: the test has to fail
            self.trouble = error

    def goes_on(self):
        """Until it has taken and returned slots twice more; the first may have begun before."""
        goal = self.rounds + 3
        self.peer.ctx.wait(lambda: self.rounds >= goal or self.trouble, "the bystander to go on")
        expect(self.trouble, None, "what the bystander noticed")

    def finish(self):
        self.goes_on()
        self._stop = True
        self._thread.join()
        expect(self.trouble, None, "what the bystander noticed")
        self.peer.close()
