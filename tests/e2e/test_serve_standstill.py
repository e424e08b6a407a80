"""The last resort of `serve`: who waits gets a slot although those that hold all do nothing."""

import signal

from harness import expect, expect_that, timeout
from lifecycle_kit import state_of
from protocol_kit import UNAVAILABLE, Server
from test_status import look

SOON = ["--standstill", "1"]
WORD = "while it does nothing and others wait"


def job(ctx, server, name, *options):
    """A job below tokenpool exec; answers the run, whether or not it has begun."""
    words = [ctx.tokenpool, "exec", *options, "--", "job", name]
    return ctx.spawn(words, env=server.variables())


def guest(ctx, name):
    return next(one for one in ctx.desk.inside if one.name == name)


def notes(server):
    return [line for line in server.run.stderr().splitlines() if WORD in line]


def finish(ctx, *runs):
    for run in runs:
        expect(run.wait(), 0, f"status of {run.argv}")


@timeout(120)
def test_stopped_holder(ctx):
    """Its slot is replaced, it is named, and when it has ended there are as many slots as before."""
    server = Server(ctx, *SOON, slots=1)
    first = job(ctx, server, "a")
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the first job")
    ctx.kill(first.pid, signal.SIGSTOP)
    ctx.wait(lambda: state_of(first.pid) == "T", "a launcher that is stopped")
    second = job(ctx, server, "b")
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the second job")
    expect(len(notes(server)), 1, "lines")
    expect_that(f"process {guest(ctx, 'a').pid} (job a)" in notes(server)[0], notes(server)[0])
    ctx.kill(first.pid, signal.SIGCONT)
    ctx.desk.release(guest(ctx, "a"))
    finish(ctx, first)
    # The additional slot is gone.
    server.member().refused(UNAVAILABLE, "acquire", timeout_ms=0)
    ctx.desk.release(guest(ctx, "b"))
    finish(ctx, second)
    expect(look(ctx, server.variables())["free"], 1, "free slots")
    server.end()


@timeout(120)
def test_who_computes_is_not_stuck(ctx):
    """Beside a holder that computes nobody stands still; as soon as it does, somebody does."""
    server = Server(ctx, *SOON, slots=1)
    spin = f"until [ -e {ctx.dir}/stop ]; do :; done; exec job a"
    first = ctx.spawn([ctx.tokenpool, "exec", "--", "bash", "-c", spin], env=server.variables())
    ctx.wait(lambda: look(ctx, server.variables())["leases_total"] == 1, "its lease")
    second = job(ctx, server, "b")
    ctx.wait(lambda: look(ctx, server.variables())["waiting_total"] == 1, "the one that waits")
    seen = look(ctx, server.variables())["uptime_ms"]
    ctx.wait(lambda: look(ctx, server.variables())["uptime_ms"] > seen + 4000, "some looks")
    expect(notes(server), [], "lines")
    ctx.write("stop", "")
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs")
    ctx.desk.release(guest(ctx, "a"))
    ctx.desk.release(guest(ctx, "b"))
    finish(ctx, first, second)
    server.end()


@timeout(120)
def test_who_comes_from_elsewhere_may_be_busy(ctx):
    """A client over TCP holds one of two servers' slot: only the other one's is replaced."""
    remote = Server(ctx, "--listen", "tcp:127.0.0.1:0", *SOON, slots=1)
    tcp = next(one for one in remote.addresses() if one.startswith("tcp:"))
    member = remote.member(tcp)
    expect(member.call("acquire")["slots"], 1, "slots")
    waits = job(ctx, remote, "a")
    ctx.wait(lambda: look(ctx, remote.variables())["waiting_total"] == 1, "the one that waits")
    local = Server(ctx, *SOON, path=f"{ctx.dir}/local/socket", slots=1)
    first, second = job(ctx, local, "b"), job(ctx, local, "c")
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs of the other server")
    expect(sorted(one.name for one in ctx.desk.inside), ["b", "c"], "jobs")
    expect(notes(remote), [], "lines")
    member.close()
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "the slot of the one that has gone")
    for one in list(ctx.desk.inside):
        ctx.desk.release(one)
    finish(ctx, waits, first, second)
    local.end()
    remote.end()


def test_of_the_configuration(ctx):
    for value, word in (('"soon"', "soon"), ("0", "standstill: 0"), ("true", "number")):
        file = ctx.write("serve.toml", f"standstill = {value}\n")
        Server(ctx, "--config", file).expect_refused(2, word, "off")
    file = ctx.write("serve.toml", 'standstill = "off"\n')
    Server(ctx, "--config", file).end()


def stopped_job(ctx, server, name, *options):
    """A job that is stopped; answers the run and its process."""
    run = job(ctx, server, name, *options)
    ctx.desk.wait(lambda: ctx.desk.count(name) == 1, "the job")
    who = guest(ctx, name)
    ctx.kill(who.pid, signal.SIGSTOP)
    ctx.wait(lambda: state_of(who.pid) == "T", "a job that is stopped")
    return run, who


def wait_line(ctx, server, *words):
    def found():
        return [line for line in server.run.stderr().splitlines() if all(w in line for w in words)]
    ctx.wait(found, f"a line with {words}")
    expect(len(found()), 1, f"lines with {words}")


@timeout(120)
def test_stopped_jobs_are_named_each(ctx):
    server = Server(ctx, *SOON, slots=1)
    first, a = stopped_job(ctx, server, "a")
    second, b = stopped_job(ctx, server, "b")
    third = job(ctx, server, "c")
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "the third job")
    for who in (a, b):
        wait_line(ctx, server, f"process {who.pid} (job {who.name}) is stopped and keeps 1 slot")
        ctx.kill(who.pid, signal.SIGCONT)
    for one in list(ctx.desk.inside):
        ctx.desk.release(one)
    finish(ctx, first, second, third)
    expect(look(ctx, server.variables())["free"], 1, "free slots")
    server.end()


@timeout(120)
def test_stopped_below_a_holder(ctx):
    server = Server(ctx, *SOON, slots=1)
    words = [ctx.tokenpool, "exec", "--", "sh", "-c", "job a; :"]
    first = ctx.spawn(words, env=server.variables())
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the first job")
    who = guest(ctx, "a")
    ctx.kill(who.pid, signal.SIGSTOP)
    second = job(ctx, server, "b")
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the second job")
    wait_line(ctx, server, f"process {who.pid} (job a) is stopped, below process ", "(sh -c job a; :)")
    ctx.kill(who.pid, signal.SIGCONT)
    for one in list(ctx.desk.inside):
        ctx.desk.release(one)
    finish(ctx, first, second)
    server.end()


@timeout(120)
def test_wide(ctx):
    """A slot is free, but one asks for more."""
    server = Server(ctx, *SOON, slots=3)
    first, a = stopped_job(ctx, server, "a", "--slots", "2")
    wide = job(ctx, server, "wide", "--slots", "3")
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the wide one")
    wait_line(ctx, server, f"process {a.pid} (job a) is stopped and keeps 2 slots")
    ctx.kill(a.pid, signal.SIGCONT)
    for one in list(ctx.desk.inside):
        ctx.desk.release(one)
    finish(ctx, first, wide)
    expect(look(ctx, server.variables())["free"], 3, "free slots")
    server.end()


@timeout(120)
def test_limit(ctx):
    """The holder of a type's only place is stopped while others compute: it is named, the limit
    stays, and who raises it helps those that wait."""
    server = Server(ctx, *SOON, "--limit", "link=1", slots=4)
    spin = f"until [ -e {ctx.dir}/stop ]; do :; done"
    busy = ctx.spawn([ctx.tokenpool, "exec", "--", "bash", "-c", spin], env=server.variables())
    first, a = stopped_job(ctx, server, "a", "--type", "link")
    second = job(ctx, server, "b", "--type", "link")
    third = job(ctx, server, "c", "--type", "link")
    wait_line(ctx, server, f"process {a.pid} (job a) is stopped and fills the limit of type link (1) "
                           "while 2 others wait", "tokenpool set limit.link=2")
    expect(ctx.desk.count(), 1, "jobs")
    raised = ctx.spawn([ctx.tokenpool, "set", "limit.link=2"], env=server.variables())
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the second job")
    ctx.desk.release(next(one for one in ctx.desk.inside if one.name != "a"))
    ctx.desk.wait(lambda: ctx.desk.entered == 3, "the third job")
    ctx.kill(a.pid, signal.SIGCONT)
    for one in list(ctx.desk.inside):
        ctx.desk.release(one)
    ctx.write("stop", "")
    finish(ctx, busy, first, second, third, raised)
    expect(notes(server), [], "slots more")
    server.end()
