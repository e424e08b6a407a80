"""Without an arbiter: addresses, MAKEFLAGS, a FIFO and descriptors of the test's own."""

import os
import socket
import tempfile
import unittest

from support import COOKIE, Aside, Fifo

import tokenpool
from tokenpool import Impossible, JobserverReason, Mode, Reason, Unavailable
from tokenpool._environment import find_arbiter, lease_of, parse_address, short_name, start_of
from tokenpool._local import Jobserver, Local, open_jobserver, parse_makeflags


class Environment(unittest.TestCase):
    def test_addresses(self):
        for text, wanted in (
                ("unix:/a b;c", ("unix", "/a b;c")), ("unix:a", None), ("unix:", None), ("x", None),
                ("tcp:127.0.0.1:80", ("tcp", "127.0.0.1", "80")),
                ("tcp:[::1]:80", ("tcp", "::1", "80")),
                ("tcp:localhost:65535", ("tcp", "localhost", "65535")), ("tcp:::1:80", None),
                ("tcp:127.0.0.1", None), ("tcp:127.0.0.1:0", None), ("tcp:127.0.0.1:65536", None),
                ("tcp:host.example:80", None), ("tcp:[127.0.0.1]:80", None), ("tcp::80", None)):
            self.assertEqual(parse_address(text), wanted, text)

    def test_reasons(self):
        good = "unix:/s"
        for addr, cookie, reason in (
                (None, COOKIE, Reason.NO_ADDRESS), ("", COOKIE, Reason.NO_ADDRESS),
                ("x", None, Reason.BAD_ADDRESS), (";", COOKIE, Reason.BAD_ADDRESS),
                (good, None, Reason.NO_COOKIE), (good, "", Reason.NO_COOKIE),
                (good, "abc", Reason.BAD_COOKIE), (good, "g" * 64, Reason.BAD_COOKIE),
                (good, COOKIE + "\n", Reason.BAD_COOKIE), (good, COOKIE.upper(), None),
                ("x;" + good, COOKIE, None)):
            environ = {"TOKENPOOL_ADDR": addr, "TOKENPOOL_COOKIE": cookie}
            environ = {key: value for key, value in environ.items() if value is not None}
            self.assertEqual(find_arbiter(environ)[0], reason, (addr, cookie))

    def test_lease_and_name(self):
        for text, wanted in (("12", 12), ("0", None), ("-1", None), ("x", None), ("", None),
                             (str(2 ** 53), None), (str(2 ** 53 - 1), 2 ** 53 - 1)):
            self.assertEqual(lease_of({"TOKENPOOL_LEASE": text}), wanted, text)
        self.assertEqual(short_name("ü" * 40), "ü" * 32)
        self.assertEqual(short_name("x" + "ü" * 40), "x" + "ü" * 31)

    @unittest.skipUnless(os.path.exists("/proc/self/stat"), "there is no /proc")
    def test_start(self):
        self.assertGreater(start_of(os.getpid()), 0)
        self.assertIsNone(start_of(2 ** 31 - 1))


class Makeflags(unittest.TestCase):
    def test_forms(self):
        none = JobserverReason.NO_JOBSERVER
        for value, where, slots in (
                ("", none, 1), ("k -j3", none, 3), (" -j4 --jobserver-auth=fifo:/f", "/f", 4),
                ("--jobserver-auth=3,4 -j", (3, 4), 1), ("--jobserver-fds=3,4 -j2", (3, 4), 2),
                ("--jobserver-auth=fifo:/f --jobserver-fds=3,4", "/f", 1),
                ("--jobserver-auth=fifo:/f --jobserver-auth=5,6", (5, 6), 1),
                ("--jobserver-auth=fifo:/f --jobserver-f=5,6 -j", "/f", 1),
                ("--jobserver-auth=-2,-2", none, 1), ("--jobserver-auth=3,-1", none, 1),
                ("-- X=--jobserver-auth=3,4 --jobserver-auth=3,4", none, 1),
                ("--jobserver-auth=gmake_semaphore_12", JobserverReason.UNSUPPORTED, 1),
                ("--jobserver-auth=", JobserverReason.BAD_JOBSERVER, 1),
                ("--jobserver-auth=fifo:", JobserverReason.BAD_JOBSERVER, 1),
                ("--jobserver-auth=3,4,5", JobserverReason.BAD_JOBSERVER, 1),
                ("--jobserver-style=fifo", none, 1)):
            self.assertEqual(parse_makeflags(value), (where, slots), value)

    def test_reasons(self):
        with tempfile.NamedTemporaryFile() as file:
            for value, reason in (
                    ("", JobserverReason.NO_MAKEFLAGS), ("k", JobserverReason.NO_JOBSERVER),
                    (f"--jobserver-auth=fifo:{file.name}", JobserverReason.NOT_A_PIPE),
                    (f"--jobserver-auth=fifo:{file.name}.no", JobserverReason.CANNOT_OPEN),
                    ("--jobserver-auth=987,988", JobserverReason.CANNOT_OPEN),
                    (f"--jobserver-auth={file.fileno()},{file.fileno()}",
                     JobserverReason.NOT_A_PIPE)):
                self.assertEqual(open_jobserver({"MAKEFLAGS": value})[0], reason, value)
                pool = tokenpool.connect(environ={"MAKEFLAGS": value})
                self.assertEqual((pool.mode, pool.reason, pool.jobserver_reason, pool.slots),
                                 (Mode.SINGLE, Reason.NO_ADDRESS, reason, 1))
                pool.close()
        left, right = socket.socketpair()
        with left, right:
            value = f"--jobserver-auth={left.fileno()},{left.fileno()}"
            self.assertEqual(open_jobserver({"MAKEFLAGS": value})[0], JobserverReason.NOT_A_PIPE)


class WithFifo(unittest.TestCase):
    def test_the_first_slot_costs_nothing_and_bytes_come_back(self):
        with Fifo(b"abc") as fifo, tokenpool.connect(environ=fifo.environ()) as pool:
            self.assertEqual((pool.mode, pool.reason, pool.slots, pool.jobserver_reason),
                             (Mode.JOBSERVER, Reason.NO_ADDRESS, 9, None))
            first = pool.acquire(max=3)
            self.assertEqual((first.slots, first.id, fifo.tokens()), (3, 0, b"c"))
            second = pool.acquire(max=3)
            self.assertEqual((second.slots, fifo.tokens()), (1, b""))
            self.assertIsNone(pool.try_acquire())
            self.assertEqual(first.release(2), 1)
            self.assertEqual(fifo.tokens(), b"ab")
            first.release()
            self.assertEqual(fifo.tokens(), b"ab")
            with pool.acquire():  # on the implicit slot again
                self.assertEqual(fifo.tokens(), b"ab")
            self.assertEqual((second.resize(2), fifo.tokens()), (2, b"ab"))
            self.assertEqual((second.release(1), fifo.tokens()), (1, b"abc"))
            second.release()
            self.assertEqual(fifo.tokens(), b"abc")

    def test_waits_for_a_token(self):
        with Fifo(b"") as fifo, tokenpool.connect(environ=fifo.environ()) as pool:
            first = pool.acquire()
            pending = pool.begin(min=2, max=4)
            self.assertFalse(pending.done())
            fifo.add(b"x")
            fifo.add(b"y")
            lease = pending.result()
            self.assertEqual(lease.slots, 2)
            lease.release()
            first.release()
            self.assertEqual(fifo.tokens(), b"xy")

    def test_close_gives_all_back(self):
        with Fifo(b"abcd") as fifo:
            pool = tokenpool.connect(environ=fifo.environ())
            lease, pending = pool.acquire(max=3), pool.begin(min=9)
            pool.close()
            self.assertEqual(fifo.tokens(), b"abcd")
            with self.assertRaises(tokenpool.Error):
                pending.result()
            self.assertEqual((lease.slots, lease.release()), (0, 0))

    def test_resize(self):
        with Fifo(b"abc") as fifo, tokenpool.connect(environ=fifo.environ()) as pool:
            with pool.acquire() as lease:
                self.assertEqual(lease.resize(1, 3), 3)
                self.assertEqual(fifo.tokens(), b"c")
                with self.assertRaises(Unavailable):
                    lease.resize(6, 7)
                self.assertEqual((lease.slots, fifo.tokens()), (3, b"c"))
                self.assertEqual(lease.resize(2), 2)
            self.assertEqual(fifo.tokens(), b"abc")

    def test_more_than_there_are(self):
        with Fifo(b"ab") as fifo, tokenpool.connect(environ=fifo.environ("-j3")) as pool:
            with self.assertRaises(Impossible) as caught:
                pool.acquire(4)
            self.assertEqual(caught.exception.code, -32005)
            with pool.acquire(3):
                self.assertIsNone(pool.try_acquire())

    def test_other_calls_have_no_arbiter(self):
        with Fifo(b"") as fifo, tokenpool.connect(environ=fifo.environ()) as pool:
            for call in (pool.status, pool.set):
                with self.assertRaises(tokenpool.Error) as caught:
                    call()
                self.assertEqual(caught.exception.code, 0)
            with pool.acquire() as lease:
                self.assertFalse(lease.hand_to(os.getpid()))

    def test_a_stale_fifo_leaves_the_implicit_slot(self):
        with Fifo(b"") as fifo:
            os.close(fifo.fd)
            with tokenpool.connect(environ=fifo.environ()) as pool:
                with pool.acquire(max=4) as lease:
                    self.assertEqual(lease.slots, 1)
            fifo.fd = os.open(os.devnull, os.O_RDONLY)


class WithDescriptors(unittest.TestCase):
    def setUp(self):
        self.read_fd, self.write_fd = os.pipe()
        self.addCleanup(os.close, self.read_fd)
        self.addCleanup(os.close, self.write_fd)

    def environ(self, word="auth"):
        return {"MAKEFLAGS": f"-j3 --jobserver-{word}={self.read_fd},{self.write_fd}"}

    def test_takes_and_gives_back(self):
        os.write(self.write_fd, b"q")
        for word in ("auth", "fds"):
            with tokenpool.connect(environ=self.environ(word)) as pool:
                self.assertEqual(pool.mode, Mode.JOBSERVER)
                with pool.acquire(max=3) as lease:
                    self.assertEqual(lease.slots, 2)
        self.assertEqual(os.read(self.read_fd, 9), b"q")

    @unittest.skipUnless(os.path.exists("/proc/self/fd"), "there is no /proc")
    def test_the_descriptors_of_others_still_block(self):
        with tokenpool.connect(environ=self.environ()):
            self.assertTrue(os.get_blocking(self.read_fd))
            self.assertTrue(os.get_blocking(self.write_fd))


class Tokens(Jobserver):
    """A jobserver without a pipe."""

    def __init__(self, tokens):
        self.free = list(tokens)
        self.ended, self.read_fd, self.closed = False, 5, False

    def take(self):
        return self.free.pop(0) if self.free else b""

    def put(self, token):
        self.free.append(token)

    def close(self):
        self.closed = True


class Engine(unittest.TestCase):
    """Local with a clock of the test's own."""

    def ask(self, local, low, high=None, deadline=None, now=0.0):
        return local.ask({"min": low, "max": high or low}, deadline, now)

    def test_a_part_is_given_back_after_a_while(self):
        tokens = Tokens([b"a"])
        local = Local(tokens, 1)
        request = self.ask(local, 3)
        self.assertEqual((tokens.free, local.next_time(), local.fd), ([], 1.0, 5))
        local.tick(1.0)
        self.assertEqual((tokens.free, local.fd), ([b"a"], None))
        later = local.next_time()
        self.assertGreater(later, 1.0)
        tokens.free.append(b"b")
        local.tick(later)
        self.assertEqual(request.value.slots, 3)

    def test_deadline_with_a_part(self):
        tokens = Tokens([b"a"])
        local = Local(tokens, 1)
        request = self.ask(local, 3, deadline=0.5)
        self.assertEqual(local.next_time(), 0.5)
        local.tick(0.5)
        self.assertIsInstance(request.error, Unavailable)
        self.assertEqual((tokens.free, local.next_time()), ([b"a"], float("inf")))

    def test_in_their_order(self):
        local = Local(Tokens([]), 1)
        first, second, third = self.ask(local, 1), self.ask(local, 1), self.ask(local, 1)
        self.assertTrue(first.done)
        local.release(first.value, None, 0.0)
        self.assertEqual((second.done, third.done), (True, False))
        self.assertIs(local.cancel(third, 0.0).outcome(), True)
        self.assertIs(local.cancel(second, 0.0).outcome(), False)
        local.abandon(second, 0.0)
        self.assertTrue(self.ask(local, 1).done)

    def test_who_waits_goes_before_who_grows(self):
        tokens = Tokens([b"a"])
        local = Local(tokens, 1)
        lease = self.ask(local, 1).value
        waiting = self.ask(local, 3)
        tokens.free.append(b"b")
        self.assertEqual(local.resize(lease, 1, 2, 0.0).outcome(), 1)
        self.assertFalse(waiting.done)

    def test_a_pipe_that_has_ended_is_not_watched(self):
        tokens = Tokens([])
        local = Local(tokens, 1)
        self.ask(local, 2)
        self.assertEqual(local.fd, 5)
        tokens.ended = True
        self.assertIsNone(local.fd)


class Single(unittest.TestCase):
    def test_one_slot_in_all(self):
        with tokenpool.connect(environ={}) as pool:
            self.assertEqual((pool.mode, pool.slots), (Mode.SINGLE, 1))
            lease = pool.acquire(max=4)
            self.assertEqual((lease.slots, lease.id), (1, 0))
            with self.assertRaises(Impossible):
                pool.acquire(2)
            pending = pool.begin()
            self.assertFalse(pending.done())
            waiter = Aside(pool.acquire)
            lease.release()
            pending.result().release()
            waiter.result().release()


if __name__ == "__main__":
    unittest.main()
