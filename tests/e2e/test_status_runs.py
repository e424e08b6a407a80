"""`tokenpool status` where several pools live, where a build is over, and as it is watched; and who is
waited for."""

import fcntl
import json
import os
import pty
import signal
import struct
import termios

from harness import descendants, expect, expect_that, needs
from lifecycle_kit import cli, expect_one_line, expect_quiet
from protocol_kit import reach
from test_status import Screen, end, exec_run, look, make_run, serve


def outside(ctx):
    """The variables of a terminal that knows of no pool."""
    return {"XDG_RUNTIME_DIR": ctx.dir}


def listed(ctx):
    seen = cli(ctx, "status", "--all", "--json", env=outside(ctx))
    expect_quiet(seen)
    return json.loads(seen.stdout())["pools"]


# ---- several -----------------------------------------------------------------------------------


def test_several_runs_are_listed_and_named(ctx):
    """By their numbers, their pids and their folders."""
    folders = []
    runs = []
    for name, slots in (("one", 2), ("two", 3)):
        folders.append(f"{ctx.dir}/{name}")
        os.mkdir(folders[-1])
        runs.append(ctx.run(["job", name], slots=slots, cwd=folders[-1]))
        ctx.desk.wait(lambda name=name: ctx.desk.count(name) == 1, "the job in")
    text = cli(ctx, "status", env=outside(ctx)).stdout()
    lines = text.splitlines()
    expect(len(lines), 3, f"a heading and two rows: {text}")
    for line, folder, name, run in zip(lines[1:], folders, ("one", "two"), runs):
        for word in (folder, f"job {name}", str(run.pid), "runs"):
            expect_that(word in line, f"{word!r} in {line!r}")
    pools = listed(ctx)
    expect([(pool["number"], pool["slots"], pool["run"]["folder"], pool["run"]["over"])
            for pool in pools],
           [(1, 2, folders[0], False), (2, 3, folders[1], False)], "the list")
    for word in ("2", str(runs[1].pid), folders[1], "two", "./two"):
        seen = cli(ctx, "status", "--json", word, env=outside(ctx), cwd=ctx.dir)
        expect(json.loads(seen.stdout())["slots"], 3, f"slots of {word}")
    expect(cli(ctx, "set", "--run", "two", "jobs=4", env=outside(ctx)).stdout(),
           "slots 4, no limits\n", "set")
    expect(cli(ctx, "pause", "1", env=outside(ctx)).stdout(), "slots 2, no limits, paused\n", "now")
    expect([(pool["slots"], pool["paused"]) for pool in listed(ctx)], [(2, True), (4, False)], "now")
    cli(ctx, "resume", "1", env=outside(ctx))
    cli(ctx, "set", "--run", "2", "jobs=3", env=outside(ctx))
    expect_one_line(cli(ctx, "status", "7", env=outside(ctx)), 1, "7: no pool", "1 job one in",
                    "2 job two in")
    expect_one_line(cli(ctx, "status", "--watch", env=outside(ctx)), 1, "watch which?", "job one")
    for run in runs:
        ctx.desk.let_all_out(run)
    for run in runs:
        run.books = False
        expect(run.wait(), 0, "status")


def test_a_build_that_is_over_is_told_from_one_that_runs(ctx):
    """It has left a process on purpose, as a build does that starts sccache."""
    left = ctx.run(["sh", "-c", "setsid job left </dev/null >/dev/null 2>&1 & exec job first"])
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both in")
    ctx.desk.release(ctx.desk.held("first")[0])
    expect(left.wait(), 0, "status of the first run")
    daemon = ctx.desk.held("left")[0].pid
    ctx.wait(lambda: [pool["run"]["over"] for pool in listed(ctx)] == [True], "that it is over")
    seen = cli(ctx, "status", env=outside(ctx)).stdout()
    for word in ("\nOver      ", "\nLeft running (1)\n", f"{daemon} ", "job left"):
        expect_that(word in seen, f"{word!r} in {seen}")
    second = ctx.run(["job", "second"], slots=3)
    ctx.desk.wait(lambda: ctx.desk.count("second") == 1, "the second job in")
    over, runs = cli(ctx, "status", env=outside(ctx)).stdout().splitlines()[1:]
    expect_that("over, 1 left" in over and "exec job first" in over, over)
    expect_that("runs" in runs and "job second" in runs, runs)
    expect(cli(ctx, "set", "jobs=3", env=outside(ctx)).stdout(), "slots 3, no limits\n",
           "the one that is not over is meant")
    ctx.desk.release(ctx.desk.held("second")[0])
    second.finish()
    ctx.desk.release(ctx.desk.held("left")[0])
    ctx.wait(lambda: listed(ctx) == [], "the end of what was left")


def test_a_server_is_listed_beside_runs(ctx):
    os.mkdir(f"{ctx.dir}/tokenpool", 0o700)
    server = serve(ctx, f"{ctx.dir}/tokenpool/socket")
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    text = cli(ctx, "status", env=outside(ctx)).stdout()
    expect_that("tokenpool serve" in text and "job a" in text, text)
    expect(json.loads(cli(ctx, "status", "--json", str(server.pid), env=outside(ctx)).stdout())
           ["pid"], server.pid, "named by its pid")
    ctx.desk.let_all_out(run)
    run.finish()
    end(ctx, server)


# ---- what is seen of one -----------------------------------------------------------------------


@needs("make-4.3")
def test_who_holds_tokens_and_for_what(ctx):
    run = make_run(ctx, 6)
    status = look(ctx, reach(ctx, run))
    expect((status["run"]["command"], status["run"]["pid"], status["run"]["over"],
            status["run"]["tracking"], status["run"]["taken"]),
           ("make -C a", run.pid, False, "exact", 3), "the run")
    expect([(row["tokens"], row["command"]) for row in status["holders"]], [(3, "make -C a")],
           "holders")
    holder = status["holders"][0]["pid"]
    expect(sorted((row["holder"], row["pid"]) for row in status["jobs"]),
           sorted((holder, guest.pid) for guest in ctx.desk.inside), "jobs")
    expect_that(all(row["command"].startswith("job a") for row in status["jobs"]),
                f"their commands: {status['jobs']}")
    ctx.desk.let_all_out(run)
    run.finish()


def test_text_of_a_build_cannot_control_the_terminal(ctx):
    """ESC, newline, CR and bytes that are no UTF-8 in a command, a folder, a target and a name."""
    nasty = os.fsdecode(b"\x1b[31mred\r\n\xff\x9b\xe2\x80\xae")
    folder = f"{ctx.dir}/f{nasty}"
    os.mkdir(folder)
    one = f'{ctx.tokenpool} exec --target "t$N" job "a$N"'
    run = ctx.run(["sh", "-c", f": $N; {one}", nasty], env={"N": nasty}, cwd=folder)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    harmful = [letter for code in (*range(0x20), 0x7f, *range(0x80, 0xa0), 0x202e)
               if (letter := chr(code)) != "\n"]

    def check(text, *words):
        for letter in harmful:
            expect_that(letter not in text, f"{letter!r} in {text!r}")
        for word in words:
            expect_that(word in text, f"{word!r} in {text!r}")

    check(cli(ctx, "status", env=variables).stdout(), "?[31mred??", "Folder ")
    check(cli(ctx, "status", "--all", env=variables).stdout(), "?[31mred??")
    check(cli(ctx, "status", nasty, env=variables).stderr(), "?[31mred??", "no pool of yours")
    check(cli(ctx, "run", "--", nasty).stderr(), "?[31mred??")
    check(cli(ctx, "exec", "--slots", "9", "--type", nasty, "true", env=variables).stderr())
    check(cli(ctx, "run", "--report", f"{ctx.dir}/{nasty}/none/r", "true").stderr(), "?[31mred??")
    ctx.desk.let_all_out(run)
    run.finish()


def other_namespace(ctx):
    """The words before a command that give it a pid namespace of its own; None: it cannot be had."""
    for user in ([], ["--user", "--map-root-user"]):
        words = ["unshare", *user, "--pid", "--fork", "--mount-proc"]
        if cli_of(ctx, *words, "true").status == 0:
            return words
    return None


def cli_of(ctx, *words, **options):
    run = ctx.spawn(list(words), **options)
    run.wait()
    return run


def test_who_cannot_be_seen_has_no_pid(ctx):
    """`status` in a pid namespace of its own."""
    inner = other_namespace(ctx)
    if not inner:
        return
    run = ctx.run(["sh", "-c", f"exec {ctx.tokenpool} exec --target t job a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    variables = reach(ctx, run)
    seen = cli_of(ctx, *inner, ctx.tokenpool, "status", "--json", env=variables)
    status = json.loads(seen.stdout())
    expect((status["pid"], status["run"].get("pid", 0), status["leases"][0]["pid"]), (0, 0, 0),
           "who is not seen has no number")
    seen = cli_of(ctx, *inner, ctx.tokenpool, "status", env=variables)
    expect_that("tokenpool exec ?" in seen.stdout(), seen.stdout())
    ctx.desk.let_all_out(run)
    run.finish()


def test_a_run_in_a_namespace_is_seen_with_our_pids(ctx):
    inner = other_namespace(ctx)
    if not inner:
        return
    script = f"exec {ctx.tokenpool} exec --target t job a"
    run = ctx.spawn([*inner, ctx.tokenpool, "run", "-q", "-j4", "--", "sh", "-c", script])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    status = json.loads(cli(ctx, "status", "--json", env=outside(ctx)).stdout())
    below = {process for process in descendants(run.pid)}
    for pid in (status["pid"], status["run"]["pid"], status["leases"][0]["pid"]):
        expect_that(pid in below, f"{pid} among {below}: {status}")
    ctx.desk.release(ctx.desk.held()[0])
    expect(run.wait(), 0, "status of the run")


# ---- watch -------------------------------------------------------------------------------------


class OwnTerminal(Screen):
    """`status --watch` with a terminal that it controls, so that it reads keys, of so many rows."""

    def __init__(self, ctx, variables, rows=24):
        self.ctx = ctx
        self.bytes = b""
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, False)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        words = ["setsid", "--ctty", "--wait", ctx.tokenpool, "status", "--watch"]
        self.watch = ctx.spawn(words, stdin=slave, stdout=slave, env={"TERM": "xterm", **variables})
        os.close(slave)

    def modes(self):
        return termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO)


def test_q_ends_a_watch_and_is_not_echoed(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    terminal = OwnTerminal(ctx, reach(ctx, run))
    terminal.wait(lambda: "Slots " in terminal.picture(), "a picture")
    expect(terminal.modes(), 0, "keys are neither kept for a line nor echoed")
    os.write(terminal.master, b"x\rq")
    expect((terminal.watch.wait(), terminal.watch.stderr()), (0, ""), "status and stderr")
    expect_that(b"q" not in terminal.bytes.rpartition(b"\033[J")[2], "q is not echoed")
    expect(terminal.modes(), termios.ICANON | termios.ECHO, "as it was before")
    terminal.expect_restored()
    ctx.desk.let_all_out(run)
    run.finish()


def test_what_does_not_fit_is_told(ctx):
    run = exec_run(ctx, 40)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    terminal = OwnTerminal(ctx, reach(ctx, run), rows=20)
    terminal.wait(lambda: "Waiting (36)" in terminal.picture(), "all that wait")
    lines = [line for line in terminal.picture().splitlines() if line]
    expect_that(len(lines) <= 19, f"they fit: {lines}")
    expect_that(any(" more" in line for line in lines), f"and N more: {lines}")
    os.write(terminal.master, b"q")
    expect(terminal.watch.wait(), 0, "status")
    os.close(terminal.master)
    ctx.desk.drive(4, total=40)
    run.finish()


@needs("make-4.3")
def test_a_watch_tells_of_tokens(ctx):
    """Taken, returned, and recovered from a make that was killed."""
    run = make_run(ctx, 8)
    variables = reach(ctx, run)
    watch = ctx.spawn([ctx.tokenpool, "status", "--watch", "--json"], env=variables)

    def events():
        return [json.loads(line) for line in watch.stdout().splitlines() if line.endswith("}")]

    ctx.wait(lambda: len(events()) >= 1, "the state at the beginning")
    expect((events()[0]["kind"], events()[0]["tokens"]), ("status", 3), "it")
    make = events()[0]["holders"][0]["pid"]
    ctx.desk.release(ctx.desk.held()[0])
    ctx.desk.wait(lambda: ctx.desk.entered == 5, "the next job in")
    ctx.kill(make)
    ctx.wait(lambda: any(event["kind"] == "recovered" for event in events()) or
             any(event["kind"] == "passed" for event in events()), "what became of them")
    kinds = {(event["kind"], event.get("pid")) for event in events()[1:]}
    expect_that(("passed", make) in kinds or ("passed", None) in kinds or
                any(kind == "recovered" for kind, _ in kinds), f"{kinds}")
    ctx.desk.let_all_out(run)
    run.wait()
    expect(watch.wait(), 0, "status of the watch")
    tokens = [event for event in events() if "tokens" in event and event["kind"] != "status"]
    expect_that(all(event["command"] and event["tokens"] > 0 for event in tokens), f"{tokens}")


def test_a_dumb_terminal_gets_lines(ctx):
    run = ctx.run(["job", "a"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    master, slave = pty.openpty()
    watch = ctx.spawn([ctx.tokenpool, "status", "--watch"], stdin=slave, stdout=slave,
                      env={**reach(ctx, run), "TERM": "dumb"})
    os.close(slave)
    seen = []

    def told():
        seen.append(os.read(master, 4096))
        return b"\n" in b"".join(seen)

    ctx.wait(told, "a line")
    text = b"".join(seen)
    expect_that(b"\033" not in text and b" status slots=4" in text, f"{text!r}")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(watch.wait(), 0, "status")
    os.close(master)


# ---- who is waited for -------------------------------------------------------------------------


def waiting_exec(ctx, variables, *options):
    return ctx.spawn([ctx.tokenpool, "exec", *options, "--", "job", "late"], env=variables)


def server_variables(ctx, path):
    with open(f"{path}.cookie", encoding="ascii") as file:
        return {"TOKENPOOL_ADDR": f"unix:{path}", "TOKENPOOL_COOKIE": file.read().strip()}


def test_exec_tells_who_is_waited_for(ctx):
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path, "-j1", "--standstill", "off")
    variables = server_variables(ctx, path)
    first = ctx.spawn([ctx.tokenpool, "exec", "--target", "the-big\x1b-one", "--", "job", "a"],
                      env=variables)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    owner = ctx.desk.inside[0].pid
    told = waiting_exec(ctx, variables)
    quiet = waiting_exec(ctx, variables, "-q")
    ctx.wait(lambda: told.stderr().endswith("\n"), "the line")
    said = told.stderr()
    for word in ("has waited 5s for a slot: the only one is taken by "
                 f"the-big?-one (pid {owner}, ", "1 more waits", "see tokenpool status"):
        expect_that(word in said, f"{word!r} in {said!r}")
    expect(said.count("\n"), 1, "lines")
    ctx.desk.release(ctx.desk.held("a")[0])
    for _ in range(2):
        ctx.desk.wait(lambda: ctx.desk.held("late"), "the next one in")
        ctx.desk.release(ctx.desk.held("late")[0])
    expect([one.wait() for one in (first, told, quiet)], [0, 0, 0], "their ends")
    expect((quiet.stderr(), told.stderr()), ("", said), "no word more")
    end(ctx, server)


def test_a_server_that_is_to_end_tells_what_it_waits_for(ctx):
    path = f"{ctx.dir}/serve/socket"
    server = serve(ctx, path)
    variables = server_variables(ctx, path)
    job = ctx.spawn([ctx.tokenpool, "exec", "--target", "slow", "job", "a"], env=variables)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    before = len(server.stderr())
    ctx.kill(server.pid, signal.SIGTERM)
    ctx.wait(lambda: server.stderr()[before:].endswith("\n"), "its word")
    said = server.stderr()[before:]
    expect_that("ends when the last lease does" in said and "slow (pid " in said, said)
    ctx.desk.release(ctx.desk.held()[0])
    expect((job.wait(), server.wait()), (0, 0), "their ends")


def test_who_keeps_the_output_open_is_told(ctx):
    """The reader of a pipe waits for what the command left running, although the run has ended."""
    for redirect, told in (("", True), (">/dev/null", False)):
        reader, writer = os.pipe()
        script = f"job left {redirect} 2>/dev/null & exec job first"
        run = ctx.spawn([ctx.tokenpool, "run", "-j2", "--", "sh", "-c", script], stdout=writer)
        os.close(writer)
        ctx.desk.wait(lambda: ctx.desk.count() == 2, "both in")
        left = ctx.desk.held("left")[0]
        ctx.desk.release(ctx.desk.held("first")[0])
        expect(run.wait(), 0, "status")
        said = f"process {left.pid} (job left) that it left running still has its output"
        expect(said in run.stderr(), told, f"said: {run.stderr()!r}")
        ctx.desk.release(left)
        expect(os.read(reader, 1), b"", "the end of the output")
        os.close(reader)
    ctx.wait(lambda: listed(ctx) == [], "the end of what was left")
