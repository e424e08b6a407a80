"""The pool with threads, against an arbiter that does what the test says."""

import gc
import logging
import os
import threading
import unittest
import warnings

from support import COOKIE, Arbiter, Aside, Fifo

import tokenpool
from tokenpool import Cancelled, Mode, Reason, Unavailable


class Case(unittest.TestCase):
    def setUp(self):
        self.arbiter = self.enter(Arbiter())

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def connect(self, **environ):
        """A pool with its session; self.hello is what it said."""
        opening = Aside(tokenpool.connect, name="t", environ=self.arbiter.environ(**environ))
        session = self.arbiter.accept()
        self.hello = session.welcome()
        pool = opening.result()
        self.addCleanup(pool.close)
        self.addCleanup(self.arbiter.hang_up)
        return pool, session

    def lease(self, pool, session, number, slots, keep=True, **members):
        pending = pool.begin(min=1, max=slots, **members)
        session.grant(number, slots)
        lease = pending.result()
        if keep:
            self.addCleanup(lease.release)
        return lease


class Connect(Case):
    def test_hello(self):
        pool, _ = self.connect(TOKENPOOL_LEASE="42")
        self.assertEqual((pool.mode, pool.reason, pool.jobserver_reason, pool.slots),
                         (Mode.PROTOCOL, Reason.OK, None, 8))
        wanted = {"protocol": 1, "cookie": COOKIE, "name": "t", "pid": os.getpid(), "lease": 42}
        if os.path.exists("/proc/self/stat"):
            wanted["start"] = self.hello["start"]
            self.assertIsInstance(wanted["start"], int)
        self.assertEqual(self.hello, wanted)

    def test_launcher(self):
        opening = Aside(tokenpool.connect, launcher=True, environ=self.arbiter.environ())
        session = self.arbiter.accept()
        self.assertIs(session.welcome()["launcher"], True)
        pool = opening.result()
        session.close()
        pool.close()

    def test_the_first_address_that_answers(self):
        addr = f"unix:{self.arbiter.path}.no;nonsense;unix:{self.arbiter.path}"
        pool, _ = self.connect(TOKENPOOL_ADDR=addr)
        self.assertEqual(pool.reason, Reason.OK)

    def test_nobody_there(self):
        self.arbiter.deafen()
        with Fifo(b"+") as fifo:
            environ = self.arbiter.environ(**fifo.environ())
            with tokenpool.connect(environ=environ) as pool:
                self.assertEqual((pool.mode, pool.reason), (Mode.JOBSERVER, Reason.UNREACHABLE))
                with pool.acquire(max=2) as lease:
                    self.assertEqual(lease.slots, 2)
        self.arbiter.listen()

    def test_refused(self):
        for code, reason in ((-32001, Reason.REFUSED), (-32002, Reason.INCOMPATIBLE)):
            opening = Aside(tokenpool.connect, environ=self.arbiter.environ())
            session = self.arbiter.accept()
            session.refuse(session.read("hello"), code)
            pool = opening.result()
            self.assertEqual((pool.mode, pool.reason), (Mode.SINGLE, reason))
            self.assertIsNone(session.read())
            pool.close()

    def test_closed_before_an_answer(self):
        opening = Aside(tokenpool.connect, environ=self.arbiter.environ())
        session = self.arbiter.accept()
        session.read("hello")
        session.close()
        pool = opening.result()
        self.assertEqual((pool.mode, pool.reason), (Mode.SINGLE, Reason.NO_ANSWER))
        pool.close()

    def test_the_cookie_is_told_to_nobody(self):
        pool, session = self.connect()
        lease = self.lease(pool, session, 9, 1)
        asking = Aside(pool.status)
        session.refuse(session.read("status"), -32603, "failed")
        with self.assertRaises(tokenpool.Error) as caught:
            asking.result()
        told = [repr(x) for x in (pool, lease, caught.exception, pool._engine, pool._engine._asked)]
        self.assertNotIn(COOKIE, "".join(told))


class Leases(Case):
    def test_acquire_and_release(self):
        pool, session = self.connect()
        acquiring = Aside(pool.acquire, min=1, max=4, type="link", target="app", timeout=60)
        params = session.grant(9, 3)
        self.assertEqual(params, {"min": 1, "max": 4, "type": "link", "target": "app",
                                  "timeout_ms": 60000})
        with acquiring.result() as lease:
            self.assertEqual((lease.id, lease.slots), (9, 3))
            self.assertEqual(lease.release(1), 2)
            with self.assertRaises(ValueError):
                lease.release(3)
        self.assertEqual((lease.release(), lease.slots), (0, 0))
        self.assertEqual(session.read(), {"jsonrpc": "2.0", "method": "release",
                                          "params": {"lease": 9, "slots": 1}})
        self.assertEqual(session.read(), {"jsonrpc": "2.0", "method": "release",
                                          "params": {"lease": 9}})
        with self.assertRaises(tokenpool.NoSuchLease):
            lease.resize(2)

    def test_arguments_that_make_no_sense(self):
        pool, _ = self.connect()
        for low, high in ((0, 1), (2, 1), (1, 513), (True, 1), (1.5, 2)):
            with self.assertRaises(ValueError):
                pool.acquire(low, high)
        with self.assertRaises(TypeError):
            pool.begin(colour="red")

    def test_try_acquire(self):
        pool, session = self.connect()
        trying = Aside(pool.try_acquire, type="link")
        request = session.read("acquire")
        self.assertEqual(request["params"]["timeout_ms"], 0)
        session.refuse(request, -32003)
        self.assertIsNone(trying.result())

    def test_errors(self):
        pool, session = self.connect()
        acquiring = Aside(pool.acquire, 99)
        session.refuse(session.read("acquire"), -32005, "99 slots are more than 8")
        with self.assertRaisesRegex(tokenpool.Impossible, "99 slots are more than 8"):
            acquiring.result()

    def test_many_threads(self):
        pool, session = self.connect()
        calls = [Aside(pool.acquire) for _ in range(20)]
        requests = [session.read("acquire") for _ in calls]
        for request in reversed(requests):
            session.answer(request, lease=request["id"] + 100, slots=1)
        leases = [call.result() for call in calls]
        self.assertEqual(len({lease.id for lease in leases}), 20)
        releases = [Aside(lease.release) for lease in leases]
        for release in releases:
            release.result()
        self.assertEqual({session.read("release")["params"]["lease"] for _ in leases},
                         {request["id"] + 100 for request in requests})

    def test_pending(self):
        pool, session = self.connect()
        first, second = pool.begin(), pool.begin()
        request = session.read("acquire")
        session.read("acquire")
        with self.assertRaises(TimeoutError):
            first.result(timeout=0)
        cancelling = Aside(first.cancel)
        cancel = session.read("cancel")
        self.assertEqual(cancel["params"], {"id": request["id"]})
        session.answer(cancel, cancelled=True)
        session.refuse(request, -32004)
        self.assertIs(cancelling.result(), True)
        with self.assertRaises(Cancelled):
            first.result()
        self.assertFalse(second.done())

    def test_calls(self):
        pool, session = self.connect()
        lease = self.lease(pool, session, 9, 2)
        for call, method, params, result, wanted in (
                (lambda: lease.resize(1, 4), "resize", {"lease": 9, "min": 1, "max": 4},
                 {"slots": 4}, 4),
                (lambda: lease.report(peak_memory=5, cpu_seconds=1.5, exit=0), "report",
                 {"lease": 9, "peak_memory": 5, "cpu_seconds": 1.5, "exit": 0}, {}, False),
                (lambda: lease.hand_to(1, 2), "report", {"lease": 9, "pid": 1, "start": 2},
                 {"watched": True}, True),
                (pool.status, "status", {}, {"free": 3}, {"free": 3}),
                (lambda: pool.set(slots=5, limits={"link": None}, paused=False), "set",
                 {"slots": 5, "limits": {"link": None}, "paused": False}, {"slots": 5},
                 {"slots": 5})):
            calling = Aside(call)
            request = session.read(method)
            self.assertEqual(request.get("params", {}), params)
            session.answer(request, **result)
            self.assertEqual(calling.result(), wanted)
        self.assertEqual((lease.slots, lease.watched, pool.slots), (4, True, 5))

    def test_a_lease_that_is_dropped_is_released(self):
        pool, session = self.connect()
        lease = self.lease(pool, session, 9, 1, keep=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del lease
            gc.collect()
        self.assertEqual([w.category for w in caught], [ResourceWarning])
        self.assertEqual(session.read("release")["params"], {"lease": 9})

    def test_a_request_that_is_dropped_is_withdrawn(self):
        pool, session = self.connect()
        pending = pool.begin()
        request = session.read("acquire")
        del pending
        gc.collect()
        self.assertEqual(session.read("cancel")["params"], {"id": request["id"]})
        session.answer(request, lease=9, slots=1)
        self.assertEqual(session.read("release")["params"], {"lease": 9})

    def test_close_ends_the_session(self):
        pool, session = self.connect()
        lease, waiting = self.lease(pool, session, 9, 1), Aside(pool.acquire)
        session.read("acquire")
        closing = Aside(pool.close)
        self.assertIsNone(session.read())
        session.close()
        closing.result()
        for call in (waiting.result, pool.acquire, pool.status):
            with self.assertRaisesRegex(tokenpool.Error, "closed") as caught:
                call()
            self.assertEqual(caught.exception.code, 0)
        lease.release()


class Notices(Case):
    def test_callbacks(self):
        pool, session = self.connect()
        lease = self.lease(pool, session, 9, 3)
        told, done = [], threading.Semaphore(0)

        def tell(*what):
            told.append(what)
            done.release()

        pool.on_recall(lambda lease, slots: tell(lease.release(lease.slots - slots)))
        pool.on_revoke(tell)
        pool.on_event(tell)
        session.answer(session.read("subscribe"))
        session.send(method="recall", params={"lease": 9, "slots": 1})
        session.send(method="revoke", params={"lease": 9, "reason": "memory", "deadline_ms": 7})
        session.send(method="event", params={"kind": "set", "slots": 5})
        for _ in range(3):
            done.acquire()
        self.assertEqual(told, [(1,), (lease, "memory", 7), ({"kind": "set", "slots": 5},)])
        self.assertEqual(session.read("release")["params"], {"lease": 9, "slots": 2})
        self.assertEqual(pool.slots, 5)

    def test_a_callback_that_fails_or_waits(self):
        pool, session = self.connect()
        lease = self.lease(pool, session, 9, 3)
        pool.on_recall(lambda lease, slots: pool.acquire())
        with self.assertLogs("tokenpool", logging.ERROR) as log:
            session.send(method="recall", params={"lease": 9, "slots": 1})
            request = session.read("acquire")
            self.assertEqual(session.read("cancel")["params"], {"id": request["id"]})
            status = Aside(pool.status)  # the thread goes on
            session.answer(session.read("status"))
            status.result()
        self.assertIn("own callbacks", log.output[0])
        lease.release()


class Lost(Case):
    def test_resumes(self):
        pool, session = self.connect()
        kept = self.lease(pool, session, 7, 2, type="link")
        gone = self.lease(pool, session, 8, 1)
        waiting = Aside(pool.acquire, target="next")
        session.read("acquire")
        told, changed = [], threading.Semaphore(0)

        @pool.on_connection
        def tell(connected):
            told.append(connected)
            changed.release()

        self.arbiter.deafen()
        session.close()
        changed.acquire()
        self.assertFalse(pool.connected)
        self.assertIsNone(pool.try_acquire())
        with self.assertRaises(Unavailable):
            pool.acquire(timeout=0.01)
        with self.assertRaisesRegex(tokenpool.Error, "connection"):
            pool.status()
        self.arbiter.listen()
        session = self.arbiter.accept()
        hello = session.welcome(resumed=[70, 0])
        self.assertEqual(hello["resume"], [{"lease": 7, "slots": 2, "type": "link"},
                                           {"lease": 8, "slots": 1}])
        self.assertEqual(session.grant(71, 1)["target"], "next")
        acquired = waiting.result()
        self.assertEqual((kept.id, kept.slots, gone.slots, acquired.id), (70, 2, 0, 71))
        changed.acquire()
        self.assertEqual(told, [False, True])
        self.assertTrue(pool.connected)
        kept.release()
        acquired.release()
        self.assertEqual(session.read("release")["params"], {"lease": 70})

    def test_a_broken_answer_is_a_lost_connection(self):
        pool, session = self.connect()
        session.sock.sendall(b"nonsense\n")
        self.assertIsNone(session.read())
        self.arbiter.accept().welcome()

    def test_an_interrupted_acquire_is_withdrawn(self):
        pool, session = self.connect()

        class Interrupt(BaseException):
            pass

        def wait(request, timeout=None):
            raise Interrupt

        pool._result = wait
        with self.assertRaises(Interrupt):
            pool.acquire()
        request = session.read("acquire")
        self.assertEqual(session.read("cancel")["params"], {"id": request["id"]})


@unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
class Fork(Case):
    def test_a_child_cannot_use_the_pool_of_its_parent(self):
        pool, session = self.connect()
        lease = self.lease(pool, session, 9, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that forking with threads is a risk
            child = os.fork()
        if child == 0:
            status = 1
            try:
                refused = 0
                for call in (pool.acquire, pool.status, lease.release):
                    try:
                        call()
                    except tokenpool.Error as error:
                        refused += "forked" in str(error)
                with lease:
                    pass
                pool.close()
                del lease
                status = 0 if refused == 3 else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        lease.release()
        self.assertEqual(session.read("release")["params"], {"lease": 9})


if __name__ == "__main__":
    unittest.main()
