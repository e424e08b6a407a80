"""Finding the arbiter: addresses, cookies, hello, and what to do without."""

import socket

from common import COOKIE, MAX_NUMBER, check, case, equal, start_of
from fake_arbiter import message


def without(stage, reason, **env):
    """The driver connects to nobody, and says why."""
    driver = stage.driver(**env)
    answer = driver.done("connect")
    got = tuple(answer.get(k) for k in ("mode", "reason", "slots", "jobserver_reason"))
    want = ("single", reason, 1, "no-makeflags")
    equal(got, want, f"(mode, reason, slots, jobserver_reason) with {env}")
    driver.end_of_input()


def turned_away(stage, reason, arbiter, driver):
    """What the arbiter has just done must have this result."""
    answer = driver.answer()
    equal((answer.get("mode"), answer.get("reason")), ("single", reason), "(mode, reason)")


def serves(stage, arbiter, *addresses):
    driver = stage.driver_of(*addresses)
    driver.send("connect")
    arbiter.session(slots=7)
    answer = driver.answer()
    got = tuple(answer.get(k) for k in ("mode", "reason", "slots"))
    equal(got, ("protocol", "ok", 7), f"(mode, reason, slots) with {addresses}")


@case
def find_without_an_address(stage):
    without(stage, "no-address")
    without(stage, "no-address", TOKENPOOL_ADDR="", TOKENPOOL_COOKIE=COOKIE)
    without(stage, "no-address", TOKENPOOL_COOKIE=COOKIE)


@case
def find_with_a_bad_address(stage):
    for address in ("nonsense", "unix:", "unix:relative/path", "tcp:127.0.0.1", "tcp:127.0.0.1:",
                    "tcp:127.0.0.1:0x50", "tcp:127.0.0.1:99999", "tcp::4711", "tcp:[::1:4711"):
        without(stage, "bad-address", TOKENPOOL_ADDR=address, TOKENPOOL_COOKIE=COOKIE)


@case
def find_a_host_by_name_is_a_bad_address(stage):
    without(stage, "bad-address", TOKENPOOL_ADDR="tcp:host.invalid:4711", TOKENPOOL_COOKIE=COOKIE)


@case
def find_without_a_cookie(stage):
    address = stage.unix().address
    without(stage, "no-cookie", TOKENPOOL_ADDR=address)
    without(stage, "no-cookie", TOKENPOOL_ADDR=address, TOKENPOOL_COOKIE="")
    stage.arbiters[0].nobody_waits()


@case
def find_with_a_bad_cookie(stage):
    arbiter = stage.unix()
    for cookie in ("abc", COOKIE[:-1], COOKIE + "0", COOKIE[:-1] + "g", COOKIE[:-1] + " "):
        without(stage, "bad-cookie", TOKENPOOL_ADDR=arbiter.address, TOKENPOOL_COOKIE=cookie)
    arbiter.nobody_waits()


@case
def find_nobody(stage):
    gone = "unix:" + stage.path("gone")
    dead = stage.dead_tcp()
    left = socket.socket(socket.AF_UNIX)
    left.bind(stage.path("left"))  # as an arbiter that was killed leaves it
    left.close()
    left = "unix:" + stage.path("left")
    for address in (gone, dead, left, ";".join((gone, dead, left))):
        without(stage, "unreachable", TOKENPOOL_ADDR=address, TOKENPOOL_COOKIE=COOKIE)


@case
def find_over_a_Unix_socket(stage):
    arbiter = stage.unix()
    serves(stage, arbiter, arbiter)


@case
def find_over_a_Unix_socket_in_a_path_with_a_space_and_an_umlaut(stage):
    arbiter = stage.unix("so ckät")
    serves(stage, arbiter, arbiter)


@case
def find_over_TCP(stage):
    arbiter = stage.tcp()
    serves(stage, arbiter, arbiter)
    serves(stage, arbiter, arbiter.address.replace("127.0.0.1", "localhost"))


@case
def find_over_TCP_with_IPv6(stage):
    arbiter = stage.tcp("::1")
    serves(stage, arbiter, arbiter)


@case
def find_the_second_address_when_the_first_is_dead(stage):
    unix, tcp = stage.unix(), stage.tcp()
    gone, dead = "unix:" + stage.path("gone"), stage.dead_tcp()
    serves(stage, unix, gone, unix)
    serves(stage, unix, dead, unix)
    serves(stage, tcp, gone, tcp)
    serves(stage, tcp, dead, gone, tcp)


@case
def find_the_first_address_and_leave_the_second_alone(stage):
    first, second = stage.unix("first"), stage.unix("second")
    serves(stage, first, first, second)
    second.nobody_waits()


@case
def find_an_arbiter_that_refuses_the_cookie(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    session.refuse(request, -32001, "wrong cookie")
    session.close()
    turned_away(stage, "refused", arbiter, driver)


@case
def find_an_arbiter_of_another_protocol(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    session.refuse(request, -32002, "protocol 1 is not spoken", data={"protocols": [2, 3]})
    session.close()
    turned_away(stage, "incompatible", arbiter, driver)


@case
def find_an_arbiter_that_closes_before_it_answers_hello(stage):
    arbiter = stage.tcp()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, _ = arbiter.knock()
    session.close()
    turned_away(stage, "no-answer", arbiter, driver)


@case
def find_an_arbiter_that_closes_in_the_middle_of_its_answer_to_hello(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    session.raw(session.answer_line(request, {"session": 3, "slots": 4})[:-5])
    session.close()
    turned_away(stage, "no-answer", arbiter, driver)


@case
def find_somebody_who_answers_hello_with_garbage(stage):
    arbiter = stage.tcp()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, _ = arbiter.knock()
    session.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    session.expect_end()
    turned_away(stage, "no-answer", arbiter, driver)


@case
def find_an_arbiter_that_never_answers_hello(stage):
    """The one case that takes its time: the client has to give up after 5 s."""
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, _ = arbiter.knock()
    session.expect_end("the client to give up after 5 s")
    turned_away(stage, "no-answer", arbiter, driver)


@case
def hello_has_its_members(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    params = request.params
    equal(params["protocol"], 1, "protocol of hello")
    check(request.id is not None, "hello came as a notification")
    peer = session.peer_pid()
    if peer is not None:
        equal(params["pid"], peer, "pid of hello")
    equal(params.get("start"), start_of(params["pid"]), "start of hello (field 22 of its stat)")
    check("lease" not in params, "lease is in hello, and TOKENPOOL_LEASE is not set")
    equal(params.get("launcher", False), False, "launcher of hello")
    equal(params.get("resume", []), [], "resume of the first hello")
    session.greet(request)
    driver.done()


@case
def hello_over_TCP_has_pid_and_start(stage):
    arbiter = stage.tcp()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    want = start_of(request.params["pid"])
    equal(request.params.get("start"), want, "start of hello (field 22 of its stat)")
    session.greet(request)
    driver.done()


@case
def hello_has_the_lease_of_TOKENPOOL_LEASE(stage):
    arbiter = stage.unix()
    for lease in (1, 8123, MAX_NUMBER):
        driver = stage.driver_of(arbiter, TOKENPOOL_LEASE=str(lease))
        driver.send("connect")
        session, request = arbiter.knock()
        equal(request.params.get("lease"), lease, "lease of hello")
        session.greet(request)
        driver.done()


@case
def hello_leaves_out_a_TOKENPOOL_LEASE_that_is_none(stage):
    arbiter = stage.unix()
    for lease in ("", "0", "-1", "abc", "7x", "1.5", str(MAX_NUMBER + 1), "9" * 40):
        driver = stage.driver_of(arbiter, TOKENPOOL_LEASE=lease)
        driver.send("connect")
        session, request = arbiter.knock()
        check("lease" not in request.params, f"lease is in hello with TOKENPOOL_LEASE={lease}")
        session.greet(request)
        driver.done()


@case
def hello_is_answered_late(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    other = stage.driver()  # something else happens in between
    other.done("connect")
    session.greet(request, slots=2)
    equal(driver.done()["slots"], 2, "slots")


@case
def hello_is_answered_after_notifications(stage):
    arbiter = stage.unix()
    driver = stage.driver_of(arbiter)
    driver.send("connect")
    session, request = arbiter.knock()
    session.raw(message(method="weather", params={"rain": True}))
    session.raw(message(method="event", params={"kind": "set", "free": 1}))
    session.greet(request, motd="hello yourself", nested={"a": [None, 1.5]})
    equal(driver.done()["mode"], "protocol", "mode")
