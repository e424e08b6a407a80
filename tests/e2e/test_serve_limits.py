"""`tokenpool serve`: its options and its configuration, read at the start and upon SIGHUP, the
limits of types, and the bounds that the protocol sets."""

import json
import os
import signal
import stat

from harness import expect, expect_that, timeout
from lifecycle_kit import NO_TOOLS, cli
from protocol_kit import (IMPOSSIBLE, METHOD, NO_LEASE, PARAMS, REQUEST, TOO_MANY, UNAVAILABLE,
                          Bystander, Server, line_of)

LEASES_OF_SESSION = 1024
REQUESTS_OF_SESSION = 1024
MOST_SLOTS = 512
NO_ADDRESS_OF_OURS = "192.0.2.1"  # RFC 5737: no machine has it, so nobody can listen there


def configured(ctx, text, *words, **options):
    """A server with that configuration; path="" where it says itself where to listen."""
    config = ctx.write("serve.toml", text)
    return Server(ctx, "--config", config, *words, **{"slots": None, **options})


def reload(ctx, server, text):
    ctx.write("serve.toml", text)
    server.signal(signal.SIGHUP)


def wait_slots(ctx, looker, slots):
    """Slots and limits are read together: when these are there, the others are."""
    ctx.wait(lambda: looker.status()["slots"] == slots, f"{slots} slots")


def limits_of(status):
    return {limit["type"]: (limit["limit"], limit["used"]) for limit in status["limits"]}


# ---- the configuration -------------------------------------------------------------------------


def test_config_jobs(ctx):
    cpus = json.loads(cli(ctx, "doctor", "--json", env=NO_TOOLS).stdout())["slots"]["default"]
    for text, slots in (("jobs = 3", 3), ("jobs = 512", 512), ('jobs = "cpus"', cpus), ("", cpus)):
        server = configured(ctx, text)
        expect(server.member().status()["slots"], slots, f"slots with {text!r}")
        server.end()


def test_config_listen(ctx):
    folder = f"{ctx.dir}/a"
    text = f'jobs = 4\nlisten = ["unix:{folder}/one", "tcp:localhost:0"]'
    server = configured(ctx, text, path="")
    unix, tcp = server.addresses()
    expect(unix, f"unix:{folder}/one", "the first address")
    expect_that(tcp.startswith("tcp:127.0.0.1:") and not tcp.endswith(":0"), f"a port: {tcp}")
    for address in (unix, tcp):
        expect(server.member(address).status()["slots"], 4, f"slots at {address}")
    server.end()


def test_config_limits(ctx):
    server = configured(ctx, "jobs = 4\n[limits]\nlink = 1\n'a.b-c_D' = 0\nwide = 512\n")
    peer = server.member()
    limits = {"link": (1, 0), "a.b-c_D": (0, 0), "wide": (512, 0)}
    expect(limits_of(peer.status()), limits, "limits")
    peer.call("acquire", type="link")
    peer.refused(UNAVAILABLE, "acquire", type="link", timeout_ms=0)
    peer.call("acquire", type="other")
    peer.close()
    server.end()


def test_config_cookie_file(ctx):
    secret = f"{ctx.dir}/secret"
    server = configured(ctx, f'cookie_file = "{secret}"')
    expect(server.cookie_file(), secret, "the cookie's file")
    expect(stat.S_IMODE(os.stat(secret).st_mode), 0o600, "its mode")
    server.member().close()
    server.end()
    expect(os.listdir(f"{ctx.dir}/serve"), [], "beside the socket")


def test_config_allow_remote(ctx):
    """What it lets pass fails only where the kernel is asked."""
    remote = f"tcp:{NO_ADDRESS_OF_OURS}:0"
    text = f'listen = ["{remote}"]\ncookie_file = "{ctx.dir}/secret"\n'
    for more in ("", "allow_remote = false"):
        configured(ctx, text + more, path="").expect_refused(2, remote, "--allow-remote")
    configured(ctx, text + "allow_remote = true", path="").expect_refused(125, remote)
    configured(ctx, text, "--allow-remote", path="").expect_refused(125, remote)


def test_remote_addresses_are_refused(ctx):
    for address in ("tcp:0.0.0.0:0", "tcp:[::]:0", f"tcp:{NO_ADDRESS_OF_OURS}:7"):
        refused = Server(ctx, "--listen", address)
        refused.expect_refused(2, address, "--allow-remote")
    expect_that(not os.path.exists(f"{ctx.dir}/serve"), "nothing was made")


def test_the_command_line_comes_first(ctx):
    text = f'jobs = 2\nlisten = ["unix:{ctx.dir}/b/socket"]\ncookie_file = "{ctx.dir}/b/secret"\n'
    text += "limits = { link = 1, test = 1 }\n"
    words = ["--limit", "link=3", "--cookie-file", f"{ctx.dir}/secret"]
    server = configured(ctx, text, *words, slots=5)
    status = server.member().status()
    expect((status["slots"], limits_of(status)), (5, {"link": (3, 0)}), "slots and limits")
    expect(server.addresses(), [f"unix:{ctx.dir}/serve/socket"], "addresses")
    expect(server.cookie_file(), f"{ctx.dir}/secret", "the cookie's file")
    expect_that(not os.path.exists(f"{ctx.dir}/b"), "the other one is not made")
    server.end()


def test_a_wrong_configuration_is_one_line(ctx):
    for text, words in (
            ("job = 3", ["job: no such key", "the nearest is jobs"]),
            ("\n\nunheard_of = 3", ["line 3: unheard_of: no such key", "jobs, listen, limits"]),
            ("[limit]\nlink = 1", ["limit: no such key", "limits"]),
            ("jobs = 0", ["1-512"]),
            ("jobs = 513", ["1-512"]),
            ("jobs = -1", ["1-512"]),
            ("jobs = 1.5", ["jobs: "]),
            ("jobs = true", ["jobs: "]),
            ('jobs = "many"', ["line 1: jobs: many: not a number of slots"]),
            ('standstill = "never"', ["line 1: standstill: "]),
            ("[limits]\nlink = 5000", ["limits: the limit 'link=5000'"]),
            ("jobs = 99999999999999999999999", ["line 1"]),
            ('listen = "unix:/x"', ["listen: "]),
            ("listen = [1]", ["listen: "]),
            ('listen = [["unix:/x"]]', ["listen: "]),
            ('listen = ["nonsense"]', ["nonsense", "give unix:/path or tcp:HOST:PORT"]),
            ('listen = ["unix:relative"]', ["unix:relative", "absolute"]),
            ('listen = ["tcp:127.0.0.1:65536"]', ["port"]),
            ("limits = 3", ["limits: "]),
            ('limits = { link = "a" }', ["limits: ", "link"]),
            ("limits = { link = 1.0 }", ["limits: ", "link"]),
            ("limits = { link = -1 }", ["link=-1"]),
            ("limits = { link = 513 }", ["link=513"]),
            ('limits = { "a b" = 1 }', ["a b=1"]),
            ("cookie_file = 3", ["cookie_file: "]),
            ('allow_remote = "yes"', ["allow_remote: "]),
            ("jobs = 1\njobs = 2", ["line 2"]),
            ("jobs =", ["line 1"]),
            ("= = =", ["line 1"]),
            ("jobs = 1\n[limits\nlink = 2", ["line 2"])):
        configured(ctx, text, path="").expect_refused(2, *words)
    binary = f"{ctx.dir}/binary.toml"
    with open(binary, "wb") as file:
        file.write(b"jobs = 1\n\xff\xfe = 2\n")
    for file in (binary, f"{ctx.dir}/missing.toml", ctx.dir):
        Server(ctx, "--config", file).expect_refused(2, file)
    expect_that(not os.path.exists(f"{ctx.dir}/serve"), "nothing was made")


def test_a_wrong_command_line_is_one_line(ctx):
    for words, said in (
            (["--nonsense"], "--nonsense"), (["more"], "more"), (["--listen"], "--listen"),
            (["--limit", "link"], "link"), (["--limit", "=1"], "=1"),
            (["--limit", "link=x"], "link=x"), (["-j", "0"], "-j 0"), (["-j", "4-1"], "-j 4-1"),
            (["--listen", "tcp:example.org:1"], "numeric")):
        Server(ctx, *words).expect_refused(2, said)


# ---- SIGHUP ------------------------------------------------------------------------------------


def test_sighup_changes_slots_and_limits(ctx):
    """Leases stay, whatever they hold; what is too much is not granted anew."""
    server = configured(ctx, "jobs = 4\nlimits = { link = 2 }")
    holder, other, looker = server.member(), server.member(), server.member()
    links = [holder.call("acquire", type="link")["lease"] for _ in range(2)]
    wide = other.call("acquire", min=2)["lease"]
    waits = other.ask("acquire", type="link")
    reload(ctx, server, "jobs = 3\nlimits = { link = 1, test = 5 }")
    wait_slots(ctx, looker, 3)
    status = looker.status()
    expect(limits_of(status), {"link": (1, 2), "test": (5, 0)}, "limits")
    expect((status["leased"], status["free"], status["leases_total"]), (4, 0, 3), "of the pool")
    expect(holder.call("release", lease=links[0]), {"slots": 0}, "what the lease has left")
    status = looker.status()
    expect((status["waiting_total"], status["leased"]), (1, 3), "one link is still in")
    expect(holder.call("release", lease=links[1]), {"slots": 0}, "what the lease has left")
    link = other.result(waits)["lease"]
    looker.refused(UNAVAILABLE, "acquire", timeout_ms=0)
    expect(looker.status()["leased"], 3, "as many as there are now")
    reload(ctx, server, "jobs = 6")
    wait_slots(ctx, looker, 6)
    expect(limits_of(looker.status()), {}, "limits")
    more = [looker.call("acquire", type="link", timeout_ms=0) for _ in range(3)]
    looker.refused(UNAVAILABLE, "acquire", timeout_ms=0)
    expect(len(more), 3, "links beside the one that was there")
    for lease in (wide, link):
        expect(other.call("release", lease=lease), {"slots": 0}, "what the lease has left")
    for peer in (holder, other, looker):
        peer.close()
    server.end()
    expect(server.run.stderr().count("\n"), 1, "lines on stderr")


def test_sighup_keeps_a_limit_that_stays(ctx):
    """While it is read again, too: nobody slips in."""
    text = "limits = { link = 1 }"
    server = configured(ctx, f"jobs = 4\n{text}")
    holder, other, looker = server.member(), server.member(), server.member()
    lease = holder.call("acquire", type="link")["lease"]
    waits = other.ask("acquire", type="link")
    expect(looker.status()["waiting_total"], 1, "requests that wait")
    reload(ctx, server, f"jobs = 5\n{text}")
    wait_slots(ctx, looker, 5)
    status = looker.status()
    expect((status["waiting_total"], limits_of(status)), (1, {"link": (1, 1)}), "waiting, limits")
    holder.call("release", lease=lease)
    expect(other.result(waits)["slots"], 1, "slots, once the first is out")
    for peer in (holder, other, looker):
        peer.close()
    server.end()


def test_sighup_refuses_what_can_never_be(ctx):
    server = configured(ctx, "jobs = 4")
    holder, looker = server.member(), server.member()
    holder.call("acquire")
    wide, link = holder.ask("acquire", min=4), holder.ask("acquire", min=4, type="link")
    expect(looker.status()["waiting_total"], 2, "requests that wait")
    reload(ctx, server, "jobs = 3")
    expect([holder.code(wide), holder.code(link)], [IMPOSSIBLE] * 2, "codes")
    link = holder.ask("acquire", min=3, type="link")
    reload(ctx, server, "jobs = 2\nlimits = { link = 0 }")
    expect(holder.code(link), IMPOSSIBLE, "code")
    holder.close()
    looker.close()
    server.end()


def test_sighup_with_a_broken_file_changes_nothing(ctx):
    start = f'listen = ["unix:{ctx.dir}/serve/socket"]\n'
    server = configured(ctx, start + "jobs = 4\nlimits = { link = 2 }", path="")
    bystander = Bystander(server, spare=2)
    holder = server.member()
    lease = holder.call("acquire", min=2)["lease"]
    lines = 1
    for text in ("jobs = 0", "jobs = 2\nlimits = { link = 'a' }", "jobs = 2\nunheard_of = 1",
                 "jobs =", 'jobs = 2\nlisten = ["nonsense"]'):
        reload(ctx, server, text)
        lines += 1
        ctx.wait(lambda: server.run.stderr().count("\n") >= lines, f"a line upon {text!r}")
        said = server.run.stderr().splitlines()
        expect(len(said), lines, "lines")
        expect_that(said[-1].startswith("tokenpool serve: "), said[-1])
        expect_that("nothing is changed" in said[-1], said[-1])
        status = holder.status()
        expect((status["slots"], limits_of(status)), (4, {"link": (2, 0)}), f"after {text!r}")
    expect(holder.call("release", lease=lease), {"slots": 0}, "what the lease has left")
    bystander.finish()
    reload(ctx, server, "jobs = 2\nlimits = { link = 1 }")
    wait_slots(ctx, holder, 2)
    holder.close()
    server.end()


def test_sighup_without_a_file(ctx):
    """The command line is what it was; what `tokenpool set` has changed comes back to it."""
    server = Server(ctx, "--limit", "link=1")
    peer = server.member()
    peer.call("set", slots=7, limits={"link": None, "test": 2})
    server.signal(signal.SIGHUP)
    wait_slots(ctx, peer, 4)
    expect(limits_of(peer.status()), {"link": (1, 0)}, "limits")
    peer.close()
    server.end()


def test_set_is_one_change(ctx):
    """A request that the new limit would let in and the new number of slots would not waits."""
    server = Server(ctx, "--limit", "link=1")
    holder, looker = server.member(), server.member()
    lease = holder.call("acquire", type="link")["lease"]
    waits = [holder.ask("acquire", type="link") for _ in range(3)]
    expect(looker.status()["waiting_total"], 3, "requests that wait")
    looker.call("set", slots=2, limits={"link": None})
    status = looker.status()
    expect((status["leased"], status["waiting_total"]), (2, 2), "leased, waiting")
    holder.result(waits[0])
    holder.call("release", lease=lease)
    holder.result(waits[1])
    holder.close()
    looker.close()
    server.end()


# ---- limits of types ---------------------------------------------------------------------------


def test_as_many_limits_as_there_may_be(ctx):
    """And one more is said, not dropped."""
    words = [word for i in range(64) for word in ("--limit", f"t{i}=1")]
    server = Server(ctx, *words)
    peer = server.member()
    expect(len(peer.status()["limits"]), 64, "limits")
    peer.refused(TOO_MANY, "set", limits={"more": 1})
    expect(len(peer.status()["limits"]), 64, "limits")
    peer.close()
    server.end()
    Server(ctx, *words, "--limit", "more=1").expect_refused(2, "64")


def test_a_type_waits_for_its_limit_only(ctx):
    server = Server(ctx, "--limit", "link=1", "--limit", "never=0")
    peer = server.member()
    link = peer.call("acquire", type="link")["lease"]
    waits = peer.ask("acquire", type="link")
    peer.refused(IMPOSSIBLE, "acquire", type="never")
    others = [peer.call("acquire", timeout_ms=0)["lease"] for _ in range(3)]
    expect(peer.status()["waiting_total"], 1, "requests that wait")
    peer.call("release", lease=others[0])
    expect(peer.status()["waiting_total"], 1, "requests that wait for more than a slot")
    peer.call("release", lease=link)
    expect(peer.result(waits)["slots"], 1, "slots")
    peer.close()
    server.end()


# ---- bounds of a session -----------------------------------------------------------------------


def test_requests_of_a_session(ctx):
    server = Server(ctx, slots=2)
    bystander = Bystander(server)
    peer = server.member()
    peer.call("acquire")
    # More than one slot, so that the bystander goes past them.
    peer.send(b"".join(line_of("acquire", f"w{i}", min=2, priority=-100)
                       for i in range(REQUESTS_OF_SESSION)))
    bystander.goes_on()
    peer.refused(TOO_MANY, "acquire", min=2)
    other = server.member()
    expect(other.status()["waiting_total"], REQUESTS_OF_SESSION, "requests that wait")
    expect(peer.call("cancel", id="w0"), {"cancelled": True}, "room again")
    peer.ask("acquire", min=2, priority=-100)
    expect(peer.status()["waiting_total"], REQUESTS_OF_SESSION, "requests that wait")
    peer.close()
    ctx.wait(lambda: other.status()["waiting_total"] == 0, "that they end with their session")
    bystander.finish()
    other.close()
    server.end()


@timeout(180)
def test_leases_of_a_session(ctx):
    """More leases than there are slots can only be declared, to one that was started anew: 512 at a
    time, no more."""
    server = Server(ctx, slots=MOST_SLOTS)
    server.signal(signal.SIGKILL)
    server.run.wait()
    server = Server(ctx, slots=MOST_SLOTS)
    peers = []
    for at in range(3):
        peer = server.peer()
        declared = [{"lease": 1 + at * 512 + i, "slots": 1} for i in range(512)]
        expect(len(peer.hello(server.cookie(), resume=declared)["resumed"]), 512, "answers")
        peers.append(peer)
    status = peers[0].status()
    expect([status[key] for key in ("leases_total", "leased", "free")], [1536, 1536, 0], "leases")
    peers[0].refused(UNAVAILABLE, "acquire", timeout_ms=0)
    too_long = server.peer()
    declared = [{"lease": 5000 + i, "slots": 1} for i in range(513)]
    too_long.refused(PARAMS, "hello", protocol=1, cookie=server.cookie(), name="x", pid=1,
                     resume=declared)
    too_long.expect_closed()
    for peer in peers:
        peer.close()
    last = server.member()
    ctx.wait(lambda: last.status()["leases_total"] == 0, "that all have ended")
    wide = last.call("acquire", min=MOST_SLOTS)
    expect(wide["slots"], MOST_SLOTS, "the whole pool")
    last.close()
    server.end()


def test_a_session_holds_as_many_leases_as_it_may(ctx):
    server = Server(ctx, slots=MOST_SLOTS)
    peer = server.member()
    # Small answers fit into the socket: all is sent before anything is read.
    peer.send(b"".join(line_of("acquire", i) for i in range(1, MOST_SLOTS + 1)))
    leases = {peer.result(i)["lease"] for i in range(1, MOST_SLOTS + 1)}
    expect(len(leases), MOST_SLOTS, "numbers of leases")
    calls = [f"w{i}" for i in range(LEASES_OF_SESSION - MOST_SLOTS)]
    peer.send(b"".join(line_of("acquire", call) for call in calls))
    expect(peer.call("status")["waiting_total"], LEASES_OF_SESSION - MOST_SLOTS, "waiting")
    peer.send(b"".join(line_of("release", lease=lease) for lease in leases))
    again = {peer.result(call)["lease"] for call in calls}
    expect(len(again | leases), LEASES_OF_SESSION, "numbers, none of them twice")
    peer.close()
    server.end()


# ---- the edges of calls ------------------------------------------------------------------------


def test_ids_of_requests_that_wait(ctx):
    """An id in use is refused whatever the call is, and is free again after its answer."""
    server = Server(ctx, slots=1)
    peer, looker = server.member(), server.member()
    held = peer.call("acquire")["lease"]
    for call, other in ((700, "700"), ("text", "texT")):
        peer.send(line_of("acquire", call))
        for method, params in (("status", {}), ("acquire", {}), ("release", {"lease": held}),
                               ("cancel", {"id": call}), ("set", {"paused": True}),
                               ("subscribe", {}), ("resize", {"lease": held, "min": 1, "max": 1}),
                               ("report", {"lease": held}), ("hello", {
                                   "protocol": 1, "cookie": "a", "name": "b", "pid": 1})):
            peer.send(line_of(method, call, **params))
            expect(peer.code(call), REQUEST, f"code of {method} with the id of one that waits")
        status = looker.status()
        expect((status["waiting_total"], status["paused"], status["leases_total"]), (1, False, 1),
               "nothing has happened")
        peer.send(line_of("status", other))  # the other kind of id, and another case
        expect(peer.result(other)["waiting_total"], 1, "requests that wait")
        expect(peer.call("cancel", id=other), {"cancelled": False}, "what is no request")
        expect(peer.call("cancel", id=call), {"cancelled": True}, "the one that waits")
        peer.code(call)
        peer.send(line_of("acquire", call, timeout_ms=0))
        expect(peer.code(call), UNAVAILABLE, "the id again")
        peer.send(line_of("status", call))
        expect(peer.result(call)["waiting_total"], 0, "and again")
    peer.call("release", lease=held)
    peer.send(line_of("acquire", 700))
    lease = peer.result(700)["lease"]
    peer.send(line_of("release", 700, lease=lease))
    expect(peer.result(700), {"slots": 0}, "of the release with the id of its acquire")
    for one in (peer, looker):
        one.close()
    server.end()


def test_ids_of_wrong_requests(ctx):
    """Whatever is wrong first: it is refused, and the one that waits goes on waiting."""
    server = Server(ctx, slots=1)
    peer = server.member()
    peer.call("acquire")
    peer.send(line_of("acquire", 700))
    for wrong, line in ((METHOD, line_of("unheard_of", 700)),
                        (PARAMS, line_of("release", 700, lease=0))):
        peer.send(line)
        expect_that(peer.code(700) in (REQUEST, wrong), f"code of {line}")
    expect(peer.status()["waiting_total"], 1, "requests that wait")
    expect(peer.call("cancel", id=700), {"cancelled": True}, "it still waits")
    peer.close()
    server.end()


def test_release_of_more_than_is_held(ctx):
    """All of it is given back, and no more."""
    server = Server(ctx)
    peer, other = server.member(), server.member()
    for slots in (2, 3, MOST_SLOTS):
        lease = peer.call("acquire", min=2)["lease"]
        expect(peer.call("release", lease=lease, slots=slots), {"slots": 0}, f"left after {slots}")
        peer.refused(NO_LEASE, "release", lease=lease)
        status = peer.status()
        expect((status["free"], status["leased"]), (4, 0), "of the pool")
    other.call("acquire", min=4)
    peer.refused(UNAVAILABLE, "acquire", timeout_ms=0)
    for one in (peer, other):
        one.close()
    server.end()


def test_leases_that_are_none(ctx):
    server = Server(ctx)
    peer, other = server.member(), server.member()
    own = peer.call("acquire", min=2)["lease"]
    foreign = other.call("acquire")["lease"]
    for method, more in (("release", {}), ("resize", {"min": 1, "max": 2}), ("report", {})):
        for lease in (0, -1, 1 << 53, 1.5, "1", None, True, [own]):
            peer.refused(PARAMS, method, lease=lease, **more)
        peer.refused(PARAMS, method, **more)
        for lease in (foreign, own + 1000000, (1 << 53) - 1):
            peer.refused(NO_LEASE, method, lease=lease, **more)
    for slots in (0, -1, 513, "2", 1e300):
        peer.refused(PARAMS, "release", lease=own, slots=slots)
    status = other.status()
    expect((status["leased"], status["leases_total"]), (3, 2), "of the pool")
    expect(peer.call("release", lease=own), {"slots": 0}, "what the lease has left")
    for one in (peer, other):
        one.close()
    server.end()
