"""What the environment says about the arbiter, and sockets to it."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
from typing import List, Mapping, Optional, Tuple

from ._wire import is_whole
from ._words import Reason

DIAL_SECONDS = 5
Address = Tuple[str, ...]  # ("unix", path) or ("tcp", host, port)


def parse_address(text: str) -> Optional[Address]:
    """unix:PATH or tcp:HOST:PORT with a numeric host or localhost; None for anything else."""
    if text.startswith("unix:/"):
        return ("unix", text[5:])
    found = re.fullmatch(r"tcp:(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if not found or not 1 <= int(found[3]) <= 65535:
        return None
    host = found[1] or found[2]
    try:
        if host != "localhost" and (ipaddress.ip_address(host).version == 6) != bool(found[1]):
            return None
    except ValueError:
        return None
    return ("tcp", host, found[3])


def find_arbiter(environ: Mapping[str, str]) -> Tuple[Optional[Reason], List[Address], str]:
    """Why there is none, or None; the addresses that can be understood; the cookie."""
    text = environ.get("TOKENPOOL_ADDR", "")
    parsed = [parse_address(part) for part in text.split(";") if part]
    addresses = [address for address in parsed if address]
    cookie = environ.get("TOKENPOOL_COOKIE", "")
    if not text:
        return Reason.NO_ADDRESS, [], ""
    if not addresses:
        return Reason.BAD_ADDRESS, [], ""
    if not cookie:
        return Reason.NO_COOKIE, [], ""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", cookie):
        return Reason.BAD_COOKIE, [], ""
    return None, addresses, cookie


def lease_of(environ: Mapping[str, str]) -> Optional[int]:
    """The lease under which this process runs."""
    text = environ.get("TOKENPOOL_LEASE", "")
    number = int(text) if re.fullmatch(r"[0-9]{1,16}", text) else 0
    return number if is_whole(number, 1) else None


def start_of(pid: int) -> Optional[int]:
    """When the process was started, in ticks since the boot; None where that cannot be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The command's name, in parentheses, may contain anything: count from its end.
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def short_name(name: Optional[str]) -> str:
    """1 to 64 bytes of UTF-8."""
    text = name or sys.argv[0].replace("\\", "/").rpartition("/")[2] or "python"
    return text.encode("utf-8", "replace")[:64].decode("utf-8", "ignore") or "python"


def dial(address: Address) -> socket.socket:
    """A connected socket that does not block. Raises OSError, after DIAL_SECONDS at the latest."""
    if address[0] == "tcp":
        sock = socket.create_connection((address[1], int(address[2])), timeout=DIAL_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this system has no Unix sockets")
        sock = socket.socket(socket.AF_UNIX)
        try:
            # With settimeout() a full backlog would be an error at once instead of a wait.
            limit = struct.pack("@ll", DIAL_SECONDS, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            sock.connect(address[1])
        except BaseException:
            sock.close()
            raise
    sock.setblocking(False)
    return sock
