"""Without a tracker: what the dead held is found by what the living can hold."""

import signal

import harness
import test_kill
from harness import Failure, expect, needs, timeout
from protocol_kit import reach

INFER = ["--track=infer"]


def check(ctx, first, victim, number, tools, under=None):
    """The second build has all slots again, though nobody saw who held them."""
    _, report = test_kill.hit(ctx, first, victim, number, tools, under, options=INFER, minted=3)
    expect(report["tokens"]["recovered"], 3, "tokens recovered")
    expect(report["tokens"]["refused"], 0, "tokens refused")


def make_test(tool, how, number):
    def body(ctx):
        ctx.makefile("a", 12, "a")
        check(ctx, "make -C a", "make", number, [tool])

    define(f"{tool.replace('-', '_').replace('.', '')}_{how}", body, tool)


def define(name, body, *wants):
    body.__name__ = f"test_{name}"
    globals()[body.__name__] = timeout(120)(needs(*wants)(body))


make_test("make-4.3", "kill", signal.SIGKILL)
make_test("make-4.4.1", "kill", signal.SIGKILL)
make_test("make-4.4.1", "int", signal.SIGINT)


def lent_slot_lost(ctx, user):
    """The only slot, lent by its client and taken by one that is killed. Nobody's calls are seen; that
    the client waits for it is."""
    taker = ctx.program("taker", "os.read(fds()[0], 1)\nsay('took', 'it')\nos.kill(os.getpid(), 9)\n")
    client = ctx.program("client", (
        "import subprocess\n"
        "os.write(fds()[1], b'+')\n"
        f"subprocess.run([{taker!r}], close_fds=False)\n"
        "assert os.read(fds()[0], 1)\n"
        "say('again', 'it')\n"))
    run = ctx.run([client], slots=1, user=user,
                  options=["--track=infer", "--standstill", "1"])
    report = run.finish(minted=1)
    expect((ctx.desk.texts("took"), ctx.desk.texts("again")), (["it"], ["it"]), "said")
    expect(report["tokens"]["missing"], 0, "tokens missing")


def test_lent_slot_lost(ctx):
    lent_slot_lost(ctx, None)


@needs("user")
def test_lent_slot_lost_as_user(ctx):
    lent_slot_lost(ctx, harness.NOBODY)


@needs("make-4.3", "user")
@timeout(120)
def test_as_user(ctx):
    ctx.makefile("a", 12, "a")
    test_kill.hit(ctx, "make -C a", "make", signal.SIGKILL, ["make-4.3"], options=INFER, minted=3,
                  user=harness.NOBODY)


@needs("make-4.3")
@timeout(120)
def test_submake_kill(ctx):
    ctx.makefile("a", 12, "a")
    ctx.write("t/Makefile", "all:\n\t+$(MAKE) -C ../a\n")
    check(ctx, "make -C t", "make", signal.SIGKILL, ["make-4.3"])


@needs("ninja-1.13.2", "make")
@timeout(120)
def test_ninja_kill(ctx):
    ctx.ninjafile("a", 12, "a")
    check(ctx, "ninja -C a", "ninja", signal.SIGKILL, ["ninja-1.13.2"])


@needs("cargo", "make")
@timeout(180)
def test_cargo_kill(ctx):
    wrapper = test_kill.crates(ctx, 8)
    check(ctx, f"cd a; RUSTC_WRAPPER={wrapper} cargo build --offline -q; cd ..", "cargo",
          signal.SIGKILL, ["cargo"])


@needs("make-4.3")
def test_make_that_returns_its_tokens(ctx):
    """make 4.3 gives back what it holds when it is interrupted: nothing is lost, nothing minted."""
    ctx.makefile("a", 12, "a")
    test_kill.hit(ctx, "make -C a", "make", signal.SIGINT, ["make-4.3"], options=INFER)


def test_a_holder_without_jobs(ctx):
    """One that holds a token and runs nothing for it is mistaken for a dead one; when it returns
    the token after all, there are as many as before."""
    program = ctx.program("hold", """import array, fcntl, termios, time
def level(fifo):
    count = array.array("i", [0])
    fcntl.ioctl(fifo, termios.FIONREAD, count)
    return count[0]
with open(os.environ["TOKENPOOL_FIFO"], "r+b", buffering=0) as fifo:
    byte = fifo.read(1)
    while level(fifo) < 3:
        time.sleep(0.02)
    fifo.write(byte)
    while level(fifo) > 3:
        time.sleep(0.02)
""")
    run = ctx.run([program], options=INFER)
    report = run.finish(minted=1)
    expect(report["tokens"]["recovered"], 0, "tokens recovered")
    expect(report["tokens"]["refused"], 0, "tokens refused")


@needs("make-4.3")
def test_fewer_slots(ctx):
    """Tokens that are out are taken as they come back, and come again when there are more."""
    ctx.makefile("m", 400, "m")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"], options=INFER)
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "all slots in use")
    variables = reach(ctx, run)

    def set_jobs(count):
        setting = ctx.spawn([ctx.tokenpool, "set", f"jobs={count}"], env=variables)
        setting.wait()
        expect(setting.status, 0, "status of set")

    def narrows():
        """Whether what there is too much has been taken: two jobs are in, and never more."""
        while ctx.desk.count() > 2:
            ctx.desk.release(ctx.desk.inside[0])
            ctx.desk.pump(harness.POLL)
        try:
            ctx.desk.drive(2, total=8)
        except Failure as failure:
            if "jobs at once, not 2" not in str(failure):
                raise
            return False
        return True

    set_jobs(2)
    while not narrows():
        # make was faster, and has taken its own token once more.
        pass
    set_jobs(4)
    ctx.desk.drive(4, total=8)
    ctx.desk.let_all_out(run)
    run.finish()
