"""The calls, one by one."""

import os

from common import case, check, equal, same_acquire, start_of
from stage import acquire, quiet


@case
def acquire_without_members(stage):
    driver, _, session = stage.connected()
    acquire(driver, session, "a", 8123)
    driver.holds(a=(8123, 1))


@case
def acquire_over_TCP(stage):
    driver, _, session = stage.connected(stage.tcp())
    acquire(driver, session, "a", 8123)
    driver.holds(a=(8123, 1))


@case
def acquire_with_all_members(stage):
    driver, _, session = stage.connected()
    words = dict(min=2, max=4, type="link", target="Größe/建物 🔗 \"x\".o", memory=2**53 - 1,
                 priority=-100, pid=os.getpid(), start=start_of(os.getpid()) or 1,
                 timeout_ms=86400000)
    driver.send("acquire", key="a", **words)
    request = session.expect("acquire")
    same_acquire(request.params, words)
    session.answer(request, {"lease": 1, "slots": 3, "watched": True, "paid": 1})
    driver.granted(1, 3)


@case
def acquire_a_range_and_get_some(stage):
    driver, _, session = stage.connected()
    for slots in (1, 5, 8):
        driver.send("acquire", key=f"k{slots}", min=1, max=8)
        request = session.expect("acquire", max=8)
        session.answer(request, {"lease": slots, "slots": slots})
        driver.granted(slots, slots)
    driver.holds(k1=(1, 1), k5=(5, 5), k8=(8, 8))


@case
def acquire_with_min_only_leaves_max_to_it(stage):
    driver, _, session = stage.connected()
    acquire(driver, session, "a", 1, 3)


@case
def acquire_the_largest_lease(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a", min=512, max=512)
    session.answer(session.expect("acquire", min=512), {"lease": 2**53 - 1, "slots": 512})
    driver.granted(2**53 - 1, 512)
    driver.done("release", key="a")
    session.expect_release(2**53 - 1, 512, 0)


@case
def acquire_at_once_sends_timeout_0(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a", timeout_ms=0)
    session.refuse(session.expect("acquire", timeout_ms=0), -32003, "no slot is free")
    driver.refused(-32003)
    driver.holds()


@case
def acquire_passes_on_the_errors_of_the_arbiter(stage):
    driver, _, session = stage.connected()
    for code in (-32003, -32004, -32005, -32006, -32007, -32008, -32602, -32603, -32099, 7):
        driver.send("acquire", key="a")
        session.refuse(session.expect("acquire"), code, f"because of {code}")
        check(str(code) in driver.refused(code)["error"], "error is not what the arbiter said")
    driver.holds()
    acquire(driver, session, "a", 5)


@case
def acquire_passes_on_an_error_with_data(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a")
    request = session.expect("acquire")
    session.refuse(request, -32003, "nö 🔥", data={"free": [0, None]}, hint=1.5)
    driver.refused(-32003)


@case
def acquire_waits_while_the_driver_goes_on(stage):
    driver, _, session = stage.connected()
    driver.done("begin", key="a", min=2, max=2)
    request = session.expect("acquire", min=2)
    driver.holds()
    quiet(driver, session)
    driver.send("await", key="a")
    session.answer(request, {"lease": 9, "slots": 2})
    driver.granted(9, 2)
    driver.holds(a=(9, 2))


@case
def acquire_answered_before_anybody_awaits_it(stage):
    driver, _, session = stage.connected()
    driver.done("begin", key="a")
    session.answer(session.expect("acquire"), {"lease": 9, "slots": 1})
    quiet(driver, session)
    driver.granted(9, 1, "await", key="a")


@case
def acquire_twice_the_same_key_after_release(stage):
    driver, _, session = stage.connected()
    for lease in (1, 2, 3):
        acquire(driver, session, "a", lease)
        driver.done("release", key="a")
        session.expect_release(lease, 1, 0)
    driver.holds()


@case
def requests_under_way_have_different_ids(stage):
    driver, _, session = stage.connected()
    requests = []
    for key in "abcdef":
        driver.done("begin", key=key)
        requests.append(session.expect("acquire"))
    ids = [request.id for request in requests]
    equal(len({(type(id), id) for id in ids}), 6, f"how many ids differ of {ids}")
    for at, request in enumerate(requests):
        session.answer(request, {"lease": at + 1, "slots": 1})
    for at, key in enumerate("abcdef"):
        driver.granted(at + 1, 1, "await", key=key)


@case
def release_all(stage):
    driver, _, session = stage.holding(slots=4)
    equal(driver.done("release", key="a").get("slots"), 0, "slots left")
    session.expect_release(101, 4, 0)
    driver.holds()
    quiet(driver, session)


@case
def release_some_and_then_the_rest(stage):
    driver, _, session = stage.holding(slots=4)
    driver.send("release", key="a", slots=3)
    session.expect_release(101, 3, 1)
    equal(driver.done().get("slots"), 1, "slots left")
    driver.holds(a=(101, 1))
    driver.send("release", key="a")
    session.expect_release(101, 1, 0)
    equal(driver.done().get("slots"), 0, "slots left")
    driver.holds()


@case
def release_is_sent_at_once(stage):
    driver, _, session = stage.holding(count=3)
    for at, key in enumerate("abc"):
        driver.send("release", key=key)
        session.expect_release(101 + at, 1, 0)
        driver.done()
    quiet(driver, session)


@case
def resize_to_more_and_to_fewer(stage):
    driver, _, session = stage.holding(slots=2)
    for least, most, slots in ((2, 8, 5), (1, 1, 1), (1, 512, 3)):
        driver.send("resize", key="a", min=least, max=most)
        request = session.expect("resize", lease=101, min=least, max=most)
        session.answer(request, {"slots": slots})
        equal(driver.done().get("slots"), slots, "slots")
        driver.holds(a=(101, slots))
    driver.send("release", key="a")
    session.expect_release(101, 3, 0)
    driver.done()


@case
def resize_refused_leaves_the_lease_as_it_was(stage):
    driver, _, session = stage.holding(slots=2)
    driver.send("resize", key="a", min=3, max=8)
    session.refuse(session.expect("resize", lease=101), -32003, "3 cannot be had")
    driver.refused(-32003)
    driver.holds(a=(101, 2))


@case
def report_with_all_members(stage):
    driver, _, session = stage.holding()
    start = start_of(os.getpid()) or 1
    words = dict(pid=os.getpid(), start=start, peak_memory=2**40, cpu_seconds=1.5, exit=255)
    driver.send("report", key="a", **words)
    request = session.expect("report", lease=101, **words)
    session.answer_if_asked(request, {"watched": True})
    driver.done()
    driver.holds(a=(101, 1))


@case
def report_with_no_more_than_the_exit_status(stage):
    driver, _, session = stage.holding()
    driver.send("report", key="a", exit=0)
    request = session.expect("report", lease=101, exit=0)
    for name in ("pid", "peak_memory", "cpu_seconds"):
        check(name not in request.params, f"{name} is in report, and nobody gave it")
    session.answer_if_asked(request, {})
    driver.done()


@case
def cancel_a_request_that_waits(stage):
    driver, _, session = stage.connected()
    driver.done("begin", key="a")
    request = session.expect("acquire")
    driver.send("cancel", key="a")
    cancel = session.expect("cancel", id=request.id)
    session.refuse(request, -32004, "cancelled")
    session.answer_if_asked(cancel, {"cancelled": True})
    equal(driver.done().get("cancelled"), True, "cancelled")
    driver.refused(-32004, "await", key="a")
    driver.holds()


@case
def cancel_answered_before_what_it_cancels(stage):
    driver, _, session = stage.connected()
    driver.done("begin", key="a")
    request = session.expect("acquire")
    driver.send("cancel", key="a")
    cancel = session.expect("cancel", id=request.id)
    session.answer(cancel, {"cancelled": True})
    session.refuse(request, -32004, "cancelled")
    equal(driver.done().get("cancelled"), True, "cancelled")
    driver.refused(-32004, "await", key="a")


@case
def cancel_that_comes_too_late(stage):
    driver, _, session = stage.connected()
    driver.done("begin", key="a")
    request = session.expect("acquire")
    driver.send("cancel", key="a")
    cancel = session.expect("cancel", id=request.id)
    session.answer(request, {"lease": 9, "slots": 1})
    session.answer(cancel, {"cancelled": False})
    equal(driver.done().get("cancelled"), False, "cancelled")
    driver.granted(9, 1, "await", key="a")
    driver.holds(a=(9, 1))


@case
def cancel_one_of_several(stage):
    driver, _, session = stage.connected()
    requests = {}
    for key in "abc":
        driver.done("begin", key=key)
        requests[key] = session.expect("acquire")
    driver.send("cancel", key="b")
    cancel = session.expect("cancel", id=requests["b"].id)
    session.refuse(requests["b"], -32004, "cancelled")
    session.answer(cancel, {"cancelled": True})
    driver.done()
    session.answer(requests["c"], {"lease": 3, "slots": 1})
    session.answer(requests["a"], {"lease": 1, "slots": 1})
    driver.refused(-32004, "await", key="b")
    driver.granted(1, 1, "await", key="a")
    driver.granted(3, 1, "await", key="c")
    driver.holds(a=(1, 1), c=(3, 1))


@case
def status_is_handed_on_as_it_is(stage):
    driver, _, session = stage.connected()
    status = {"server": "fake 1", "slots": 4, "free": 3, "leases": [{"name": "bäcker"}],
              "counters": {"granted": 17}, "nobody knows": [None, True, {"a": "🔗"}]}
    driver.send("status")
    session.answer(session.expect("status"), status)
    got = driver.done().get("status")
    for name in ("server", "slots", "free"):
        equal((got or {}).get(name), status[name], f"{name} of the status")


@case
def status_refused(stage):
    driver, _, session = stage.connected()
    driver.send("status")
    session.refuse(session.expect("status"), -32603, "failed")
    driver.refused(-32603)
    quiet(driver, session)


@case
def close_ends_the_session(stage):
    driver, arbiter, session = stage.holding(count=2)
    driver.done("close")
    session.expect_end(but=("release",))
    driver.quit()
    arbiter.nobody_waits()


@case
def quit_ends_the_session(stage):
    driver, arbiter, session = stage.holding(count=2)
    driver.quit()
    session.expect_end(but=("release",))
    arbiter.nobody_waits()


@case
def quit_while_a_request_waits(stage):
    driver, arbiter, session = stage.connected()
    driver.done("begin", key="a")
    session.expect("acquire")
    driver.quit()
    session.expect_end(but=("release", "cancel"))
    arbiter.nobody_waits()
