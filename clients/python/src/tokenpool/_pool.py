"""The pool for programs with threads, or with one."""

from __future__ import annotations

import atexit
import math
import os
import selectors
import socket
import threading
import time
from types import TracebackType
from typing import Any, Dict, Mapping, Optional, Type

from ._base import BaseLease, BasePending, BasePool
from ._core import Core
from ._environment import Address, dial
from ._words import Error, Reason, Request, Unavailable

CLOSE_SECONDS = 1.0


def connect(name: Optional[str] = None, *, launcher: bool = False,
            environ: Optional[Mapping[str, str]] = None) -> "Pool":
    """The pool that the environment names. Never fails: see its `mode` and `reason`.

    name: of this program, for people. launcher: this process is the parent of one job and nothing
    else. environ: instead of os.environ.
    """
    return Pool(name, launcher, environ)


class Lease(BaseLease):
    """Slots to be used until release(), or until the end of the with block."""

    def resize(self, min: int, max: Optional[int] = None) -> int:
        """Has as many slots between min and max as can be had at once, and returns how many.

        Raises Unavailable if not even min can be had, Error if the arbiter cannot be asked; the
        lease is as it was then. To have fewer, release() works always.
        """
        return self._pool._result(self._resize(min, max))

    def report(self, *, pid: Optional[int] = None, start: Optional[int] = None,
               peak_memory: Optional[int] = None, cpu_seconds: Optional[float] = None,
               exit: Optional[int] = None) -> bool:
        """Tells what the job has cost, and to whom the lease belongs. Returns `watched`.

        Costs that the arbiter cannot be told because the connection is lost are forgotten.
        """
        return self._pool._result(self._report(pid=pid, start=start, peak_memory=peak_memory,
                                               cpu_seconds=cpu_seconds, exit=exit))

    def hand_to(self, pid: int, start: Optional[int] = None) -> bool:
        """The lease belongs to that process from now on, and ends with it.

        False: the arbiter cannot see that process, or cannot be asked now.
        """
        return self.report(pid=pid, start=start)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._leave()


class Pending(BasePending):
    """An acquire that is on its way."""

    def result(self, timeout: Optional[float] = None) -> Lease:
        """Waits for the lease. TimeoutError: not within `timeout` seconds; it stays on its way."""
        held = self._pool._result(self._request, timeout)
        if self._lease is None:
            self._lease = Lease(self._pool, held)
        return self._lease

    def cancel(self) -> bool:
        """False: it was answered already. True: result() raises Cancelled."""
        return self._pool._result(self._pool._do("cancel", self._request))


class Pool(BasePool):
    """Slots of an arbiter, or of whoever takes its place. Made by connect().

    Any thread may call anything. The functions for on_recall() and so on are called in a thread of
    the pool: they may release leases, but not wait for the pool.
    """

    def __init__(self, name: Optional[str], launcher: bool,
                 environ: Optional[Mapping[str, str]]) -> None:
        super().__init__(name, launcher, environ)
        self._lock = threading.Lock()
        self._socket: Optional[socket.socket] = None
        self._watched_fd: Optional[int] = None
        self._end_at = math.inf
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tokenpool", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        try:
            self._settled.wait()
        except BaseException:
            self.close()
            raise

    def acquire(self, min: int = 1, max: Optional[int] = None, *, type: Optional[str] = None,
                target: Optional[str] = None, memory: Optional[int] = None,
                priority: Optional[int] = None, pid: Optional[int] = None,
                start: Optional[int] = None, timeout: Optional[float] = None) -> Lease:
        """Waits for a lease of `min` to `max` slots (`max` is `min` where missing).

        type and target say what the job is, memory how many bytes it is expected to need, pid (with
        start) whose the lease is; timeout is in seconds. Raises Unavailable when the time is over,
        Impossible if there never will be that many slots.
        """
        request = self._ask(min, max, type=type, target=target, memory=memory,
                            priority=priority, pid=pid, start=start, timeout=timeout)
        try:
            return Lease(self, self._result(request))
        except BaseException:
            if not (self._closed or (request.done and request.error)):
                self._do("abandon", request)  # an interrupt; what comes is not wanted any more
            raise

    def try_acquire(self, min: int = 1, max: Optional[int] = None,
                    **members: Any) -> Optional[Lease]:
        """As acquire(), without waiting: None if it cannot be had now."""
        try:
            return self.acquire(min, max, timeout=0, **members)
        except Unavailable:
            return None

    def begin(self, min: int = 1, max: Optional[int] = None, **members: Any) -> Pending:
        """As acquire(), but returns at once; the lease comes with result()."""
        return Pending(self, self._ask(min, max, **members))

    def status(self) -> Dict[str, Any]:
        """What the arbiter knows, see tokenpool-protocol(7). Raises Error without an arbiter."""
        return self._result(self._do("call", "status", {}))

    def set(self, *, slots: Optional[int] = None, limits: Optional[Dict[str, Optional[int]]] = None,
            paused: Optional[bool] = None) -> Dict[str, Any]:
        """Changes the arbiter's pool and returns how it is now."""
        return self._result(self._set(slots, limits, paused))

    def close(self) -> None:
        """Ends the session, and with it all leases that were not handed to another process."""
        if self._closed or os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            self._sweep()
            self._engine.close()
            self._end_at = self._now() + CLOSE_SECONDS
            if self._socket:
                try:
                    self._socket.settimeout(CLOSE_SECONDS)
                    self._socket.sendall(self._engine.output)
                    self._socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # the connection is lost, and with it the session
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_SECONDS)
        atexit.unregister(self.close)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    # ---- waiting ----

    def _now(self) -> float:
        return time.monotonic()

    def _new_signal(self) -> threading.Event:
        return threading.Event()

    def _result(self, request: Request, timeout: Optional[float] = None) -> Any:
        end = math.inf if timeout is None else self._now() + timeout
        if threading.current_thread() is self._thread and not request.done:
            raise Error("the pool was asked to wait in one of its own callbacks")
        while not request.signal.is_set():
            with self._lock:
                # The thread may be busy with a connection: what is due is seen to here, too.
                now = self._now()
                self._engine.tick(now)
                due = min(self._engine.next_time(), end)
            left = min(due - now, threading.TIMEOUT_MAX)
            if not request.signal.wait(None if due == math.inf else max(left, 0)) and end <= now:
                raise TimeoutError(f"no answer to {request.method} within {timeout} s")
        return request.outcome()

    # ---- the thread ----

    def _run(self) -> None:
        while True:
            with self._lock:
                now = self._now()
                if self._closed and (self._socket is None or self._end_at <= now):
                    break
                self._sweep()
                self._engine.tick(now)
                self._kick()
                if self._engine.broken:
                    self._lose(None)
                address = None if self._socket else self._engine.address(now)
                if self._settle():
                    self._settled.set()
                self._watch()
                due = min(self._engine.next_time(), self._engine.io_time(), self._end_at)
                notices = self._take_notices()
            self._dispatch(notices)
            if address:
                self._dial(address)
            elif not notices:
                self._await_io(None if due == math.inf else max(due - now, 0))
        self._settled.set()
        with self._lock:
            if self._socket:
                self._socket.close()
            self._selector.close()
            self._bell.close()
            self._rope.close()

    def _await_io(self, seconds: Optional[float]) -> None:
        ready = [key.fileobj for key, _ in self._selector.select(seconds)]
        if self._bell in ready:
            self._bell.recv(4096)
        with self._lock:
            if self._socket and self._socket in ready:
                self._receive(self._socket)

    def _receive(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose(None)
        elif isinstance(self._engine, Core) and not self._closed:
            self._engine.feed(data, self._now())

    def _dial(self, address: Address) -> None:
        sock: Optional[socket.socket] = None
        try:
            sock = dial(address)
        except OSError:
            pass
        with self._lock:
            if not isinstance(self._engine, Core) or self._closed:
                if sock:
                    sock.close()
            elif sock:
                self._socket = sock
                self._selector.register(sock, selectors.EVENT_READ)
                self._engine.connected(self._now())
            else:
                self._lose(Reason.UNREACHABLE)

    def _lose(self, reason: Optional[Reason]) -> None:
        if self._socket:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None
        if isinstance(self._engine, Core) and not self._closed:
            self._engine.lost(self._now(), reason)

    def _kick(self) -> None:
        output = self._engine.output
        if self._socket and output and not self._closed:
            try:
                del output[:self._socket.send(output)]
            except OSError:
                pass  # full: the thread goes on with it; lost: the thread will read that
        if threading.current_thread() is not self._thread and (output or not self.connected):
            self._wake()

    def _watch(self) -> None:
        """Has the selector wait for what is of interest now."""
        if self._socket:
            events = selectors.EVENT_READ
            if self._engine.output and not self._closed:
                events |= selectors.EVENT_WRITE
            if self._selector.get_key(self._socket).events != events:
                self._selector.modify(self._socket, events)
        fd = None if self._closed else self._engine.fd
        if fd != self._watched_fd:
            if self._watched_fd is not None:
                self._selector.unregister(self._watched_fd)
            if fd is not None:
                self._selector.register(fd, selectors.EVENT_READ)
            self._watched_fd = fd

    def _wake(self) -> None:
        try:
            self._rope.send(b"!")
        except OSError:
            pass  # it is full, so that the thread wakes anyway; or it has ended
