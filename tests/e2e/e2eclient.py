"""What the Python clients of a test's build use: the pool, and the desk of the test.

There are thousands of them: `socket` and `re` would take as long to load as Python itself."""

import os
import _socket


def _connect(line):
    desk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    desk.connect(os.environ["E2E_DESK"])
    desk.sendall(line.encode() + b"\n")
    return desk


def enter(name):
    """Tells the desk that this job is in; the answer waits with leave()."""
    return _connect(f"in {name}")


def leave(desk):
    """Waits until the test lets the job out: True for 'done', False for 'fail'."""
    answer = desk.recv(1)
    desk.close()
    if not answer:
        os._exit(9)
    return answer == b"o"


def stay(name):
    return leave(enter(name))


def say(name, text=""):
    """Tells the desk something and goes on when it has been heard."""
    desk = _connect(f"say {name} {text}")
    if not desk.recv(1):
        os._exit(9)
    desk.close()


def fifo_path():
    """As MAKEFLAGS says; a make older than 4.4 takes the path out of it for its recipes."""
    start = "--jobserver-auth=fifo:"
    paths = [word for word in os.environ["MAKEFLAGS"].split() if word.startswith(start)]
    return paths[-1].removeprefix(start) if paths else os.environ["TOKENPOOL_FIFO"]


def fds():
    """The inherited descriptors, (read, write)."""
    read, write = os.environ["TOKENPOOL_FDS"].split(",")
    return int(read), int(write)


def open_fifo(flags=0):
    return os.open(fifo_path(), os.O_RDWR | flags)
