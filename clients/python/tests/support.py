"""What the tests share: an arbiter that does what the test says, and environments."""

import json
import os
import socket
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "src"))
VECTORS = os.path.join(HERE, "..", "..", "..", "tests", "vectors")

COOKIE = "0123456789abcdef" * 4
PATIENCE = 60  # seconds until a test that hangs fails; nothing waits for this time to pass


class Session:
    """The arbiter's end of one connection."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(PATIENCE)
        self._file = sock.makefile("rb")

    def read(self, method=None):
        """The next message; None at the end."""
        line = self._file.readline()
        message = json.loads(line) if line else None
        if method is not None:
            assert message and message["method"] == method, message
        return message

    def send(self, **message):
        self.sock.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def answer(self, request, **result):
        self.send(id=request["id"], result=result)

    def refuse(self, request, code, message="no"):
        self.send(id=request["id"], error={"code": code, "message": message})

    def welcome(self, **more):
        hello = self.read("hello")
        self.answer(hello, session=1, server="fake", protocol=1, slots=8, epoch="e", features=[],
                    **more)
        return hello["params"]

    def grant(self, lease, slots):
        request = self.read("acquire")
        self.answer(request, lease=lease, slots=slots)
        return request["params"]

    def close(self):
        self._file.close()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
        self.sock.close()


class Arbiter:
    """Listens; accept() gives the sessions."""

    def __init__(self):
        # The path of a socket has 107 bytes at the most, whatever TMPDIR has.
        is_long = len(tempfile.gettempdir()) > 40
        self._folder = tempfile.TemporaryDirectory(dir="/tmp" if is_long else None)
        self.path = os.path.join(self._folder.name, "s")
        self.sessions = []
        self.listen()

    def listen(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(self.path)
        self._listener.listen(8)

    def deafen(self):
        """Nobody can connect until listen()."""
        self._listener.close()
        os.unlink(self.path)

    def accept(self):
        session = Session(self._listener.accept()[0])
        self.sessions.append(session)
        return session

    def environ(self, **more):
        return {"TOKENPOOL_ADDR": "unix:" + self.path, "TOKENPOOL_COOKIE": COOKIE, **more}

    def __enter__(self):
        return self

    def hang_up(self):
        for session in self.sessions:
            session.close()

    def __exit__(self, *error):
        self._listener.close()
        self.hang_up()
        self._folder.cleanup()


class Aside:
    """A call in a thread of its own."""

    def __init__(self, call, *args, **members):
        self._value, self._error = None, None
        self._thread = threading.Thread(target=self._run, args=(call, args, members), daemon=True)
        self._thread.start()

    def _run(self, call, args, members):
        try:
            self._value = call(*args, **members)
        except BaseException as error:
            self._error = error

    def result(self):
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it hangs"
        if self._error:
            raise self._error
        return self._value


class Fifo:
    """A jobserver of the test's own."""

    def __init__(self, tokens):
        self._folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self._folder.name, "fifo")
        os.mkfifo(self.path)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.add(tokens)

    def add(self, tokens):
        os.write(self.fd, tokens)

    def tokens(self):
        """Those in it, sorted."""
        try:
            found = os.read(self.fd, 4096)
        except BlockingIOError:
            return b""
        os.write(self.fd, found)
        return bytes(sorted(found))

    def environ(self, before="-j9"):
        return {"MAKEFLAGS": f" {before} --jobserver-auth=fifo:{self.path}"}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.close(self.fd)
        self._folder.cleanup()
