"""The protocol without I/O: bytes in, bytes out, and a clock of the test's own."""

import json
import unittest

from support import COOKIE

from tokenpool import Cancelled, Error, Impossible, NoSuchLease, Reason, Unavailable
from tokenpool._core import DOWN, UP, Core
from tokenpool._wire import MAX_LINE


class Bench:
    """A core and the arbiter's side of its bytes."""

    def __init__(self, addresses=1):
        self.now = 100.0
        self.core = Core({"protocol": 1, "cookie": COOKIE, "name": "t", "pid": 7},
                         [("unix", f"/{i}") for i in range(addresses)])

    def said(self):
        """(method, params, id) of each message since the last time."""
        lines = bytes(self.core.output).splitlines()
        self.core.output.clear()
        messages = [json.loads(line) for line in lines]
        return [(m["method"], m.get("params", {}), m.get("id")) for m in messages]

    def say(self, **message):
        self.core.feed(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n", self.now)

    def greet(self, **more):
        self.core.connected(self.now)
        (method, params, id), = self.said()
        assert method == "hello"
        self.say(id=id, result={"slots": 4, **more})
        return params

    def grant(self, request, lease, slots):
        self.say(id=request.id, result={"lease": lease, "slots": slots})
        return request.value

    def ask(self, low=1, high=None, deadline=None, **more):
        timeout = None if deadline is None else deadline - self.now
        return self.core.ask({"min": low, "max": high or low, **more}, timeout, self.now)

    def tick(self, seconds):
        self.now += seconds
        self.core.tick(self.now)


def up():
    bench = Bench()
    bench.greet()
    bench.core.notices.clear()
    return bench


class Calls(unittest.TestCase):
    def test_acquire_and_release(self):
        bench = up()
        request = bench.ask(1, 3, type="link", target="app")
        self.assertEqual(bench.said(), [
            ("acquire", {"min": 1, "max": 3, "type": "link", "target": "app"}, request.id)])
        held = bench.grant(request, 9, 3)
        self.assertEqual((held.number, held.slots), (9, 3))
        bench.core.release(held, 1, bench.now)
        bench.core.release(held, None, bench.now)
        self.assertEqual(bench.said(), [("release", {"lease": 9, "slots": 1}, None),
                                        ("release", {"lease": 9}, None)])
        self.assertEqual(bench.core.leases, {})

    def test_release_of_what_is_left_names_no_slots(self):
        bench = up()
        held = bench.grant(bench.ask(2), 9, 2)
        bench.said()
        bench.core.release(held, 2, bench.now)
        self.assertEqual(bench.said(), [("release", {"lease": 9}, None)])

    def test_errors_have_their_kinds(self):
        for code, kind in ((-32003, Unavailable), (-32004, Cancelled), (-32005, Impossible),
                           (-32006, NoSuchLease), (-32007, Error), (-32099, Error)):
            bench = up()
            request = bench.ask()
            bench.say(id=request.id, error={"code": code, "message": "why"})
            with self.assertRaisesRegex(kind, "why") as caught:
                request.outcome()
            self.assertEqual(caught.exception.code, code)

    def test_timeout_goes_along(self):
        bench = up()
        bench.ask(deadline=bench.now + 0.2)
        bench.ask(deadline=bench.now)
        bench.ask(deadline=bench.now + 86401)
        self.assertEqual([params.get("timeout_ms") for _, params, _ in bench.said()],
                         [200, 0, None])

    def test_an_arbiter_that_forgets_the_time_is_told(self):
        bench = up()
        request = bench.ask(deadline=bench.now + 1)
        bench.said()
        bench.tick(2.9)
        self.assertFalse(request.done)
        self.assertGreater(bench.core.next_time(), bench.now)
        bench.tick(0.2)
        self.assertIsInstance(request.error, Unavailable)
        self.assertEqual(bench.said(), [("cancel", {"id": request.id}, None)])
        bench.grant(request, 9, 1)  # too late: it is given back
        self.assertEqual(bench.said(), [("release", {"lease": 9}, None)])

    def test_abandoned_grant_is_given_back(self):
        bench = up()
        early, late = bench.ask(), bench.ask()
        bench.grant(early, 8, 1)
        bench.core.abandon(early, bench.now)
        bench.core.abandon(late, bench.now)
        bench.said()
        bench.grant(late, 9, 1)
        self.assertEqual(bench.said(), [("release", {"lease": 9}, None)])
        self.assertEqual(bench.core.leases, {})

    def test_cancel(self):
        bench = up()
        request = bench.ask()
        call = bench.core.cancel(request, bench.now)
        self.assertEqual(bench.said()[1], ("cancel", {"id": request.id}, call.id))
        bench.say(id=request.id, error={"code": -32004, "message": "cancelled"})
        bench.say(id=call.id, result={"cancelled": True})
        self.assertIs(call.outcome(), True)
        self.assertIsInstance(request.error, Cancelled)
        self.assertIs(bench.core.cancel(request, bench.now).outcome(), False)

    def test_cancel_that_comes_too_late(self):
        bench = up()
        request = bench.ask()
        call = bench.core.cancel(request, bench.now)
        held = bench.grant(request, 9, 1)
        bench.say(id=call.id, result={"cancelled": False})
        self.assertIs(call.outcome(), False)
        self.assertEqual(held.slots, 1)

    def test_resize_counts_what_was_given_back_meanwhile(self):
        bench = up()
        held = bench.grant(bench.ask(4), 9, 4)
        call = bench.core.resize(held, 1, 8, bench.now)
        bench.core.release(held, 1, bench.now)
        bench.say(id=call.id, result={"slots": 6})
        self.assertEqual((call.outcome(), held.slots), (5, 5))

    def test_a_lease_that_the_arbiter_does_not_know_has_ended(self):
        bench = up()
        held = bench.grant(bench.ask(), 9, 1)
        call = bench.core.resize(held, 1, 2, bench.now)
        bench.say(id=call.id, error={"code": -32006, "message": "no lease 9"})
        self.assertIsInstance(call.error, NoSuchLease)
        self.assertEqual((held.slots, bench.core.leases), (0, {}))

    def test_report_changes_the_owner(self):
        bench = up()
        held = bench.grant(bench.ask(), 9, 1)
        bench.said()
        call = bench.core.report(held, {"pid": 11, "start": 12}, bench.now)
        self.assertEqual(bench.said(),
                         [("report", {"lease": 9, "pid": 11, "start": 12}, call.id)])
        bench.say(id=call.id, result={"watched": True})
        self.assertIs(call.outcome(), True)
        bench.core.lost(bench.now)
        self.assertEqual(bench.greet(resumed=[9])["resume"],
                         [{"lease": 9, "slots": 1, "pid": 11, "start": 12}])

    def test_recall_and_revoke(self):
        bench = up()
        held = bench.grant(bench.ask(2), 9, 2)
        bench.say(method="recall", params={"lease": 9, "slots": 1})
        bench.say(method="revoke", params={"lease": 9, "reason": "memory", "deadline_ms": 5})
        self.assertEqual([(method, lease) for method, lease, _ in bench.core.notices],
                         [("recall", held), ("revoke", held)])

    def test_a_request_of_the_arbiter_is_refused(self):
        bench = up()
        bench.say(id="x", method="dance", params={})
        self.assertEqual(json.loads(bytes(bench.core.output))["error"]["code"], -32601)

    def test_bytes_in_any_pieces(self):
        bench = up()
        first, second = bench.ask(), bench.ask()
        data = b"".join(b'{"jsonrpc":"2.0","id":%d,"result":{"lease":%d,"slots":1}}\r\n\n'
                        % (request.id, request.id + 70) for request in (first, second))
        for i in range(len(data)):
            bench.core.feed(data[i:i + 1], bench.now)
        self.assertEqual([first.value.number, second.value.number],
                         [first.id + 70, second.id + 70])

    def test_a_grant_outside_of_the_range_breaks_the_connection(self):
        for lease, slots in ((9, 1), (9, 5), (0, 2)):
            bench = up()
            request = bench.ask(2, 4)
            bench.said()
            bench.grant(request, lease, slots)
            self.assertTrue(bench.core.broken)
            bench.core.lost(bench.now)
            bench.greet()
            self.assertEqual(bench.said(), [("acquire", {"min": 2, "max": 4}, request.id)])


class Connecting(unittest.TestCase):
    def test_reasons(self):
        for code, reason in ((-32001, Reason.REFUSED), (-32002, Reason.INCOMPATIBLE),
                             (-32008, Reason.REFUSED)):
            bench = Bench()
            bench.core.connected(bench.now)
            bench.say(id=0, error={"code": code, "message": "no"})
            self.assertTrue(bench.core.broken)
            bench.core.lost(bench.now)
            self.assertEqual((bench.core.gave_up, bench.core.reason), (True, reason))

    def test_no_answer(self):
        bench = Bench()
        bench.core.connected(bench.now)
        self.assertEqual(bench.core.io_time(), bench.now + 5)
        bench.tick(4.9)
        self.assertIsNone(bench.core.broken)
        bench.tick(0.1)
        self.assertTrue(bench.core.broken)
        bench.core.lost(bench.now)
        self.assertEqual(bench.core.reason, Reason.NO_ANSWER)

    def test_addresses_in_turn(self):
        bench = Bench(addresses=3)
        self.assertEqual(bench.core.address(bench.now), ("unix", "/0"))
        bench.core.lost(bench.now, Reason.UNREACHABLE)
        self.assertEqual(bench.core.address(bench.now), ("unix", "/1"))
        bench.core.connected(bench.now)
        bench.core.lost(bench.now)
        self.assertEqual(bench.core.address(bench.now), ("unix", "/2"))
        bench.core.lost(bench.now, Reason.UNREACHABLE)
        self.assertEqual((bench.core.gave_up, bench.core.reason), (True, Reason.NO_ANSWER))
        self.assertIsNone(bench.core.address(bench.now + 1000))

    def test_a_hello_without_slots_is_none(self):
        bench = Bench()
        bench.core.connected(bench.now)
        bench.say(id=0, result={"session": 1})
        self.assertTrue(bench.core.broken)


class Resuming(unittest.TestCase):
    def test_backoff(self):
        bench = up()
        bench.core.lost(bench.now)
        waits = []
        for _ in range(9):
            wait = bench.core.io_time() - bench.now
            waits.append(round(wait, 3))
            self.assertIsNone(bench.core.address(bench.now + wait / 2))
            bench.now += wait
            self.assertIsNotNone(bench.core.address(bench.now))
            bench.core.lost(bench.now, Reason.UNREACHABLE)
        self.assertEqual(waits, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
        self.assertFalse(bench.core.gave_up)
        bench.greet()
        bench.core.lost(bench.now)
        self.assertAlmostEqual(bench.core.io_time() - bench.now, 0.05)

    def test_leases_are_declared(self):
        bench = up()
        first = bench.grant(bench.ask(2, type="link", target="app", memory=5, priority=-1,
                                      pid=3, start=4), 7, 2)
        second = bench.grant(bench.ask(), 8, 1)
        third = bench.grant(bench.ask(), 9, 1)
        bench.core.lost(bench.now)
        self.assertEqual(bench.core.state, DOWN)
        bench.core.release(third, None, bench.now)
        hello = bench.greet(resumed=[70, 0])
        self.assertEqual(hello["resume"], [
            {"lease": 7, "slots": 2, "type": "link", "target": "app", "memory": 5, "priority": -1,
             "pid": 3, "start": 4}, {"lease": 8, "slots": 1}])
        self.assertEqual((first.number, first.slots, second.slots), (70, 2, 0))
        self.assertEqual(bench.core.leases, {70: first})
        bench.core.release(first, None, bench.now)
        self.assertEqual(bench.said(), [("release", {"lease": 70}, None)])

    def test_numbers_that_change_places(self):
        bench = up()
        first = bench.grant(bench.ask(), 1, 1)
        second = bench.grant(bench.ask(), 2, 1)
        bench.core.lost(bench.now)
        bench.greet(resumed=[2, 1])
        self.assertEqual(bench.core.leases, {2: first, 1: second})
        self.assertEqual((first.slots, second.slots), (1, 1))

    def test_without_leases_nothing_is_declared(self):
        bench = up()
        bench.core.lost(bench.now)
        self.assertNotIn("resume", bench.greet())

    def test_resumed_must_fit(self):
        for resumed in (None, [], [1, 2], ["7"], [-1], 7):
            bench = up()
            bench.grant(bench.ask(), 7, 1)
            bench.core.lost(bench.now)
            bench.core.connected(bench.now)
            bench.say(id=0, result={"slots": 4, "resumed": resumed})
            self.assertTrue(bench.core.broken, resumed)

    def test_changes_while_hello_is_on_its_way(self):
        bench = up()
        gone = bench.grant(bench.ask(), 6, 1)
        some = bench.grant(bench.ask(3), 7, 3)
        given = bench.grant(bench.ask(), 8, 1)
        bench.core.lost(bench.now)
        bench.core.connected(bench.now)
        bench.said()
        bench.core.release(gone, None, bench.now)
        bench.core.release(some, 1, bench.now)
        bench.core.report(given, {"pid": 11, "start": 12}, bench.now)
        self.assertEqual(bench.said(), [])
        bench.say(id=0, result={"slots": 4, "resumed": [60, 70, 80]})
        self.assertEqual(bench.said(), [("release", {"lease": 60}, None),
                                        ("release", {"lease": 70, "slots": 1}, None),
                                        ("report", {"lease": 80, "pid": 11, "start": 12}, None)])
        self.assertEqual(bench.core.leases, {70: some, 80: given})

    def test_requests_are_asked_again_in_their_order(self):
        bench = up()
        first, second = bench.ask(), bench.ask(2, deadline=bench.now + 10)
        bench.core.lost(bench.now)
        third = bench.ask()
        bench.said()
        bench.now += 4
        bench.greet()
        self.assertEqual(bench.said(), [
            ("acquire", {"min": 1, "max": 1}, first.id),
            ("acquire", {"min": 2, "max": 2, "timeout_ms": 6000}, second.id),
            ("acquire", {"min": 1, "max": 1}, third.id)])

    def test_a_deadline_goes_on_without_connection(self):
        bench = up()
        request, at_once = bench.ask(deadline=bench.now + 1), bench.ask()
        bench.core.lost(bench.now)
        self.assertIsInstance(bench.ask(deadline=bench.now).error, Unavailable)
        self.assertEqual(bench.core.next_time(), bench.now + 1)
        bench.tick(1)
        self.assertIsInstance(request.error, Unavailable)
        self.assertFalse(at_once.done)

    def test_withdrawn_requests_are_not_asked_again(self):
        bench = up()
        cancelled, abandoned, waiting = bench.ask(), bench.ask(), bench.ask()
        call = bench.core.cancel(cancelled, bench.now)
        bench.core.abandon(abandoned, bench.now)
        bench.core.lost(bench.now)
        self.assertIs(call.outcome(), True)
        self.assertIsInstance(cancelled.error, Cancelled)
        self.assertIs(bench.core.cancel(waiting, bench.now).outcome(), True)
        bench.greet()
        self.assertEqual(bench.said(), [])

    def test_calls_that_do_not_wait(self):
        bench = up()
        held = bench.grant(bench.ask(3), 7, 3)
        asked = bench.core.call("status", {}, bench.now)
        growing = bench.core.resize(held, 1, 5, bench.now)
        bench.core.lost(bench.now)
        for call in (asked, growing, bench.core.call("set", {"slots": 1}, bench.now),
                     bench.core.resize(held, 1, 2, bench.now)):
            with self.assertRaisesRegex(Error, "connection") as caught:
                call.outcome()
            self.assertEqual(caught.exception.code, 0)
        bench.core.release(held, 1, bench.now)
        self.assertIs(bench.core.report(held, {"pid": 5}, bench.now).outcome(), False)
        self.assertEqual(bench.greet(resumed=[7])["resume"], [{"lease": 7, "slots": 2, "pid": 5}])

    def test_subscribes_again(self):
        bench = up()
        bench.core.call("subscribe", {}, bench.now)
        bench.core.lost(bench.now)
        bench.greet()
        self.assertEqual([method for method, _, _ in bench.said()], ["subscribe"])

    def test_a_hello_always_fits_its_line(self):
        bench = up()
        for number in range(600):
            request = bench.ask(target="ü" * 128, type="t" * 32, memory=2 ** 53 - 1, priority=-100,
                                pid=2 ** 31 - 1, start=2 ** 53 - 1)
            bench.grant(request, 2 ** 52 + number, 1)
        held = list(bench.core.leases.values())
        bench.said()
        bench.core.lost(bench.now)
        bench.core.connected(bench.now)
        self.assertLessEqual(len(bench.core.output), MAX_LINE)
        (_, hello, _), = bench.said()
        self.assertEqual(len(hello["resume"]), 512)
        self.assertEqual(hello["resume"][0]["pid"], 2 ** 31 - 1)
        bench.say(id=0, result={"slots": 4, "resumed": [r["lease"] for r in hello["resume"]]})
        self.assertEqual(bench.core.state, UP)
        self.assertEqual([h.slots for h in held], [1] * 512 + [0] * 88)


class Alone(unittest.TestCase):
    def test_goes_on_with_one_slot(self):
        bench = up()
        bench.core.lost(bench.now)
        big, first, second = bench.ask(2), bench.ask(1, 4), bench.ask()
        self.assertEqual(bench.core.next_time(), bench.now + 5)
        bench.tick(4.9)
        self.assertFalse(first.done)
        bench.tick(0.1)
        self.assertEqual((first.value.number, first.value.slots), (0, 1))
        bench.tick(100)
        self.assertFalse(second.done or big.done)
        self.assertEqual(bench.core.resize(first.value, 1, 4, bench.now).outcome(), 1)
        self.assertIsInstance(bench.core.resize(first.value, 2, 4, bench.now).error, Unavailable)
        bench.core.release(first.value, None, bench.now)
        self.assertEqual(second.value.slots, 1)  # the one slot is free again
        bench.greet()
        self.assertEqual(bench.said(), [("acquire", {"min": 2, "max": 2}, big.id)])
        bench.core.release(second.value, None, bench.now)
        self.assertEqual(bench.said(), [])  # the arbiter does not know of it

    def test_also_without_waiting(self):
        bench = up()
        bench.core.lost(bench.now)
        bench.tick(5)
        self.assertEqual(bench.ask(deadline=bench.now).value.slots, 1)
        self.assertIsInstance(bench.ask(deadline=bench.now).error, Unavailable)

    def test_not_beside_a_lease(self):
        bench = up()
        held = bench.grant(bench.ask(), 7, 1)
        bench.core.lost(bench.now)
        request = bench.ask()
        bench.tick(100)
        self.assertFalse(request.done)
        bench.core.release(held, None, bench.now)
        self.assertEqual(request.value.number, 0)

    def test_not_before_there_was_a_session(self):
        bench = Bench()
        request = bench.ask()
        bench.tick(100)
        self.assertFalse(request.done)


if __name__ == "__main__":
    unittest.main()
