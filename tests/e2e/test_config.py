"""What run and exec do where the command line says nothing: variables, the project's file, the
user's file."""

import os
import stat

import harness
from harness import expect, expect_that, needs
from lifecycle_kit import NO_TOOLS
from protocol_kit import reach

POOL = "echo $TOKENPOOL_JOBS"


def user_file(ctx, text):
    return ctx.write("config/tokenpool/config.toml", text)


def project_file(ctx, text, folder="project"):
    return ctx.write(f"{folder}/.tokenpool.toml", text, 0o644)


def said(ctx, *words, status=0, cwd="", env=None):
    """(stdout, lines on stderr) of `tokenpool WORDS` in that folder of the test's."""
    run = ctx.spawn([ctx.tokenpool, *words], env=env, cwd=f"{ctx.dir}/{cwd}")
    expect(run.wait(), status, f"status; stderr: {run.stderr()}")
    return run.stdout().strip(), run.stderr().splitlines()


def slots(ctx, *options, **how):
    out, lines = said(ctx, "run", *options, "--", "sh", "-c", POOL, **how)
    expect(lines, [], "lines")
    return out


def builds(ctx, tool, width, **env):
    """A make in a folder below the project has that many jobs at once."""
    ctx.makefile("project/sub/deep", 3 * width, "j")
    run = ctx.spawn([ctx.tokenpool, "run", "--standstill=off", "--", "make", "-C", "deep"],
                    tools=[tool], cwd=f"{ctx.dir}/project/sub", env=env)
    ctx.desk.drive(width, total=3 * width)
    expect((run.wait(), run.notes()), (0, []), "status and lines")


@needs("make-4.3")
def test_a_project_says_how_many(ctx):
    user_file(ctx, "jobs = 5\n")
    project_file(ctx, "jobs = 3\n")
    builds(ctx, "make-4.3", 3)


@needs("make-4.4.1")
def test_a_users_file_says_how_many(ctx):
    user_file(ctx, "[run]\njobs = 4\n")
    builds(ctx, "make-4.4.1", 4)


@needs("make-4.4.1")
def test_a_variable_says_how_many(ctx):
    user_file(ctx, "jobs = 2\n")
    project_file(ctx, "jobs = 2\n")
    builds(ctx, "make-4.4.1", 3, TOKENPOOL_JOBS="3")


def test_which_comes_first(ctx):
    user_file(ctx, "jobs = 5\n")
    expect(slots(ctx), "5", "the user's file")
    os.mkdir(f"{ctx.dir}/project")
    project_file(ctx, "jobs = 9\n")
    expect(slots(ctx, cwd="project"), "5", "a project does not widen")
    project_file(ctx, "jobs = 3\n")
    expect(slots(ctx, cwd="project"), "3", "it narrows")
    expect(slots(ctx, "-j7", cwd="project"), "7", "the command line")
    variable = {"TOKENPOOL_JOBS": "6"}
    expect(slots(ctx, cwd="project", env=variable), "6", "a variable")
    expect(slots(ctx, "-j7", cwd="project", env=variable), "7", "the command line, again")
    expect(slots(ctx, env={"TOKENPOOL_CONFIG": ctx.write("other.toml", "jobs = 2")}), "2", "named")
    cpus = str(len(os.sched_getaffinity(0)))
    expect(slots(ctx, "-jcpus", cwd="project"), cpus, "the command line says the usual")
    usual = slots(ctx, cwd="project", env={"TOKENPOOL_CONFIG": "off"})
    expect(usual, slots(ctx, "-jcpus"), "no file at all")


def test_a_run_inside_a_run_does_not_take_its_variables(ctx):
    inner = f"{ctx.tokenpool} run -q --track=infer -- sh -c '{POOL}'"
    user_file(ctx, "jobs = 2\n")
    out, _ = said(ctx, "run", "-j5", "--", "sh", "-c", f"{POOL}; {inner} 2>/dev/null")
    expect(out, "5\n2", "the outer pool, and the user's own number")


def test_variables_for_run_stay_outside_of_the_build(ctx):
    report = f"{ctx.dir}/r.json"
    variables = {"TOKENPOOL_REPORT": report, "TOKENPOOL_WRAP": "off", "TOKENPOOL_SHIMS": "off",
                 "TOKENPOOL_LIMIT": "link=1,test=2"}
    out, lines = said(ctx, "run", "sh", "-c", "env | grep -E 'POOL_(REPORT|WRAP|SHIMS|LIMIT)='",
                      env=variables, status=1)
    expect((out, lines), ("", []), "none is there")
    expect_that(os.path.exists(report), "the report is written")


def test_a_project_may_not_do_more_than_narrow(ctx):
    bait = f"{ctx.dir}/bait"
    path = project_file(ctx, f'report = "{bait}"\nend_leftovers = true\nquiet = true\n'
                             "[exec]\ntimeout = 0\n[limits]\nlink = 1\n")
    out, lines = said(ctx, "run", "-j2", "--", "sh", "-c", f"{ctx.tokenpool} exec echo built",
                      cwd="project")
    expect(out, "built", "it builds")
    expect(len(lines), 1, f"lines: {lines}")
    expect_that(f"{path}: end_leftovers, quiet, report is ignored" in lines[0], lines[0])
    expect(os.path.exists(bait), False, "a report")
    _, lines = said(ctx, "exec", "true", cwd="project")
    expect_that(f"{path}: timeout is ignored" in lines[0], f"exec alone says so, too: {lines}")


@needs("root")
def test_a_file_of_another_user_is_ignored(ctx):
    user_file(ctx, "jobs = 5\n")
    path = project_file(ctx, "jobs = 1\n")
    os.chown(path, harness.NOBODY, harness.NOBODY)
    ctx.write(".tokenpool.toml", "jobs = 3\n", 0o644)
    out, lines = said(ctx, "run", "--", "sh", "-c", POOL, cwd="project")
    expect(out, "3", "the next one counts")
    expect(len(lines), 1, f"lines: {lines}")
    expect_that(f"{path} is ignored: it belongs to user {harness.NOBODY}" in lines[0], lines[0])


def test_what_is_no_file_of_mine_is_ignored(ctx):
    os.mkdir(f"{ctx.dir}/project")
    path = f"{ctx.dir}/project/.tokenpool.toml"
    for make, why in ((lambda: os.mkfifo(path), "it is no regular file"),
                      (lambda: os.mkdir(path), "it is no regular file"),
                      (lambda: os.symlink("nowhere", path), "it cannot be read"),
                      (lambda: project_file(ctx, "jobs = 1") and os.chmod(path, 0o666),
                       "everybody may write to it")):
        make()
        out, lines = said(ctx, "run", "-j4", "--", "sh", "-c", POOL, cwd="project")
        expect(out, "4", "it builds")
        expect_that(len(lines) == 1 and f"is ignored: {why}" in lines[0], f"{why}: {lines}")
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)


def test_what_is_wrong_is_named(ctx):
    os.mkdir(f"{ctx.dir}/project")
    for text, command, what in (
            ("# mine\njobs = \"four\"\n", "run", "line 2: jobs: four: not a number of slots, give"),
            ("jobs = [1]\n", "run", "line 1: jobs: give a number of slots"),
            ("\n\njob = 3\n", "run", "line 3: job: no such key (the nearest is jobs)"),
            ("colour = 3\n", "run", "line 1: colour: no such key; there are jobs, limits, nice"),
            ("[run]\nnice = 20\n", "run", "line 2: nice: 20: no niceness, give 0 to 19"),
            ("jobs = \n", "run", "line 1: "),
            ("[exec]\npriority = 200\n", "exec", "line 2: priority: 200: no priority, give"),
            ("[exec]\nnicer = 3\n", "exec", "line 2: nicer: no such key (the nearest is nice)")):
        path = project_file(ctx, text)
        _, lines = said(ctx, command, "--", "true", cwd="project", status=2)
        expect_that(len(lines) == 1 and f"the configuration {path}, {what}" in lines[0],
                    f"{text!r}: {lines}")
    os.unlink(path)
    for name, value, command, what in (
            ("JOBS", "many", "run", "many: not a number of slots, give"),
            ("ENFORCE", "yes", "run", "yes: no such choice, give on or off"),
            ("LIMIT", "link", "run", "the limit 'link' is wrong: give TYPE=N"),
            ("PRIORITY", "high", "exec", "high: no priority, give"),
            ("QUIET", "1", "exec", "1: no such choice, give on or off"),
            ("CONFIG", "/nowhere", "exec", "/nowhere: there is no such file")):
        _, lines = said(ctx, command, "--", "true", env={f"TOKENPOOL_{name}": value}, status=2)
        expect(len(lines), 1, f"lines: {lines}")
        expect_that(f"TOKENPOOL_{name}={what}" in lines[0], lines[0])


def test_doctor_tells_of_it(ctx):
    user = user_file(ctx, "jobs = 5\n")
    project = project_file(ctx, "jobs = 2\n[exec]\ntimeout = 3\n")
    run = ctx.spawn([ctx.tokenpool, "doctor"], cwd=f"{ctx.dir}/project", env=NO_TOOLS)
    run.wait()
    expect_that(f"go by {project} and {user}, a build without -j has 2 slots" in run.stdout(),
                run.stdout())
    expect_that("timeout is ignored" in run.stdout(), run.stdout())
    user_file(ctx, "jobs = 0\n")
    run = ctx.spawn([ctx.tokenpool, "doctor"], env=NO_TOOLS)
    expect(run.wait(), 1, "status")
    expect_that(f"! configuration: the configuration {user}, line 1: jobs: 0: " in run.stdout(),
                run.stdout())


def test_help_does_not_mind_what_is_wrong(ctx):
    user_file(ctx, "jobs = 0\n")
    expect_that("Usage" in said(ctx, "run", "--help")[0], "the help")


# ---- niceness ----------------------------------------------------------------------------------


def test_nice(ctx):
    """Of the build, and of a job; never less than before, and not of those who serve it."""
    nice = "cut -d' ' -f19 /proc/self/stat"
    own = os.nice(0)
    expect(said(ctx, "run", "--nice", "7", "--", "sh", "-c", f"{nice}; {ctx.tokenpool} exec {nice}"),
           (f"{max(7, own)}\n{max(7, own)}", []), "a build")
    nicer = f"{ctx.tokenpool} exec --nice 9 -- {nice}; {ctx.tokenpool} exec --nice 2 -- {nice}"
    expect(said(ctx, "run", "--nice", "5", "--", "sh", "-c", nicer)[0],
           f"{max(9, own)}\n{max(5, own)}", "its jobs")
    user_file(ctx, "nice = 3\n[exec]\nnice = 6\n")
    project_file(ctx, "nice = 4\n[exec]\nnice = 1\n")
    expect(said(ctx, "run", "--", "sh", "-c", f"{nice}; {ctx.tokenpool} exec {nice}",
                cwd="project")[0], f"{max(4, own)}\n{max(6, own)}", "by files")
    run = ctx.run(["job", "a"], options=["--nice=11"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job")
    expect(os.getpriority(os.PRIO_PROCESS, ctx.desk.held()[0].pid), max(11, own), "the job's")
    expect(os.getpriority(os.PRIO_PROCESS, run.pid), own, "the front's")
    ctx.desk.let_all_out(run)
    run.finish()


# ---- exec --------------------------------------------------------------------------------------


def test_defaults_of_exec(ctx):
    """They are those of the user's file."""
    user_file(ctx, "[exec]\ntype = \"link\"\npriority = 5\nwidth_for = \"WIDE\"\n")
    show = "echo $WIDE $OMP_NUM_THREADS"
    run = ctx.run(["sh", "-c", f"{ctx.tokenpool} exec --slots 2 sh -c '{show}'"])
    run.finish()
    expect(run.stdout().strip(), "2", "the variable that gets the number")
    held = ctx.run([ctx.tokenpool, "exec", "job", "typed"], options=["--limit", "link=1"])
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job")
    out, _ = said(ctx, "status", "--json", env=reach(ctx, held))
    expect_that('"type": "link"' in out, out)
    ctx.desk.let_all_out(held)
    held.finish()
    ctx.write("config/tokenpool/config.toml", "")
    run = ctx.run(["sh", "-c", f"{ctx.tokenpool} exec --slots 2 sh -c '{show}'"],
                  env={"TOKENPOOL_WIDTH_FOR": ""})
    run.finish()
    expect(run.stdout().strip(), "", "it is told to nobody")
