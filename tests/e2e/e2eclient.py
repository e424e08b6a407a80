"""What the Python clients of a test's build use: the pool, and the desk of the test."""

import os
import re
import socket


def _connect(line):
    desk = socket.socket(socket.AF_UNIX)
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
    paths = re.findall(r"--jobserver-auth=fifo:(\S+)", os.environ["MAKEFLAGS"])
    return paths[-1] if paths else os.environ["TOKENPOOL_FIFO"]


def fds():
    """The inherited descriptors, (read, write)."""
    read, write = os.environ["TOKENPOOL_FDS"].split(",")
    return int(read), int(write)


def open_fifo(flags=0):
    return os.open(fifo_path(), os.O_RDWR | flags)
