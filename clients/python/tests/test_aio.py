"""The pool for asyncio, against the same arbiter; the arbiter's side runs in other threads."""

import asyncio
import gc
import unittest
import warnings

from support import Arbiter, Fifo

import tokenpool
from tokenpool import Cancelled, Mode, Reason, Unavailable


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.arbiter = Arbiter()
        self.addCleanup(self.arbiter.__exit__)

    def aside(self, call, *args, **members):
        """Does the arbiter's part in a thread; to be awaited."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(None, lambda: call(*args, **members))

    async def connect(self):
        opening = asyncio.ensure_future(
            tokenpool.aio.connect(name="t", environ=self.arbiter.environ()))
        session = await self.aside(self.arbiter.accept)
        await self.aside(session.welcome)
        pool = await opening
        self.addAsyncCleanup(pool.close)
        self.addCleanup(session.close)
        return pool, session

    async def lease(self, pool, session, number, slots, keep=True):
        pending = pool.begin(min=1, max=slots)
        await self.aside(session.grant, number, slots)
        lease = await pending.result()
        if keep:
            self.addCleanup(lease.release)
        return lease


class Calls(Case):
    async def test_acquire_and_release(self):
        pool, session = await self.connect()
        self.assertEqual((pool.mode, pool.reason, pool.slots), (Mode.PROTOCOL, Reason.OK, 8))
        granting = self.aside(session.grant, 9, 2)
        async with pool.acquire(max=2, type="link") as lease:
            self.assertEqual((lease.id, lease.slots), (9, 2))
        self.assertEqual(await granting, {"min": 1, "max": 2, "type": "link"})
        self.assertEqual((await self.aside(session.read, "release"))["params"], {"lease": 9})

    async def test_other_calls(self):
        pool, session = await self.connect()
        lease = await self.lease(pool, session, 9, 1)
        for call, method, result, wanted in (
                (lease.resize(2), "resize", {"slots": 2}, 2),
                (lease.report(exit=1), "report", {}, False),
                (lease.hand_to(1, 2), "report", {"watched": True}, True),
                (pool.status(), "status", {"free": 1}, {"free": 1}),
                (pool.set(slots=3), "set", {"slots": 3}, {"slots": 3})):
            calling = asyncio.ensure_future(call)
            session.answer(await self.aside(session.read, method), **result)
            self.assertEqual(await calling, wanted)

    async def test_try_and_errors(self):
        pool, session = await self.connect()
        trying = asyncio.ensure_future(pool.try_acquire())
        session.refuse(await self.aside(session.read, "acquire"), -32003)
        self.assertIsNone(await trying)
        asking = asyncio.ensure_future(pool.acquire())
        session.refuse(await self.aside(session.read, "acquire"), -32003)
        with self.assertRaises(Unavailable):
            await asking

    async def test_a_cancelled_task_withdraws_its_request(self):
        pool, session = await self.connect()
        asking = asyncio.ensure_future(pool.acquire())
        request = await self.aside(session.read, "acquire")
        asking.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await asking
        cancel = await self.aside(session.read, "cancel")
        self.assertEqual(cancel["params"], {"id": request["id"]})
        session.answer(request, lease=9, slots=1)
        self.assertEqual((await self.aside(session.read, "release"))["params"], {"lease": 9})

    async def test_pending_cancel(self):
        pool, session = await self.connect()
        pending = pool.begin()
        request = await self.aside(session.read, "acquire")
        cancelling = asyncio.ensure_future(pending.cancel())
        session.answer(await self.aside(session.read, "cancel"), cancelled=True)
        session.refuse(request, -32004)
        self.assertIs(await cancelling, True)
        with self.assertRaises(Cancelled):
            await pending.result()

    async def test_a_lease_that_is_dropped_is_released(self):
        pool, session = await self.connect()
        lease = await self.lease(pool, session, 9, 1, keep=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del lease
            gc.collect()
        self.assertEqual([w.category for w in caught], [ResourceWarning])
        self.assertEqual((await self.aside(session.read, "release"))["params"], {"lease": 9})

    async def test_notices(self):
        pool, session = await self.connect()
        lease = await self.lease(pool, session, 9, 2)
        told = asyncio.Queue()
        pool.on_recall(lambda *what: told.put_nowait(what))
        pool.on_event(told.put_nowait)
        session.answer(await self.aside(session.read, "subscribe"))
        session.send(method="recall", params={"lease": 9, "slots": 1})
        session.send(method="event", params={"kind": "queued"})
        self.assertEqual(await told.get(), (lease, 1))
        self.assertEqual(await told.get(), {"kind": "queued"})

    async def test_close(self):
        pool, session = await self.connect()
        lease, pending = await self.lease(pool, session, 9, 1), pool.begin()
        await self.aside(session.read, "acquire")
        await pool.close()
        self.assertIsNone(await self.aside(session.read))
        with self.assertRaisesRegex(tokenpool.Error, "closed"):
            await pending.result()
        self.assertEqual(lease.release(), 0)


class Lost(Case):
    async def test_resumes(self):
        pool, session = await self.connect()
        lease = await self.lease(pool, session, 7, 2)
        asking = asyncio.ensure_future(pool.acquire())
        await self.aside(session.read, "acquire")
        told = asyncio.Queue()
        pool.on_connection(told.put_nowait)
        self.arbiter.deafen()
        session.close()
        self.assertIs(await told.get(), False)
        self.assertIsNone(await pool.try_acquire())
        self.arbiter.listen()
        session = await self.aside(self.arbiter.accept)
        hello = await self.aside(session.welcome, resumed=[70])
        self.assertEqual(hello["resume"], [{"lease": 7, "slots": 2}])
        await self.aside(session.grant, 71, 1)
        acquired = await asking
        self.assertEqual((lease.id, acquired.id), (70, 71))
        acquired.release()
        self.assertIs(await told.get(), True)

    async def test_a_broken_answer_is_a_lost_connection(self):
        pool, session = await self.connect()
        session.sock.sendall(b"nonsense\n")
        self.assertIsNone(await self.aside(session.read))
        session = await self.aside(self.arbiter.accept)
        await self.aside(session.welcome)


class WithoutArbiter(unittest.IsolatedAsyncioTestCase):
    async def test_nobody_there(self):
        environ = {"TOKENPOOL_ADDR": "unix:/no/such/socket", "TOKENPOOL_COOKIE": "a" * 64}
        async with tokenpool.aio.connect(environ=environ) as pool:
            self.assertEqual((pool.mode, pool.reason), (Mode.SINGLE, Reason.UNREACHABLE))

    async def test_jobserver(self):
        with Fifo(b"ab") as fifo:
            async with tokenpool.aio.connect(environ=fifo.environ()) as pool:
                self.assertEqual(pool.mode, Mode.JOBSERVER)
                async with pool.acquire(max=2) as lease:
                    self.assertEqual((lease.slots, fifo.tokens()), (2, b"b"))
                    pending = pool.begin(min=3)
                    fifo.add(b"cd")
                    other = await pending.result()
                    self.assertEqual(fifo.tokens(), b"")
                self.assertEqual(other.slots, 3)
            self.assertEqual(fifo.tokens(), b"abcd")

    async def test_single(self):
        async with tokenpool.aio.connect(environ={}) as pool:
            async with pool.acquire() as lease:
                self.assertIsNone(await pool.try_acquire())
                pending = pool.begin()
                lease.release()
                (await pending.result()).release()
            with self.assertRaises(Unavailable):
                async with pool.acquire():
                    await pool.acquire(timeout=0.01)


if __name__ == "__main__":
    unittest.main()
