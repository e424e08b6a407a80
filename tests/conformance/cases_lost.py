"""The connection is lost, and found again or not."""

import os

from common import case, check, equal, same_acquire, start_of
from fake_arbiter import declared
from stage import acquire, quiet


def lose(driver, session):
    session.close()
    driver.done("wait_disconnected")


def lose_all(driver, arbiter, session):
    """... and nobody listens any more."""
    arbiter.stop()
    lose(driver, session)


def resume(driver, arbiter, held, numbers=()):
    """The client comes back and declares `held`; `numbers` says what becomes of which lease."""
    session, hello = arbiter.knock()
    order = declared(hello, held)
    numbers = dict(numbers)
    session.greet(hello, resumed=[numbers.get(lease, lease) for lease in order])
    driver.done("wait_connected")
    return session


@case
def lost_and_back_with_nothing_held(stage):
    driver, arbiter, session = stage.connected()
    lose_all(driver, arbiter, session)
    equal(driver.done("leases").get("connected"), False, "connected")
    arbiter.start()
    session = resume(driver, arbiter, {})
    equal(driver.done("leases").get("connected"), True, "connected")
    acquire(driver, session, "a", 5)


@case
def lost_and_back_declares_exactly_what_is_held(stage):
    driver, arbiter, session = stage.connected()
    words = dict(type="link", target="bin/Größe", memory=10**9, priority=-7)
    acquire(driver, session, "a", 11, 1)
    acquire(driver, session, "b", 12, 3, **words)
    acquire(driver, session, "c", 13, 2)
    driver.done("release", key="a")
    session.expect_release(11, 1, 0)
    lose_all(driver, arbiter, session)
    driver.holds(b=(12, 3), c=(13, 2))
    arbiter.start()
    session = resume(driver, arbiter, {12: (3, words), 13: (2, {})})
    driver.holds(b=(12, 3), c=(13, 2))
    quiet(driver, session)


@case
def lost_and_back_over_TCP(stage):
    driver, arbiter, session = stage.connected(stage.tcp())
    acquire(driver, session, "a", 11, 2)
    lose_all(driver, arbiter, session)
    arbiter.start()
    session = resume(driver, arbiter, {11: (2, {})})
    driver.holds(a=(11, 2))


@case
def lost_and_back_while_somebody_listens_all_the_time(stage):
    driver, arbiter, session = stage.holding()
    session.close()
    session = resume(driver, arbiter, {101: (1, {})})
    driver.holds(a=(101, 1))
    quiet(driver, session)


@case
def lost_and_back_three_times(stage):
    driver, arbiter, session = stage.holding(count=2)
    numbers = {101: 101, 102: 102}
    for turn in range(3):
        lose_all(driver, arbiter, session)
        arbiter.start()
        held = {number: (1, {}) for number in numbers.values()}
        new = {number: number + 1000 for number in numbers.values()}
        session = resume(driver, arbiter, held, new)
        numbers = {first: new[number] for first, number in numbers.items()}
        driver.holds(a=(numbers[101], 1), b=(numbers[102], 1))


@case
def resume_declares_the_process_of_a_lease(stage):
    driver, arbiter, session = stage.connected()
    words = dict(pid=os.getpid(), start=start_of(os.getpid()) or 1)
    acquire(driver, session, "a", 11, **words)
    lose(driver, session)
    resume(driver, arbiter, {11: (1, words)})


@case
def resume_declares_the_process_that_was_reported(stage):
    driver, arbiter, session = stage.holding(type="cc")
    words = dict(pid=os.getpid(), start=start_of(os.getpid()) or 1)
    driver.send("report", key="a", **words)
    session.answer_if_asked(session.expect("report", lease=101), {"watched": True})
    driver.done()
    lose(driver, session)
    resume(driver, arbiter, {101: (1, dict(words, type="cc"))})


@case
def resume_declares_what_resize_has_left(stage):
    driver, arbiter, session = stage.holding(slots=2)
    driver.send("resize", key="a", min=1, max=6)
    session.answer(session.expect("resize"), {"slots": 5})
    driver.done()
    lose(driver, session)
    session = resume(driver, arbiter, {101: (5, {})})
    driver.send("release", key="a", slots=1)
    session.expect_release(101, 1, 4)
    driver.done()
    lose(driver, session)
    resume(driver, arbiter, {101: (4, {})})


@case
def resume_declares_what_was_granted_and_not_yet_awaited(stage):
    driver, arbiter, session = stage.connected()
    driver.done("begin", key="a", max=3, type="cc")
    session.answer(session.expect("acquire"), {"lease": 9, "slots": 2})
    lose(driver, session)
    session = resume(driver, arbiter, {9: (2, {"type": "cc"})})
    quiet(driver, session)
    driver.granted(9, 2, "await", key="a")


@case
def resume_adopts_new_numbers(stage):
    driver, arbiter, session = stage.holding(count=2, slots=2)
    lose_all(driver, arbiter, session)
    arbiter.start()
    session = resume(driver, arbiter, {101: (2, {}), 102: (2, {})}, {101: 102, 102: 7})
    driver.holds(a=(102, 2), b=(7, 2))
    driver.send("release", key="b", slots=1)
    session.expect_release(7, 1, 1)
    driver.done()
    driver.send("resize", key="a", min=1, max=1)
    session.answer(session.expect("resize", lease=102), {"slots": 1})
    driver.done()
    driver.send("report", key="a", exit=0)
    session.answer_if_asked(session.expect("report", lease=102), {})
    driver.done()
    driver.send("release", key="a")
    session.expect_release(102, 1, 0)
    driver.done()


@case
def resume_answered_with_0_ends_the_lease(stage):
    driver, arbiter, session = stage.holding(count=3)
    lose_all(driver, arbiter, session)
    arbiter.start()
    session = resume(driver, arbiter, {n: (1, {}) for n in (101, 102, 103)}, {102: 0})
    driver.holds(a=(101, 1), c=(103, 1))
    equal(driver.done("release", key="b").get("slots"), 0, "slots left of a lease that has ended")
    quiet(driver, session)
    lose(driver, session)
    session = resume(driver, arbiter, {101: (1, {}), 103: (1, {})})
    acquire(driver, session, "b", 55)
    driver.holds(a=(101, 1), b=(55, 1), c=(103, 1))


@case
def releases_made_while_lost_are_not_declared(stage):
    driver, arbiter, session = stage.holding(count=3, slots=3)
    lose_all(driver, arbiter, session)
    equal(driver.done("release", key="a").get("slots"), 0, "slots left")
    equal(driver.done("release", key="b", slots=2).get("slots"), 1, "slots left")
    driver.holds(b=(102, 1), c=(103, 3))
    arbiter.start()
    session = resume(driver, arbiter, {102: (1, {}), 103: (3, {})})
    driver.holds(b=(102, 1), c=(103, 3))
    quiet(driver, session)


@case
def a_release_made_while_the_lost_connection_comes_back_is_not_forgotten(stage):
    """The lease is declared already when the driver releases it, and hello is not yet answered."""
    driver, arbiter, session = stage.holding(count=2)
    lose(driver, session)
    session, hello = arbiter.knock()
    order = declared(hello, {101: (1, {}), 102: (1, {})})
    driver.done("release", key="b")
    session.greet(hello, resumed=[{101: 101, 102: 77}[lease] for lease in order])
    session.expect_release(77, 1, 0)
    driver.done("wait_connected")
    driver.holds(a=(101, 1))
    quiet(driver, session)


@case
def requests_that_waited_are_asked_again_in_their_order(stage):
    driver, arbiter, session = stage.holding()
    wanted = {"x": dict(min=2, max=5, type="cc", target="ä.o"), "y": {}, "z": dict(priority=9)}
    for key, words in wanted.items():
        driver.done("begin", key=key, **words)
        same_acquire(session.expect("acquire").params, words)
    lose_all(driver, arbiter, session)
    driver.holds(a=(101, 1))
    arbiter.start()
    session = resume(driver, arbiter, {101: (1, {})})
    requests = []
    for key, words in wanted.items():
        requests.append(session.expect("acquire"))
        same_acquire(requests[-1].params, words, f"the acquire {key}, asked again")
    for at, key in enumerate(wanted):
        slots = wanted[key].get("min", 1)
        session.answer(requests[at], {"lease": 201 + at, "slots": slots})
        driver.granted(201 + at, slots, "await", key=key)
    quiet(driver, session)


@case
def requests_made_while_lost_wait_until_it_is_back(stage):
    driver, arbiter, session = stage.connected()
    lose_all(driver, arbiter, session)
    driver.done("begin", key="a", min=2)
    driver.send("acquire", key="b", type="cc")
    arbiter.start()
    session, hello = arbiter.knock()
    declared(hello, {})
    session.greet(hello)
    first, second = session.expect("acquire", min=2), session.expect("acquire", type="cc")
    session.answer(second, {"lease": 2, "slots": 1})
    session.answer(first, {"lease": 1, "slots": 2})
    driver.granted(2, 1)
    driver.granted(1, 2, "await", key="a")


@case
def requests_cancelled_while_lost_are_not_asked_again(stage):
    driver, arbiter, session = stage.connected()
    driver.done("begin", key="a")
    session.expect("acquire")
    driver.done("begin", key="b", min=2)
    session.expect("acquire")
    lose_all(driver, arbiter, session)
    equal(driver.done("cancel", key="a").get("cancelled"), True, "cancelled")
    driver.refused((-32004, 0), "await", key="a")
    arbiter.start()
    session = resume(driver, arbiter, {})
    session.answer(session.expect("acquire", min=2), {"lease": 4, "slots": 2})
    driver.granted(4, 2, "await", key="b")
    quiet(driver, session)


@case
def requests_asked_again_have_the_time_that_is_left(stage):
    driver, arbiter, session = stage.connected()
    driver.done("begin", key="a", timeout_ms=80000000)
    session.expect("acquire", timeout_ms=80000000)
    lose(driver, session)
    session = resume(driver, arbiter, {})
    request = session.expect("acquire")
    same_acquire(request.params, {"timeout_ms": 80000000}, asked_again=True)
    session.answer(request, {"lease": 4, "slots": 1})
    driver.granted(4, 1, "await", key="a")


@case
def requests_whose_time_is_over_while_lost_fail(stage):
    driver, arbiter, session = stage.connected()
    driver.done("begin", key="b")
    session.expect("acquire")
    lose_all(driver, arbiter, session)
    driver.refused((-32003, 0), "acquire", key="a", timeout_ms=1)
    arbiter.start()
    session = resume(driver, arbiter, {})
    session.answer(session.expect("acquire"), {"lease": 4, "slots": 1})
    driver.granted(4, 1, "await", key="b")
    quiet(driver, session)


@case
def requests_under_way_but_acquire_fail_when_the_connection_is_lost(stage):
    driver, arbiter, session = stage.holding()
    driver.send("resize", key="a", min=1, max=2)
    session.expect("resize")
    session.close()
    driver.refused(0)
    session = resume(driver, arbiter, {101: (1, {})})
    driver.send("status")
    session.expect("status")
    session.close()
    driver.refused(0)
    session = resume(driver, arbiter, {101: (1, {})})
    quiet(driver, session)


@case
def lost_before_an_acquire_is_answered(stage):
    driver, arbiter, session = stage.connected()
    driver.send("acquire", key="a", max=2)
    session.expect("acquire", max=2)
    session.close()
    session = arbiter.session()
    session.answer(session.expect("acquire", max=2), {"lease": 6, "slots": 2})
    driver.granted(6, 2)
    quiet(driver, session)


@case
def lost_in_the_middle_of_an_answer(stage):
    driver, arbiter, session = stage.connected()
    driver.send("acquire", key="a", max=2)
    line = session.answer_line(session.expect("acquire"), {"lease": 6, "slots": 2})
    session.raw(line[:-1])  # all but the newline: as long as that is missing it is no message
    session.close()
    session, hello = arbiter.knock()
    declared(hello, {})
    session.greet(hello)
    session.answer(session.expect("acquire", max=2), {"lease": 7, "slots": 1})
    driver.granted(7, 1)
    driver.holds(a=(7, 1))


@case
def lost_after_a_grant_and_before_the_release(stage):
    driver, arbiter, session = stage.connected()
    driver.send("acquire", key="a")
    session.answer(session.expect("acquire"), {"lease": 6, "slots": 1})
    session.close()
    driver.granted(6, 1)
    session = resume(driver, arbiter, {6: (1, {})})
    driver.send("release", key="a")
    session.expect_release(6, 1, 0)
    driver.done()
    quiet(driver, session)


@case
def lost_again_before_hello_is_answered(stage):
    driver, arbiter, session = stage.holding()
    driver.done("begin", key="x")
    session.expect("acquire")
    lose(driver, session)
    for _ in range(3):
        session, hello = arbiter.knock()
        declared(hello, {101: (1, {})})
        session.close()
    session, hello = arbiter.knock()
    declared(hello, {101: (1, {})})
    session.raw(session.answer_line(hello, {"session": 1, "slots": 4, "resumed": [0]})[:-3])
    session.close()
    session = resume(driver, arbiter, {101: (1, {})})
    session.answer(session.expect("acquire"), {"lease": 8, "slots": 1})
    driver.granted(8, 1, "await", key="x")
    driver.holds(a=(101, 1), x=(8, 1))


@case
def lost_and_found_at_another_of_the_addresses(stage):
    first, second = stage.unix(), stage.tcp()
    second.stop()
    driver = stage.driver_of(first, second)
    driver.send("connect")
    session = first.session()
    driver.done()
    acquire(driver, session, "a", 11)
    lose_all(driver, first, session)
    second.start()
    session = resume(driver, second, {11: (1, {})})
    acquire(driver, session, "b", 12)
    lose_all(driver, second, session)
    first.start()
    resume(driver, first, {11: (1, {}), 12: (1, {})})


@case
def lost_for_good_keeps_what_it_holds_and_starts_nothing(stage):
    driver, arbiter, session = stage.holding(slots=2)
    driver.done("begin", key="x")
    session.expect("acquire")
    lose_all(driver, arbiter, session)
    driver.refused((-32003, 0), "acquire", key="y", timeout_ms=0)
    driver.holds(a=(101, 2))
    equal(driver.done("release", key="a", slots=1).get("slots"), 1, "slots left")
    driver.holds(a=(101, 1))
    driver.done("close")
    driver.quit()


@case
def lost_for_good_and_quit(stage):
    driver, arbiter, session = stage.holding()
    driver.done("begin", key="x")
    session.expect("acquire")
    lose_all(driver, arbiter, session)
    driver.quit()


@case
def notices_come_after_a_resume_too(stage):
    driver, arbiter, session = stage.holding()
    lose(driver, session)
    session = resume(driver, arbiter, {101: (1, {})}, {101: 500})
    session.notify("revoke", lease=500, reason="memory", deadline_ms=0)
    params = driver.done("wait_notice", method="revoke")["params"]
    check(params.get("lease") == 500, f"revoke told {params!r}")


@case
def a_hello_after_a_loss_has_all_its_members_again(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter, TOKENPOOL_LEASE="42")
    driver.send("connect")
    session, first = arbiter.knock()
    session.greet(first)
    driver.done()
    lose(driver, session)
    session, again = arbiter.knock()
    for name in ("protocol", "cookie", "name", "pid", "start", "lease"):
        equal(again.params.get(name), first.params.get(name), f"{name} of the second hello")
    session.greet(again)
    driver.done("wait_connected")
