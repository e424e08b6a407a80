"""What the pools and leases of both fronts (threads and asyncio) have in common."""

from __future__ import annotations

import logging
import os
import warnings
import weakref
from collections import deque
from typing import Any, Callable, ContextManager, Deque, Dict, List, Mapping, Optional, Tuple, Union

from ._core import UP, Core
from ._environment import find_arbiter, lease_of, short_name, start_of
from ._local import Jobserver, Local, open_jobserver
from ._wire import is_whole
from ._words import Error, Held, JobserverReason, Mode, NoSuchLease, Reason, Request

MOST_SLOTS = 512
Notices = List[Tuple[str, Optional[Held], Dict[str, Any]]]


def _given(**members: Any) -> Dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def _range(min: int, max: Optional[int]) -> Tuple[int, int]:
    high = min if max is None else max
    if not is_whole(min, 1, MOST_SLOTS) or not is_whole(high, min, MOST_SLOTS):
        raise ValueError(f"min={min!r}, max={max!r}: 1 <= min <= max <= {MOST_SLOTS}")
    return min, high


class BasePool:
    """Owns the engine: the protocol's Core, or Local without an arbiter."""

    mode: Mode
    reason: Reason                                # why it is this mode
    jobserver_reason: Optional[JobserverReason]   # in mode single: why there is no jobserver
    _lock: ContextManager[Any]

    def __init__(self, name: Optional[str], launcher: bool,
                 environ: Optional[Mapping[str, str]]) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._pid = os.getpid()
        self._closed = False
        self._callbacks: Dict[str, Callable[..., Any]] = {}
        self._dropped: Deque[Union[Held, Request]] = deque()
        self.jobserver_reason = None
        reason, addresses, cookie = find_arbiter(self._environ)
        self._engine: Union[Core, Local]
        if reason is None:
            self._engine = Core(_given(
                protocol=1, cookie=cookie, name=short_name(name), pid=self._pid,
                start=start_of(self._pid), lease=lease_of(self._environ),
                launcher=launcher or None), addresses)
        else:
            self._fall_back(reason)

    def __repr__(self) -> str:
        mode = getattr(self, "mode", None)
        return f"<tokenpool.{type(self).__name__} {mode.value if mode else 'connecting'}>"

    @property
    def slots(self) -> int:
        """Of the pool; 1 where that is not known."""
        return self._engine.slots

    @property
    def connected(self) -> bool:
        """Whether there is a session with an arbiter now."""
        return isinstance(self._engine, Core) and self._engine.state is UP

    def on_recall(self, call: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
        """call(lease, slots): give back down to that many slots when you can."""
        return self._on("recall", call)

    def on_revoke(self, call: Callable[[Any, str, int], Any]) -> Callable[[Any, str, int], Any]:
        """call(lease, reason, deadline_ms): end the job, release the lease and ask again later."""
        return self._on("revoke", call)

    def on_event(self, call: Callable[[Dict[str, Any]], Any]) -> Callable[[Dict[str, Any]], Any]:
        """call(event): what happens in the pool, see `subscribe` in tokenpool-protocol(7)."""
        self._on("event", call)
        if isinstance(self._engine, Core):
            self._do("call", "subscribe", {})
        return call

    def on_connection(self, call: Callable[[bool], Any]) -> Callable[[bool], Any]:
        """call(connected): the connection was lost, or is back with all leases declared."""
        return self._on("connection", call)

    # ---- for the fronts ----

    def _now(self) -> float:
        raise NotImplementedError

    def _kick(self) -> None:
        """Sends what is to be sent and sees to what is due. Called with the lock."""
        raise NotImplementedError

    def _wake(self) -> None:
        """Has _kick() called soon. May be called anywhere, also by the garbage collector."""
        raise NotImplementedError

    def _new_signal(self) -> Any:
        raise NotImplementedError

    def _on(self, method: str, call: Callable[..., Any]) -> Any:
        self._check()
        self._callbacks[method] = call
        return call

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise Error(f"this pool belongs to process {self._pid}, from which this process was "
                        "forked; call tokenpool.connect() here")
        if self._closed:
            raise Error("this pool is closed; call tokenpool.connect() for another one")

    def _do(self, call: str, *args: Any) -> Any:
        """Calls the engine; a Request gets its signal."""
        self._check()
        with self._lock:
            result = getattr(self._engine, call)(*args, self._now())
            if isinstance(result, Request):
                result.signal = self._new_signal()
                if result.done:
                    result.signal.set()
            self._kick()
        return result

    def _ask(self, min: int, max: Optional[int], *, type: Optional[str] = None,
             target: Optional[str] = None, memory: Optional[int] = None,
             priority: Optional[int] = None, pid: Optional[int] = None,
             start: Optional[int] = None, timeout: Optional[float] = None) -> Request:
        low, high = _range(min, max)
        if pid is not None and start is None:
            start = start_of(pid)
        params = _given(min=low, max=high, type=type, target=target, memory=memory,
                        priority=priority, pid=pid, start=start)
        return self._do("ask", params, timeout)

    def _set(self, slots: Optional[int] = None, limits: Optional[Dict[str, Optional[int]]] = None,
             paused: Optional[bool] = None) -> Request:
        return self._do("call", "set", _given(slots=slots, limits=limits, paused=paused))

    def _drop(self, gone: Union[Held, Request]) -> None:
        """From a destructor: nobody has this any more. Whatever thread that is, it may hold the
        lock; so it is only noted here."""
        if not self._closed and os.getpid() == self._pid:
            self._dropped.append(gone)
            self._wake()

    def _fall_back(self, reason: Reason) -> None:
        """There is no arbiter: whom MAKEFLAGS names, or nobody."""
        self.reason = reason
        jobserver, slots = open_jobserver(self._environ)
        if isinstance(jobserver, Jobserver):
            self.mode, self._engine = Mode.JOBSERVER, Local(jobserver, slots)
        else:
            self.mode, self._engine = Mode.SINGLE, Local(None, 1)
            self.jobserver_reason = jobserver

    def _settle(self) -> bool:
        """Whether it is known now whom to ask; mode and reason tell then."""
        if not hasattr(self, "mode"):
            if self.connected:
                self.mode, self.reason = Mode.PROTOCOL, Reason.OK
            elif isinstance(self._engine, Core) and self._engine.gave_up:
                self._fall_back(self._engine.reason)
        return hasattr(self, "mode")

    def _sweep(self) -> None:
        """Gives back what was forgotten. Called with the lock."""
        while self._dropped:
            gone = self._dropped.popleft()
            if isinstance(gone, Request):
                self._engine.abandon(gone, self._now())
            elif gone.slots:
                self._engine.release(gone, None, self._now())

    def _take_notices(self) -> Notices:
        notices, self._engine.notices = self._engine.notices, []
        return notices

    def _dispatch(self, notices: Notices) -> None:
        """Calls the user's functions. Called without the lock."""
        for method, held, params in notices:
            call = self._callbacks.get(method)
            lease = held.handle() if held and held.handle else None
            if not call or (held and not lease):
                continue
            try:
                if method == "recall":
                    call(lease, params.get("slots", 0))
                elif method == "revoke":
                    call(lease, params.get("reason", ""), params.get("deadline_ms", 0))
                else:
                    call(params["connected"] if method == "connection" else params)
            except Exception:
                logging.getLogger("tokenpool").exception("the function for %s has failed", method)


class BasePending:
    """An acquire that is on its way."""

    def __init__(self, pool: Any, request: Request) -> None:
        self._pool, self._request = pool, request
        self._lease: Any = None

    def done(self) -> bool:
        return self._request.done

    def __del__(self) -> None:
        if self._lease is None:
            self._pool._drop(self._request)


class BaseLease:
    """Slots that this process, or the one that it was handed to, may use until release()."""

    def __init__(self, pool: Any, held: Held) -> None:
        self._pool = pool
        self._held = held
        held.handle = weakref.ref(self)

    @property
    def id(self) -> int:
        """The arbiter's number for it, for TOKENPOOL_LEASE of a child; 0 without an arbiter."""
        return self._held.number

    @property
    def slots(self) -> int:
        """What it has left; 0 when it has ended."""
        return self._held.slots

    @property
    def paid(self) -> int:
        """As many of its slots as somebody else had paid for when it was granted."""
        return self._held.paid

    @property
    def watched(self) -> bool:
        """Whether it ends with the process that it was given or handed to."""
        return self._held.watched

    def release(self, slots: Optional[int] = None) -> int:
        """Gives back that many slots, all of them for None. Returns what is left."""
        if self._held.slots and not self._pool._closed:
            if slots is not None and not is_whole(slots, 1, self._held.slots):
                raise ValueError(f"release of {slots!r} slots of a lease of {self._held.slots}")
            self._pool._do("release", self._held, slots)
        return self._held.slots

    def _resize(self, min: int, max: Optional[int]) -> Request:
        return self._on_lease("resize", *_range(min, max))

    def _report(self, pid: Optional[int] = None, start: Optional[int] = None,
                **costs: Any) -> Request:
        if pid is not None and start is None:
            start = start_of(pid)
        return self._on_lease("report", _given(pid=pid, start=start, **costs))

    def _on_lease(self, call: str, *args: Any) -> Request:
        if not self._held.slots:
            raise NoSuchLease(f"{call}: this lease has ended")
        return self._pool._do(call, self._held, *args)

    def _leave(self) -> None:
        """At the end of a with block, which a forked child or a closed pool may reach, too."""
        if os.getpid() == self._pool._pid:
            self.release()

    def __repr__(self) -> str:
        return f"<tokenpool.{type(self).__name__} {self.id} of {self.slots} slots>"

    def __del__(self) -> None:
        if self._held.slots and not self._pool._closed and os.getpid() == self._pool._pid:
            what = repr(self)
            self._pool._drop(self._held)
            warnings.warn(f"{what} was not released", ResourceWarning, source=self)
