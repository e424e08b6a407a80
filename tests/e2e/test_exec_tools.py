"""`tokenpool exec` in front of real tools."""

import os
import subprocess

import harness
from harness import Skipped, expect, expect_that, needs, timeout


@needs("ninja-1.11", "cmake")
@timeout(180)
def test_cmake_launcher(ctx):
    """ninja 1.11 knows no jobserver; the compilers that it starts obey all the same."""
    compiler = ctx.script("cxx", """
if [ -n "$E2E_COMPILE" ]; then
  case " $* " in *" -c "*) job "$(basename "${@: -1}")" ;; esac
fi
exec g++ "$@"
""")
    names = [f"f{i}" for i in range(10)]
    for name in names:
        ctx.write(f"src/{name}.cc", f"int {name}() {{ return 0; }}\n")
    ctx.write("src/CMakeLists.txt",
              "cmake_minimum_required(VERSION 3.20)\nproject(p CXX)\n"
              f"add_library(p STATIC {' '.join(name + '.cc' for name in names)})\n")
    configure = ctx.spawn(["cmake", "-G", "Ninja", "-S", "src", "-B", "out",
                           f"-DCMAKE_CXX_COMPILER={compiler}",
                           f"-DCMAKE_CXX_COMPILER_LAUNCHER={ctx.tokenpool};exec;--"],
                          tools=["ninja-1.11"])
    expect(configure.wait(), 0, "status of cmake")
    run = ctx.run(["ninja", "-C", "out", "-j16"], tools=["ninja-1.11"], options=["--shims=off"],
                  env={"E2E_COMPILE": "1"})
    ctx.desk.drive(4, total=10)
    run.finish()
    expect_that(os.path.exists(f"{ctx.dir}/out/libp.a"), "the library is there")


@needs("xz")
def test_xz(ctx):
    """It is told its width, and does its work."""
    fifo = f"{ctx.dir}/fifo"
    os.mkfifo(fifo)
    script = ctx.script("x", f"{ctx.tokenpool} exec --slots 1-8 -- xz -T{{slots}} < fifo > out.xz\n")
    run = ctx.run([script], slots=3)
    with open(fifo, "wb") as file:
        ctx.wait(lambda: run.find("xz"), "xz")
        expect(harness.command_of(run.find("xz")[0]), "xz -T3", "its command line")
        file.write(b"tokens " * 100000)
    run.finish()
    text = subprocess.run(["xz", "-dc", f"{ctx.dir}/out.xz"], capture_output=True, check=True).stdout
    expect(text, b"tokens " * 100000, "what xz wrote")


@timeout(180)
def test_pytest(ctx):
    """As many workers as it has slots."""
    probe = subprocess.run([ctx.session.python, "-c", "import pytest, xdist"], check=False,
                           capture_output=True)
    if probe.returncode != 0:
        raise Skipped("python3-pytest and python3-pytest-xdist are not here")
    ctx.write("t/test_it.py", "import pytest\nfrom e2eclient import stay\n\n"
              "@pytest.mark.parametrize('number', range(12))\n"
              "def test_it(number):\n    assert stay(f'p{number}')\n")
    run = ctx.run([ctx.tokenpool, "exec", "--slots", "2-8", "--", ctx.session.python, "-m", "pytest",
                   "-q", "-p", "no:cacheprovider", "-n", "{slots}", "t"], slots=3)
    ctx.desk.wait(lambda: ctx.desk.count() == 3, "a test of each worker")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.peak, 3, "tests at once")
    expect(ctx.desk.entered, 12, "tests")


def inside_test(ctx, wrap, user=None):
    """In a namespace of its own the clients find the arbiter and obey it."""
    words = " ".join(wrap)
    names = " ".join(f"j{i}" for i in range(12))
    script = f"echo {names} | xargs -n 1 -P 12 {words} {ctx.tokenpool} exec -- job\n"
    run = ctx.run([ctx.script("x", script)], user=user)
    ctx.desk.drive(4, total=12)
    run.finish()
    expect(run.notes(), [], "notes")


@needs("root", "unshare")
def test_other_network(ctx):
    inside_test(ctx, ["unshare", "-n"])


@needs("user", "unshare")
def test_other_network_as_user(ctx):
    inside_test(ctx, ["unshare", "-rn"], harness.NOBODY)


BWRAP = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"]


@needs("bwrap")
def test_other_pids(ctx):
    inside_test(ctx, BWRAP)


@needs("bwrap", "user")
def test_other_pids_as_user(ctx):
    inside_test(ctx, BWRAP, harness.NOBODY)


@needs("bwrap")
def test_other_pids_killed(ctx):
    """A sandbox dies with all that is in it; what it held is free."""
    words = " ".join(BWRAP)
    lines = "".join(f"{words} --die-with-parent {ctx.tokenpool} exec -- job j{i} &\n"
                    for i in range(12))
    run = ctx.run([ctx.script("x", lines + "wait\n")])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs")
    for _ in range(4):
        before = ctx.desk.entered
        guest = ctx.desk.held()[0]
        ctx.kill(harness.stat_of(guest.pid)[1])
        ctx.kill(guest.pid)
        ctx.desk.wait(lambda: ctx.desk.entered > before, "the next job in its place")
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.peak, 4, "jobs at once")
    expect(ctx.desk.entered, 12, "jobs")
