"""The pool for asyncio, with the calls of the other one:

    async with tokenpool.aio.connect(name="mytool") as pool:
        async with pool.acquire(max=2) as lease:
            ...

A pool and its leases belong to one event loop. release() needs no await.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
from typing import Any, Awaitable, Callable, Dict, Generator, Generic, Mapping, Optional, TypeVar

from ._base import BaseLease, BasePending, BasePool
from ._core import Core
from ._environment import dial
from ._words import Reason, Request, Unavailable

CLOSE_SECONDS = 1.0
T = TypeVar("T")


class Entering(Generic[T]):
    """What can be awaited, or entered with `async with`, which also ends it."""

    def __init__(self, start: Callable[[], Awaitable[T]], end: Callable[[T], Any]) -> None:
        self._start, self._end = start, end

    def __await__(self) -> Generator[Any, None, T]:
        return self._start().__await__()

    async def __aenter__(self) -> T:
        self._entered = await self._start()
        return self._entered

    async def __aexit__(self, *error: Any) -> None:
        end = self._end(self._entered)
        if end is not None:
            await end


def connect(name: Optional[str] = None, *, launcher: bool = False,
            environ: Optional[Mapping[str, str]] = None) -> Entering["Pool"]:
    """The pool that the environment names. Never fails: see its `mode` and `reason`."""
    async def start() -> Pool:
        pool = Pool(name, launcher, environ)
        try:
            await pool._settled.wait()
        except BaseException:
            await pool.close()
            raise
        return pool
    return Entering(start, Pool.close)


class Lease(BaseLease):
    """Slots to be used until release(), or until the end of the async with block."""

    async def resize(self, min: int, max: Optional[int] = None) -> int:
        """See tokenpool.Lease.resize."""
        return await self._pool._result(self._resize(min, max))

    async def report(self, *, pid: Optional[int] = None, start: Optional[int] = None,
                     peak_memory: Optional[int] = None, cpu_seconds: Optional[float] = None,
                     exit: Optional[int] = None) -> bool:
        """See tokenpool.Lease.report."""
        return await self._pool._result(self._report(
            pid=pid, start=start, peak_memory=peak_memory, cpu_seconds=cpu_seconds, exit=exit))

    async def hand_to(self, pid: int, start: Optional[int] = None) -> bool:
        """See tokenpool.Lease.hand_to."""
        return await self.report(pid=pid, start=start)


class Pending(BasePending):
    """An acquire that is on its way."""

    async def result(self) -> Lease:
        """Waits for the lease. To be cancelled as any coroutine: the request stays on its way."""
        held = await self._pool._result(self._request)
        if self._lease is None:
            self._lease = Lease(self._pool, held)
        return self._lease

    async def cancel(self) -> bool:
        """False: it was answered already. True: result() raises Cancelled."""
        return await self._pool._result(self._pool._do("cancel", self._request))


class Pool(BasePool):
    """Slots of an arbiter, or of whoever takes its place. Made by connect()."""

    def __init__(self, name: Optional[str], launcher: bool,
                 environ: Optional[Mapping[str, str]]) -> None:
        super().__init__(name, launcher, environ)
        self._lock = contextlib.nullcontext()  # one loop, one thread
        self._loop = asyncio.get_running_loop()
        self._transport: Optional[asyncio.Transport] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._dialing: Optional[asyncio.Task[None]] = None
        self._watched_fd: Optional[int] = None
        self._settled, self._gone = asyncio.Event(), asyncio.Event()
        self._kick()

    def acquire(self, min: int = 1, max: Optional[int] = None,
                **members: Any) -> Entering[Lease]:
        """See tokenpool.Pool.acquire. To be awaited, or entered with `async with`."""
        async def start() -> Lease:
            request = self._ask(min, max, **members)
            try:
                return Lease(self, await self._result(request))
            except BaseException:
                if not (self._closed or (request.done and request.error)):
                    self._do("abandon", request)  # what comes is not wanted any more
                raise
        return Entering(start, Lease._leave)

    async def try_acquire(self, min: int = 1, max: Optional[int] = None,
                          **members: Any) -> Optional[Lease]:
        """As acquire(), without waiting: None if it cannot be had now."""
        try:
            return await self.acquire(min, max, timeout=0, **members)
        except Unavailable:
            return None

    def begin(self, min: int = 1, max: Optional[int] = None, **members: Any) -> Pending:
        """As acquire(), but asks at once; the lease comes with result()."""
        return Pending(self, self._ask(min, max, **members))

    async def status(self) -> Dict[str, Any]:
        """See tokenpool.Pool.status."""
        return await self._result(self._do("call", "status", {}))

    async def set(self, **members: Any) -> Dict[str, Any]:
        """slots, limits, paused: see tokenpool.Pool.set."""
        return await self._result(self._set(**members))

    async def close(self) -> None:
        """Ends the session, and with it all leases that were not handed to another process."""
        if self._closed or os.getpid() != self._pid:
            return
        self._sweep()
        self._engine.close()
        self._write()
        self._closed = True
        self._watch(None, math.inf)
        if self._dialing:
            self._dialing.cancel()
        self._settled.set()
        if self._transport:
            self._transport.close()  # sends what is left first
            try:
                await asyncio.wait_for(self._gone.wait(), CLOSE_SECONDS)
            except asyncio.TimeoutError:
                self._transport.abort()

    # ---- inside ----

    async def _result(self, request: Request) -> Any:
        await request.signal.wait()
        return request.outcome()

    def _now(self) -> float:
        return self._loop.time()

    def _new_signal(self) -> asyncio.Event:
        return asyncio.Event()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._kick)
        except RuntimeError:
            pass  # the loop is closed, and with it the connection

    def _write(self) -> None:
        if self._transport and self._engine.output:
            self._transport.write(bytes(self._engine.output))
            self._engine.output.clear()

    def _kick(self) -> None:
        if self._closed:
            return
        self._sweep()
        self._engine.tick(self._now())
        self._write()
        if self._engine.broken and self._transport:
            self._transport.abort()  # connection_lost() follows
        if self._settle():
            self._settled.set()
        if not self._transport and not self._dialing and self._engine.address(self._now()):
            self._dialing = self._loop.create_task(self._dial())
        io_time = math.inf if self._dialing else self._engine.io_time()
        self._watch(self._engine.fd, min(self._engine.next_time(), io_time))
        notices = self._take_notices()
        if notices:
            self._loop.call_soon(self._dispatch, notices)

    def _watch(self, fd: Optional[int], due: float) -> None:
        """Has the loop wait for what is of interest now."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if due != math.inf:
            self._timer = self._loop.call_at(due, self._kick)
        if fd != self._watched_fd:
            if self._watched_fd is not None:
                self._loop.remove_reader(self._watched_fd)
            if fd is not None:
                self._loop.add_reader(fd, self._kick)
            self._watched_fd = fd

    async def _dial(self) -> None:
        """Connects to the next address; what follows is up to _Wire."""
        assert isinstance(self._engine, Core)
        address = self._engine.address(self._now())
        assert address
        future = self._loop.run_in_executor(None, dial, address)
        try:
            sock = await asyncio.shield(future)
            if address[0] == "unix":
                await self._loop.create_unix_connection(lambda: _Wire(self), sock=sock)
            else:
                await self._loop.create_connection(lambda: _Wire(self), sock=sock)
        except OSError:
            self._engine.lost(self._now(), Reason.UNREACHABLE)
        except asyncio.CancelledError:
            future.add_done_callback(_discard)
            raise
        finally:
            self._dialing = None
            self._kick()


def _discard(dialed: "asyncio.Future[socket.socket]") -> None:
    if not dialed.cancelled() and not dialed.exception():
        dialed.result().close()


class _Wire(asyncio.Protocol):
    """The connection, as the loop sees it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pool = self._pool
        pool._gone.clear()
        pool._transport = transport  # type: ignore[assignment]
        pool._engine.connected(pool._now())  # type: ignore[union-attr]
        pool._kick()

    def data_received(self, data: bytes) -> None:
        pool = self._pool
        if not pool._closed:
            pool._engine.feed(data, pool._now())  # type: ignore[union-attr]
            pool._kick()

    def connection_lost(self, error: Optional[Exception]) -> None:
        pool = self._pool
        pool._transport = None
        pool._gone.set()
        if not pool._closed:
            pool._engine.lost(pool._now())  # type: ignore[union-attr]
            pool._kick()
