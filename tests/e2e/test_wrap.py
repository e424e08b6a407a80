"""`run --wrap`: what a shim of a compiler does, and who pays."""

import os
import shutil
import signal
import subprocess

import harness
from harness import expect, expect_that, needs, timeout
from wrap_kit import compiler, environment, sources, status, wrap_folder

WRAP = ["--wrap"]
DEAD = {"TOKENPOOL_ADDR": "unix:/nowhere/socket", "TOKENPOOL_COOKIE": "0" * 64}


def makefile(ctx, folder, number, command):
    names = sources(ctx, folder, number)
    ctx.write(f"{folder}/Makefile", "all: " + " ".join(f"{n}.o" for n in names) + "\n"
              f"%.o: %.c\n\t@{command} -o $@ -c $<\n")


@needs("make-4.3")
def test_make_has_paid(ctx):
    """A job that has make's token costs no second slot: of three slots three work."""
    compiler(ctx, "cc", "/usr/bin/cc")
    makefile(ctx, "m", 9, "cc")
    run = ctx.run(["make", "-C", "m"], slots=3, options=WRAP, env=environment(ctx, "make-4.3"))
    ctx.desk.drive(3, total=9)
    report = run.finish()
    expect(report["slots"]["peak_in_use"], 3, "slots in use")


def test_one_slot_for_a_whole_job(ctx):
    """cc, the ld that its gcc starts, ccache in front of it and exec around it all cost one slot
    together, of which there is only one; and nobody waits for the type that an outer lease has."""
    ctx.write("a.c", "int main(void) { return 0; }\n")
    lines = ["tokenpool set limit.link=1 limit.compile=1 >/dev/null", "cc a.c -o a && ./a",
             "tokenpool exec --type link -- gcc a.c -o b && ./b",
             "echo a.c b a.c c | xargs -n 2 -P 8 sh -c 'cc $0 -o $1'", "test -x c"]
    if shutil.which("ccache"):
        lines += ["ccache gcc -c a.c -o a.o", 'CC="tokenpool exec -- ccache gcc"',
                  "$CC -c a.c -o b.o", "test -s b.o",
                  "PATH=/usr/lib/ccache:$PATH gcc -c a.c -o c.o"]
    script = ctx.script("x", "set -e\n" + "\n".join(lines) + "\n")
    run = ctx.run([script], slots=1, options=WRAP,
                  env={"CCACHE_DIR": f"{ctx.dir}/ccache",
                       "PATH": f"{ctx.session.home}:{ctx.environment()['PATH']}"})
    report = run.finish()
    expect(run.notes(), [], "notes")
    expect(report["slots"]["peak_in_use"], 1, "slots in use")


@needs("ccache")
def test_ccache_knows_the_real_compiler(ctx):
    """Its cache is the same with and without --wrap, and a changed compiler is noticed: it looks at
    the compiler, not at the shim, also where the shim is named by its path."""
    ctx.write("a.c", "int f(void) { return 0; }\n")
    compiler(ctx, "cc", "/usr/bin/cc")
    env = environment(ctx, CCACHE_DIR=f"{ctx.dir}/ccache", E2E_STAY="")

    def hits():
        text = subprocess.run(["ccache", "--print-stats"], env={**os.environ, **env},
                              capture_output=True, check=True, text=True).stdout
        counts = dict(line.split("\t")[:2] for line in text.splitlines())
        return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])

    def build(command, options=()):
        if options:
            ctx.run(command, slots=1, options=options, env=env).finish()
        else:
            expect(ctx.spawn(command, env=env).wait(), 0, "status without a run")

    plain = ["ccache", "cc", "-c", "a.c", "-o", "a.o"]
    build(plain)
    expect(hits(), 0, "hits at first")
    build(plain, WRAP)
    expect(hits(), 1, "hits with --wrap")
    build(["ccache", f"{wrap_folder(ctx)}/cc", *plain[2:]], WRAP)
    expect(hits(), 2, "hits with the shim's path")
    ctx.script("real/cc", '# changed\nexec /usr/bin/cc "$@"\n')
    build(plain, WRAP)
    expect(hits(), 2, "hits after the compiler has changed")


def test_questions_do_not_wait(ctx):
    """While all slots are in use, a compiler still tells its version."""
    script = ctx.script("x", "tokenpool exec -- job holder &\n"
                        "job --say started 1; cc --version >v && cc -print-prog-name=ld >>v "
                        "&& ld -v >>v; job --say answered $?; wait\n")
    run = ctx.run([script], slots=1, options=WRAP,
                  env={"PATH": f"{ctx.session.home}:{ctx.environment()['PATH']}"})
    ctx.desk.wait(lambda: ctx.desk.count("holder") == 1 and ctx.desk.texts("answered"), "answers")
    expect(ctx.desk.texts("answered"), ["0"], "status of the questions")
    ctx.desk.let_all_out(run)
    run.finish()


def test_type_and_target(ctx):
    """As `status` shows them."""
    compiler(ctx, "cc", "/usr/bin/cc")
    ctx.write("a.c", "int f(void) { return 0; }\n")
    run = ctx.run(["cc", "-o", "out.o", "-c", "a.c"], slots=2, options=WRAP, env=environment(ctx))
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the compiler")
    seen, variables = status(ctx, ctx.desk.inside[0])
    expect(variables["TOKENPOOL_WRAPPED"], variables["TOKENPOOL_LEASE"], "the mark")
    leases = [(lease["type"], lease["target"], lease["pid"])
              for lease in seen["leases"]]
    script = harness.stat_of(ctx.desk.inside[0].pid)[1]
    expect(leases, [("compile", "out.o", script)], "leases")
    ctx.desk.let_all_out(run)
    run.finish()


def test_only_the_names_asked_for(ctx):
    """A name that is not on PATH is none in the folder either; of the others there are shims."""
    ctx.script("real/myc", "exit 3\n")
    env = {"PATH": f"{ctx.dir}/real:{ctx.environment()['PATH']}"}
    run = ctx.run(["myc"], options=["--wrap=myc,nosuchc"], env=env)
    run.finish(status=3)
    expect(run.notes(), ["tokenpool run: --wrap: there is no nosuchc on PATH"], "notes")
    expect(os.listdir(wrap_folder(ctx)), ["myc"], "shims")
    run = ctx.run(["sh", "-c", "command -v myc; command -v cc; command -v ld"], options=["--wrap=+myc,-ld"], env=env)
    run.finish()
    mine, compiles, links = run.stdout().split()
    expect_that("/tokenpool/wrap/" in mine, f"a shim for myc: {mine}")
    expect_that("/tokenpool/wrap/" in compiles, f"a shim for cc: {compiles}")
    expect_that("/tokenpool/wrap/" not in links, f"no shim for ld: {links}")


def test_contract_of_exec(ctx):
    """Arguments, standard streams, status and signals are those of the real tool."""
    ctx.script("real/cc", 'printf "%s|" "$@"; cat; echo e >&2; exit 7\n')
    env = {"PATH": f"{ctx.dir}/real:{ctx.environment()['PATH']}"}
    run = ctx.run(["sh", "-c", "echo in | cc -c 'a b' '-DX={slots}' '' \"$(printf 'l\\nm')\""],
                  options=WRAP, env=env)
    run.finish(status=7)
    expect(run.stdout(), "-c|a b|-DX={slots}||l\nm|in\n", "stdout")
    expect(run.stderr(), "e\n", "stderr")
    ctx.script("real/cc", "kill -TERM $$\n")
    ctx.run(["cc", "-c", "x.c"], options=WRAP, env=env).finish(status=128 + signal.SIGTERM)
    ctx.script("real/cc", 'trap "exit 5" TERM; job --say ready 1; while :; do job in; done\n')
    run = ctx.run(["cc", "-c", "x.c"], options=WRAP, env=env)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the compiler")
    ctx.kill(run.pid, signal.SIGTERM)
    ctx.desk.let_all_out(run)
    run.finish(status=5)


def test_without_an_arbiter(ctx):
    """Outside of a run the shim is the real tool. Where the arbiter cannot be reached, the tool runs
    all the same, and one line for all calls says so."""
    ctx.script("real/cc", 'echo "real $1"\n')
    env = {"PATH": f"{ctx.dir}/real:{ctx.environment()['PATH']}"}
    ctx.run(["true"], options=WRAP, env=env).finish()
    shim = f"{wrap_folder(ctx)}/cc"
    run = ctx.spawn([shim, "-c", "x.c"], env={**env, "MAKEFLAGS": " -j4 --jobserver-auth=3,4"})
    expect(run.wait(), 0, "status outside")
    expect((run.stdout(), run.stderr()), ("real -c\n", ""), "output outside")
    words = ["sh", "-c", f"for i in 1 2 3; do {shim} -c x.c; done"]
    run = ctx.spawn(words, env={**env, **DEAD})
    expect(run.wait(), 0, "status without its arbiter")
    expect(run.stdout(), "real -c\n" * 3, "output")
    expect(len(run.notes()), 1, f"lines that say so: {run.notes()}")


def test_never_finds_itself(ctx):
    """Neither by another folder of shims, nor where there is no real tool."""
    ctx.script("real/myc", "echo real\n")
    env = {"PATH": f"{ctx.dir}/real:{ctx.environment()['PATH']}"}
    ctx.run(["true"], options=["--wrap=myc"], env=env).finish()
    other = wrap_folder(ctx)
    env["PATH"] = f"{other}:{other}:{env['PATH']}"
    run = ctx.run(["myc"], options=["--wrap=+myc"], env=env)
    run.finish()
    expect(run.stdout(), "real\n", "output")
    os.unlink(f"{ctx.dir}/real/myc")
    run = ctx.run([f"{other}/myc"], options=WRAP, env=env)
    run.finish(status=127)
    expect(run.notes(), ["tokenpool: cannot run 'myc': there is only its shim on PATH; install myc"],
           "notes")


def test_shims_heal(ctx):
    """What was deleted from the folder, or is wrong in it, the next run makes anew."""
    ctx.run(["true"], options=["--wrap=cc,ld"]).finish()
    folder = wrap_folder(ctx)
    os.unlink(f"{folder}/cc")
    os.unlink(f"{folder}/ld")
    os.symlink("/nowhere", f"{folder}/ld")
    ctx.run(["true"], options=["--wrap=cc,ld"]).finish()
    expect(sorted(os.listdir(folder)), ["cc", "ld"], "shims")
    for name in ("cc", "ld"):
        expect(os.readlink(f"{folder}/{name}"), ctx.tokenpool, f"where {name} leads")


@needs("bwrap")
def test_no_place_for_shims(ctx):
    """One line, and no build without what was asked for."""
    ctx.write("file", "")
    # Root has a place of his own, unless that cannot be written.
    closed = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", "/usr", "/var/lib"]
    for variables in ({"XDG_DATA_HOME": None, "HOME": None},
                      {"XDG_DATA_HOME": f"{ctx.dir}/file"}):
        run = ctx.run(["job", "never"], options=WRAP, env=variables, report=False, wrap=closed)
        expect(run.wait(), 125, "status")
        expect(len(run.notes()), 1, f"lines: {run.notes()}")
        expect_that(run.notes()[0].startswith("tokenpool run: --wrap: "), run.notes()[0])
        expect_that("XDG_DATA_HOME" in run.notes()[0], run.notes()[0])
    expect(ctx.desk.entered, 0, "jobs")


def test_folder_of_others(ctx):
    """Nobody else may put programs in front of the build's."""
    ctx.run(["true"], options=["--wrap=cc"]).finish()
    os.chmod(wrap_folder(ctx), 0o777)
    run = ctx.run(["job", "never"], options=["--wrap=cc"], report=False)
    expect(run.wait(), 125, "status")
    expect_that("others may write" in run.stderr(), run.stderr())
    expect(ctx.desk.entered, 0, "jobs")


@timeout(180)
def test_launcher_of_one_word(ctx):
    """tokenpool-exec in front of a compiler: type and target are known, questions cost nothing."""
    compiler(ctx, "cc", "/usr/bin/cc")
    names = sources(ctx, "l", 8)
    script = ctx.script("x", f"{ctx.tokenpool}-exec cc --version >/dev/null || exit 3\n"
                        f"ls {ctx.dir}/l/*.c | xargs -n 1 -P 16 {ctx.tokenpool}-exec cc -c\n")
    run = ctx.run([script], slots=3, env=environment(ctx))
    ctx.desk.drive(3, total=len(names))
    run.finish()
    expect(ctx.desk.peak, 3, "compilers at once")
