"""The protocol under attack: what a peer that knows no cookie, or one that knows it and errs or
means ill, can do to an arbiter and to its other clients. In each test one of them takes slots and
gives them back all the time, and must not notice."""

import contextlib
import json
import os
import resource
import select
import signal

from harness import (NOBODY, MachineLacks, all_pids, expect, expect_that, long, needs, read_proc,
                     timeout)
from lifecycle_kit import NO_TOOLS, cli
from protocol_kit import (IMPOSSIBLE, METHOD, NO_LEASE, PARAMS, PARSE, REQUEST, TOO_MANY,
                          UNAUTHORIZED, UNAVAILABLE, Bystander, Server, line_of)

MOST_SESSIONS = 12288
MOST_STRANGERS = 1024
LINE = 65536  # bytes with the newline
UNREAD = 1 << 20
BAD_LINES = 16


@contextlib.contextmanager
def attacked(ctx, *words, spare=1, **options):
    """A server with a bystander. Afterwards all that the others held is back, and it serves."""
    server = Server(ctx, *words, **options)
    bystander = Bystander(server, spare)
    yield server, bystander
    bystander.finish()
    last = server.member()
    ctx.wait(lambda: last.status()["leases_total"] == 0, "that no lease is left")
    slots = last.status()["slots"]
    expect(last.call("acquire", min=slots)["slots"], slots, "the whole pool")
    last.close()
    server.end()
    expect(server.run.stderr().count("\n"), 1, "lines on the server's stderr")


def unauthorized(server):
    looker = server.member()
    count = looker.status()["counters"]["unauthorized"]
    looker.close()
    return count


# ---- who may -----------------------------------------------------------------------------------


def hello_with(cookie):
    words = {"protocol": 1, "name": "guest", "pid": os.getpid()}
    return line_of("hello", 1, **words, **({} if cookie is None else {"cookie": cookie}))


def refuse_cookies(server, bystander, cookies, code):
    for cookie in cookies:
        guest = server.peer()
        # Neither what comes with it nor what comes after it is looked at.
        guest.send(hello_with(cookie) + line_of("acquire", 2) + line_of("set", 3, slots=1))
        guest.expect_closed(code)
        bystander.goes_on()


def test_a_wrong_cookie(ctx):
    with attacked(ctx) as (server, bystander):
        right = server.cookie()
        other = format(int(right, 16) ^ 1, "064x")
        first = format(int(right, 16) ^ 1 << 255, "064x")
        refuse_cookies(server, bystander, [other, first, "0" * 64], UNAUTHORIZED)
        expect(unauthorized(server), 3, "counted")


def test_a_truncated_cookie(ctx):
    with attacked(ctx) as (server, bystander):
        right = server.cookie()
        refuse_cookies(server, bystander, ["", right[:1], right[:-1], right + "0", right * 2],
                       UNAUTHORIZED)
        expect(unauthorized(server), 5, "counted")


def test_a_missing_cookie(ctx):
    with attacked(ctx) as (server, bystander):
        refuse_cookies(server, bystander, [None, 0, True, [server.cookie()], {}], PARAMS)


def test_calls_before_hello(ctx):
    calls = {"acquire": {}, "release": {"lease": 1}, "resize": {"lease": 1, "min": 1, "max": 1},
             "report": {"lease": 1}, "cancel": {"id": 1}, "status": {}, "set": {"slots": 1},
             "subscribe": {}, "unheard_of": {}}
    with attacked(ctx) as (server, bystander):
        for method, params in calls.items():
            guest = server.peer()
            guest.send(line_of(method, 1, **params) + hello_with(server.cookie()))
            guest.expect_closed(UNAUTHORIZED)
            notifies = server.peer()
            notifies.send(line_of(method, **params) + hello_with(server.cookie()))
            notifies.expect_closed()
        bystander.goes_on()
        looker = server.member()
        expect(looker.status()["slots"], 4, "slots")
        looker.close()


def test_many_wrong_cookies_at_once(ctx):
    """Who guesses waits, ever longer; who knows does not."""
    with attacked(ctx) as (server, bystander):
        guests = [server.peer() for _ in range(200)]
        for guest in guests:
            guest.send(hello_with("0" * 64))
        server.member().close()
        bystander.goes_on()
        for guest in guests:
            guest.expect_closed(UNAUTHORIZED)
        expect(unauthorized(server), 200, "counted")


def test_a_web_page(ctx):
    """What a browser can be made to send to a port of this machine: all of its lines are ours to
    ignore, also one that would be a call."""
    with attacked(ctx, "--listen", "tcp:127.0.0.1:0") as (server, bystander):
        page = server.peer(server.addresses()[1])
        body = hello_with(server.cookie()) + line_of("set", 2, slots=1)
        page.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\r\n" + body)
        page.expect_closed(PARSE)
        bystander.goes_on()
        looker = server.member()
        expect(looker.status()["slots"], 4, "slots")
        looker.close()


OTHER_USER = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
try:
    peer.sendall(sys.stdin.buffer.read())
except OSError:
    pass
said = b""
try:
    while more := peer.recv(65536):
        said += more
except ConnectionResetError:
    pass
sys.stdout.buffer.write(said)
"""


@needs("user")
def test_another_user(ctx):
    """With the right cookie, at a socket that somebody has opened to all by mistake."""
    with attacked(ctx) as (server, bystander):
        calls = hello_with(server.cookie()) + line_of("acquire", 2) + line_of("set", 3, slots=1)
        os.chmod(os.path.dirname(server.path), 0o755)
        os.chmod(server.path, 0o666)
        calls_file = ctx.write("calls", calls.decode(), 0o600)
        for _ in range(3):
            with open(calls_file, "rb") as stdin:
                other = ctx.spawn([ctx.python, "-c", OTHER_USER, server.path], user=NOBODY,
                                  stdin=stdin)
            expect((other.wait(), other.stderr()), (0, ""), "status and stderr of the other user")
            answers = [json.loads(line) for line in other.stdout().splitlines()]
            expect([answer["error"]["code"] for answer in answers], [UNAUTHORIZED], "codes")
            bystander.goes_on()
        os.chmod(os.path.dirname(server.path), 0o700)
        expect(unauthorized(server), 3, "counted")
        status = cli(ctx, "status", "--server", server.path, user=NOBODY)
        expect(status.status, 1, "status of another user's look")


# ---- what is no message ------------------------------------------------------------------------


def test_a_peer_that_says_nothing(ctx):
    """It is closed when its time is over; so is one that sends a line without end."""
    with attacked(ctx) as (server, bystander):
        silent, slow = server.peer(), server.peer()
        slow.send(b'{"jsonrpc":')
        member = server.member()
        for peer in (silent, slow):
            peer.expect_closed(UNAUTHORIZED)
            bystander.goes_on()
        expect(member.status()["slots"], 4, "who has said hello may be silent")
        member.close()


def test_a_megabyte_without_a_newline(ctx):
    with attacked(ctx) as (server, bystander):
        for peer in (server.peer(), server.member()):
            peer.send(b"x" * (1 << 20))
            peer.expect_closed(REQUEST)
            bystander.goes_on()
        for room in (1, 0):
            member = server.member()
            padded = line_of("status", 9, fill="")
            padded = line_of("status", 9, fill="x" * (LINE - len(padded) + 1 - room))
            expect(len(padded), LINE + 1 - room, "bytes")
            member.send(padded)
            if room:
                expect(member.result(9)["slots"], 4, "the longest line")
                member.close()
            else:
                member.expect_closed(REQUEST)


def test_deep_nesting(ctx):
    def nested(depth):
        inner = "[" * (depth - 2) + "]" * (depth - 2)  # the message and its params are two
        return f'{{"jsonrpc":"2.0","id":5,"method":"status","params":{{"x":{inner}}}}}\n'.encode()

    with attacked(ctx) as (server, bystander):
        guest = server.peer()
        guest.send(nested(10000))
        guest.expect_closed(PARSE)
        member = server.member()
        for line in (nested(17), nested(10000), b"[" * 10000 + b"\n", b'{"a":' * 10000 + b"\n"):
            member.send(line)
            expect(member.code(None), PARSE, "code")
            bystander.goes_on()
        member.send(nested(16))
        expect(member.result(5)["slots"], 4, "as deep as may be")
        member.close()


def test_lines_that_are_no_messages(ctx):
    """So many and no more; empty lines are none, and a carriage return is ignored."""
    lines = [b"GET / HTTP/1.1", b"{}", b"[]", b"null", b'"a"', b"{", b"}", b"\0", b"1 2",
             b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"1.0","id":1,"method":"status"}',
             b'[{"jsonrpc":"2.0","id":1,"method":"status"}]',
             b'{"jsonrpc":"2.0","id":1,"method":7}',
             b'{"jsonrpc":"2.0","id":1.5,"method":"status"}', b"\xff\xfe", b"nonsense"]
    expect(len(lines), BAD_LINES, "lines")
    with attacked(ctx) as (server, bystander):
        for line in lines:
            guest = server.peer()
            guest.send(line + b"\n" + hello_with(server.cookie()))
            message = guest.message()
            expect_that(message["error"]["code"] in (PARSE, REQUEST), f"{line}: {message}")
            guest.expect_closed()
        member = server.member()
        for line in lines[:-1]:
            member.send(b"\n\r\n" + line + b"\r\n")
            message = member.message()
            expect_that(message["error"]["code"] in (PARSE, REQUEST), f"{line}: {message}")
        expect(member.status()["slots"], 4, "one is left")
        member.send(lines[-1] + b"\n" + line_of("status", 9))
        member.expect_closed(PARSE)
        bystander.goes_on()


def test_bad_utf8(ctx):
    bad = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
    with attacked(ctx) as (server, bystander):
        member = server.member()
        for text in bad:
            member.send(b'{"jsonrpc":"2.0","id":1,"method":"acquire","params":{"target":"' + text +
                        b'"}}\n')
            expect(member.code(None), PARSE, f"code of {text}")
        guest = server.peer()
        guest.send(hello_with(server.cookie()).replace(b"guest", b"g\xffst"))
        guest.expect_closed(PARSE)
        bystander.goes_on()
        lease = member.call("acquire", target="ä/€/😀")["lease"]
        row = next(row for row in member.status()["leases"] if row["lease"] == lease)
        expect(row["target"], "ä/€/😀", "what is UTF-8")
        member.close()


# ---- calls that are wrong ----------------------------------------------------------------------

HUGE = ["513", "2147483648", "4294967297", "9007199254740993", "9223372036854775808",
        "18446744073709551617", "1" + "0" * 400, "1e9", "1e400", "1" * 60000]
NEGATIVE = ["0", "-1", "-0.5", "-512", "-2147483648", "-9223372036854775809", "-1e400"]
OF_ANOTHER_TYPE = ["1.5", '"1"', "null", "true", "[1]", "{}"]


def wrong_numbers(member, calls):
    """Each call with `%s` in it is refused for each number, and nothing happens."""
    for method, params, numbers in calls:
        for number in numbers:
            text = params.replace("%s", number)
            line = f'{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{text}}}\n'
            member.send(line.encode())
            message = member.message()
            code = message.get("error", {}).get("code")
            # A number that no double can hold is no JSON of ours.
            unheard_of = PARSE if "e400" in number or len(number) > 300 else PARAMS
            where = f"{method} {params} with {number[:30]}"
            expect_that(code in (PARAMS, unheard_of), f"{where}: {message}")
            expect(message["id"], 7 if code == PARAMS else None, f"id of {where}")
            yield


def attack_with_numbers(ctx, numbers, more=()):
    slots = [("acquire", '{"min":%s}'), ("acquire", '{"min":1,"max":%s}'), ("set", '{"slots":%s}'),
             ("release", '{"lease":1,"slots":%s}'), ("resize", '{"lease":1,"min":%s,"max":512}'),
             ("resize", '{"lease":1,"min":1,"max":%s}')]
    with attacked(ctx) as (server, bystander):
        for method, params, *own in [*((*call, numbers) for call in slots), *more]:
            member = server.member()
            for _ in wrong_numbers(member, [(method, params, own[0])]):
                pass
            status = member.status()
            # The bystander may hold some of them.
            expect((status["slots"], status["waiting_total"]), (4, 0), "slots, requests that wait")
            member.close()
            bystander.goes_on()


def test_huge_numbers(ctx):
    beyond = HUGE[3:]
    attack_with_numbers(ctx, HUGE, [
        ("release", '{"lease":%s}', beyond), ("report", '{"lease":1,"exit":%s}', HUGE),
        ("report", '{"lease":1,"peak_memory":%s}', beyond),
        ("acquire", '{"timeout_ms":%s}', HUGE[1:]), ("acquire", '{"priority":%s}', HUGE),
        ("acquire", '{"memory":%s}', beyond), ("acquire", '{"pid":%s}', HUGE[1:]),
        ("set", '{"limits":{"link":%s}}', HUGE)])


def test_negative_slots(ctx):
    below = NEGATIVE[1:]
    attack_with_numbers(ctx, NEGATIVE, [
        ("release", '{"lease":%s}', NEGATIVE), ("acquire", '{"timeout_ms":%s}', below),
        ("acquire", '{"priority":%s}', [*below[2:], "-101"]), ("acquire", '{"memory":%s}', below),
        ("acquire", '{"pid":%s}', NEGATIVE), ("set", '{"limits":{"link":%s}}', below)])


def test_numbers_of_another_type(ctx):
    attack_with_numbers(ctx, OF_ANOTHER_TYPE)


def test_more_than_there_are(ctx):
    with attacked(ctx) as (server, bystander):
        member = server.member()
        for slots in (5, 512):
            member.refused(IMPOSSIBLE, "acquire", min=slots)
            member.refused(IMPOSSIBLE, "acquire", min=slots, timeout_ms=0)
        member.refused(PARAMS, "acquire", min=3, max=2)
        bystander.goes_on()
        member.close()


def test_unknown_methods(ctx):
    with attacked(ctx) as (server, bystander):
        member = server.member()
        for method in ("unheard_of", "", "Acquire", "rpc.discover", "event", "revoke", "x" * 60000,
                       "a\0b", "\u20ac"):
            member.refused(METHOD, method)
            member.send(line_of(method))  # nothing is answered, not even an error
        expect(member.status()["slots"], 4, "slots")
        expect(member.others, [], "what else was said")
        bystander.goes_on()
        member.close()


def test_duplicate_ids(ctx):
    with attacked(ctx, slots=2) as (server, bystander):
        member = server.member()
        held = member.call("acquire")["lease"]
        for call in (77, "seventy-seven"):
            member.send(line_of("acquire", call, min=2, priority=-1) * 50)
            expect([member.code(call) for _ in range(49)], [REQUEST] * 49, "codes of the others")
            expect(member.status()["waiting_total"], 1, "requests that wait")
            bystander.goes_on()
            expect(member.call("cancel", id=call), {"cancelled": True}, "the one that waits")
            member.code(call)
        for wrong in (-1, 1.5, 1 << 53, "", "x" * 65, [1], {}, True):
            member.send(line_of("status", wrong))
            expect(member.code(None), REQUEST, f"code with the id {wrong}")
        member.call("release", lease=held)
        member.close()


# ---- too much of it ----------------------------------------------------------------------------


def flood(peer, text, enough):
    """Sends `text` again and again, and reads meanwhile, until enough(); answers how often it was
    sent. The last call, "end", is still to be answered then."""
    peer.socket.setblocking(False)
    times, rest = 0, b""
    while True:
        if not rest:
            if times and enough():
                break
            rest, times = text, times + 1
        readable, writable, _ = select.select([peer.socket], [peer.socket], [], peer.left())
        if readable:
            peer.take(peer.socket.recv(1 << 20))
        if writable:
            rest = rest[peer.socket.send(rest):]
    peer.send(line_of("status", "end"))
    return times


def test_a_flood_of_calls(ctx):
    """All are answered, in their order; the bystander gets its turn between them."""
    calls = 500
    text = b"".join(line_of("release", i, lease=5) for i in range(calls))
    with attacked(ctx) as (server, bystander):
        member = server.member()
        goal = bystander.rounds + 20
        times = flood(member, text, lambda: bystander.rounds >= goal or bystander.trouble)
        for at in range(calls * times):
            message = member.message()
            expect((message["id"], message["error"]["code"]), (at % calls, NO_LEASE), "answer")
        expect(member.result("end")["slots"], 4, "slots")
        member.close()


def test_a_flood_of_notifications(ctx):
    text = (line_of("release", lease=5) + line_of("unheard_of") + line_of("acquire", min=0)) * 200
    with attacked(ctx) as (server, bystander):
        member = server.member()
        goal = bystander.rounds + 20
        flood(member, text, lambda: bystander.rounds >= goal or bystander.trouble)
        expect(member.result("end")["slots"], 4, "slots")
        expect(member.others, [], "what else was said")
        member.close()


def test_a_peer_that_never_reads(ctx):
    with attacked(ctx) as (server, bystander):
        member = server.member()
        lease = member.call("acquire", timeout_ms=60000)["lease"]
        looker = server.member()
        text, sent = line_of("status", 1) * 100, 0
        # It ends because the arbiter closes the connection.
        while member.send(text):
            sent += len(text)
            bystander.goes_on()
        expect_that(sent > 0, "some calls were taken")
        ctx.wait(lambda: all(row["lease"] != lease for row in looker.status()["leases"]),
                 "the end of its lease")
        member.close()
        looker.close()


def test_a_subscriber_that_never_reads(ctx):
    """It loses events, and is told how many; nobody waits for it."""
    with attacked(ctx, spare=2) as (server, bystander):
        member = server.member()
        member.call("acquire")
        member.call("subscribe")
        looker = server.member()
        # Each of them makes an event of more than 100 bytes: twice what is kept for a session.
        for at in range(2 * UNREAD // 100 // 200):
            looker.send(line_of("acquire", "try", timeout_ms=0, min=4) * 200)
            for _ in range(200):
                expect(looker.code("try"), UNAVAILABLE, "code, as one slot is not free")
            if at % 20 == 0:
                bystander.goes_on()
        call = member.ask("status")
        expect(member.result(call)["slots"], 4, "slots")
        lost = 0
        while not lost:
            lost = member.message()["params"].get("lost", 0)
        looker.close()
        member.close()


def raise_file_limit(files):
    """As many as may be; answers how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, hard)))
        return files
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def test_connections_that_say_nothing(ctx):
    """More strangers than may be: those that are too many are told so at once."""
    if raise_file_limit(4096) < 4096:
        raise MachineLacks("a process may not have 4096 files open")
    with attacked(ctx) as (server, bystander):
        peers, codes, said = {}, [], select.poll()
        while TOO_MANY not in codes:
            # Whose time is over makes room, so it is not known which one will be too many.
            expect_that(len(peers) < 3000, f"{len(peers)} strangers, and none is too many")
            for _ in range(100):
                peer = server.peer()
                peers[peer.socket.fileno()] = peer
                said.register(peer.socket, select.POLLIN)
            for number, _ in said.poll(0):
                codes.append(peers[number].message()["error"]["code"])
                said.unregister(number)
                peers.pop(number).expect_closed()
        bystander.goes_on()
        for peer in peers.values():
            codes.append(peer.message()["error"]["code"])
            peer.expect_closed()
        expect_that(set(codes) <= {UNAUTHORIZED, TOO_MANY}, f"codes: {set(codes)}")
        expect_that(codes.count(UNAUTHORIZED) >= MOST_STRANGERS, "so many were waited for")


@timeout(300)
def test_more_connections_than_there_may_be(ctx):
    too_many_connections(ctx, 13000)


@long
@timeout(300)
def test_20000_connections(ctx):
    too_many_connections(ctx, 20000)


def too_many_connections(ctx, wanted):
    """With the cookie. As many as there may be are served, the others are refused; each holds
    nothing, and when they are gone there is room again."""
    files = raise_file_limit(wanted + 1000)
    may_be_all = files >= wanted + 500
    wanted = min(wanted, (files - 500) // 100 * 100)
    with attacked(ctx) as (server, bystander):
        hello = hello_with(server.cookie())
        served, refused = [], 0
        while len(served) + refused < wanted:
            peers = [server.peer() for _ in range(100)]
            for peer in peers:
                peer.send(hello)
            for peer in peers:
                message = peer.message()
                if message is not None and "result" in message:
                    served.append(peer)
                    continue
                # No word where the machine has no descriptor left.
                expect_that(message is None or message["error"]["code"] == TOO_MANY, f"{message}")
                refused += 1
                peer.close()
            if (len(served) + refused) % 1000 == 0:
                bystander.goes_on()
        expect_that(len(served) < MOST_SESSIONS, f"{len(served)} beside the bystander")
        expect(refused, wanted - len(served), "refused")
        if may_be_all:
            expect_that(refused >= wanted - MOST_SESSIONS, f"{refused} were too many")
        expect(served[0].call("acquire", timeout_ms=60000)["slots"], 1, "the first one is served")
        expect(served[-1].status()["sessions"], len(served) + 1, "sessions")
        for peer in served:
            peer.close()
        bystander.goes_on()


# ---- the secret --------------------------------------------------------------------------------


def expect_no_cookie_in_processes(cookie):
    for pid in all_pids():
        expect_that(cookie.encode() not in read_proc(pid, "cmdline"), f"process {pid} shows it")


def test_the_cookie_is_told_to_nobody(ctx):
    """No log, error, report, status or process list has it; `tokenpool env` is there to tell it."""
    with attacked(ctx, "--listen", "tcp:127.0.0.1:0", spare=2) as (server, bystander):
        cookie = server.cookie()
        variables = server.variables()
        watch = ctx.spawn([ctx.tokenpool, "status", "--watch", "--json"], env=variables)
        job = ctx.spawn([ctx.tokenpool, "exec", "job", "a"], env=variables)
        run = ctx.run(["job", "b"], env=variables)
        ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs in")
        expect_no_cookie_in_processes(cookie)
        member = server.member()
        answers = [member.status(), member.call("set", slots=4)]
        for line in (hello_with(cookie), hello_with(cookie)[:-9] + b"\n",
                     b"{" + cookie.encode() + b"}\n",
                     line_of("hello", 5, protocol=2, cookie=cookie),
                     line_of("hello", 5, protocol=1, cookie=cookie, name="", pid=1),
                     line_of("cancel", 5, id=[cookie])):
            for peer in (server.peer(), member):
                peer.send(line)
                answers.append(peer.message())
        member.close()
        told = [answer for answer in answers if cookie in json.dumps(answer)]
        expect_that(not told, f"an answer tells it: {told}")
        expect_that(answers[2]["result"]["protocol"] == 1, "the first hello was right")
        near = format(int(cookie, 16) ^ 1, "064x")
        for words, env in ((["status"], variables), (["status", "--json"], variables),
                           (["status", "--server", server.path], {}), (["doctor"], {**variables, **NO_TOOLS}),
                           (["doctor", "--json"], {**variables, **NO_TOOLS}), (["set", "jobs=4"], variables),
                           (["pause"], variables), (["resume"], variables),
                           (["serve", "--listen", f"unix:{server.path}"], variables),
                           (["exec", "--slots", "9", "job", "c"], variables),
                           (["status"], {**variables, "TOKENPOOL_COOKIE": near}),
                           (["exec", "true"], {**variables, "TOKENPOOL_COOKIE": near})):
            said = cli(ctx, *words, env=env)
            text = said.stdout() + said.stderr()
            expect_that(cookie not in text and near not in text, f"{words} tells it: {text}")
        expect_no_cookie_in_processes(cookie)
        bystander.goes_on()
        for guest in ctx.desk.held():
            ctx.desk.release(guest)
        expect(job.wait(), 0, "status of exec")
        run.finish()
        ctx.kill(watch.pid, signal.SIGINT)
        watch.wait()
    for folder, _, names in os.walk(ctx.dir):
        for name in names:
            path = f"{folder}/{name}"
            if path == f"{server.path}.cookie" or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                expect_that(cookie.encode() not in file.read(), f"{path} has it")
