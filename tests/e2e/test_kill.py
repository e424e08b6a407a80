"""Signals to the processes that hold tokens: the build goes on, and gets all slots back."""

import signal

import harness
from harness import expect, expect_cause, expect_that, long, needs, timeout

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}


def recovery_of(report, pid):
    return next((r for r in report["recoveries"] if r["pid"] == pid), None)


def second_half(ctx, run, width=4, minted=0):
    """The script's second build has all slots, and no more."""
    ctx.desk.drive(width, total=12, prefix="b")
    return run.finish(status=None, minted=minted)


def end_first_half(ctx, word=b"o"):
    """Lets out what is left of the first build, until the second one has begun."""
    while ctx.desk.count("b") == 0 or ctx.desk.count("a"):
        for guest in ctx.desk.held("a"):
            ctx.desk.release(guest, word)
        ctx.desk.wait(lambda: ctx.desk.held("a") or ctx.desk.count("b"), "the second build")


def hit(ctx, first, victim, number, tools, under=None, minted=0, **how):
    """Runs `first; make -C b`, hits `victim` when four jobs of the first are in. Answers (pid,
    report)."""
    ctx.makefile("b", 12, "b")
    script = ctx.script("top", f"{first}\nmake -C b\n")
    run = ctx.run([script], tools=tools, **how)
    ctx.desk.wait(lambda: ctx.desk.count("a") == 4, "four jobs in")
    pid = victim(run) if callable(victim) else run.find(victim, under)[-1]
    ctx.kill(pid, number)
    if number == signal.SIGKILL:
        ctx.wait_gone(pid)
    end_first_half(ctx)
    return pid, second_half(ctx, run, minted=minted)


def check(report, pid, name, cause="killed"):
    """The report names the dead holder of three tokens, and all three came back."""
    row = recovery_of(report, pid)
    expect_that(row is not None, f"the report has no recovery of process {pid}")
    expect(row["held"], 3, "tokens that it held")
    expect_cause(row["cause"], cause)
    expect_that(name in row["command"], f"command {row['command']!r} does not name {name}")
    expect(row["recovered"] + row["moved"], 3, "tokens that came back or moved")


def need_told_end(number):
    """Of a client that keeps its tokens when it ends its jobs and then itself: it leaves nothing but
    its end to tell it from a helper that has fetched them for its shell."""
    if number != signal.SIGKILL:
        harness.need_told_ends()


def define(name, body, *wants, seconds=90, is_long=False):
    body.__name__ = f"test_{name}"
    globals()[body.__name__] = long(timeout(seconds)(needs(*wants)(body)), is_long)


def is_much_alike(cargo, number):
    """Of an older cargo only what SIGKILL does is no repetition of the newer one's tests."""
    return cargo == "cargo-1.65" and number != signal.SIGKILL


def make_test(tool, how, number, leaks):
    def body(ctx):
        ctx.makefile("a", 12, "a")
        if leaks:
            need_told_end(number)
        pid, report = hit(ctx, "make -C a", "make", number, [tool])
        if leaks:
            check(report, pid, "make")

    define(f"{tool.replace('-', '_').replace('.', '')}_{how}", body, tool)


def submake_test(tool, how, number, leaks):
    def body(ctx):
        ctx.makefile("a", 12, "a")
        ctx.write("t/Makefile", "all:\n\t+$(MAKE) -C ../a\n")
        if leaks:
            need_told_end(number)
        pid, report = hit(ctx, "make -C t", "make", number, [tool])
        if leaks:
            check(report, pid, "make")

    define(f"sub_{tool.replace('-', '_').replace('.', '')}_{how}", body, tool)


def ninja_test(how, number, leaks):
    def body(ctx):
        ctx.ninjafile("a", 12, "a")
        pid, report = hit(ctx, "ninja -C a", "ninja", number, ["ninja-1.13.2"])
        if leaks:
            check(report, pid, "ninja")

    define(f"ninja_{how}", body, "ninja-1.13.2", "make")


def ctest_test(how, number):
    def body(ctx):
        ctx.write("a/CTestTestfile.cmake", "".join(f"add_test(a{i} job a{i})\n" for i in range(12)))
        need_told_end(number)
        pid, report = hit(ctx, "ctest --test-dir a", "ctest", number, ["cmake-4.3.1"])
        check(report, pid, "ctest")

    define(f"ctest_{how}", body, "cmake-4.3.1", "make")


def crates(ctx, count):
    """A workspace of independent crates whose rustc waits at the desk first."""
    members = ", ".join(f'"c{i}"' for i in range(count))
    ctx.write("a/Cargo.toml", f'[workspace]\nresolver = "2"\nmembers = [{members}]\n')
    for i in range(count):
        ctx.write(f"a/c{i}/Cargo.toml",
                  f'[package]\nname = "c{i}"\nversion = "0.1.0"\nedition = "2021"\n')
        ctx.write(f"a/c{i}/src/lib.rs", "pub fn answer() -> u32 { 42 }\n")
    return ctx.script(
        "wrapper",
        'case "$*" in *"--crate-name c"*) job "a-$CARGO_PKG_NAME" || exit 1 ;; esac\nexec "$@"\n',
    )


def cargo_test(cargo, how, number):
    def body(ctx):
        wrapper = crates(ctx, 8)
        first = f"cd a; RUSTC_WRAPPER={wrapper} cargo build --offline -q; cd .."
        need_told_end(number)
        pid, report = hit(ctx, first, "cargo", number, [cargo])
        check(report, pid, "cargo")

    define(f"{cargo.replace('-', '').replace('.', '')}_{how}", body, cargo, "make", seconds=180,
           is_long=is_much_alike(cargo, number))


for _how, _number in SIGNALS.items():
    make_test("make-4.3", _how, _number, _how == "kill")
    make_test("make-4.4.1", _how, _number, True)
    submake_test("make-4.3", _how, _number, _how == "kill")
    submake_test("make-4.4.1", _how, _number, True)
    ninja_test(_how, _number, _how == "kill")
    ctest_test(_how, _number)
    cargo_test("cargo", _how, _number)
    cargo_test("cargo-1.65", _how, _number)


def threads(pid, name):
    """The states of its threads whose name begins so."""
    answer = []
    try:
        for task in harness.os.listdir(f"/proc/{pid}/task"):
            if harness.read_proc(pid, f"task/{task}/comm").startswith(name):
                text = harness.read_proc(pid, f"task/{task}/stat")
                answer.append(text[text.rindex(b")") + 2 :][:1])
    except (OSError, ValueError):
        pass  # it is gone
    return answer


def codegen_threads(pid):
    return len(threads(pid, b"opt "))


def stopped_with_tokens(ctx, run):
    """A rustc that stands still with three codegen threads, all but one on a token."""

    def busy():
        if not ctx.desk.count("b"):
            return [pid for pid in run.find("rustc") if codegen_threads(pid) >= 3]
        raise harness.Failure("no rustc has had three codegen threads for long enough")

    while True:
        ctx.desk.wait(busy, "a rustc with three codegen threads")
        pid = (busy() or [0])[0]
        if not pid or not ctx.kill(pid, signal.SIGSTOP):
            continue
        ctx.desk.wait(lambda p=pid: set(threads(p, b"")) <= {b"T", b"Z", b"X"}, "its standstill")
        if codegen_threads(pid) >= 3:
            return pid
        ctx.kill(pid, signal.SIGCONT)


def rustc_test(cargo, how, number):
    def body(ctx):
        """rustc runs each codegen unit but the first on a token of its own."""
        parts = []
        for i in range(60):
            lines = "".join(
                f"    x = x.wrapping_mul({j + 3}).rotate_left({j % 31}) ^ v[x as usize % 7];\n"
                for j in range(80))
            parts.append(
                f"pub mod m{i} {{\n"
                f"  #[inline(never)] pub fn f(v: &[u32], mut x: u32) -> u32 {{\n{lines}"
                f"    let s: String = v.iter().map(|y| format!(\"{{}}\", y + x)).collect();\n"
                f"    x + s.len() as u32 }}\n}}\n")
        ctx.write("big.rs", "".join(parts))
        ctx.makefile("b", 12, "b")
        # Five times, until it is hit: it may be done before it has been caught.
        script = ctx.script(
            "top",
            "for i in 1 2 3 4 5; do\n"
            "  rustc --crate-type lib -C opt-level=3 -C codegen-units=64 --out-dir out big.rs"
            " || break\ndone\nmake -C b\n")
        run = ctx.run([script], tools=[cargo])
        pid = stopped_with_tokens(ctx, run)
        ctx.kill(pid, number)
        ctx.kill(pid, signal.SIGCONT)
        report = second_half(ctx, run)
        row = recovery_of(report, pid)
        expect_that(row is not None, f"the report has no recovery of rustc {pid}")
        # It ends itself, with a status of failure, where it is asked to by a signal.
        causes = ("killed",) if number == signal.SIGKILL else ("killed", "failed")
        expect_that(row["cause"] in causes, f"cause {row['cause']}")
        expect_that(row["held"] >= 1, "rustc held at least one token")

    version = "" if cargo == "cargo" else "163"
    define(f"rustc{version}_{how}", body, cargo, "make", seconds=240,
           is_long=is_much_alike(cargo, number))


for _how, _number in SIGNALS.items():
    rustc_test("cargo", _how, _number)
    rustc_test("cargo-1.65", _how, _number)


@needs("make-4.3")
def test_group_int(ctx):
    """Ctrl-C as a shell would give it: the whole group of a sub-build, with a make 4.3 in it."""
    ctx.makefile("a", 12, "a")
    ctx.makefile("b", 12, "b")
    script = ctx.script("top", "set -m\nmake -C a &\nwait\nmake -C b\n")
    run = ctx.run([script], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("a") == 4, "four jobs in")
    harness.os.killpg(run.find("make")[0], signal.SIGINT)
    second_half(ctx, run)


@needs("make-4.4.1")
def test_group_int_make_441(ctx):
    """make 4.4 forgets its tokens on Ctrl-C."""
    need_told_end(signal.SIGINT)
    ctx.makefile("a", 12, "a")
    ctx.makefile("b", 12, "b")
    script = ctx.script("top", "set -m\nmake -C a &\nwait\nmake -C b\n")
    run = ctx.run([script], tools=["make-4.4.1"])
    ctx.desk.wait(lambda: ctx.desk.count("a") == 4, "four jobs in")
    pid = run.find("make")[0]
    harness.os.killpg(pid, signal.SIGINT)
    report = second_half(ctx, run)
    check(report, pid, "make")


@needs("ninja-1.13.2")
def test_ninja_sigpipe(ctx):
    """`ninja | head`: SIGPIPE ends ninja with all its tokens."""
    ctx.ninjafile("a", 12, "a")
    pid, report = hit(ctx, "ninja -C a", "ninja", signal.SIGPIPE, ["ninja-1.13.2"])
    check(report, pid, "ninja")


@needs("make-4.3")
def test_closing_line(ctx):
    """One line on stderr tells what came back; -q silences it."""
    for options in ((), ("-q",)):
        ctx.makefile("a", 8, "a")
        run = ctx.run(["make", "-C", "a"], tools=["make-4.3"], options=options)
        ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
        ctx.kill(run.find("make")[-1])
        ctx.desk.let_all_out(run)
        run.finish(status=137)
        expect(len(run.notes()), 0 if options else 1, f"lines of tokenpool, {run.notes()}")
