"""The golden vectors against the arbiter of a real `tokenpool run`; skipped without --server."""

import json
import os
import socket
import subprocess

from cases_stream import bytes_of, vectors
from common import COOKIE, Deadline, Failure, Skipped, case, check, equal
from driver import Driver

HEAD = '{"jsonrpc":"2.0","id":1,"method":"status","params":'
# The command of the run: tells where its arbiter is, and lives as long as its stdin.
TELL = 'printf "%s\\n%s\\n" "$TOKENPOOL_ADDR" "$TOKENPOOL_COOKIE"; exec cat >/dev/null'


class Arbiter:
    """Where the run's arbiter is, and what it is told."""

    def __init__(self, stage):
        if stage.server is None:
            raise Skipped("needs --server")
        command = [stage.server, "run", "-j4", "--", "sh", "-c", TELL]
        self.process = subprocess.Popen(command, env=stage.environment_of_run(),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=stage.stderr)
        stage.closers += [self.process.stdout.close, self.stop]
        told = Driver(self.process.stdout.fileno(), -1, self.process.pid, "the run")
        self.address = (told.line("TOKENPOOL_ADDR") or b"").decode()
        self.cookie = told.line("TOKENPOOL_COOKIE") or b""
        check(self.address.startswith("unix:/"), f"TOKENPOOL_ADDR is {self.address!r}")
        equal(len(self.cookie), len(COOKIE), "how long TOKENPOOL_COOKIE is")
        self.hello = {"protocol": 1, "cookie": self.cookie.decode(), "name": "kit"}
        self.hello["pid"] = os.getpid()

    def line(self, vector):
        """A vector's line, with the newline, for this arbiter's cookie."""
        line = bytes_of(vector, HEAD)
        # Cookies that are meant to be wrong stay so, and keep their length.
        tail = b"0" if self.cookie[-1:] != b"0" else b"1"
        line = line.replace(COOKIE[:-1].encode() + b"e", self.cookie[:-1] + tail)
        line = line.replace(COOKIE.encode(), self.cookie)
        return line.replace(COOKIE[:-1].encode(), self.cookie[:-1]) + b"\n"

    def finish(self):
        self.process.stdin.close()
        try:
            status = self.process.wait(Deadline("the run to end").left())
        except subprocess.TimeoutExpired:
            raise Failure("the run did not end after its command") from None
        equal(status, 0, "the exit status of the run")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Wire:
    """A connection of the kit's own."""

    def __init__(self, arbiter, hello):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(arbiter.address[len("unix:"):])
        self.lines = self.sock.makefile("rb")
        if hello:
            self.ask("hello", "first", arbiter.hello)
            check("result" in (self.next("hello") or {}), "hello was refused")

    def send(self, line):
        try:
            self.sock.sendall(line)
        except ConnectionError:
            pass  # it closes in the middle of a line that is too long

    def ask(self, method, id, params):
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        self.send(json.dumps(message).encode() + b"\n")

    def next(self, what):
        """The next message, or None at the end."""
        self.sock.settimeout(Deadline(what).left())
        try:
            line = self.lines.readline()
        except socket.timeout:
            raise Failure(f"no answer to {what}") from None
        except ConnectionError:
            return None
        return json.loads(line) if line else None

    def close(self):
        self.lines.close()
        self.sock.close()


def judge_bad(arbiter, vector):
    name = vector["name"]
    wire = Wire(arbiter, hello=vector["after_hello"])
    try:
        wire.send(arbiter.line(vector))
        if vector["code"] is not None:
            answer = wire.next(name)
            check(answer is not None, f"{name}: no answer, the connection has ended")
            code = answer.get("error", {}).get("code")
            equal((code, answer.get("id")), (vector["code"], vector["id"]), f"{name}: (code, id)")
        if vector["closes"]:
            check(wire.next(name) is None, f"{name}: the connection does not end")
        else:
            wire.ask("status", "still there", {})
            answer = wire.next(f"status after {name}")
            check(answer is not None, f"{name}: the connection has ended")
            equal(answer.get("id"), "still there", f"{name}: the id of the next answer")
    finally:
        wire.close()


def judge_good(arbiter, vector):
    """Whatever becomes of the request, it was understood."""
    name, first = vector["name"], vector["method"] == "hello"
    wire = Wire(arbiter, hello=not first)
    try:
        wire.send(arbiter.line(vector))
        answer = None
        if first:
            answer = wire.next(name) if vector["id"] is not None else None
        else:
            wire.ask("status", "probe", {})
            while answer is None or answer.get("id") != "probe":
                answer = wire.next(f"status after {name}")
                check(answer is not None, f"{name}: the connection has ended")
                code = answer.get("error", {}).get("code")
                check(code not in range(-32702, -32599), f"{name}: refused with {answer!r}")
        code = (answer or {}).get("error", {}).get("code")
        check(code not in range(-32702, -32599), f"{name}: refused with {answer!r}")
    finally:
        wire.close()


def all_of(stage, file, judge):
    arbiter = Arbiter(stage)
    wrong = []
    for vector in vectors(file):
        try:
            judge(arbiter, vector)
        except Failure as failure:
            wrong.append(str(failure))
    check(not wrong, f"{len(wrong)} vectors: " + "\n      ".join(wrong))
    arbiter.finish()


@case
def server_understands_every_golden_request(stage):
    all_of(stage, "requests.json", judge_good)


@case
def server_refuses_every_golden_bad_request(stage):
    all_of(stage, "bad_requests.json", judge_bad)


@case
def server_refuses_an_id_that_is_in_use(stage):
    arbiter = Arbiter(stage)
    wire = Wire(arbiter, hello=True)
    wire.ask("acquire", "all", {"min": 1, "max": 512})
    wire.next("an acquire of all")
    wire.ask("acquire", 7, {"min": 3})
    wire.ask("acquire", 7, {})
    answer = wire.next("a second request with the id 7")
    equal(answer.get("error", {}).get("code"), -32600, "code of an id that is in use")
    wire.close()
    arbiter.finish()
