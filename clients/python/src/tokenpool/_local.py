"""Without an arbiter: the GNU make jobserver that MAKEFLAGS names, or the one slot there is.

A jobserver hands out one byte a slot; the same byte is written back. A client has one slot for
nothing, on which its parent started it: the implicit slot.
"""

from __future__ import annotations

import math
import os
import random
import re
import stat
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from ._words import (Cancelled, Error, Held, Impossible, JobserverReason, Request, Unavailable,
                     late)

PATIENCE_SECONDS = 1.0  # two clients that each hold a part of what they need would wait for ever


class Jobserver:
    """The two ends of the pipe, as open file descriptions of our own."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd, self.write_fd = read_fd, write_fd
        self.ended = False  # nobody can put a token there any more

    def take(self) -> bytes:
        """One token, or nothing."""
        try:
            token = os.read(self.read_fd, 1)
            self.ended = not token
            return token
        except BlockingIOError:
            return b""
        except OSError:
            self.ended = True
            return b""

    def put(self, token: bytes) -> None:
        try:
            os.write(self.write_fd, token)
        except OSError:
            pass  # then nobody reads there any more

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self.write_fd)


def parse_makeflags(value: str) -> Tuple[Union[str, Tuple[int, int], JobserverReason], int]:
    """The FIFO's path, the descriptors, or why there are none; and the number of slots or 1."""
    words: List[str] = re.split(r"[ \t\n]+", value)
    words = words[:words.index("--")] if "--" in words else words  # variables follow
    jobs = [found for found in map(re.compile(r"(?:-j|--jobs=)([0-9]{1,9})").fullmatch, words)
            if found]
    slots = max(1, int(jobs[-1][1])) if jobs else 1
    for name in ("--jobserver-auth=", "--jobserver-fds="):
        named = [word[len(name):] for word in words if word.startswith(name)]
        if named:
            return _parse_jobserver(named[-1]), slots
    return JobserverReason.NO_JOBSERVER, slots


def _parse_jobserver(value: str) -> Union[str, Tuple[int, int], JobserverReason]:
    if re.fullmatch(r"fifo:.+", value):
        return value[5:]
    pair = re.fullmatch(r"(-?[0-9]{1,9}),(-?[0-9]{1,9})", value)
    if pair:
        read_fd, write_fd = int(pair[1]), int(pair[2])
        return JobserverReason.NO_JOBSERVER if min(read_fd, write_fd) < 0 else (read_fd, write_fd)
    if re.fullmatch(r"\w+", value):
        return JobserverReason.UNSUPPORTED
    return JobserverReason.BAD_JOBSERVER


def _reopen(fd: int, flags: int) -> int:
    """A description of our own, so that ours alone does not block."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return os.open(f"{folder}/{fd}", flags)
        except OSError:
            continue
    return os.dup(fd)


def open_jobserver(environ: Mapping[str, str]) -> Tuple[Union[Jobserver, JobserverReason], int]:
    """The jobserver or why there is none; its number of slots, 1 where MAKEFLAGS has no number."""
    value = environ.get("MAKEFLAGS", "")
    if not value:
        return JobserverReason.NO_MAKEFLAGS, 1
    where, slots = parse_makeflags(value)
    if isinstance(where, JobserverReason):
        return where, slots
    fds: List[int] = []
    try:
        for end, flags in ((0, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), (1, os.O_WRONLY)):
            if isinstance(where, str):
                is_pipe = stat.S_ISFIFO(os.stat(where).st_mode)
            else:
                is_pipe = stat.S_ISFIFO(os.fstat(where[end]).st_mode)
            if not is_pipe:
                for fd in fds:
                    os.close(fd)
                return JobserverReason.NOT_A_PIPE, slots
            fds.append(os.open(where, flags) if isinstance(where, str)
                       else _reopen(where[end], flags))
        os.set_blocking(fds[0], False)  # where it is a duplicate, as make itself does since 4.3
    except OSError:
        for fd in fds:
            os.close(fd)
        return JobserverReason.CANNOT_OPEN, slots
    return Jobserver(fds[0], fds[1]), slots


class Local:
    """The engine of the modes jobserver and single, with the calls of Core."""

    def __init__(self, jobserver: Optional[Jobserver], slots: int) -> None:
        self.slots = slots
        self.notices: List[Tuple[str, Optional[Held], Dict[str, Any]]] = []
        self.output = bytearray()
        self.broken: Optional[str] = None
        self._jobserver = jobserver
        self._most = slots if slots > 1 or not jobserver else None  # None: not known
        self._implicit: Optional[Held] = None  # who uses the implicit slot
        self._holders: List[Held] = []
        self._waiting: List[Request] = []
        self._part: List[bytes] = []  # tokens for the first in line that are not enough yet
        self._part_since = 0.0
        self._pause_until = -math.inf

    @property
    def fd(self) -> Optional[int]:
        """Where to wait for tokens, if any are wanted."""
        wanted = self._waiting and self._pause_until == -math.inf
        if wanted and self._jobserver and not self._jobserver.ended:
            return self._jobserver.read_fd
        return None

    def tick(self, now: float) -> None:
        if self._part and self._part_since + PATIENCE_SECONDS <= now:
            self._put_back()
            self._pause_until = now + random.uniform(0.05, 0.5)
        elif self._pause_until <= now:
            self._pause_until = -math.inf
            self._grant(now)
        for request in [r for r in self._waiting if r.deadline is not None and r.deadline <= now]:
            self._drop(request, late(request), now)

    def next_time(self) -> float:
        times = [r.deadline for r in self._waiting if r.deadline is not None]
        if self._pause_until != -math.inf:
            times.append(self._pause_until)
        elif self._part:
            times.append(self._part_since + PATIENCE_SECONDS)
        return min(times, default=math.inf)

    def io_time(self) -> float:
        return math.inf

    def address(self, now: float) -> None:
        return None

    def close(self) -> None:
        for request in self._waiting:
            request.finish(error=Error("the pool was closed while this call waited"))
        self._waiting.clear()
        self._put_back()
        for held in self._holders:
            self._give(held.tokens, len(held.tokens))
            held.slots = 0
        self._holders.clear()
        if self._jobserver:
            self._jobserver.close()
            self._jobserver = None

    # ---- calls ----

    def ask(self, params: Dict[str, Any], timeout: Optional[float], now: float) -> Request:
        request = Request("acquire", params, None if timeout is None else now + timeout)
        if self._most is not None and params["min"] > self._most:
            return request.finish(error=Impossible(
                f"acquire of {params['min']} slots: there are {self._most} in all; ask for fewer"))
        self._waiting.append(request)
        self.tick(now)
        return request

    def cancel(self, request: Request, now: float) -> Request:
        waits = request in self._waiting
        if waits:
            self._drop(request, Cancelled("the acquire was cancelled"), now)
        return Request("cancel", {}).finish(waits)

    def abandon(self, request: Request, now: float) -> None:
        if request in self._waiting:
            self._drop(request, Cancelled("the acquire was cancelled"), now)
        elif request.value is not None and request.value.slots:
            self.release(request.value, None, now)

    def release(self, held: Held, slots: Optional[int], now: float) -> None:
        count = held.slots if slots is None else slots
        held.slots -= count
        self._give(held.tokens, min(count, len(held.tokens)))
        if not held.slots:
            self._holders.remove(held)
            if self._implicit is held:
                self._implicit = None
        self._grant(now)

    def resize(self, held: Held, low: int, high: int, now: float) -> Request:
        request = Request("resize", {"min": low, "max": high}, held=held)
        if held.slots > high:
            self.release(held, held.slots - high, now)
            return request.finish(high)
        implicit, more = 0, []
        if not self._waiting:
            implicit = 1 if not self._implicit and high > held.slots else 0
            more = self._take(high - held.slots - implicit)
        if held.slots + implicit + len(more) < low:
            self._give(more, len(more))
            return request.finish(error=Unavailable(f"resize to {low} slots: not to be had now"))
        if implicit:
            self._implicit = held
        held.tokens += more
        held.slots += implicit + len(more)
        return request.finish(held.slots)

    def report(self, held: Held, members: Dict[str, Any], now: float) -> Request:
        return Request("report", members).finish(False)

    def call(self, method: str, params: Dict[str, Any], now: float) -> Request:
        return Request(method, params).finish(error=Error(f"{method}: there is no arbiter to ask"))

    # ---- inside ----

    def _grant(self, now: float) -> None:
        while self._waiting and self._pause_until == -math.inf:
            request = self._waiting[0]
            implicit = 0 if self._implicit else 1
            had = len(self._part)
            self._part += self._take(request.params["max"] - implicit - had)
            if implicit + len(self._part) < request.params["min"]:
                if not had:
                    self._part_since = now
                return
            held = Held(0, implicit + len(self._part), request.params)
            held.tokens, self._part = self._part, []
            if implicit:
                self._implicit = held
            self._holders.append(held)
            del self._waiting[0]
            request.finish(held)

    def _drop(self, request: Request, error: Error, now: float) -> None:
        if request is self._waiting[0]:
            self._put_back()
        self._waiting.remove(request)
        request.finish(error=error)
        self._grant(now)

    def _take(self, most: int) -> List[bytes]:
        tokens: List[bytes] = []
        while self._jobserver and len(tokens) < most:
            token = self._jobserver.take()
            if not token:
                break
            tokens.append(token)
        return tokens

    def _give(self, tokens: List[bytes], count: int) -> None:
        for _ in range(count):
            token = tokens.pop()
            if self._jobserver:
                self._jobserver.put(token)

    def _put_back(self) -> None:
        self._give(self._part, len(self._part))
