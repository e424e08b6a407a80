"""`tokenpool status`, `set`, `pause`, `resume` and `env --server`: seen and steered from outside."""

import json
import os
import pty
import re
import select
import signal

from harness import NOBODY, expect, expect_that, needs
from lifecycle_kit import NO_TOOLS, cli, expect_one_line, expect_quiet, state_of
from protocol_kit import Peer, reach, variables_of


def look(ctx, variables, *words):
    """What `tokenpool status --json` tells."""
    seen = cli(ctx, "status", "--json", *words, env=variables)
    expect_quiet(seen)
    return json.loads(seen.stdout())


def wait_status(ctx, variables, predicate, what, *words):
    ctx.wait(lambda: predicate(look(ctx, variables, *words)), what)


def tell(ctx, variables, *words):
    """A command that has to do what it is told; answers its line."""
    said = cli(ctx, *words, env=variables)
    expect_quiet(said)
    return said.stdout()


def let_out(ctx, guests):
    for guest in guests:
        ctx.desk.release(guest)
    ctx.desk.wait(lambda: not any(guest in ctx.desk.inside for guest in guests), "their end")


def make_run(ctx, jobs, **options):
    """A make with `jobs` jobs in a pool of four; all places are taken."""
    ctx.makefile("a", jobs, "a")
    run = ctx.run(["make", "-C", "a"], tools=["make-4.3"], **options)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    return run


def exec_run(ctx, jobs, **options):
    """That many jobs below `tokenpool exec`, all started at once in a pool of four."""
    one = f"{ctx.tokenpool} exec --type test --target t/$i job e$i"
    script = f"i=0; while [ $i -lt {jobs} ]; do {one} & i=$((i + 1)); done; wait"
    return ctx.run(["sh", "-c", script], **options)


def stand(ctx, run):
    """The arbiter of `run` as a standing server that is known by its socket, with its cookie beside
    it; answers (path, cookie)."""
    variables = reach(ctx, run)
    os.symlink(variables["TOKENPOOL_ADDR"].removeprefix("unix:"), f"{ctx.dir}/socket")
    ctx.write("socket.cookie", variables["TOKENPOOL_COOKIE"] + "\n", 0o600)
    return f"{ctx.dir}/socket", variables["TOKENPOOL_COOKIE"]


def serve(ctx, path, *words, **options):
    """`tokenpool serve` with four slots at that socket, once it says that it serves."""
    server = ctx.spawn([ctx.tokenpool, "serve", "-j4", "--listen", f"unix:{path}", *words],
                       **options)
    ctx.wait(lambda: server.stderr().endswith("\n") or server.ended(), "the server's word")
    expect_that(not server.ended(), f"the server serves: {server.stderr()}")
    return server


def end(ctx, server):
    ctx.kill(server.pid, signal.SIGTERM)
    expect(server.wait(), 0, "status of the server")


# ---- status ------------------------------------------------------------------------------------


@needs("make-4.3")
def test_who_holds_what(ctx):
    """Below a make with a plain job and one under exec with three slots, of which some are paid."""
    wide = f"{ctx.tokenpool} exec --slots 3 --type link --target bin/app job wide"
    ctx.write("Makefile", f"all: plain wide\nplain:\n\t@job plain\nwide:\n\t@{wide}\n")
    run = ctx.run(["make"], slots=6, tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs in")
    variables = reach(ctx, run)
    status = look(ctx, variables)
    expect((status["schema"], status["version"]), ("tokenpool-status", 1), "schema")
    expect((status["slots"], status["leases_total"], status["waiting_total"]), (6, 1, 0), "totals")
    lease = status["leases"][0]
    paid = lease["paid"]
    expect_that(paid > 0, "paid for by the make's token")
    expect(status["implicit"], 1, "the slot that the make has without a token")
    expect((status["tokens"], status["leased"], status["free"]), (1, 3 - paid, 1 + paid), "in use")
    expect(status["pid"], run.arbiter(), "pid of the arbiter")
    owner = next(guest.pid for guest in ctx.desk.inside if guest.name == "wide")
    expect([lease[key] for key in ("slots", "type", "target", "pid")],
           [3, "link", "bin/app", owner], "the lease")
    text = tell(ctx, variables, "status")
    for word in (f"Slots     6: {1 + paid} free, {3 - paid} held by leases, 1 by make's tokens, "
                 "1 implicit",
                 variables["TOKENPOOL_ADDR"], "Leases (1)"):
        expect_that(word in text, f"{word!r} in {text}")
    expect_that(re.search(rf"exec {owner} +3 \({paid} paid\) +\d+s +link +bin/app\n", text), text)
    whole = f"\nAddress   {variables['TOKENPOOL_ADDR']}\n"
    expect_that(whole in text, f"off a terminal no line is cut: {text}")
    ctx.desk.let_all_out(run)
    run.finish()


def test_who_waits(ctx):
    run = exec_run(ctx, 6)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = reach(ctx, run)
    wait_status(ctx, variables, lambda seen: seen["waiting_total"] == 2, "two that wait")
    status = look(ctx, variables)
    expect(status["leases_total"], 4, "leases")
    targets = {row["target"] for row in status["leases"] + status["waiting"]}
    expect(targets, {f"t/{i}" for i in range(6)}, "targets")
    text = tell(ctx, variables, "status")
    expect_that("Leases (4)" in text and "Waiting (2)" in text, text)
    ctx.desk.drive(4, total=6)
    run.finish()


def test_the_surrounding_pool_is_meant(ctx):
    """A shell that has lost its variables sees the pool that it runs in."""
    run = ctx.run(["env", "-i", ctx.tokenpool, "status", "--json"], slots=3)
    run.finish()
    expect(json.loads(run.stdout())["slots"], 3, "slots")


def test_the_standing_server_is_meant_last(ctx):
    run = ctx.run(["job", "a"], slots=3)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    socket, _ = stand(ctx, run)
    os.mkdir(f"{ctx.dir}/tokenpool")
    for name in ("socket", "socket.cookie"):
        os.rename(f"{ctx.dir}/{name}", f"{ctx.dir}/tokenpool/{name}")
    status = look(ctx, {"XDG_RUNTIME_DIR": os.path.dirname(socket)})
    expect(status["slots"], 3, "slots")
    ctx.desk.let_all_out(run)
    run.finish()


# ---- set, pause, resume ------------------------------------------------------------------------


@needs("make-4.3")
def test_set_makes_a_running_make_narrower_and_wider(ctx):
    run = make_run(ctx, 60)
    variables = reach(ctx, run)
    expect(tell(ctx, variables, "set", "jobs=2"), "slots 2, no limits\n", "now")
    let_out(ctx, ctx.desk.held()[:2])
    ctx.desk.drive(2, total=10)
    expect(tell(ctx, variables, "set", "jobs=6"), "slots 6, no limits\n", "now")
    ctx.desk.drive(6, total=20)
    expect(tell(ctx, variables, "set", "jobs=4"), "slots 4, no limits\n", "now")
    ctx.desk.let_all_out(run)
    run.slots = 6  # the most that there ever were
    run.books = False
    report = run.report() if run.wait() == 0 else {}
    expect(report["tokens"]["missing"], 0, "tokens missing")
    expect_that(report["slots"]["peak_in_use"] <= 6, f"{report['slots']}")


def test_set_changes_what_leases_may_hold(ctx):
    """One slot less than before: four exec jobs are in, the next comes when two have left."""
    run = exec_run(ctx, 20)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = reach(ctx, run)
    tell(ctx, variables, "set", "jobs=3")
    let_out(ctx, ctx.desk.held()[:1])
    ctx.desk.drive(3, total=6)
    tell(ctx, variables, "set", "jobs=5")
    ctx.desk.drive(5, until=lambda: ctx.desk.entered == 20)
    run.slots = 5
    run.books = False
    expect(run.wait(), 0, "status")


def test_a_limit_for_a_type(ctx):
    run = exec_run(ctx, 12)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = reach(ctx, run)
    said = tell(ctx, variables, "set", "limit.test=2", "limit.other=1")
    expect(said, "slots 4, limits other=1 test=2\n", "now")
    expect({(row["type"], row["limit"], row["used"]) for row in look(ctx, variables)["limits"]},
           {("test", 2, 4), ("other", 1, 0)}, "limits")
    let_out(ctx, ctx.desk.held()[:2])
    ctx.desk.drive(2, total=5)
    said = tell(ctx, variables, "set", "limit.test=none", "limit.other=none")
    expect(said, "slots 4, no limits\n", "now")
    ctx.desk.drive(4, until=lambda: ctx.desk.entered == 12)
    run.finish()


def test_a_limit_of_the_command_line_outlives_the_arbiter(ctx):
    run = exec_run(ctx, 8, options=["--limit", "test=2", "--limit=other=1"])

    def next_arbiter():
        arbiter = run.arbiter()
        ctx.kill(arbiter)
        ctx.wait(lambda: run.arbiter() not in (arbiter, None), "the next arbiter")

    ctx.desk.wait(lambda: ctx.desk.count() == 2, "two jobs in")
    variables = reach(ctx, run)
    next_arbiter()
    expect([(row["type"], row["limit"]) for row in look(ctx, variables)["limits"]],
           [("other", 1), ("test", 2)], "limits")
    ctx.desk.release(ctx.desk.held()[0])
    ctx.desk.wait(lambda: ctx.desk.entered == 3 and ctx.desk.count() == 2, "one in its place")
    expect(ctx.desk.peak, 2, "jobs at once")
    expect(tell(ctx, variables, "set", "limit.test=1"), "slots 4, limits other=1 test=1\n", "now")
    next_arbiter()
    let_out(ctx, ctx.desk.held())
    ctx.desk.drive(1, until=lambda: ctx.desk.entered == 8)
    run.finish()


def gone_beside_resume(name, leave):
    def body(ctx):
        """One waits for a lease and goes, in the same moment in which another one resumes the pool:
        the arbiter finds both at once."""
        run = ctx.run(["job", "gate"])
        ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
        variables = reach(ctx, run)
        address = variables["TOKENPOOL_ADDR"].split(";")[0]

        def member():
            peer = Peer(ctx, address)
            peer.hello(variables["TOKENPOOL_COOKIE"])
            return peer

        operator = member()
        arbiter = run.arbiter()
        for _ in range(3):
            operator.call("set", paused=True)
            waiter = member()
            call = waiter.ask("acquire", min=1)
            ctx.wait(lambda: operator.status()["waiting_total"] == 1, "the request")
            ctx.kill(arbiter, signal.SIGSTOP)
            ctx.wait(lambda: state_of(arbiter) == "T", "the arbiter to stand")
            told = operator.ask("set", paused=False)
            leave(waiter, call)
            ctx.kill(arbiter, signal.SIGCONT)
            operator.result(told)
            ctx.wait(lambda: operator.status()["waiting_total"] == 0, "the end of the request")
            waiter.close()
        expect(run.arbiter(), arbiter, "the arbiter")
        ctx.desk.let_all_out(run)
        run.finish()

    body.__name__ = f"test_{name}_beside_resume"
    globals()[body.__name__] = body


gone_beside_resume("cancel", lambda waiter, call: waiter.ask("cancel", id=call))
gone_beside_resume("disconnect", lambda waiter, call: waiter.close())


@needs("make-4.3")
def test_pause_leaves_a_make_its_own_slot_only(ctx):
    run = make_run(ctx, 40)
    variables = reach(ctx, run)
    expect(tell(ctx, variables, "pause"), "slots 4, no limits, paused\n", "now")
    expect(look(ctx, variables)["paused"], True, "paused")
    expect_that("\nPaused  " in tell(ctx, variables, "status"), "said in the text")
    let_out(ctx, ctx.desk.held()[:3])
    ctx.desk.drive(1, total=6)
    expect(tell(ctx, variables, "resume"), "slots 4, no limits\n", "now")
    ctx.desk.drive(4, total=10)
    ctx.desk.let_all_out(run)
    run.finish()
    paused, resumed = run.notes()
    expect_that("is paused" in paused and "goes on" in resumed, f"said: {run.notes()}")


def test_pause_keeps_exec_waiting(ctx):
    """Nobody comes in while it is paused: all that were let out are gone, and all others wait."""
    run = exec_run(ctx, 10)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = reach(ctx, run)
    wait_status(ctx, variables, lambda seen: seen["waiting_total"] == 6, "six that wait")
    tell(ctx, variables, "pause")
    let_out(ctx, ctx.desk.held())
    wait_status(ctx, variables, lambda seen: seen["leases_total"] == 0, "no lease")
    expect((ctx.desk.entered, look(ctx, variables)["waiting_total"]), (4, 6), "entered, waiting")
    tell(ctx, variables, "resume")
    ctx.desk.drive(4, total=6)
    run.finish()


# ---- watch -------------------------------------------------------------------------------------


def subscribed(ctx, variables, words):
    """`tokenpool status --watch` that gets events: it has told of one."""
    watch = ctx.spawn([ctx.tokenpool, "status", "--watch", *words], env=variables)
    server = words[words.index("--server"):] if "--server" in words else []

    def told():
        tell(ctx, variables, "set", "jobs=4", *server)
        return watch.stdout() != ""

    ctx.wait(told, "a line of the watch")
    return watch


def test_watch_ends_with_the_arbiter(ctx):
    run = exec_run(ctx, 5)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = reach(ctx, run)
    people = subscribed(ctx, variables, [])
    programs = subscribed(ctx, variables, ["--json"])
    ctx.desk.let_all_out(run)
    run.finish()
    for watch in (people, programs):
        expect(watch.wait(), 0, "status")
        expect_one_line(watch, 0, "has gone", variables["TOKENPOOL_ADDR"])
    kinds = [line.split(" ")[1] for line in people.stdout().splitlines()]
    expect_that("granted" in kinds and "set" in kinds, f"kinds of events: {kinds}")
    events = [json.loads(line) for line in programs.stdout().splitlines()]
    expect_that(any(event["kind"] == "granted" and event["type"] == "test" for event in events),
                f"a grant among {events}")


def test_watch_ends_with_an_interrupt(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    watch = subscribed(ctx, reach(ctx, run), [])
    ctx.kill(watch.pid, signal.SIGINT)
    expect((watch.wait(), watch.stderr()), (130, ""), "status and stderr")
    ctx.desk.let_all_out(run)
    run.finish()


class Screen:
    """A terminal on which `tokenpool status --watch` draws."""

    def __init__(self, ctx, variables):
        self.ctx = ctx
        self.bytes = b""
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.watch = ctx.spawn([ctx.tokenpool, "status", "--watch"], stdin=slave, stdout=slave,
                               env={"TERM": "xterm", **variables})
        os.close(slave)

    def pump(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                return  # nobody has the terminal open any more
            if not more:
                return
            self.bytes += more

    def wait(self, predicate, what):
        def looked():
            self.pump()
            return predicate()

        self.ctx.wait(looked, f"{what}; the screen: {self.bytes[-2000:]!r}")

    def picture(self):
        """What was drawn last, without the codes."""
        last = self.bytes.rpartition(b"\033[H")[2].decode(errors="replace")
        return re.sub(r"\033\[[?0-9;]*[A-Za-z]", "", last).replace("\r", "")

    def shows_cursor(self):
        return self.bytes.rfind(b"\033[?25h") > self.bytes.rfind(b"\033[?25l")

    def expect_restored(self):
        self.pump()
        expect_that(b"\033[?25l" in self.bytes, "the cursor was hidden")
        expect_that(self.shows_cursor(), f"the cursor is shown again: {self.bytes[-200:]!r}")
        os.close(self.master)


def test_watch_draws_on_a_terminal(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    screen = Screen(ctx, variables)
    screen.wait(lambda: "Slots     4:" in screen.picture(), "a pool of four")
    tell(ctx, variables, "set", "jobs=7")
    screen.wait(lambda: "Slots     7:" in screen.picture(), "a pool of seven")
    tell(ctx, variables, "set", "jobs=4")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(screen.watch.wait(), 0, "status")
    expect_one_line(screen.watch, 0, "has gone")
    screen.expect_restored()


def test_watch_shows_the_cursor_again_when_it_is_interrupted(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        screen = Screen(ctx, reach(ctx, run))
        screen.wait(lambda: "Slots " in screen.picture(), "a picture")
        ctx.kill(screen.watch.pid, number)
        expect((screen.watch.wait(), screen.watch.stderr()), (128 + number, ""), "status, stderr")
        screen.expect_restored()
    ctx.desk.let_all_out(run)
    run.finish()


def test_watch_that_is_stopped_goes_on(ctx):
    """As by Ctrl-Z and fg; the pool's number of slots has changed meanwhile."""
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    screen = Screen(ctx, variables)
    screen.wait(lambda: "Slots     4:" in screen.picture(), "a picture")
    ctx.kill(screen.watch.pid, signal.SIGTSTP)
    screen.wait(lambda: state_of(screen.watch.pid) == "T", "that it is stopped")
    screen.wait(screen.shows_cursor, "the cursor")
    tell(ctx, variables, "set", "jobs=5")
    ctx.kill(screen.watch.pid, signal.SIGCONT)
    screen.wait(lambda: "Slots     5:" in screen.picture(), "another picture")
    expect_that(not screen.shows_cursor(), "the cursor is hidden again")
    ctx.kill(screen.watch.pid, signal.SIGINT)
    expect(screen.watch.wait(), 130, "status")
    screen.expect_restored()
    tell(ctx, variables, "set", "jobs=4")
    ctx.desk.let_all_out(run)
    run.finish()


# ---- which arbiter, and who may ----------------------------------------------------------------


def test_env_brings_a_shell_to_a_server(ctx):
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path)
    with open(f"{path}.cookie", encoding="ascii") as file:
        cookie = file.read().strip()
    for name in (path, f"unix:{path}"):
        env = cli(ctx, "env", "--server", name, "--json", env={"TOKENPOOL_LEASE": "7"})
        expect(json.loads(env.stdout()), {
            "schema": "tokenpool-env", "version": 1, "unset": ["TOKENPOOL_LEASE"],
            "set": {"TOKENPOOL_ADDR": f"unix:{path}", "TOKENPOOL_COOKIE": cookie}}, "json")
    shell = ctx.spawn(["sh", "-c", f'eval "$({ctx.tokenpool} env --server {path})" && '
                                   f"exec {ctx.tokenpool} exec --target far job b"])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 1, "the shell's job in")
    status = json.loads(cli(ctx, "status", "--json", "--server", path).stdout())
    expect([(row["target"], row["slots"], row["paid"]) for row in status["leases"]],
           [("far", 1, 0)], "leases")
    expect((status["slots"], status["free"], status["tokens"], status["implicit"]), (4, 3, 0, 0),
           "slots")
    ctx.desk.release(ctx.desk.held("b")[0])
    expect((shell.wait(), shell.stderr()), (0, ""), "status and stderr of the shell")
    end(ctx, server)


def test_a_server_is_steered(ctx):
    """Its jobs run in a pool that becomes narrower, stands still, and goes on."""
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path)
    at = ["--server", path]
    one = f"{ctx.tokenpool} exec -q job s"
    script = f'eval "$({ctx.tokenpool} env {" ".join(at)})"; '
    script += f"i=0; while [ $i -lt 30 ]; do {one} & i=$((i + 1)); done; wait"
    shell = ctx.spawn(["sh", "-c", script])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    expect(tell(ctx, {}, "set", "jobs=2", *at), "slots 2, no limits\n", "now")
    let_out(ctx, ctx.desk.held()[:2])
    ctx.desk.drive(2, total=6)
    ctx.desk.wait(lambda: len(ctx.desk.held()) == 2, "the next two are in")
    expect(tell(ctx, {}, "pause", *at), "slots 2, no limits, paused\n", "now")
    let_out(ctx, ctx.desk.held())
    wait_status(ctx, {}, lambda seen: seen["leases_total"] == 0, "no lease", *at)
    expect(ctx.desk.count(), 0, "jobs while it is paused")
    tell(ctx, {}, "resume", *at)
    tell(ctx, {}, "set", "jobs=3", *at)
    ctx.desk.drive(3, until=lambda: ctx.desk.entered == 30)
    expect((shell.wait(), shell.stderr()), (0, ""), "status and stderr of the shell")
    end(ctx, server)


def test_watch_ends_with_the_server(ctx):
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path)
    watch = subscribed(ctx, {}, ["--server", path])
    end(ctx, server)
    expect(watch.wait(), 0, "status")
    expect_one_line(watch, 0, "has gone", path)


@needs("user")
def test_the_server_of_another_user_is_refused(ctx):
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path, user=NOBODY)
    expect_quiet(cli(ctx, "status", "--server", path, user=NOBODY))
    expect_one_line(cli(ctx, "status", "--server", path), 1, f"belongs to user {NOBODY}")
    end(ctx, server)


def test_a_server_over_tcp(ctx):
    run = ctx.run(["job", "a"], options=["--listen", "tcp:127.0.0.1:0"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    _, cookie = stand(ctx, run)
    address = reach(ctx, run)["TOKENPOOL_ADDR"].split(";")[1]
    ctx.write("cookie", cookie, 0o600)
    for words, variables in ((["--cookie-file", f"{ctx.dir}/cookie"], {}),
                             ([], {"TOKENPOOL_COOKIE_FILE": f"{ctx.dir}/cookie"}),
                             ([], {"TOKENPOOL_COOKIE": cookie})):
        said = cli(ctx, "set", "jobs=4", "--server", address, *words, env=variables)
        expect_quiet(said)
        expect(said.stdout(), "slots 4, no limits\n", "now")
    elsewhere = cli(ctx, "status", "--server", address, env={"TMPDIR": ctx.dir})
    expect_one_line(elsewhere, 1, "cookie is not known")
    ctx.desk.let_all_out(run)
    run.finish()


def test_env_and_status_know_a_living_server_from_its_cookie(ctx):
    """What is left of one that has ended is no server: the run is meant, and env finds nothing."""
    outside = {"XDG_RUNTIME_DIR": ctx.dir}
    server = serve(ctx, f"{ctx.dir}/tokenpool/socket", env=outside)
    said = cli(ctx, "env", env=outside)
    expect_that(f"TOKENPOOL_ADDR='unix:{ctx.dir}/tokenpool/socket'" in said.stdout(), said.stdout())
    end(ctx, server)
    expect_that(os.path.exists(f"{ctx.dir}/tokenpool/socket.cookie"), "its cookie is kept")
    expect_one_line(cli(ctx, "env", env=outside), 1, "no pool surrounds", "tokenpool serve")
    run = ctx.run(["job", "a"], slots=3)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    expect(look(ctx, outside)["slots"], 3, "slots of the run")
    ctx.desk.let_all_out(run)
    run.finish()


def test_a_run_beside_a_server_says_that_it_does_not_join(ctx):
    server = serve(ctx, f"{ctx.dir}/tokenpool/socket")
    run = ctx.run(["true"], env={"TOKENPOOL_ADDR": f"unix:{ctx.dir}/tokenpool/socket",
                                 "TOKENPOOL_COOKIE": "0" * 64})
    run.finish()
    (note,) = run.notes()
    expect_that(f"unix:{ctx.dir}/tokenpool/socket" in note and "does not join" in note, note)
    end(ctx, server)


@needs("make-4.3")
def test_a_run_is_found_from_another_terminal(ctx):
    """Nobody has told the shell there of it: the only run of this user, or the one that is named."""
    ctx.makefile("a", 2, "a")
    outside = {"XDG_RUNTIME_DIR": ctx.dir}
    run = ctx.run(["make", "-C", "a"], tools=["make-4.3"], slots=2)
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "two jobs in")
    seen = json.loads(cli(ctx, "status", "--json", env=outside).stdout())
    expect(seen["slots"], 2, "slots")
    expect(cli(ctx, "set", "jobs=2", env=outside).stdout(), "slots 2, no limits\n", "now")
    other = ctx.run(["job", "b"], slots=5)
    ctx.desk.wait(lambda: ctx.desk.count("b") == 1, "the job of another run")
    expect_one_line(cli(ctx, "set", "jobs=3", env=outside), 1, "2 runs", "--run", "make -C a",
                    "job b")
    guest = next(one for one in ctx.desk.inside if one.name == "b")
    socket = variables_of(guest.pid)["TOKENPOOL_ADDR"].split(";")[0]
    seen = json.loads(cli(ctx, "status", "--json", "--server", socket, env=outside).stdout())
    expect(seen["slots"], 5, "slots of the one that was named")
    ctx.desk.let_all_out(run)
    run.finish()
    other.finish()


def test_what_cannot_be_reached_is_said_in_one_line(ctx):
    none = {"XDG_RUNTIME_DIR": ctx.dir}
    for words in (["status"], ["status", "--json", "--watch"], ["set", "jobs=3"], ["pause"],
                  ["resume"]):
        expect_one_line(cli(ctx, *words, env=none), 1, "there is no arbiter", "tokenpool serve")
        gone = {"TOKENPOOL_ADDR": f"unix:{ctx.dir}/gone", "TOKENPOOL_COOKIE": "a" * 64}
        expect_one_line(cli(ctx, *words, env=gone), 1, "nobody answers at", "no such socket")
        expect_one_line(cli(ctx, *words, "--server", "nonsense"), 2, "give unix:/path")
    expect_one_line(cli(ctx, "env", "--server", f"{ctx.dir}/gone"), 1, "gone.cookie")
    expect_one_line(cli(ctx, "set"), 2, "nothing to set")
    expect_one_line(cli(ctx, "set", "job=3"), 2, "the nearest is jobs")


def test_a_wrong_cookie_is_refused(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    wrong = {**variables, "TOKENPOOL_COOKIE": "b" * 64}
    for words in (["status"], ["set", "jobs=3"]):
        expect_one_line(cli(ctx, *words, env=wrong), 1, "refuses us", "cookie")
    status = look(ctx, variables)
    expect((status["counters"]["unauthorized"], status["slots"]), (2, 4), "counted, and unchanged")
    ctx.desk.let_all_out(run)
    run.finish()


@needs("user")
def test_other_users_are_refused(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    path, _ = stand(ctx, run)
    variables = reach(ctx, run)
    for words in (["status"], ["set", "jobs=3"], ["pause"]):
        theirs = cli(ctx, *words, env=variables, user=NOBODY)
        expect_one_line(theirs, 1, "nobody answers at", "another user")
    expect_one_line(cli(ctx, "status", "--server", path, user=NOBODY), 1, "cannot be read")
    os.chown(f"{path}.cookie", NOBODY, NOBODY)
    expect_one_line(cli(ctx, "status", "--server", path), 1, f"belongs to user {NOBODY}")
    os.chown(f"{path}.cookie", 0, 0)
    os.chmod(f"{path}.cookie", 0o640)
    expect_one_line(cli(ctx, "status", "--server", path), 1, "open to others")
    expect(look(ctx, variables)["slots"], 4, "slots")
    ctx.desk.let_all_out(run)
    run.finish()


def test_the_cookie_is_told_by_env_only(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    cookie = variables["TOKENPOOL_COOKIE"]
    for words in (["status"], ["status", "--json"], ["set", "jobs=4"], ["doctor"],
                  ["doctor", "--json"], ["status", "--server", f"{ctx.dir}/gone"]):
        said = cli(ctx, *words, env={**variables, **NO_TOOLS})
        expect_that(cookie not in said.stdout() + said.stderr(), f"{words} tells the cookie")
    ctx.desk.let_all_out(run)
    run.finish()


# ---- doctor ------------------------------------------------------------------------------------


def test_doctor_tells_what_a_client_would_use(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    before = look(ctx, variables)
    facts = json.loads(cli(ctx, "doctor", "--json", env={**variables, **NO_TOOLS}).stdout())
    expect(facts["client"],
           {"mode": "protocol", "reason": "ok", "jobserver_reason": "ok"}, "client")
    after = look(ctx, variables)
    for key in ("counters", "sessions", "free", "leases_total"):
        expect(after[key], before[key], f"{key} after the doctor")
    ctx.desk.let_all_out(run)
    run.finish()


def test_doctor_without_an_arbiter(ctx):
    facts = json.loads(cli(ctx, "doctor", "--json", env=NO_TOOLS).stdout())
    expect(facts["client"],
           {"mode": "single", "reason": "no-address", "jobserver_reason": "no-makeflags"}, "client")
    broken = {**NO_TOOLS, "TOKENPOOL_ADDR": f"unix:{ctx.dir}/gone", "TOKENPOOL_COOKIE": "a" * 64}
    doctor = cli(ctx, "doctor", "--json", env=broken)
    expect(doctor.status, 1, "status")
    facts = json.loads(doctor.stdout())
    expect(facts["client"]["reason"], "unreachable", "reason")
    finding = next(one for one in facts["findings"] if one["subject"] == "TOKENPOOL_ADDR")
    expect((finding["attention"], "no such socket" in finding["text"]), (True, True), "finding")


@needs("make-4.3")
def test_doctor_takes_no_token(ctx):
    """Called by a make whose pool is full and then empty again: the width is that of before."""
    ctx.write("Makefile", "all:\n\t+@$(TOKENPOOL) doctor --json >doctor.json; $(MAKE) -C a\n")
    ctx.makefile("a", 16, "a")
    run = ctx.run(["env", "-u", "TOKENPOOL_ADDR", "make", f"TOKENPOOL={ctx.tokenpool}"],
                  tools=["make-4.3"])
    ctx.desk.drive(4, total=16)
    run.finish()
    with open(f"{ctx.dir}/doctor.json", encoding="utf-8") as file:
        expect(json.load(file)["client"],
               {"mode": "jobserver", "reason": "no-address", "jobserver_reason": "ok"}, "client")
