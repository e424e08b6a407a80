"""`tokenpool exec`: what has no client of its own obeys the pool, and each job counts once."""

import signal

import harness
from harness import expect, expect_that, needs, timeout


def in_background(ctx, lines):
    """A script that starts each line in the background and waits for all; its path."""
    return ctx.script("all", "".join(f"{line} &\n" for line in lines) + "wait\n")


def xargs_test(ctx, jobs=16, slots=4, **how):
    names = " ".join(f"j{i}" for i in range(jobs))
    line = f"echo {names} | xargs -n 1 -P {jobs} {ctx.tokenpool} exec -- job\n"
    run = ctx.run([ctx.script("x", line)], slots=slots, **how)
    ctx.desk.drive(slots, total=jobs)
    run.finish()
    expect(run.notes(), [], "notes")


def test_xargs(ctx):
    """On the implicit slot of the run and three tokens."""
    xargs_test(ctx)


def test_xargs_infer(ctx):
    xargs_test(ctx, options=["--track=infer"])


@needs("user")
def test_xargs_as_user(ctx):
    xargs_test(ctx, user=harness.NOBODY)


def test_one_slot(ctx):
    xargs_test(ctx, jobs=6, slots=1)


def exec_makefile(ctx, folder, jobs, prefix, every=1):
    """Each `every`-th of the recipes with exec."""
    names = [f"{prefix}{i}" for i in range(jobs)]
    text = f"all: {' '.join(names)}\n.PHONY: all {' '.join(names)}\n"
    for i, name in enumerate(names):
        launcher = f"{ctx.tokenpool} exec -- " if i % every == 0 else ""
        text += f"{name}:\n\t@{launcher}job $@\n"
    ctx.write(f"{folder}/Makefile", text)


@needs("make-4.3")
def test_make_pays(ctx):
    """make holds a token for each of its jobs; exec in front of them takes no second one."""
    exec_makefile(ctx, "m", 12, "m")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("make-4.4.1")
def test_make_pays_for_some(ctx):
    """Only every other recipe has exec in front."""
    exec_makefile(ctx, "m", 16, "m", every=2)
    run = ctx.run(["make", "-C", "m"], tools=["make-4.4.1"])
    ctx.desk.drive(4, total=16)
    run.finish()


@needs("make-4.3")
def test_make_pays_for_one_job_of_a_recipe(ctx):
    """A recipe that starts many jobs: make has paid for one of them, whatever it holds for others."""
    names = " ".join(f"x{i}" for i in range(8))
    ctx.write("m/Makefile", "all: x b c d\n.PHONY: all x b c d\nx:\n"
              f"\t@echo {names} | xargs -n 1 -P 8 {ctx.tokenpool} exec -- job\n"
              "b c d:\n\t@job $@\n")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"])
    ctx.desk.drive(4, total=11)
    run.finish()


def wide_makefile(ctx, jobs, slots):
    names = " ".join(f"w{i}" for i in range(jobs))
    ctx.write("m/Makefile", f"all: {names}\n.PHONY: all {names}\n{names}:\n"
              f"\t@{ctx.tokenpool} exec --slots {slots} -- job $@\n")


@needs("make-4.3")
def test_make_whose_jobs_all_want_two(ctx):
    """Each waits with the slot that make has paid for; that of another serves the first."""
    wide_makefile(ctx, 9, 2)
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"])
    ctx.desk.drive(2, total=9)
    run.finish()


@needs("make-4.4.1")
def test_make_whose_jobs_all_want_all(ctx):
    wide_makefile(ctx, 6, 3)
    run = ctx.run(["make", "-C", "m"], tools=["make-4.4.1"], slots=3)
    ctx.desk.drive(1, total=6)
    run.finish()


@needs("make-4.3")
def test_make_whose_jobs_all_want_two_infer(ctx):
    wide_makefile(ctx, 9, 2)
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], options=["--track=infer"])
    ctx.desk.drive(2, total=9)
    run.finish()


def implicit_slot_passes_on(ctx, *options):
    """The command's implicit slot pays for the first tool; when that has ended it pays for the
    second, whose own slot is another job's then."""
    ctx.makefile("m", 2, "m")
    script = (f"{ctx.tokenpool} exec job first & job start\n"
              f"{ctx.tokenpool} exec make -s -C m & wait")
    run = ctx.run(["sh", "-c", script], tools=["make-4.3"], slots=2, options=options)
    ctx.desk.wait(lambda: len(ctx.desk.inside) == 2, "the first, and that the second may start")
    ctx.desk.release(ctx.desk.held("start")[0])
    ctx.desk.wait(lambda: ctx.desk.count("m") == 1, "a job of make")
    ctx.desk.release(ctx.desk.held("first")[0])
    ctx.desk.wait(lambda: ctx.desk.count("m") == 2, "two jobs of make")
    ctx.desk.let_all_out(run)
    run.finish()


@needs("make-4.3")
def test_implicit_slot_passes_on(ctx):
    implicit_slot_passes_on(ctx)


@needs("make-4.3")
def test_implicit_slot_passes_on_infer(ctx):
    implicit_slot_passes_on(ctx, "--track=infer")


@needs("make-4.3")
def test_lender_is_killed(ctx):
    """Whose slot is lent dies before it runs: what make then gives back pays for it, and serves no
    further job."""
    narrow = " ".join(f"n{i}" for i in range(1, 7))
    ctx.write("m/Makefile", f"all: wide1 wide2 {narrow}\n.PHONY: all wide1 wide2 {narrow}\n"
              "wide1 wide2:\n\t@job gate-$@\n"
              f"\t@{ctx.tokenpool} exec --slots 2 --target $@ -- job $@\n"
              f"{narrow}:\n\t@job $@\n")
    run = ctx.run(["make", "-k", "-C", "m"], tools=["make-4.3"], slots=3)
    ctx.desk.wait(lambda: len(ctx.desk.inside) == 3, "all tokens to be with make")
    for guest in ctx.desk.held("gate-"):
        ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count("wide") == 1, "a wide job on the slot of the other")
    waits = "wide2" if "wide1" in ctx.desk.names else "wide1"
    [launcher] = harness.without_children(
        [pid for pid in harness.descendants(run.pid)
         if harness.command_of(pid).endswith(f"--target {waits} -- job {waits}")])
    ctx.kill(launcher)
    ctx.desk.wait(lambda: f"{waits}] Killed" in run.stderr(), "make to see it dead")
    ctx.desk.drive(1, total=6, prefix="n")
    ctx.desk.let_all_out(run)
    run.finish(status=2)


@needs("make-4.3")
def test_make_beside_xargs(ctx):
    exec_makefile(ctx, "m", 20, "m")
    names = " ".join(f"x{i}" for i in range(20))
    run = ctx.run([in_background(ctx, ["make -C m", f"echo {names} | "
                                       f"xargs -n 1 -P 20 {ctx.tokenpool} exec -- job"])],
                  tools=["make-4.3"])
    ctx.desk.drive(4, total=40)
    run.finish()
    expect_that(ctx.desk.peak <= 4, f"{ctx.desk.peak} jobs at once")


def test_exec_below_exec(ctx):
    """The lease of the outer one pays for the inner one's job: one slot suffices."""
    two = f"{ctx.tokenpool} exec -- {ctx.tokenpool} exec -- job"
    run = ctx.run([ctx.script("x", f"echo a b c d | xargs -n 1 -P 4 {two}\n")], slots=1)
    ctx.desk.drive(1, total=4)
    run.finish()


def test_exec_is_the_job_of_exec(ctx):
    """Each process is the job of one lease and holds the next; all of them run on one slot."""
    chain = [ctx.tokenpool, "exec", "--"] * 4
    run = ctx.run(chain + ["job", "a"], slots=1)
    ctx.desk.drive(1, total=1)
    run.finish()


def test_exec_below_exec_and_a_shell(ctx):
    inner = ctx.script("inner", f"{ctx.tokenpool} exec -- job $1\njob $1-end\n")
    run = ctx.run([in_background(ctx, [f"{ctx.tokenpool} exec -- {inner} {n}" for n in "abcdef"])],
                  slots=2)
    ctx.desk.drive(2, total=12)
    run.finish()


def test_a_range_gets_what_is_free(ctx):
    run = ctx.run([ctx.tokenpool, "exec", "--slots", "1-8", "--", "job", "--say", "width",
                   "{slots}={{slots}}"])
    ctx.desk.wait(lambda: ctx.desk.has_said("width"), "the width")
    expect(ctx.desk.texts("width"), ["4={slots}"], "what the job was told")
    run.finish()


def test_the_environment_tells(ctx):
    script = ctx.script("tell", 'job --say told "$TOKENPOOL_SLOTS"\n'
                        'job --say lease "${TOKENPOOL_LEASE:-none}"\n')
    run = ctx.run([ctx.tokenpool, "exec", "--slots=3", "--", script])
    ctx.desk.wait(lambda: ctx.desk.has_said("lease"), "the lease")
    expect(ctx.desk.texts("told"), ["3"], "TOKENPOOL_SLOTS")
    expect_that(int(ctx.desk.texts("lease")[0]) > 0, "TOKENPOOL_LEASE is a number")
    run.finish()


def test_a_wide_job_has_them_all(ctx):
    """Four slots at once: while it is in, nobody else is, and it comes although others wait."""
    lines = [f"{ctx.tokenpool} exec -- job a{i}" for i in range(12)]
    lines.insert(4, f"{ctx.tokenpool} exec --slots 4 --priority 5 -- job wide")
    together = []

    def look(guest):
        if ctx.desk.count("wide") and ctx.desk.count("a"):
            together.append(guest)

    ctx.desk.on_enter = look
    run = ctx.run([in_background(ctx, lines)])
    ctx.desk.wait(lambda: len(ctx.desk.held()) >= 1, "a job")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(together, [], "jobs beside the wide one")
    expect(ctx.desk.entered, 13, "jobs")


def test_a_timeout(ctx):
    script = ctx.script("x", f"{ctx.tokenpool} exec -- job a &\n"
                        f"job gate\n{ctx.tokenpool} exec --timeout 0 -- job b\n"
                        'job --say status "$?"\nwait\n')
    run = ctx.run([script], slots=1)
    ctx.desk.wait(lambda: ctx.desk.held("a") and ctx.desk.held("gate"), "the first job")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: ctx.desk.has_said("status"), "the end of the second exec")
    expect(ctx.desk.texts("status"), ["125"], "its status")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(run.notes(), ["tokenpool exec: cannot get 1 slot: the time of --timeout is over; "
                         "give it more, or try again later"], "notes")


def test_what_there_will_never_be(ctx):
    run = ctx.run([ctx.tokenpool, "exec", "--slots", "5", "--", "job", "a"])
    run.finish(status=125)
    notes = [line for line in run.notes() if line.startswith("tokenpool exec: ")]
    expect(len(notes), 1, "lines of exec")
    expect_that("cannot get 5 slots" in notes[0] and "--slots" in notes[0], notes[0])
    expect(ctx.desk.entered, 0, "jobs")


def test_statuses(ctx):
    file = ctx.write("plain", "no program\n")
    cases = [(["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -9 $$"], 137),
             (["no-such-program"], 127), ([file], 126), (["--no-such-option"], 2), ([], 2)]
    script = ""
    for number, (words, _) in enumerate(cases):
        command = " ".join(f"'{word}'" for word in words)
        script += f"{ctx.tokenpool} exec {command}\njob --say s{number} $?\n"
    run = ctx.run([ctx.script("x", script)], slots=1)
    run.finish()
    for number, (words, status) in enumerate(cases):
        expect(ctx.desk.texts(f"s{number}"), [str(status)], f"status of {words}")


def test_ctrl_c_while_it_waits(ctx):
    run = ctx.run([in_background(ctx, [f"{ctx.tokenpool} exec -- job a",
                                       f"{ctx.tokenpool} exec --target b -- job b"])], slots=1)
    ctx.desk.wait(lambda: ctx.desk.held(), "the first job")
    first = ctx.desk.held()[0]

    def launchers():
        return harness.without_children(
            [pid for pid in run.find("tokenpool") if pid not in harness.ancestors(first.pid)
             and "exec" in harness.command_of(pid)])

    ctx.wait(launchers, "the launcher that waits")
    (waits,) = launchers()
    ctx.kill(waits, signal.SIGTERM)
    ctx.wait_gone(waits)
    ctx.desk.release(first)
    run.finish()
    expect(ctx.desk.entered, 1, "jobs")


@needs("make-4.3")
@timeout(180)
def test_it_says_once_that_there_is_no_arbiter(ctx):
    """However many there are below one make, whose stderr they share, and at the same time."""
    exec_makefile(ctx, "m", 40, "m")
    for jobs in ("-j1", "-j8"):
        run = ctx.spawn(["make", "-C", "m", jobs], tools=["make-4.3"])
        ctx.desk.let_all_out(run)
        expect(run.wait(), 0, "status")
        expect(run.notes(), ["tokenpool exec: no arbiter (TOKENPOOL_ADDR is not set); "
                             "job runs with one slot"], f"notes below make {jobs}")


@needs("make-4.3")
def test_a_jobserver_serves_in_silence(ctx):
    """Below a plain make, in a recipe that is one of a make: no arbiter is missed there."""
    ctx.write("m/Makefile", f"all:\n\t+@{ctx.tokenpool} exec --slots 1-3 -- job --say width {{slots}}\n")
    run = ctx.spawn(["make", "-C", "m", "-j3"], tools=["make-4.3"])
    expect(run.wait(), 0, "status")
    expect(ctx.desk.texts("width"), ["3"], "slots")
    expect(run.notes(), [], "notes")


@needs("ninja-1.11")
def test_it_says_so_once_below_ninja(ctx):
    """ninja gives each job a pipe of its own and prints what was in there."""
    text = f"rule r\n  command = {ctx.tokenpool} exec -- job $out\n"
    ctx.write("n/build.ninja", text + "".join(f"build n{i}: r\n" for i in range(12)))
    run = ctx.spawn(["ninja", "-C", "n", "-j6"], tools=["ninja-1.11"])
    # It is the first that tells, if it looks before ninja has waited for another one.
    ctx.desk.wait(lambda: ctx.desk.count() == 6, "six jobs in")
    ctx.desk.let_all_out(run)
    expect(run.wait(), 0, "status")
    expect(run.stdout().count("no arbiter"), 1, "lines")
    expect(ctx.desk.entered, 12, "jobs")


def test_other_tools_are_told_the_width(ctx):
    """Not those that the user has told something else, nor where nobody has asked for a width."""
    tell = ctx.script("tell", (
        'job --say $1 "$OMP_NUM_THREADS,$GOMAXPROCS,$RAYON_NUM_THREADS,'
        '$PYTEST_XDIST_AUTO_NUM_WORKERS,$MY_THREADS"\n'))
    wide = f"{ctx.tokenpool} exec --slots 3 --"
    top = ctx.script("top", (
        f"{wide} {tell} all\nGOMAXPROCS=9 RAYON_NUM_THREADS= {wide} {tell} own\n"
        f"TOKENPOOL_WIDTH_FOR=MY_THREADS,GOMAXPROCS {wide} {tell} named\n"
        f"TOKENPOOL_WIDTH_FOR= {wide} {tell} none\n{ctx.tokenpool} exec -- {tell} narrow\n"))
    run = ctx.run([top])
    ctx.wait(run.ended, "the end of the run")
    run.finish()
    expect({name: ctx.desk.texts(name)[0] for name in ("all", "own", "named", "none", "narrow")},
           {"all": "3,3,3,3,", "own": "3,9,,3,", "named": ",3,,,3", "none": ",,,,",
            "narrow": ",,,,"}, "what the jobs were told")


CROWD = 300
LEASES = 100


def test_leases_beside_a_crowd(ctx):
    """Processes that have nothing to do with it are not looked at for each lease."""
    client = ctx.program("client", f"""
import json, socket, subprocess
crowd = [subprocess.Popen(["sleep", "1000"]) for _ in range({CROWD})]
peer = socket.socket(socket.AF_UNIX)
peer.connect(os.environ["TOKENPOOL_ADDR"].split(";")[0].removeprefix("unix:"))
lines = peer.makefile("rw")


def call(method, **params):
    print(json.dumps({{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}}),
          file=lines, flush=True)
    return json.loads(lines.readline())["result"]


def files_read(arbiter):
    counts = open(f"/proc/{{arbiter}}/io").read().split()
    return int(counts[counts.index("syscr:") + 1])


call("hello", protocol=1, cookie=os.environ["TOKENPOOL_COOKIE"], name="crowd", pid=os.getpid())
arbiter = call("status")["pid"]
before = files_read(arbiter)
for _ in range({LEASES}):
    call("release", lease=call("acquire", min=1, max=1)["lease"])
print(files_read(arbiter) - before)
for one in crowd:
    one.kill()
""")
    run = ctx.run([client], options=["-q"])
    run.finish()
    # Two of each process for each lease, where all were looked at.
    reads = int(run.stdout())
    expect_that(reads < CROWD * LEASES / 4, f"{reads} reads for {LEASES} leases")
