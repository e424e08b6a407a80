"""`run --enforce`: while there are fewer slots than are in use, the youngest jobs stand still, and
whoever dies or ends the build, nobody stays so."""

import signal

from harness import comm_of, expect, expect_that, kill, needs, stat_of, timeout
from lifecycle_kit import expect_clean_folder, state_of, wait_all_gone, wait_arbiter
from protocol_kit import reach, variables_of
from test_elastic import BUSY, IDLE, MOST, Machine, make_run
from test_status import look, tell, wait_status
from test_terminal import Terminal
from test_uncooperative import expect_named, spinner, stop_file

WORD = "the youngest stand still"


def run_with_four(ctx, jobs=8, options=("--enforce",), **more):
    """A make with four jobs in, the oldest first."""
    ctx.makefile("a", jobs, "a")
    run = ctx.run(["make", "-C", "a"], tools=["make-4.3"],
                  options=["--standstill", "off", *options], **more)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    return run, reach(ctx, run)


def oldest_first(ctx):
    """Pids of the jobs inside. A job begins with the shell that its tool runs it in."""
    def age(pid):
        _, parent, start = stat_of(pid)
        return (stat_of(parent)[2], parent) if comm_of(parent) == "sh" else (start, pid)

    return sorted((guest.pid for guest in ctx.desk.inside), key=age)


def states(pids):
    return "".join(state_of(pid) for pid in pids)


def wait_states(ctx, pids, wanted):
    """`wanted`: T or r (runs) for each."""
    def seen():
        return "".join("T" if state == "T" else "r" for state in states(pids))

    ctx.desk.wait(lambda: seen() == wanted, f"states {wanted} of {pids}")


def freeze(ctx, variables, slots=1):
    """Fewer slots; answers the pids of the jobs, oldest first, once the youngest stand still."""
    pids = oldest_first(ctx)
    tell(ctx, variables, "set", f"jobs={slots}")
    wait_states(ctx, pids, "r" * slots + "T" * (4 - slots))
    return pids


def frozen_lines(run):
    return [line for line in run.notes() if WORD in line]


def give_slots_back(ctx, run, variables, pids):
    """All jobs go on, and the build ends."""
    tell(ctx, variables, "set", "jobs=4")
    wait_states(ctx, pids, "rrrr")
    ctx.desk.let_all_out(run)
    run.finish()


@needs("make-4.3")
def test_youngest_stand_still_until_there_are_slots(ctx):
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables, slots=2)
    expect(look(ctx, variables)["frozen"], 2, "frozen jobs in the status")
    expect_that("Frozen " in tell(ctx, variables, "status"), "a line of the status")
    # One slot more is for the older of both.
    tell(ctx, variables, "set", "jobs=3")
    wait_states(ctx, pids, "rrrT")
    tell(ctx, variables, "set", "jobs=4")
    wait_states(ctx, pids, "rrrr")
    wait_status(ctx, variables, lambda status: "frozen" not in status, "nobody frozen")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect((report["frozen"]["count"], report["frozen"]["peak"]), (2, 2), "frozen in the report")
    expect_that(report["frozen"]["seconds"] > 0, f"seconds in {report['frozen']}")
    expect(len(frozen_lines(run)), 1, f"lines in {run.notes()}")
    expect(report["stuck"], [], "jobs taken for stuck")
    expect(report["uncooperative"], [], "jobs accused")


@needs("make-4.3")
def test_build_goes_on_one_job_at_a_time(ctx):
    """Each that ends lets the oldest that stands still go on, to the end of the build."""
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    for index in range(1, 4):
        oldest = next(g for g in ctx.desk.inside if g.pid == pids[index - 1])
        ctx.desk.release(oldest)
        wait_states(ctx, pids[index:], "r" + "T" * (3 - index))
    tell(ctx, variables, "set", "jobs=4")
    ctx.desk.let_all_out(run)
    run.finish()


@needs("make-4.3")
def test_never_without_the_option(ctx):
    """The same, asked for twice: with --enforce they stand still, and by then, without it, none
    has."""
    run, variables = run_with_four(ctx, options=())
    pids = oldest_first(ctx)
    tell(ctx, variables, "set", "jobs=1")
    plain = list(ctx.desk.inside)
    ctx.makefile("b", 4, "b")
    other = ctx.run(["make", "-C", "b"], tools=["make-4.3"], options=["--enforce"])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 4, "four jobs in")
    others = [guest.pid for guest in ctx.desk.inside if guest not in plain]
    words = variables_of(others[0])
    tell(ctx, words, "set", "jobs=1")
    ctx.desk.wait(lambda: states(others).count("T") == 3, "the others frozen")
    expect_that("T" not in states(pids), f"states {states(pids)}")
    for each in (variables, words):
        tell(ctx, each, "set", "jobs=4")
    while not (run.ended() and other.ended()):
        ctx.desk.let_all_out(run)
        ctx.desk.let_all_out(other)
    expect(run.finish()["frozen"]["count"], 0, "frozen jobs")
    other.finish()


@needs("make-4.3")
def test_without_a_tracker(ctx):
    run, variables = run_with_four(ctx, options=["--enforce", "--track", "infer"])
    pids = freeze(ctx, variables)
    give_slots_back(ctx, run, variables, pids)


@needs("make-4.3")
def test_quiet(ctx):
    run, variables = run_with_four(ctx, options=["--enforce", "-q"])
    freeze(ctx, variables)
    tell(ctx, variables, "set", "jobs=4")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(frozen_lines(run), [], "lines")


@needs("make-4.3")
def test_arbiter_killed(ctx):
    """Who was frozen is thawed, and by the next one frozen again, as there are still too few."""
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    killed = run.arbiter()
    # The next one cannot be at it again before this process has looked.
    kill(killed)
    wait_states(ctx, pids, "rrrr")
    wait_arbiter(ctx, run, other_than=killed)
    wait_states(ctx, pids, "rTTT")
    tell(ctx, variables, "set", "jobs=4")
    wait_states(ctx, pids, "rrrr")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect(report["frozen"]["count"], 6, "times that a job was frozen")


@needs("make-4.3")
def test_front_killed(ctx):
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    arbiter = run.arbiter()
    run.books = False
    kill(run.pid)
    expect(run.wait(), 128 + signal.SIGKILL, "status")
    wait_all_gone(ctx, [*pids, arbiter])
    expect_clean_folder(ctx)


def end_by(ctx, number):
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    run.books = False
    kill(run.pid, number)
    run.wait()
    wait_all_gone(ctx, pids)


@needs("make-4.3")
def test_interrupt(ctx):
    end_by(ctx, signal.SIGINT)


@needs("make-4.3")
def test_terminate(ctx):
    end_by(ctx, signal.SIGTERM)


@needs("make-4.3")
def test_hang_up(ctx):
    end_by(ctx, signal.SIGHUP)


@needs("make-4.3")
def test_signal_for_a_frozen_job(ctx):
    """Somebody ends a job that stands still: it is to have its signal."""
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    run.books = False
    kill(pids[3], signal.SIGTERM)
    ctx.wait_gone(pids[3])
    tell(ctx, variables, "set", "jobs=4")
    ctx.desk.let_all_out(run)


@needs("make-4.3")
def test_continued_by_somebody_else(ctx):
    """As a shell's fg does: noted, and left alone for a while."""
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    kill(pids[1], signal.SIGCONT)
    wait_status(ctx, variables, lambda status: status.get("frozen") == 2, "two frozen jobs")
    wait_states(ctx, pids, "rrTT")
    give_slots_back(ctx, run, variables, pids)


@needs("make-4.3")
def test_stopped_by_somebody_else(ctx):
    """It is not ours to let go on."""
    run, variables = run_with_four(ctx)
    pids = oldest_first(ctx)
    kill(pids[2], signal.SIGSTOP)
    wait_states(ctx, pids, "rrTr")
    tell(ctx, variables, "set", "jobs=2")
    wait_states(ctx, pids, "rrTT")
    expect(look(ctx, variables)["frozen"], 1, "frozen jobs")
    tell(ctx, variables, "set", "jobs=4")
    wait_states(ctx, pids, "rrTr")
    kill(pids[2], signal.SIGCONT)
    ctx.desk.let_all_out(run)
    run.finish()


@needs("make-4.3")
def test_command_ends(ctx):
    """make is killed while its jobs stand still: what it leaves behind runs."""
    run, variables = run_with_four(ctx)
    pids = freeze(ctx, variables)
    run.books = False
    make = stat_of(pids[0])[1]
    kill(make)
    expect(run.wait(), 128 + signal.SIGKILL, "status")
    wait_states(ctx, pids, "rrrr")
    for guest in list(ctx.desk.inside):
        ctx.desk.release(guest)
    wait_all_gone(ctx, pids)


@needs("make-4.3")
def test_one_goes_on_when_nothing_moves(ctx):
    """Those that run just wait, and those that could run stand still: the last resort, also where
    there is one slot."""
    for slots in (2, 1):
        run, variables = run_with_four(ctx, options=["--enforce", "--standstill", "2"])
        pids = freeze(ctx, variables, slots=slots)
        wait_states(ctx, pids, "r" * (slots + 1) + "T" * (3 - slots))
        tell(ctx, variables, "set", "jobs=4")
        ctx.desk.let_all_out(run)
        report = run.finish(minted=1)
        expect([row["held"] for row in report["stuck"]], [3], "stuck")


@needs("make-4.3")
def test_stopped_and_continued_by_the_user(ctx):
    """Ctrl-Z stops all, and nobody goes on before the user wants it, whatever slots there are."""
    ctx.makefile("a", 8, "a")
    terminal = Terminal(ctx, ["make", "-C", "a"], options=["--enforce", "--standstill", "off"])
    terminal.wait(lambda: (ctx.desk.pump(), ctx.desk.count() == 4)[1], "four jobs in")
    variables = variables_of(ctx.desk.inside[0].pid)
    pids = freeze(ctx, variables)
    terminal.type("\x1a")
    terminal.event("stopped")
    wait_states(ctx, pids, "TTTT")
    tell(ctx, variables, "set", "jobs=4")
    seen = look(ctx, variables)["uptime_ms"]
    wait_status(ctx, variables, lambda status: status["uptime_ms"] > seen + 1000, "some looks")
    expect(states(pids), "TTTT", "states")
    terminal.go_on()
    wait_states(ctx, pids, "rrrr")
    ctx.desk.let_all_out(terminal.run)
    terminal.finish(0)


@needs("ninja-1.13.2")
def test_ninja(ctx):
    """It gives each of its jobs a process group."""
    ctx.ninjafile("n", 8, "n")
    run = ctx.run(["ninja", "-C", "n"], tools=["ninja-1.13.2"],
                  options=["--standstill", "off", "--enforce"])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = variables_of(ctx.desk.inside[0].pid)
    pids = freeze(ctx, variables)
    give_slots_back(ctx, run, variables, pids)


def test_leases(ctx):
    """Jobs below tokenpool exec, a launcher each."""
    script = f"for i in 1 2 3 4; do {ctx.tokenpool} exec job e$i & done; wait"
    run = ctx.run(["sh", "-c", script], options=["--standstill", "off", "--enforce"])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    variables = variables_of(ctx.desk.inside[0].pid)
    pids = freeze(ctx, variables)
    give_slots_back(ctx, run, variables, pids)


@needs("make-4.3", "bwrap", "taskset")
def test_busy_machine(ctx):
    """The governor takes the slots away, and gives them back."""
    machine = Machine(ctx)
    run = make_run(ctx, machine, jobs=MOST, options=["--enforce"])
    pids = oldest_first(ctx)
    machine.says(BUSY)
    wait_states(ctx, pids, "r" + "T" * (MOST - 1))
    machine.says(IDLE)
    wait_states(ctx, pids, "r" * MOST)
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect((report["frozen"]["peak"], report["uncooperative"]), (MOST - 1, []), "in the report")


@needs("make-4.3")
@timeout(120)
def test_those_who_ignore_the_pool_are_made_room_for(ctx):
    """Eight threads beside three jobs: all but the oldest of the jobs stand still until it has
    ended, and it does not, as it would hold whatever it holds."""
    ctx.write("Makefile", "J = j0 j1 j2\nall: rogue $J\n.PHONY: all rogue $J\n"
                          f"rogue:\n\t@{spinner(ctx)} 8 {stop_file(ctx)} 1e9\n$J:\n\t@job $@\n")
    run = ctx.run(["make"], tools=["make-4.3"], options=["--enforce"])
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "three jobs beside the rogue")
    pids = oldest_first(ctx)
    pid = expect_named(ctx, run, "spinner", lambda: True)
    wait_states(ctx, pids, "rTT")
    expect_that(state_of(pid) in "RS", f"state {state_of(pid)} of {pid}")
    ctx.write("stop", "")
    wait_states(ctx, pids, "rrr")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect([row["pid"] for row in report["uncooperative"]], [pid], "accused")
    expect(report["frozen"]["peak"], 2, "frozen jobs")
