"""Lines, addresses and messages of the protocol, as the reference client reads them."""

import json
import re
import socket
import time

MAX_LINE, MAX_NUMBER = 65536, 2**53 - 1


class Broken(Exception):
    """The connection is of no use any more; `code` is of the error that said so, 0: none."""
    code = 0


def own_start():
    with open("/proc/self/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def whole(value, least=0):
    return type(value) is int and value >= least


def no_constant(name):
    raise ValueError(name + " is no JSON")


def read_answer(line):
    """The message in a line of the arbiter; raises Broken."""
    try:
        message = json.loads(line.decode(), parse_constant=no_constant)
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise ValueError("no JSON-RPC")
        if "method" in message:
            if not isinstance(message["method"], str):
                raise ValueError("no method")
            if not isinstance(message.get("params", {}), dict):
                raise ValueError("no notification")
            return message
        if message.get("id", True) is not None and not isinstance(message.get("id"), str):
            if not whole(message.get("id")):
                raise ValueError("no id")
        body = message.get("result", message.get("error"))
        if ("result" in message) == ("error" in message) or not isinstance(body, dict):
            raise ValueError("neither result nor error")
        if "error" in message and type(body.get("code")) is not int:
            raise ValueError("no code")
        for name in ("lease", "slots", "session"):
            if "result" in message and not whole(body.get(name, 0)):
                raise ValueError(name + " is no number")
        return message
    except (ValueError, RecursionError) as error:
        raise Broken(str(error)) from error


class Lines:
    """The lines that come from a socket, without the empty ones."""

    def __init__(self, sock):
        self.sock, self.bytes = sock, b""

    def next(self, deadline=None):
        while b"\n" not in self.bytes:
            if len(self.bytes) >= MAX_LINE:
                raise Broken("too long a line")
            if deadline is not None:
                self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            got = self.sock.recv(65536)
            if not got:
                raise Broken("the arbiter has closed the connection")
            self.bytes += got
        line, self.bytes = self.bytes.split(b"\n", 1)
        if len(line) >= MAX_LINE:
            raise Broken("too long a line")
        return line if line.strip(b"\r") else self.next(deadline)


def parse_address(text):
    if text.startswith("unix:/"):
        return socket.AF_UNIX, text[5:]
    host = r"(?:\[([0-9a-fA-F:.]+)\]|(\d+\.\d+\.\d+\.\d+|localhost))"
    match = re.fullmatch("tcp:" + host + r":(\d{1,5})", text)
    if not match or not 0 < int(match[3]) < 65536:
        return None
    host = match[1] or (match[2] if match[2] != "localhost" else "127.0.0.1")
    return (socket.AF_INET6 if match[1] else socket.AF_INET), (host, int(match[3]))
