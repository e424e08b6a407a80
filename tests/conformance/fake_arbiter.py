"""An arbiter that does only what a case tells it to, step by step.

  arbiter = FakeArbiter.unix(folder)         or .tcp("127.0.0.1"); listens, and that is all
  session = arbiter.session()                accepts, expects hello and answers it
  request = session.expect("acquire")        the next message; the case fails if it is another
  session.answer(request, {"lease": 1, "slots": 1})

Every line of the client is held against request_check.py, so a wrong one fails whichever case is
under way. Nothing is answered, sent or closed by itself.
"""

import fcntl
import json
import os
import socket
import struct
import termios

import request_check
from common import COOKIE, Deadline, Failure, check, equal, same_words

PEER_CREDENTIALS = getattr(socket, "SO_PEERCRED", None)


def message(**members):
    return json.dumps(dict({"jsonrpc": "2.0"}, **members), ensure_ascii=False).encode() + b"\n"


class Session:
    """One connection. Lines are bytes with their newline."""

    def __init__(self, sock):
        self.sock, self.bytes, self.last_line, self.hello_pid = sock, b"", b"", None
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- what the client sends ---

    def _fill(self, what):
        """More bytes of the client; False at the end of the connection."""
        deadline = Deadline(what)
        self.sock.settimeout(deadline.left())
        try:
            got = self.sock.recv(65536)
        except socket.timeout:
            deadline.left()
            raise Failure(f"{what}: nothing came in time") from None
        except ConnectionError:
            got = b""
        self.bytes += got
        return bool(got)

    def next(self, what="a request"):
        """The next request, or None at the end of the connection."""
        while True:
            while b"\n" not in self.bytes:
                if not self._fill(f"waiting for {what}"):
                    check(not self.bytes, f"the client ended in the middle of {self.bytes[:200]!r}")
                    return None
            self.last_line, self.bytes = self.bytes.split(b"\n", 1)
            if self.last_line.strip(b"\r"):
                break
        try:
            return request_check.check(self.last_line)
        except request_check.Refusal as refusal:
            line = self.last_line[:300]
            raise Failure(f"the client sent {line!r}, to be refused with {refusal.code}: {refusal}")

    def expect(self, method, **members):
        """The next message, which must be that method with at least those members."""
        request = self.next(method)
        check(request is not None, f"the client closed the connection where {method} was to come")
        equal(request.method, method, f"the method of {self.last_line[:300]!r}")
        for name, value in members.items():
            equal(request.params.get(name), value, f"{name} of {method}")
        return request

    def expect_release(self, lease, given, left):
        """A release of `given` slots after which `left` are held, a request or a notification."""
        request = self.expect("release", lease=lease)
        if left > 0 or "slots" in request.params:
            equal(request.params.get("slots"), given, f"slots of release of lease {lease}")
        self.answer_if_asked(request, {"slots": left})
        return request

    def client_pid(self):
        """The process of the client: as the system tells, else as it says itself."""
        return self.peer_pid() or self.hello_pid

    def expect_end(self, what="the end of the connection", but=()):
        """The connection ends without another message, except for those of the methods `but`."""
        while True:
            request = self.next(what)
            if request is None:
                return
            check(request.method in but, f"{request.method} came instead of {what}")

    # --- what the arbiter sends ---

    def raw(self, data):
        """Those bytes, unless the client has closed: what it made of them shows later."""
        deadline = Deadline("the client to read what it was sent")
        self.sock.settimeout(deadline.left())
        try:
            self.sock.sendall(data)
        except socket.timeout:
            raise Failure("the client does not read what it is sent") from None
        except ConnectionError:
            pass

    def bytewise(self, data):
        """Each byte alone: the next one is sent when the client has read the one before."""
        for at in range(len(data)):
            self.raw(data[at : at + 1])
            self._wait_until_read()

    def _wait_until_read(self):
        """Only a Unix socket of Linux tells what its peer has not read yet."""
        if self.sock.family != socket.AF_UNIX or not hasattr(termios, "TIOCOUTQ"):
            return
        deadline, unread = Deadline("the client to read a byte"), 1
        while unread:
            deadline.left()
            os.sched_yield()
            room = fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0" * 4)
            unread = struct.unpack("i", room)[0]

    def answer(self, request, result):
        self.raw(self.answer_line(request, result))

    def answer_line(self, request, result):
        check(request.id is not None, f"{request.method} came as a notification")
        return message(id=request.id, result=result)

    def answer_if_asked(self, request, result):
        if request.id is not None:
            self.answer(request, result)

    def refuse(self, request, code, text="no", **more):
        check(request.id is not None, f"{request.method} came as a notification")
        self.raw(message(id=request.id, error=dict(more, code=code, message=text)))

    def notify(self, method, **params):
        self.raw(message(method=method, params=params))

    def see_out(self):
        """Closes when the client has, whatever it still sends."""
        while self.sock.fileno() >= 0 and self._fill("waiting for the client to close"):
            pass
        self.close()

    def close(self):
        self.sock.close()

    # --- the first step of most cases ---

    def greet(self, request, slots=4, resumed=None, **more):
        result = {"session": 3, "server": "fake 1", "protocol": 1, "slots": slots, "epoch": "e1"}
        result["features"] = sorted(request_check.METHODS)
        if "resume" in request.params:
            result["resumed"] = resumed if resumed is not None else []
        self.answer(request, dict(result, **more))

    def peer_pid(self):
        """Who made the connection, or None where the system does not tell."""
        if self.sock.family != socket.AF_UNIX or PEER_CREDENTIALS is None:
            return None
        room = self.sock.getsockopt(socket.SOL_SOCKET, PEER_CREDENTIALS, struct.calcsize("3i"))
        return struct.unpack("3i", room)[0]


class FakeArbiter:
    """Listens at one address, which stays the same over stop() and start()."""

    def __init__(self, family, place):
        self.family, self.place, self.listener, self.sessions = family, place, None, []
        self.start()

    @classmethod
    def unix(cls, path):
        return cls(socket.AF_UNIX, path)

    @classmethod
    def tcp(cls, host):
        return cls(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, 0))

    @property
    def address(self):
        if self.family == socket.AF_UNIX:
            return "unix:" + self.place
        host = self.place[0]
        return f"tcp:[{host}]:{self.place[1]}" if ":" in host else f"tcp:{host}:{self.place[1]}"

    def start(self):
        self.listener = socket.socket(self.family)
        if self.family != socket.AF_UNIX:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(self.place)
        self.listener.listen(64)
        if self.family != socket.AF_UNIX:
            self.place = self.listener.getsockname()[:2]

    def stop(self):
        """Nobody listens any more; whoever waited to be accepted is thrown out."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None
            if self.family == socket.AF_UNIX:
                os.unlink(self.place)

    def accept(self):
        deadline = Deadline("a connection to the arbiter")
        self.listener.settimeout(deadline.left())
        try:
            sock = self.listener.accept()[0]
        except socket.timeout:
            deadline.left()
            raise Failure("the client did not connect") from None
        self.sessions.append(Session(sock))
        return self.sessions[-1]

    def knock(self):
        """Accepts whoever says hello: the session and the hello, not yet answered."""
        while True:  # a client may have given up an attempt that nobody answered
            session = self.accept()
            request = session.next("hello")
            if request is not None:
                equal(request.method, "hello", "the first method of a connection")
                equal(request.params["cookie"], COOKIE, "the cookie")
                session.hello_pid = request.params["pid"]
                return session, request

    def session(self, **more):
        session, request = self.knock()
        session.greet(request, **more)
        return session

    def nobody_waits(self):
        """Fails if a connection waits to be accepted at this moment."""
        self.listener.settimeout(0)
        try:
            self.listener.accept()
        except BlockingIOError:
            return
        raise Failure("the client connected once more")

    def see_out(self):
        for session in self.sessions:
            session.see_out()

    def end(self):
        for session in self.sessions:
            session.close()
        self.stop()


def declared(request, held):
    """Checks what a hello declares against `held`, {lease: (slots, words)}; their order."""
    entries = request.params.get("resume", [])
    got = sorted(entry["lease"] for entry in entries)
    equal(got, sorted(held), "the leases that resume declares")
    for entry in entries:
        slots, words = held[entry["lease"]]
        equal(entry["slots"], slots, f"slots of lease {entry['lease']} in resume")
        same_words(entry, words, f"lease {entry['lease']} in resume")
    return [entry["lease"] for entry in entries]
