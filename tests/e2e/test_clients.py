"""Clients with habits of their own: threads, bulk calls, loans, over-returns, rogues."""

import glob
import signal

import harness
from harness import expect, expect_that, needs

THREADS = """
import threading, select
BLOCKING = {blocking}
pool = open_fifo(0 if BLOCKING else os.O_NONBLOCK)
todo = list(range({jobs}))
def take():
    while True:
        if not BLOCKING: select.select([pool], [], [])
        try: return os.read(pool, 1)
        except BlockingIOError: pass
def work():
    while True:
        token = take()
        try: number = todo.pop(0)
        except IndexError:
            os.write(pool, token)
            return
        stay(f'p{{number}}')
        os.write(pool, token)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""

BULK = """
import fcntl
reader = os.open(fifo_path(), os.O_RDONLY | os.O_NONBLOCK)
writer = os.open(fifo_path(), os.O_WRONLY)
jobs = b''
try:
    while True: jobs += os.read(reader, 8)
except BlockingIOError: pass
# A call that is seen: by its answer the arbiter has looked while the client lives.
try: jobs += os.read(reader, 1)
except BlockingIOError: pass
say('took', len(jobs))
stay('hold')
os.write(writer, jobs)
"""


def define(name, body, *wants):
    body.__name__ = f"test_{name}"
    globals()[body.__name__] = needs("make-4.3", *wants)(body)


def threads_test(name, blocking, user):
    def body(ctx):
        """Eight threads compete for three tokens; the process's own slot is the main thread's."""
        client = ctx.program("client", THREADS.format(blocking=blocking, jobs=16))
        run = ctx.run([client], user=user)
        ctx.desk.drive(3, total=16, prefix="p")
        report = run.finish()
        expect(report["tokens"]["recovered"], 0, "tokens recovered")

    define(name, body, *(["user"] if user else []))


threads_test("threads_blocking", True, None)
threads_test("threads_nonblocking", False, None)
threads_test("threads_blocking_as_user", True, harness.NOBODY)


@needs("make-4.3")
def test_threads_killed(ctx):
    """The process with the threads is killed while three hold and five wait."""
    client = ctx.program("client", THREADS.format(blocking=True, jobs=16))
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", f"{client}\nmake -C b\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("p") == 3, "three threads in")
    ctx.kill(ctx.desk.held("p")[0].pid)
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish()
    expect(report["tokens"]["recovered"], 3, "tokens recovered")


def bulk_test(name, kill, user):
    def body(ctx):
        client = ctx.program("client", BULK)
        ctx.makefile("b", 12, "b")
        # For an ordinary user whoever has the FIFO open can be the holder.
        closing = "eval \"exec ${TOKENPOOL_FDS%,*}<&- ${TOKENPOOL_FDS#*,}>&-\"\n"
        top = ctx.script("top", f"{client} &\n{closing if user else ''}wait\nmake -C b\n")
        run = ctx.run([top], tools=["make-4.3"], user=user)
        ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the bulk reader in")
        expect(ctx.desk.texts("took"), ["3"], "tokens read in bulk")
        if kill:
            ctx.kill(ctx.desk.held("hold")[0].pid)
        else:
            ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect(report["tokens"]["recovered"], 3 if kill else 0, "tokens recovered")
        expect(report["tokens"]["refused"], 0, "tokens refused")

    define(name, body, *(["user"] if user else []))


bulk_test("bulk_returns", False, None)
bulk_test("bulk_killed", True, None)
bulk_test("bulk_returns_as_user", False, harness.NOBODY)
bulk_test("bulk_killed_as_user", True, harness.NOBODY)


@needs("make-4.3")
def test_bulk_return_of_seen_takes(ctx):
    """It reads one by one, as make does, and writes all at once, as redo and samurai do."""
    client = ctx.program(
        "client",
        "pool = open_fifo()\nheld = [os.read(pool, 1) for _ in range(3)]\nstay('hold')\n"
        "os.write(pool, b''.join(held))\n")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", f"{client}\nmake -C b\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the client")
    ctx.desk.release(ctx.desk.held("hold")[0])
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish()
    expect(report["tokens"]["refused"], 0, "tokens refused")
    expect(report["tokens"]["recovered"], 0, "tokens recovered")


def over_return(name, code, least, most, user=None):
    def body(ctx):
        """Bytes that nobody took are swallowed and the client is named, but for one, its own slot,
        which it lends as long as it lives; the pool is no wider then."""
        # The call that is seen lets the arbiter look while the client lives.
        client = ctx.program("overreturner", "writer = os.open(fifo_path(), os.O_WRONLY)\n" + code +
                             "\npool = open_fifo()\nos.write(pool, os.read(pool, 1))\n")
        ctx.makefile("b", 12, "b")
        run = ctx.run([ctx.script("top", f"{client}\nmake -C b\n")], tools=["make-4.3"], user=user)
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        refused = report["tokens"]["refused"]
        expect_that(least <= refused <= most, f"refused {refused}, expected {least} to {most}")
        if user is None:
            named = any("overreturner" in r["command"] for r in report["refusals"])
            expect_that(named, f"the refusals do not name the client: {report['refusals']}")

    define(name, body, *(["user"] if user else []))


ONE_BY_ONE = "for _ in range({}): os.write(writer, b'+')\n"
over_return("over_return_3", ONE_BY_ONE.format(3), 2, 3)
over_return("over_return_10000", ONE_BY_ONE.format(10000), 9999, 10000)
over_return("over_return_bulk_3", "os.write(writer, b'+++')\nsay('written')\n", 2, 3)
over_return("over_return_bulk_10000", "os.write(writer, b'+' * 10000)\nsay('written')\n",
            9999, 10000)
over_return("over_return_bulk_10000_as_user", "os.write(writer, b'+' * 10000)\n", 9999, 10000,
            harness.NOBODY)


OVERRETURNER = """
writer = os.open(fifo_path(), os.O_WRONLY)
stay('gate')
for _ in range(20): {write}
say('written')
stay('hold')
"""


@needs("make-4.3")
def test_over_return_beside_a_build(ctx):
    """It writes while a make beside it holds all tokens. Its own slot can be on loan as long as it
    lives, and nothing more."""
    client = ctx.program("overreturner", OVERRETURNER.format(write="os.write(writer, b'+')"))
    ctx.makefile("b", 60, "b")
    run = ctx.run([ctx.script("top", f"{client} &\nmake -C b\nwait\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 4 and ctx.desk.count("gate"), "the make's jobs")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: ctx.desk.has_said("written"), "the over-return")
    ctx.desk.drive(5, total=20, prefix="b")
    ctx.kill(ctx.desk.held("hold")[0].pid)
    ctx.desk.wait(lambda: ctx.desk.count("hold") == 0, "its end")
    shrink_to(ctx, 4)
    ctx.desk.let_all_out(run)
    report = run.finish(lent=1)
    expect(report["tokens"]["refused"], 19, "tokens refused")


@needs("make-4.3", "root")
def test_over_return_in_bulk_beside_a_build(ctx):
    """The same in bulk writes, which no filter sees: what a make holds is not paid by it, and its
    own slot is on loan once."""
    client = ctx.program("overreturner", OVERRETURNER.format(write="os.write(writer, b'++')"))
    ctx.makefile("b", 60, "b")
    run = ctx.run([ctx.script("top", f"{client} &\nmake -C b\nwait\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 4 and ctx.desk.count("gate"), "the make's jobs")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: ctx.desk.has_said("written"), "the over-return")
    ctx.desk.drive(5, total=20, prefix="b")
    ctx.desk.let_all_out(run)
    run.finish(lent=1)


@needs("make-4.3")
def test_over_return_below_a_make(ctx):
    """A recipe lends its own slot with its first byte, all others are refused: they do not pass for
    those of its make. The loan ends with the recipe, and the pool is as wide as ever."""
    client = ctx.program(
        "overreturner",
        "writer = os.open(fifo_path(), os.O_WRONLY)\n"
        "for _ in range(20):\n"
        "    os.write(writer, b'+')\n    os.write(writer, b'+++++')\n")
    ctx.write("t/Makefile", f"all: x y\nx:\n\t+@{client}\ny:\n\t+@$(MAKE) -C ../a\n")
    ctx.makefile("a", 20, "a")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", "make -C t\nmake -C b\n")], tools=["make-4.3"])
    while ctx.desk.count("b") == 0:
        for guest in ctx.desk.held("a"):
            ctx.desk.release(guest)
        ctx.desk.wait(lambda: ctx.desk.held("a") or ctx.desk.count("b"), "the second build")
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish(lent=1)
    expect_that(report["tokens"]["refused"] >= 20 * 6 - 1, f"refused: {report['tokens']}")


def shrink_to(ctx, width):
    """After a slot was taken out of the pool: the make gets to `width`, and stays there."""
    for number in range(12):
        ctx.desk.wait(lambda: len(ctx.desk.held("b")) >= width, f"{width} jobs")
        expect_that(number == 0 or ctx.desk.count("b") == width, f"{ctx.desk.count('b')} at once")
        guest = ctx.desk.held("b")[0]
        ctx.desk.release(guest)
        ctx.desk.wait(lambda: guest not in ctx.desk.inside, "the end of a job")


LOAN = """
pool = open_fifo()
os.write(pool, b't')
say('lent')
stay('wait')
token = os.read(pool, 1)
stay('run')
"""


@needs("make-4.3")
def test_loan(ctx):
    """redo's way: it lends its own slot while it waits for a lock, and takes one back to go on."""
    client = ctx.program("lender", LOAN)
    jobs = " ".join(f"b{i}" for i in range(24))
    ctx.write("t/Makefile",
              f"all: x {jobs}\n.PHONY: x {jobs}\nx:\n\t@{client}\n{jobs}:\n\t@job $@\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.has_said("lent") and ctx.desk.count("wait") == 1, "the loan")
    for _ in range(8):
        ctx.desk.wait(lambda: len(ctx.desk.held("b")) == 4, "four jobs beside the lender")
        ctx.desk.release(ctx.desk.held("b")[0])
    ctx.desk.wait(lambda: len(ctx.desk.held("b")) == 4, "four jobs beside the lender")
    ctx.desk.release(ctx.desk.held("wait")[0])
    while ctx.desk.count("run") == 0:
        ctx.desk.wait(lambda: ctx.desk.held("b") or ctx.desk.count("run"), "a job")
        if ctx.desk.count("run") == 0:
            entered = ctx.desk.entered
            ctx.desk.release(ctx.desk.held("b")[0])
            ctx.desk.wait(lambda: ctx.desk.entered > entered, "the lender or another job")
        together = ctx.desk.count("b") + ctx.desk.count("run")
        expect_that(together <= 4, f"{together} at once")
    expect_that(ctx.desk.names.index("run") < 24, "the lender had to wait for the end of the build")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect(report["tokens"]["refused"], 0, "tokens refused")


@needs("make-4.3")
def test_loan_while_make_returns_all(ctx):
    """A make returns all its tokens at once while a recipe of it has lent a slot: none is refused,
    and four jobs go on beside the lender."""
    client = ctx.program("lender", LOAN)
    jobs = " ".join(f"b{i}" for i in range(24))
    ctx.write("t/Makefile",
              f"all: x {jobs}\n.PHONY: x {jobs}\nx:\n\t@{client}\n{jobs}:\n\t@job $@\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("wait") and ctx.desk.count("b") == 4, "the loan")
    make = run.find("make")[0]
    for _ in range(5):
        ctx.kill(make, signal.SIGSTOP)
        for guest in ctx.desk.held("b"):
            ctx.desk.release(guest)
        ctx.desk.wait(lambda: ctx.desk.count("b") == 0, "the end of all four")
        ctx.kill(make, signal.SIGCONT)
        ctx.desk.wait(lambda: ctx.desk.count("b") == 4, "four jobs beside the lender")
    ctx.desk.let_all_out(run)
    report = run.finish()
    expect(report["tokens"]["refused"], 0, "tokens refused")


@needs("make-4.3")
def test_loan_of_the_dead(ctx):
    """The lender dies at -1: what it lent is taken out of the pool again."""
    client = ctx.program("lender", "stay('gate')\n" + LOAN)
    ctx.makefile("b", 60, "b")
    run = ctx.run([ctx.script("top", f"{client} &\nmake -C b\nwait\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("b") == 4 and ctx.desk.count("gate"), "the make's jobs")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: ctx.desk.count("wait") == 1, "the loan")
    ctx.desk.drive(5, total=20, prefix="b")
    ctx.kill(ctx.desk.held("wait")[0].pid)
    ctx.desk.wait(lambda: ctx.desk.count("wait") == 0, "its end")
    shrink_to(ctx, 4)
    ctx.desk.let_all_out(run)
    run.finish(lent=1)


@needs("make-4.3")
def test_loan_of_the_dead_below_make(ctx):
    """The lender dies: the slot that it lent is its parent's again, so one token is taken out."""
    client = ctx.program("lender", LOAN)
    jobs = " ".join(f"b{i}" for i in range(24))
    ctx.write("t/Makefile",
              f"all: x {jobs}\n.PHONY: x {jobs}\nx:\n\t@{client}\n{jobs}:\n\t@job $@\n")
    run = ctx.run(["make", "-k", "-C", "t"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.has_said("lent") and ctx.desk.count("wait") == 1, "the loan")
    ctx.desk.wait(lambda: ctx.desk.count("b") == 4, "four jobs beside the lender")
    ctx.kill(ctx.desk.held("wait")[0].pid)
    ctx.desk.wait(lambda: ctx.desk.count("wait") == 0, "its end")
    while ctx.desk.entered < 25:
        entered = ctx.desk.entered
        ctx.desk.release(ctx.desk.held("b")[0])
        ctx.desk.wait(lambda: ctx.desk.entered > entered, "the next job")
        expect_that(ctx.desk.count("b") <= 4, f"{ctx.desk.count('b')} at once")
    ctx.desk.let_all_out(run)
    run.finish(status=2, lent=1)


@needs("make-4.3", "make-4.4.1")
def test_re_mode(ctx):
    """O_NONBLOCK on the inherited descriptors is everybody's: make goes on all the same."""
    client = ctx.program("client", "for fd in fds(): os.set_blocking(fd, False)\n")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", f"{client}\nmake -C b\n")], tools=["make-4.3"])
    ctx.desk.drive(4, total=12, prefix="b")
    run.finish()


@needs("make-4.3", "ninja-1.13.2")
def test_closed_descriptors(ctx):
    """A client closes what it inherited and starts a make and a ninja."""
    ctx.makefile("b", 12, "b")
    ctx.ninjafile("c", 12, "c")
    client = ctx.program(
        "client",
        "import subprocess\nfor fd in fds(): os.close(fd)\n"
        "subprocess.run(['make', '-C', 'b'], check=True)\n"
        "subprocess.run(['ninja', '-C', 'c'], check=True)\n")
    run = ctx.run([client], tools=["make-4.3", "ninja-1.13.2"])
    ctx.desk.drive(4, total=12, prefix="b")
    ctx.desk.drive(4, total=12, prefix="c")
    run.finish()


@needs("make-4.3")
def test_descriptors_reused(ctx):
    """The numbers of the inherited descriptors are another file's: that file is left in peace."""
    ctx.makefile("b", 12, "b")
    client = ctx.program(
        "client",
        "import subprocess\n"
        "other = os.open('other', os.O_RDWR | os.O_CREAT)\n"
        "for fd in fds(): os.dup2(other, fd)\n"
        "subprocess.run(['make', '-C', 'b'], check=True, close_fds=False)\n"
        "assert os.stat('other').st_size == 0\n")
    run = ctx.run([client], tools=["make-4.3"])
    ctx.desk.drive(4, total=12, prefix="b")
    run.finish()


def hoarder(name, code):
    def body(ctx):
        """All tokens are read and never returned: the build goes on with its own slot, and with
        all after the hoarder's death."""
        client = ctx.program("hoarder", "pool = open_fifo()\n" + code + "stay('hold')\n")
        gate = "job gate\nmake -C b\n"
        ctx.makefile("b", 20, "b")
        run = ctx.run([ctx.script("top", f"{client} &\n{gate}wait\n")], tools=["make-4.3"])
        ctx.desk.wait(lambda: ctx.desk.count("hold") and ctx.desk.count("gate"), "the hoarder")
        ctx.desk.release(ctx.desk.held("gate")[0])
        ctx.desk.drive(1, total=5, prefix="b")
        ctx.kill(ctx.desk.held("hold")[0].pid)
        ctx.desk.drive(4, total=12, prefix="b")
        ctx.desk.let_all_out(run)
        report = run.finish()
        expect(report["tokens"]["recovered"], 3, "tokens recovered")

    define(name, body)


hoarder("hoarder", "for _ in range(3): os.read(pool, 1)\n")
hoarder("hoarder_in_bulk", "os.read(pool, 100)\n")


def rogue(name, stays):
    def body(ctx):
        """A process outside of the build reads the FIFO by its path."""
        ctx.makefile("b", 20, "b")
        run = ctx.run([ctx.script("top", "job gate\nmake -C b\n")], tools=["make-4.3"])
        ctx.desk.wait(lambda: ctx.desk.count("gate"), "the script")
        path = glob.glob(f"{ctx.tmp}/tokenpool-*/fifo")[0]
        rogue_run = ctx.spawn([ctx.program(
            "rogue", f"pool = os.open('{path}', os.O_RDWR)\nos.read(pool, 2)\n"
            + ("stay('hold')\n" if stays else ""))])
        if stays:
            ctx.desk.wait(lambda: ctx.desk.count("hold"), "the rogue")
        else:
            rogue_run.wait()
        ctx.desk.release(ctx.desk.held("gate")[0])
        if stays:
            ctx.desk.drive(2, total=6, prefix="b")
            ctx.kill(ctx.desk.held("hold")[0].pid)
        ctx.desk.drive(4, total=12, prefix="b")
        ctx.desk.let_all_out(run)
        run.finish()

    define(name, body, "root")


rogue("rogue_exits", False)
rogue("rogue_stays", True)


@needs("make-4.3")
def test_rogue_blocks_in_read(ctx):
    """A process outside of the build waits for a token with a plain read: it takes one when one is
    free, and gives it back by its death. The build does not stop."""
    ctx.makefile("b", 20, "b")
    run = ctx.run([ctx.script("top", "job gate\nmake -C b\n")], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count("gate"), "the script")
    path = glob.glob(f"{ctx.tmp}/tokenpool-*/fifo")[0]
    client = ctx.program(
        "rogue", f"pool = os.open('{path}', os.O_RDWR)\n"
        "for i in range(4): os.read(pool, 1); say('got', i)\n")
    rogue_run = ctx.spawn([client])
    ctx.desk.wait(lambda: len(ctx.desk.texts("got")) == 3, "all three tokens gone")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.drive(1, total=4, prefix="b")
    ctx.kill(rogue_run.pid, signal.SIGKILL)
    ctx.desk.drive(4, total=12, prefix="b")
    ctx.desk.let_all_out(run)
    run.finish()


@needs("make-4.3")
def test_interrupted_read(ctx):
    """A signal interrupts a waiting read as it would the real call, and no token goes with it."""
    client = ctx.program(
        "client",
        "import signal, threading\n"
        "class Out(Exception): pass\n"
        "def out(*_): raise Out\n"
        "signal.signal(signal.SIGUSR1, out)\n"
        "pool = open_fifo()\n"
        "held = [os.read(pool, 1) for _ in range(3)]\n"
        "for i in range(50):\n"
        "    try:\n"
        "        say('reading', i)\n"
        "        os.read(pool, 1)\n"
        "        sys.exit(3)\n"
        "    except Out: pass\n"
        "for token in held: os.write(pool, token)\n")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", f"{client} || exit\nmake -C b\n")], tools=["make-4.3"])
    for number in range(50):
        ctx.desk.wait(lambda: ctx.desk.has_said("reading", str(number)), f"read {number}")
        pid = run.find("python3")[0] if run.find("python3") else None

        def waits():
            # 0: read. The call stands in the kernel from here on, whoever answers it.
            return harness.read_proc(pid, "syscall").startswith(b"0 ")

        ctx.desk.wait(waits, "the read")
        ctx.kill(pid, signal.SIGUSR1)
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish()
    expect(report["tokens"]["recovered"], 0, "tokens recovered")


@needs("make-4.3")
def test_client_that_forgets_what_it_holds(ctx):
    """It ends well and gives nothing back: neither the shell nor the make above it holds for it."""
    client = ctx.program("forgetful", "pool = open_fifo()\nfor _ in range(3): os.read(pool, 1)\n")
    ctx.write("t/Makefile", f"all: x y\n.PHONY: x y\nx:\n\t+@{client}\ny: x\n\t+@$(MAKE) -C ../b\n")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", "make -C t\n")], tools=["make-4.3"])
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish()
    expect(report["recoveries"][0]["recovered"], 3, "tokens that are free again")


CROWD = """import os
pool = os.open(os.environ["TOKENPOOL_FIFO"], os.O_RDWR)
ready, go = os.pipe(), os.pipe()
children = []
for i in range(60):
    if (pid := os.fork()) == 0:
        os.write(ready[1], b".")
        os.read(go[0], 1)
        for turn in range(3):  # calls that are made again, of which more is kept
            os.read(pool, 1)
            if i % 4 == 0 and turn == 1: os.kill(os.getpid(), 9)
            os.write(pool, b"+")
        os._exit(0)
    children.append(pid)
for i in range(60): os.read(ready[0], 1)
os.write(go[1], b"." * 60)
for pid in children: os.waitpid(pid, 0)
"""


def few_descriptors(most):
    def body(ctx):
        """More clients at a time than the arbiter may watch; every fourth is killed with a token."""
        script = ctx.write("crowd.py", CROWD)
        limit = ["sh", "-c", f'ulimit -n {most} && exec "$@"', "sh"]
        report = ctx.run(["python3", script], slots=5, wrap=limit).finish()
        expect((report["tokens"]["recovered"], report["tokens"]["minted"]), (15, 0),
               "tokens recovered and made anew")

    name = f"test_with_{most}_descriptors"
    body.__name__ = name
    globals()[name] = body


few_descriptors(20)
few_descriptors(48)
