"""The client's side of the protocol without any I/O: calls and bytes in, bytes out.

The fronts (_pool.py with threads, aio.py) own the socket and the clock. They say connected(),
feed() and lost(), send what is in `output`, close the connection when `broken` is set, and call
tick() when next_time() or io_time() has come. Times are seconds on any clock that never goes back.
Not thread-safe. See tokenpool-protocol(7), RESUMING, for what happens without a connection.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

from ._environment import Address
from ._wire import Broken, Lines, Message, decode, encode, encode_refusal, is_whole
from ._words import Cancelled, Error, Held, Reason, Request, Unavailable, error_of, late

HELLO_SECONDS = 5.0
FIRST_RETRY, LONGEST_RETRY = 0.05, 5.0
# So that what is held is declared while a new arbiter grants nothing.
LONGEST_RETRY_OF_HOLDER = 0.1
ALONE_SECONDS = 5.0    # without a connection for that long: go on with one slot
GRACE_SECONDS = 2.0    # that much later than asked for, the arbiter has forgotten the time
LONGEST_TIMEOUT_MS = 86400000
MOST_RESUMED = 512
LEASE_MEMBERS = ("type", "target", "memory", "priority", "pid", "start")
_RANK = [Reason.UNREACHABLE, Reason.NO_ANSWER, Reason.INCOMPATIBLE, Reason.REFUSED]
DOWN, GREETING, UP = "down", "greeting", "up"


class Core:
    """One session after the other, and what lives longer than a session."""

    def __init__(self, hello: Dict[str, Any], addresses: List[Address]) -> None:
        self.output = bytearray()
        self.state = DOWN
        self.broken: Optional[str] = None  # why the front is to close the connection
        self.reason = Reason.UNREACHABLE   # why the first round over the addresses has failed
        self.gave_up = False               # it has, and there never was a session
        self.slots = 1
        self.notices: List[Tuple[str, Optional[Held], Dict[str, Any]]] = []
        self.leases: Dict[int, Held] = {}
        self.subscribed = False
        self.fd: Optional[int] = None
        self._hello = hello  # has the cookie: never to be printed
        self._addresses = addresses
        self._next_address = 0
        self._verdict = Reason.NO_ANSWER
        self._had_session = False
        self._retry_at = -math.inf
        self._backoff = FIRST_RETRY
        self._lost_at = 0.0
        self._greeted = 0.0
        self._lines = Lines()
        self._id = 0
        self._asked: Dict[int, Request] = {}  # on the wire, by id
        self._waiting: List[Request] = []     # acquires to be put on the wire, in their order
        self._declared: List[Tuple[Held, int, Any]] = []
        self._alone: Optional[Held] = None    # the one slot that is used without an arbiter

    # ---- the connection ----

    def address(self, now: float) -> Optional[Address]:
        """Where to connect to, if that is due; one of connected() and lost() is to follow."""
        due = self.state is DOWN and not self.gave_up and self._retry_at <= now
        return self._addresses[self._next_address] if due else None

    def connected(self, now: float) -> None:
        self.state, self.broken, self._verdict = GREETING, None, Reason.NO_ANSWER
        self._lines, self._greeted = Lines(), now
        self.output += self._greeting()

    def lost(self, now: float, verdict: Optional[Reason] = None) -> None:
        """There is no connection (any more), or with UNREACHABLE there was none."""
        self.output.clear()
        self.broken = None
        was_up, self.state = self.state is UP, DOWN
        if was_up:
            self._lost_at, self._backoff, self._next_address = now, FIRST_RETRY, 0
            self._take_back(now)
            self.notices.append(("connection", None, {"connected": False}))
        else:
            self.reason = max(self.reason, verdict or self._verdict, key=_RANK.index)
            self._next_address = (self._next_address + 1) % len(self._addresses)
            if self._next_address:
                return  # the next address is tried at once
            self.gave_up = not self._had_session
        self._retry_at = now + self._backoff
        longest = LONGEST_RETRY_OF_HOLDER if self.leases else LONGEST_RETRY
        self._backoff = min(2 * self._backoff, longest)
        self.tick(now)

    def feed(self, data: bytes, now: float) -> None:
        try:
            for line in self._lines.feed(data):
                if self.broken:
                    break
                self._read(decode(line), now)
        except Broken as broken:
            self.broken = str(broken)

    def tick(self, now: float) -> None:
        """Does what is due at `now`."""
        if self.state is GREETING and self._greeted + HELLO_SECONDS <= now:
            self.broken = "no answer to hello"
        alone = self._next_alone()
        if alone and self._lost_at + ALONE_SECONDS <= now:
            self._waiting.remove(alone)
            self._alone = Held(0, 1, alone.params)
            alone.finish(self._alone)
        for request in [r for r in self._waiting if r.deadline is not None and r.deadline <= now]:
            self._waiting.remove(request)
            request.finish(error=late(request))
        for request in list(self._asked.values()):
            if request.deadline is not None and request.deadline + GRACE_SECONDS <= now:
                self._give_up(request, late(request))

    def next_time(self) -> float:
        """When a request needs tick(); later than the `now` of the last one."""
        times = [r.deadline for r in self._waiting if r.deadline is not None]
        times += [r.deadline + GRACE_SECONDS for r in self._asked.values()
                  if r.deadline is not None]
        if self._next_alone():
            times.append(self._lost_at + ALONE_SECONDS)
        return min(times, default=math.inf)

    def io_time(self) -> float:
        """When the connection needs address() or tick()."""
        if self.state is GREETING:
            return self._greeted + HELLO_SECONDS
        return self._retry_at if self.state is DOWN and not self.gave_up else math.inf

    def close(self) -> None:
        """The user is done: whatever waits has failed."""
        for request in [*self._asked.values(), *self._waiting]:
            request.finish(error=Error("the pool was closed while this call waited"))
        self._asked.clear()
        self._waiting.clear()
        for held in [*self.leases.values(), self._alone]:
            if held:
                held.slots = 0
        self.leases.clear()

    # ---- calls ----

    def ask(self, params: Dict[str, Any], timeout: Optional[float], now: float) -> Request:
        """Asks for a lease, for `timeout` seconds or None; the value is a Held."""
        request = Request("acquire", params, None if timeout is None else now + timeout)
        self._id += 1
        request.id = self._id
        if self.state is UP:
            self._send(request, now)
        else:
            self._waiting.append(request)
            self.tick(now)
        return request

    def cancel(self, request: Request, now: float) -> Request:
        """Withdraws an acquire; the value is whether that was in time."""
        call = Request("cancel", {"id": request.id})
        if request.id in self._asked:
            call.subject = request
            return self._call(call, now)
        if request in self._waiting:
            self._waiting.remove(request)
            request.finish(error=Cancelled("the acquire was cancelled"))
            return call.finish(True)
        return call.finish(False)

    def abandon(self, request: Request, now: float) -> None:
        """Nobody waits for this acquire any more: what it gets or got is given back."""
        if request in self._waiting:
            self._waiting.remove(request)
        elif request.id in self._asked:
            self._give_up(request, Cancelled("the acquire was cancelled"))
        elif request.value is not None and request.value.slots:
            self.release(request.value, None, now)

    def release(self, held: Held, slots: Optional[int], now: float) -> None:
        """Gives back 1 to held.slots slots, all of them for None."""
        count = held.slots if slots is None else slots
        held.slots -= count
        held.returned += count
        if held is self._alone:
            self._alone = None
            self.tick(now)
        elif self.state is UP:
            self._notify_release(held, count)
        elif not held.slots:
            self._end(held)  # it will not be declared
            self.tick(now)

    def resize(self, held: Held, low: int, high: int, now: float) -> Request:
        """The value is the number of slots that the lease has then."""
        request = Request("resize", {"lease": held.number, "min": low, "max": high}, held=held)
        if held is not self._alone:
            return self._call(request, now)
        if low > 1:
            return request.finish(error=Unavailable("resize: there is one slot without arbiter"))
        return request.finish(1)

    def report(self, held: Held, members: Dict[str, Any], now: float) -> Request:
        """The value is whether the lease belongs to the process that was named."""
        request = Request("report", {"lease": held.number, **members}, held=held)
        return request.finish(False) if held is self._alone else self._call(request, now)

    def call(self, method: str, params: Dict[str, Any], now: float) -> Request:
        """status, set and subscribe; the value is the result."""
        self.subscribed = self.subscribed or method == "subscribe"
        return self._call(Request(method, params), now)

    # ---- inside ----

    def _call(self, request: Request, now: float) -> Request:
        self._id += 1
        request.id = self._id
        if self.state is UP:
            self._send(request, now)
        else:
            self._without_connection(request)
        return request

    def _send(self, request: Request, now: float) -> None:
        params = dict(request.params)
        if request.deadline is not None:
            left = request.deadline - now
            milliseconds = max(round(left * 1000), 1 if left > 0 else 0)
            if milliseconds <= LONGEST_TIMEOUT_MS:
                params["timeout_ms"] = milliseconds
        self.output += encode(request.method, params, request.id)
        self._asked[request.id] = request

    def _greeting(self) -> bytes:
        """The hello, with all leases that fit: their bounds are wider than a line's is."""
        hello = dict(self._hello)
        self._declared = []
        for members in (LEASE_MEMBERS, ("type", "memory", "pid", "start"), ("pid", "start")):
            held = list(self.leases.values())[:MOST_RESUMED]
            if held:
                hello["resume"] = [
                    {"lease": h.number, "slots": h.slots,
                     **{m: h.params[m] for m in members if m in h.params}} for h in held]
            self._declared = [(h, h.slots, h.params.get("pid")) for h in held]
            try:
                return encode("hello", hello, 0)
            except ValueError:
                continue
        raise AssertionError("the last of these always fits")

    def _read(self, message: Message, now: float) -> None:
        if message.kind == "request":
            self.output += encode_refusal(message.id, message.method)
        elif message.kind == "notification":
            self._notice(message.method, message.params)
        elif self.state is GREETING:
            if message.id == 0:
                self._welcome(message, now)
        elif isinstance(message.id, int) and message.id in self._asked:
            request = self._asked[message.id]
            if message.kind == "result":
                self._answer(request, message.result)  # if it is Broken, this is still asked
            elif message.code == -32006 and request.held:
                self._end(request.held)
            del self._asked[message.id]
            if message.kind == "error":
                request.finish(error=error_of(message.code, message.message))

    def _welcome(self, message: Message, now: float) -> None:
        if message.kind == "error":
            self._verdict = Reason.INCOMPATIBLE if message.code == -32002 else Reason.REFUSED
            self.broken = "the arbiter refused hello"
            return
        slots, numbers = message.result.get("slots", 0), message.result.get("resumed", [])
        if not is_whole(slots, 1) or (self._declared and (
                not isinstance(numbers, list) or len(numbers) != len(self._declared)
                or not all(is_whole(number, 0) for number in numbers))):
            raise Broken("an answer to hello without slots or resumed")
        self.state, self.slots, self._had_session = UP, slots, True
        left, self.leases = self.leases, {}
        for (held, declared, pid), number in zip(self._declared, numbers):
            left.pop(held.number, None)
            if not number:
                held.slots = 0
                continue
            held.number, self.leases[number] = number, held
            # Between hello and its answer the user went on.
            if held.slots != declared:
                self._notify_release(held, declared - held.slots)
            elif held.params.get("pid") != pid:
                owner = {m: held.params[m] for m in ("pid", "start") if m in held.params}
                self.output += encode("report", {"lease": number, **owner})
        for held in left.values():
            held.slots = 0
        if self.subscribed:
            self._call(Request("subscribe", {}), now)
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._send(request, now)
        self.notices.append(("connection", None, {"connected": True}))

    def _answer(self, request: Request, result: Dict[str, Any]) -> None:
        held = request.held
        if request.method == "acquire":
            number, slots = result.get("lease", 0), result.get("slots", 0)
            low, high = request.params["min"], request.params["max"]
            if not is_whole(number, 1) or not is_whole(slots, low, high) or number in self.leases:
                raise Broken("an answer to acquire without lease or slots")
            if request.abandoned:
                self.output += encode("release", {"lease": number})
                return
            params = {m: request.params[m] for m in LEASE_MEMBERS if m in request.params}
            held = self.leases[number] = Held(number, slots, params)
            held.paid = result["paid"] if is_whole(result.get("paid"), 0) else 0
            held.watched = result.get("watched") is True
            request.finish(held)
        elif request.method == "resize" and held:
            if not is_whole(result.get("slots"), 1):
                raise Broken("an answer to resize without slots")
            if held.slots:  # less what was given back since this was asked
                held.slots = max(1, result["slots"] - (held.returned - request.mark))
            request.finish(held.slots)
        elif request.method == "report" and held:
            if "pid" in request.params:
                self._own(held, request.params)
                held.watched = result.get("watched") is True
            request.finish(held.watched)
        elif request.method == "cancel":
            request.finish(result.get("cancelled") is True)
        else:
            if is_whole(result.get("slots"), 1):
                self.slots = result["slots"]
            request.finish(result)

    def _notice(self, method: str, params: Dict[str, Any]) -> None:
        if method == "event":
            if params.get("kind") == "set" and is_whole(params.get("slots"), 1):
                self.slots = params["slots"]
            self.notices.append((method, None, params))
        elif method in ("recall", "revoke"):
            number = params.get("lease")
            if is_whole(number, 1) and number in self.leases:
                self.notices.append((method, self.leases[number], params))

    def _take_back(self, now: float) -> None:
        """Decides what becomes of the calls that the lost connection has not answered."""
        asked, self._asked = self._asked, {}
        withdrawn = {call.subject for call in asked.values() if call.subject}
        again: List[Request] = []
        for request in asked.values():
            if request.method != "acquire":
                self._without_connection(request)
            elif request in withdrawn:
                request.finish(error=Cancelled("the acquire was cancelled"))
            elif not request.abandoned:
                again.append(request)
        self._waiting = again + self._waiting

    def _without_connection(self, request: Request) -> None:
        """Answers what need not wait for the arbiter; what the user changes is declared later."""
        if request.method == "report" and request.held:
            if "pid" in request.params:
                self._own(request.held, request.params)
            request.finish(False)
        elif request.method == "cancel":
            request.finish(True)
        else:
            request.finish(error=Error(f"{request.method}: the connection to the arbiter is lost; "
                                       "it is being made anew, try again later"))

    def _own(self, held: Held, params: Dict[str, Any]) -> None:
        for member in ("pid", "start"):
            held.params.pop(member, None)
            if member in params:
                held.params[member] = params[member]

    def _next_alone(self) -> Optional[Request]:
        """The request that one slot without an arbiter would serve, if one may be used so."""
        if self.state is UP or not self._had_session or self.leases or self._alone:
            return None
        return next((r for r in self._waiting if r.params["min"] == 1), None)

    def _give_up(self, request: Request, error: Error) -> None:
        """Withdraws an acquire that is on the wire, without waiting for what becomes of it."""
        request.abandoned, request.deadline = True, None
        if self.state is UP:
            self.output += encode("cancel", {"id": request.id})
        request.finish(error=error)

    def _notify_release(self, held: Held, count: int) -> None:
        params = {"lease": held.number}
        if held.slots:
            params["slots"] = count
        else:
            self._end(held)
        self.output += encode("release", params)

    def _end(self, held: Held) -> None:
        held.slots = 0
        self.leases.pop(held.number, None)
