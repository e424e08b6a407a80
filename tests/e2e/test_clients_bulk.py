"""Bulk calls on the FIFO, which no filter sees, and descriptors that change their mode."""

import harness
from harness import expect, needs
from lifecycle_kit import in_read
from test_clients import BULK

# The same on the inherited read end, which it makes non-blocking for as long as it reads.
BULK_INHERITED = """
reader, writer = fds()
os.set_blocking(reader, False)
jobs = b""
try:
    while True: jobs += os.read(reader, 8)
except BlockingIOError: pass
os.set_blocking(reader, True)
say("took", len(jobs))
stay("hold")
os.write(writer, jobs)
"""


def define(name, body, *wants):
    """For root and for an ordinary user."""
    for tail, user in (("", None), ("_as_user", harness.NOBODY)):
        def one(ctx, user=user):
            body(ctx, user)

        one.__name__ = f"test_{name}{tail}"
        more = ["user"] if user else []
        globals()[one.__name__] = needs(*wants, *more)(one)


def wide_bulk(name, code):
    def body(ctx, user):
        """19 tokens in three reads, and back in one write; then all slots are in use at once."""
        ctx.makefile("b", 40, "b")
        top = ctx.script("top", f"{ctx.program('client', code)}\nmake -C b\n")
        run = ctx.run([top], slots=20, tools=["make-4.3"], user=user)
        ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the bulk reader in")
        expect(ctx.desk.texts("took"), ["19"], "tokens read in bulk")
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.drive(20, total=40, prefix="b")
        tokens = run.finish()["tokens"]
        expect((tokens["refused"], tokens["recovered"]), (0, 0), "tokens refused, recovered")

    define(name, body, "make-4.3")


wide_bulk("bulk_of_19", BULK)
wide_bulk("bulk_of_19_inherited", BULK_INHERITED)


def bulk_writer(ctx, **options):
    """It takes one by one and returns in one write, as redo and samurai do, and lives on: what it
    returned is the pool's at once."""
    client = ctx.program("client", (
        "held = [os.read(fds()[0], 1) for _ in range(3)]\nstay('hold')\n"
        "os.write(fds()[1], b''.join(held))\nstay('after')\n"))
    ctx.makefile("b", 24, "b")
    top = ctx.script("top", f"{client} &\njob gate\nmake -C b\nwait\n")
    run = ctx.run([top], **options)
    ctx.desk.wait(lambda: ctx.desk.count("hold") and ctx.desk.count("gate"), "the three tokens")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.drive(1, total=4, prefix="b")
    ctx.desk.release(ctx.desk.held("hold")[0])
    ctx.desk.wait(lambda: ctx.desk.count("after"), "the write")
    ctx.desk.drive(4, total=12, prefix="b")
    ctx.desk.let_all_out(run)
    return run


def returned_in_bulk(ctx, user):
    tokens = bulk_writer(ctx, tools=["make-4.3"], user=user).finish()["tokens"]
    expect((tokens["refused"], tokens["recovered"]), (0, 0), "tokens refused, recovered")


define("seen_takes_returned_in_bulk", returned_in_bulk, "make-4.3")


def killed_bulk(name, code):
    def body(ctx, user):
        """It is killed below a shell that has the descriptors open, as every shell of a build has:
        what it held comes back at once, not with the end of the shell."""
        ctx.makefile("b", 12, "b")
        run = ctx.run([ctx.script("top", f"{ctx.program('client', code)}\nmake -C b\n")],
                      tools=["make-4.3"], user=user)
        ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the bulk reader in")
        expect(ctx.desk.texts("took"), ["3"], "tokens read in bulk")
        ctx.kill(ctx.desk.held("hold")[0].pid)
        ctx.desk.drive(4, total=12, prefix="b")
        expect(run.finish()["tokens"]["recovered"], 3, "tokens recovered")

    define(f"{name}_reader_killed_below_a_shell", body, "make-4.3")


killed_bulk("bulk", BULK)
killed_bulk("bulk_inherited", BULK_INHERITED)


def at_once(count):
    def body(ctx, user):
        """More bytes than the FIFO may hold in one write: the writer gets through. One of them is
        its own slot, which it lends as long as it lives; none of the others counts."""
        client = ctx.program("over", OVER_RETURN)
        ctx.makefile("b", 12, "b")
        run = ctx.run([ctx.script("top", f"{client} {count}\nmake -C b\n")], tools=["make-4.3"],
                      user=user)
        ctx.desk.wait(lambda: ctx.desk.has_said("written"), "the end of the write")
        ctx.desk.drive(4, total=12, prefix="b")
        expect(run.finish()["tokens"]["refused"], count - 1, "tokens refused")

    define(f"write_of_{count}_at_once", body, "make-4.3")


OVER_RETURN = "os.write(fds()[1], b'+' * int(sys.argv[1]))\nsay('written')\n"
at_once(10000)
at_once(70000)


READER = """
say("ready", sys.argv[1])
token = os.read(fds()[0], 1)
stay(sys.argv[1])
os.write(fds()[1], token)
"""


def re_moded(ctx, user):
    """Three hold the tokens, three are blocked in read(2) when O_NONBLOCK is set for everybody:
    they wait on and get them, one for one, also those that blocked after it was taken off again."""
    reader = ctx.program("reader.py", READER)
    flip = ctx.program("flip.py", (
        "for fd in fds(): os.set_blocking(fd, sys.argv[1] == 'on')\nsay('flipped', sys.argv[1])\n"))
    start = "".join(f"{reader} r{i} &\n" for i in range(6))
    more = "".join(f"{reader} r{i} &\n" for i in range(6, 8))
    top = ctx.script("top", f"{start}job gate\n{flip} off\njob gate\n{flip} on\n{more}wait\n")
    run = ctx.run([top], user=user)

    def blocked():
        with_token = {guest.pid for guest in ctx.desk.inside}
        return [pid for pid in run.find("python3") if pid not in with_token and in_read(pid)]

    def gate(word):
        ctx.desk.wait(lambda: ctx.desk.held("gate"), "the script")
        ctx.desk.release(ctx.desk.held("gate")[0])
        ctx.desk.wait(lambda: ctx.desk.has_said("flipped", word), "the other mode")

    def next_one():
        before = ctx.desk.entered
        ctx.desk.release(ctx.desk.held("r")[0])
        ctx.desk.wait(lambda: ctx.desk.entered > before, "the next reader")

    ctx.desk.wait(lambda: ctx.desk.count("r") == 3 and len(ctx.desk.texts("ready")) == 6, "six up")
    ctx.desk.wait(lambda: len(blocked()) == 3 and ctx.desk.held("gate"), "three in read")
    gate("off")
    next_one()
    gate("on")
    ctx.desk.wait(lambda: len(ctx.desk.texts("ready")) == 8 and len(blocked()) == 4, "four in read")
    ctx.desk.drive(3, total=7, prefix="r")
    tokens = run.finish()["tokens"]
    expect((tokens["taken"], tokens["returned"]), (8, 8), "taken, returned")
    expect((tokens["refused"], tokens["recovered"]), (0, 0), "tokens refused, recovered")


define("re_mode_under_blocked_readers", re_moded)


def test_nothing_comes_to_a_reader_that_does_not_wait(ctx):
    """While the inherited descriptors are non-blocking, a read of an empty pool fails at once."""
    client = ctx.program("client", (
        "for fd in fds(): os.set_blocking(fd, False)\n"
        "held = [os.read(fds()[0], 1) for _ in range(3)]\n"
        "try: os.read(fds()[0], 1)\n"
        "except BlockingIOError: say('refused', 'x')\n"
        "for token in held: os.write(fds()[1], token)\n"))
    run = ctx.run([client])
    ctx.desk.wait(lambda: ctx.desk.has_said("refused"), "the answer")
    expect(run.finish()["tokens"]["recovered"], 0, "tokens recovered")


def test_nobody_makes_packets_of_tokens(ctx):
    """With O_DIRECT each write is a packet, of which a read of one byte drops the rest. A pipe of the
    build's own may have them."""
    client = ctx.program("client", (
        "import errno, fcntl\n"
        "def packets(fd):\n"
        "    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_DIRECT)\n"
        "own = os.pipe()\n"
        "packets(own[1])\n"
        "os.write(own[1], b'ab'); os.write(own[1], b'cd')\n"
        "say('own', (os.read(own[0], 1) + os.read(own[0], 1)).decode())\n"
        "for fd in fds():\n"
        "    try: packets(fd)\n"
        "    except OSError as error: say('refused', errno.errorcode[error.errno])\n"
        "held = [os.read(fds()[0], 1) for _ in range(3)]\n"
        "os.write(fds()[1], b''.join(held))\n"
        "held = [os.read(fds()[0], 1) for _ in range(3)]\n"
        "for token in held: os.write(fds()[1], token)\n"))
    tokens = ctx.run([client]).finish()["tokens"]
    expect(ctx.desk.texts("own"), ["ac"], "bytes of its own packets")
    expect(ctx.desk.texts("refused"), ["EINVAL", "EINVAL"], "answers")
    expect((tokens["recovered"], tokens["minted"]), (0, 0), "tokens recovered, minted")


# The closing line


def refused_line(count, tokens):
    def body(ctx, user):
        client = ctx.program("over", OVER_RETURN)
        for options, lines in (
            ([], [f"tokenpool run: {tokens} returned once too often and refused"]), (["-q"], []),
        ):
            # The first of them is its own slot.
            run = ctx.run([client, str(count + 1)], options=options, user=user)
            expect(run.finish()["tokens"]["refused"], count, "tokens refused")
            expect(run.notes(), lines, "the closing line")

    define(f"closing_line_of_{count}_refused", body)


refused_line(1, "1 token")
refused_line(2, "2 tokens")
refused_line(100, "100 tokens")


# ctest


@needs("cmake-4.3.1")
def test_ctest_j_without_a_number(ctx):
    for words in (["-j"], ["-j0"], ["--parallel"]):
        folder = f"t{len(ctx.runs)}"
        ctx.write(f"{folder}/CTestTestfile.cmake",
                  "".join(f"add_test(a{i} job a{i})\n" for i in range(12)))
        run = ctx.run(["ctest", "--test-dir", folder, *words], tools=["cmake-4.3.1"])
        ctx.desk.drive(4, total=12)
        run.finish()
