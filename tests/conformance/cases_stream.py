"""Bytes on the stream: pieces, several at once, what nobody knows, and garbage."""

import json
import pathlib

from common import MAX_NUMBER, case, check, equal
from fake_arbiter import message
from stage import acquire, quiet

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
MAX_LINE = 65536


def bytes_of(vector, head='{"jsonrpc":"2.0","id":1,"result":'):
    """A vector's line as tests/vectors/README.md describes it, without the newline."""
    if "line" in vector:
        return vector["line"].encode()
    if "line_hex" in vector:
        return bytes.fromhex(vector["line_hex"])
    make = vector["make"]
    if make["kind"] == "open":
        return b"[" * make["depth"]
    if make["kind"] == "nest":
        brackets = make["depth"] - 2
        return (head + '{"x":' + "[" * brackets + "]" * brackets + "}}").encode()
    return (head + '{"pad":"' + "x" * (make["bytes"] - len(head) - 12) + '"}}').encode()


def vectors(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


@case
def answers_in_pieces_of_one_byte(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, hello = arbiter.knock()
    session.bytewise(session.answer_line(hello, {"session": 1, "server": "ä", "slots": 4}))
    driver.done()
    driver.send("acquire", key="a", max=3)
    line = session.answer_line(session.expect("acquire"), {"lease": 12345, "slots": 3, "x": "🔗"})
    session.bytewise(message(method="weather", params={"wind": "böig"}) + line)
    driver.granted(12345, 3)


@case
def answers_in_pieces_over_TCP(stage):
    driver, _, session = stage.connected(stage.tcp())
    driver.send("acquire", key="a", max=3)
    session.bytewise(session.answer_line(session.expect("acquire"), {"lease": 12345, "slots": 3}))
    driver.granted(12345, 3)


@case
def answers_several_in_one_segment(stage):
    driver, _, session = stage.connected()
    lines = b""
    for at, key in enumerate("abcd"):
        driver.done("begin", key=key)
        lines += session.answer_line(session.expect("acquire"), {"lease": at + 1, "slots": 1})
    session.raw(lines)
    for at, key in enumerate("abcd"):
        driver.granted(at + 1, 1, "await", key=key)
    driver.holds(a=(1, 1), b=(2, 1), c=(3, 1), d=(4, 1))


@case
def answers_one_and_a_half_in_one_segment(stage):
    driver, _, session = stage.connected()
    driver.done("begin", key="a")
    first = session.answer_line(session.expect("acquire"), {"lease": 1, "slots": 1})
    driver.done("begin", key="b")
    second = session.answer_line(session.expect("acquire"), {"lease": 2, "slots": 1})
    session.raw(first + second[:20])
    driver.granted(1, 1, "await", key="a")
    driver.holds(a=(1, 1))
    session.raw(second[20:])
    driver.granted(2, 1, "await", key="b")


@case
def answers_together_with_that_of_hello(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, hello = arbiter.knock()
    line = session.answer_line(hello, {"session": 1, "server": "s", "slots": 4})
    session.raw(line + message(method="event", params={"kind": "set", "free": 2}))
    driver.done()
    equal(driver.done("wait_notice", method="event")["params"]["free"], 2, "free of the event")


@case
def answers_out_of_order(stage):
    driver, _, session = stage.connected()
    requests = {}
    for key in "abcd":
        driver.done("begin", key=key)
        requests[key] = session.expect("acquire")
    for at, key in enumerate("cadb"):
        session.answer(requests[key], {"lease": at + 1, "slots": 1})
        driver.granted(at + 1, 1, "await", key=key)
    driver.holds(c=(1, 1), a=(2, 1), d=(3, 1), b=(4, 1))


@case
def answers_with_members_in_another_order_spaces_and_carriage_returns(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a", max=2)
    id = json.dumps(session.expect("acquire").id)
    line = f' {{ "result" : {{ "slots" : 2 , "lease" : 7 }} , "id" : {id} , "jsonrpc" : "2.0" }} '
    session.raw(b"\r\n\n" + line.encode() + b"\r\n")
    driver.granted(7, 2)


@case
def answers_with_unknown_members(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a")
    request = session.expect("acquire")
    result = {"lease": 7, "slots": 1, "cpus": [0, 1], "node": None, "": {"deep": [[[1.5]]]}}
    session.raw(message(id=request.id, result=result, took_ms=0.25, trace=[{}]))
    driver.granted(7, 1)


@case
def answers_of_65536_bytes(stage):
    driver, _, session = stage.connected()
    driver.send("acquire", key="a")
    request = session.expect("acquire")
    room = len(message(id=request.id, result={"lease": 7, "slots": 1, "pad": ""}))
    result = {"lease": 7, "slots": 1, "pad": "x" * (MAX_LINE - room)}
    line = message(id=request.id, result=result)
    equal(len(line), MAX_LINE, "the case's own line")
    session.raw(line)
    driver.granted(7, 1)


@case
def notifications_that_nobody_knows_do_no_harm(stage):
    driver, _, session = stage.connected()
    for line in (message(method="weather", params={"rain": True}), message(method="tick"),
                 message(method="weather", params={"lease": "x", "slots": [None]}),
                 message(method="", params={}), message(method="acquire", params={})):
        session.raw(line)
        quiet(driver, session)
    acquire(driver, session, "a", 7)


@case
def every_golden_notification_does_no_harm(stage):
    driver, _, session = stage.holding()
    for vector in vectors("answers.json"):
        if vector["kind"] == "notification":
            session.raw(bytes_of(vector) + b"\n")
            quiet(driver, session)
    driver.holds(a=(101, 1))


@case
def every_golden_error_is_passed_on(stage):
    driver, _, session = stage.connected()
    for vector in vectors("answers.json"):
        if vector["kind"] == "error" and vector["id"] is not None:
            driver.send("acquire", key="a")
            request = session.expect("acquire")
            error = json.loads(vector["line"])["error"]
            session.raw(message(id=request.id, error=error))
            driver.refused(vector["code"])


@case
def a_revoke_is_told(stage):
    driver, _, session = stage.holding()
    driver.send("wait_notice", method="revoke")
    session.notify("revoke", lease=101, reason="memory", deadline_ms=2000, by=[1.5])
    params = driver.done()["params"]
    got = {name: params.get(name) for name in ("lease", "reason", "deadline_ms")}
    equal(got, {"lease": 101, "reason": "memory", "deadline_ms": 2000}, "params of revoke")
    driver.holds(a=(101, 1))
    driver.done("release", key="a")
    session.expect_release(101, 1, 0)


@case
def a_recall_is_told_and_may_be_followed(stage):
    driver, _, session = stage.holding(slots=4)
    driver.send("wait_notice", method="recall")
    session.notify("recall", lease=101, slots=1)
    params = driver.done()["params"]
    equal((params.get("lease"), params.get("slots")), (101, 1), "(lease, slots) of recall")
    driver.holds(a=(101, 4))
    driver.send("release", key="a", slots=3)
    session.expect_release(101, 3, 1)
    driver.done()


@case
def notices_wait_for_whoever_asks(stage):
    driver, _, session = stage.holding(count=2)
    session.notify("recall", lease=101, slots=0)
    session.notify("revoke", lease=102, reason="memory", deadline_ms=1)
    session.notify("recall", lease=102, slots=0)
    session.notify("event", kind="queued", free=0, lost=3)
    quiet(driver, session)
    equal(driver.done("wait_notice", method="event")["params"].get("lost"), 3, "lost")
    equal(driver.done("wait_notice", method="revoke")["params"].get("lease"), 102, "lease")
    for lease in (101, 102):
        equal(driver.done("wait_notice", method="recall")["params"].get("lease"), lease, "lease")


@case
def every_golden_bad_answer_breaks_the_connection_or_is_ignored(stage):
    driver, arbiter, session = stage.connected()
    driver.done("begin", key="a", min=2)
    request = session.expect("acquire", min=2)
    for vector in vectors("bad_answers.json"):
        name = vector["name"]
        line = bytes_of(vector).replace(b'"id":1,', b'"id":%s,' % json.dumps(request.id).encode())
        session.raw(line + b"\n")
        if vector.get("ignore"):
            quiet(driver, session)
            continue
        session.expect_end(f"the end of the connection after a bad answer ({name})")
        session = arbiter.session()
        request = session.expect("acquire", min=2)
    session.answer(request, {"lease": MAX_NUMBER, "slots": 2})
    driver.granted(MAX_NUMBER, 2, "await", key="a")


@case
def a_line_without_end_breaks_the_connection(stage):
    driver, arbiter, session = stage.holding()
    session.raw(b'{"jsonrpc":"2.0","method":"x","params":{"pad":"' + b"x" * (MAX_LINE + 1))
    session.expect_end("the end of the connection after 64 KiB without a newline")
    session, hello = arbiter.knock()
    equal([e["lease"] for e in hello.params.get("resume", [])], [101], "leases in resume")
    session.greet(hello, resumed=[101])
    driver.done("wait_connected")
    driver.holds(a=(101, 1))


@case
def garbage_leaves_the_leases_held(stage):
    driver, arbiter, session = stage.holding(count=2)
    session.raw(b"\xff\xfe\x00garbage\n")
    session.expect_end()
    session, hello = arbiter.knock()
    entries = hello.params.get("resume", [])
    check(len(entries) == 2, f"resume declares {entries!r} instead of 101 and 102")
    session.greet(hello, resumed=[entry["lease"] for entry in entries])
    driver.done("wait_connected")
    driver.holds(a=(101, 1), b=(102, 1))
