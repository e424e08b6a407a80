"""The words that the clients of all languages share: modes, reasons, errors; what a request is."""

from __future__ import annotations

import enum
import weakref
from typing import Any, Dict, List, Optional


class Mode(enum.Enum):
    """Whom the pool asks for slots."""
    PROTOCOL = "protocol"    # an arbiter
    JOBSERVER = "jobserver"  # the GNU make jobserver that MAKEFLAGS names
    SINGLE = "single"        # nobody: there is the one slot that this process runs on


class Reason(enum.Enum):
    """Why the pool is in its mode: OK, or why there is no arbiter."""
    OK = "ok"
    NO_ADDRESS = "no-address"      # TOKENPOOL_ADDR is not set or empty
    BAD_ADDRESS = "bad-address"    # no address in it can be understood
    NO_COOKIE = "no-cookie"        # TOKENPOOL_COOKIE is not set or empty
    BAD_COOKIE = "bad-cookie"      # it is not 64 hexadecimal digits
    UNREACHABLE = "unreachable"    # nobody listens at any address
    NO_ANSWER = "no-answer"        # no answer to hello in time, or none that can be understood
    INCOMPATIBLE = "incompatible"  # version 1 of the protocol is not spoken there
    REFUSED = "refused"            # the cookie is another one, or the arbiter takes nobody


class JobserverReason(enum.Enum):
    """Why there is no GNU make jobserver either."""
    NO_MAKEFLAGS = "no-makeflags"    # MAKEFLAGS is not set or empty
    NO_JOBSERVER = "no-jobserver"    # it names none
    BAD_JOBSERVER = "bad-jobserver"  # what it names cannot be understood
    CANNOT_OPEN = "cannot-open"      # the FIFO or the descriptors
    NOT_A_PIPE = "not-a-pipe"
    UNSUPPORTED = "unsupported"      # a semaphore of Windows


class Error(Exception):
    """A call has failed. `code` is the arbiter's, or 0 where this client found the error itself."""
    code = 0


class Unavailable(Error):
    """Not to be had now, or the time is over."""
    code = -32003


class Cancelled(Error):
    """The request was withdrawn."""
    code = -32004


class Impossible(Error):
    """More slots than there will ever be."""
    code = -32005


class NoSuchLease(Error):
    """The arbiter knows no such lease of this session."""
    code = -32006


_KINDS = {kind.code: kind for kind in (Unavailable, Cancelled, Impossible, NoSuchLease)}


def error_of(code: int, message: str) -> Error:
    """The error for an arbiter's `code`."""
    error = _KINDS.get(code, Error)(message)
    error.code = code
    return error


class Held:
    """What a lease is to the engines. `number` may change when a session is resumed."""

    def __init__(self, number: int, slots: int, params: Dict[str, Any]) -> None:
        self.number = number
        self.slots = slots       # 0: the lease has ended
        self.params = params     # type, target, memory, priority, pid, start
        self.paid = 0
        self.watched = False
        self.returned = 0        # slots given back so far
        self.tokens: List[bytes] = []  # of the jobserver; what is beyond is the implicit slot
        self.handle: Optional[weakref.ref[Any]] = None  # the user's object


class Request:
    """A call whose answer is awaited. `signal` is set when it is there."""

    def __init__(self, method: str, params: Dict[str, Any], deadline: Optional[float] = None,
                 held: Optional[Held] = None) -> None:
        self.method = method
        self.params = params
        self.deadline = deadline  # seconds on the front's clock
        self.held = held
        self.mark = held.returned if held else 0
        self.id = -1
        self.subject: Optional[Request] = None  # of a cancel
        self.abandoned = False
        self.done = False
        self.value: Any = None
        self.error: Optional[Error] = None
        self.signal: Any = None

    def finish(self, value: Any = None, error: Optional[Error] = None) -> "Request":
        if not self.done:
            self.done, self.value, self.error = True, value, error
            if self.signal is not None:
                self.signal.set()
        return self

    def outcome(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


def late(request: Request) -> Error:
    low, high = request.params["min"], request.params["max"]
    want = f"{low}" if low == high else f"{low} to {high}"
    return Unavailable(f"acquire of {want} slots: not to be had in the time given; try again later")
