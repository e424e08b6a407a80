"""Shells fetch tokens by redirections, which no filter sees: the count of bytes tells."""

import os
import signal

import harness
from harness import expect, expect_that, long, needs, timeout

FETCH = {
    "read": "IFS= read -r -n1 t <&$R",
    "dd": "dd bs=1 count=1 <&$R >/dev/null 2>&1",
    "head": "head -c1 <&$R >/dev/null",
}
PREAMBLE = "R=${TOKENPOOL_FDS%,*}; W=${TOKENPOOL_FDS#*,}\n"
CLOSE = "eval \"exec ${TOKENPOOL_FDS%,*}<&- ${TOKENPOOL_FDS#*,}>&-\"\n"
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
USERS = {"": None, "_as_user": harness.NOBODY}


def define(name, body, user=None, is_long=False):
    body.__name__ = f"test_{name}"
    wants = ["make"] if user is None else ["make", "user"]
    globals()[body.__name__] = long(timeout(90)(needs(*wants)(body)), is_long)


def is_much_alike(how, user, word):
    """Who is a user's is told by other means than root's; that the signal is another one adds
    nothing to that, so one kind of reader does for all."""
    return user is not None and word != "kill" and how != "read"


def shell_builds(ctx, fetch, rest, user, alone=False):
    """A script that fetches three tokens in an inner shell, then runs a make. `alone`: the outer
    shell has closed the descriptors meanwhile."""
    ctx.makefile("b", 12, "b")
    inner = ctx.script(
        "inner",
        PREAMBLE + f"for i in 1 2 3; do {fetch}; job --say got $i; done\njob hold &\nwait\n"
        + rest)
    # What a shell starts in the background ignores SIGINT.
    first = f"{inner} &\n{CLOSE}wait\n" if alone else f"{inner}\n"
    top = ctx.script("top", first + "make -C b\n")
    run = ctx.run([top], user=user)
    ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the shell with three tokens")
    return run


def returning(how, tail, user, one_by_one):
    def body(ctx):
        give = "printf + >&$W\n" * 3 if one_by_one else "printf +++ >&$W\n"
        run = shell_builds(ctx, FETCH[how], give, user)
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect_that(report["tokens"]["refused"] == 0, "an honest return was refused")

    bulk = "" if one_by_one else "_in_bulk"
    define(f"{how}_returns{bulk}{tail}", body, user)


def killed(how, tail, user, word, alone=False):
    def body(ctx):
        """Two of its tokens are free at once, the third goes on with the job that it left."""
        run = shell_builds(ctx, FETCH[how], "", user, alone)
        job = ctx.desk.held("hold")[0]
        pid = next(p for p in harness.ancestors(job.pid) if "inner" in harness.command_of(p))
        ctx.kill(pid, SIGNALS[word])
        ctx.wait_gone(pid)
        ctx.desk.wait(lambda: ctx.desk.count("b") == 3, "three jobs beside the one left")
        ctx.desk.release(job)
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect(report["tokens"]["recovered"], 3, "tokens recovered")
        expect_that(ctx.desk.peak <= 4, f"{ctx.desk.peak} jobs at once")

    define(f"{how}_{word}{'_alone' if alone else ''}{tail}", body, user, is_much_alike(how, user, word))


def ended(how, tail, user):
    def body(ctx):
        """It forgets to return them and ends well: they are the outer shell's then, and at last the
        pool's."""
        run = shell_builds(ctx, FETCH[how], "exit 0\n", user, user is not None)
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.let_all_out(run)
        run.finish()

    define(f"{how}_forgotten{tail}", body, user)


TAKE_ALL = """
tokens = [os.read(fds()[0], 1) for _ in range(3)]
stay('hold')
for token in tokens: os.write(fds()[1], token)
"""


def waiting(how, tail, user, word, victim):
    def body(ctx):
        """`victim` is killed while the read waits for a token: the reader, which gets none then, or
        the shell that the reader fetches it for."""
        ctx.makefile("b", 12, "b")
        holder = ctx.program("holder", TAKE_ALL)
        inner = ctx.script("inner", PREAMBLE + f"{FETCH[how]}\n")
        top = ctx.script("top", f"{holder} &\njob gate\n{inner}\nwait\nmake -C b\n")
        run = ctx.run([top], user=user)
        ctx.desk.wait(lambda: ctx.desk.count() == 2, "the holder of all tokens, and the gate")
        ctx.desk.release(ctx.desk.held("gate")[0])

        def reader():
            """Who waits in read(2) for descriptor 0."""
            return next((p for p in harness.descendants(run.pid)
                         if harness.read_proc(p, "syscall").split()[:2] == [b"0", b"0x0"]), None)

        ctx.desk.wait(reader, "the read of an empty pool")
        read = reader()
        shell = next(p for p in [read, *harness.ancestors(read)]
                     if "inner" in harness.command_of(p))
        pid = shell if victim == "shell" else read
        ctx.kill(pid, SIGNALS[word])
        ctx.wait_gone(pid)
        ctx.desk.release(ctx.desk.held("hold")[0])
        # What the reader of a dead shell gets is the next living shell's, to that one's end.
        ctx.desk.drive(3 if victim == "shell" else 4, total=12, prefix="b")
        run.finish()

    whom = "" if victim == how or how == "read" else "_for_shell"
    define(f"{how}_waiting{whom}_{word}{tail}", body, user, is_much_alike(how, user, word))


for _how in FETCH:
    for _tail, _user in USERS.items():
        returning(_how, _tail, _user, True)
        returning(_how, _tail, _user, False)
        ended(_how, _tail, _user)
        for _word in SIGNALS:
            killed(_how, _tail, _user, _word)
            if _how != "head":  # it reads as dd does
                waiting(_how, _tail, _user, _word, _how)
    killed(_how, "_as_user", harness.NOBODY, "kill", alone=True)
for _tail, _user in USERS.items():
    waiting("dd", _tail, _user, "kill", "shell")


@needs("make")
def test_helper_and_its_shell_end_at_once(ctx):
    """The arbiter learns of both ends in the same moment: what the helper had fetched was its
    shell's, and is nobody's now."""
    harness.need_told_ends()
    ctx.makefile("b", 12, "b")
    helper = ctx.program("helper", "os.read(0, 1)\nstay('helper')\n")
    inner = ctx.script("inner", PREAMBLE + f"{FETCH['dd']}\n{helper} <&$R\njob after\n")
    top = ctx.script("top", f"{inner}\nmake -C b\n")
    run = ctx.run([top])
    ctx.desk.wait(lambda: ctx.desk.count("helper") == 1, "the helper with its token")
    guest = ctx.desk.held("helper")[0]
    arbiter = run.arbiter()
    os.kill(arbiter, signal.SIGSTOP)
    ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count("after") == 1, "the shell that goes on")
    job = ctx.desk.held("after")[0]
    pid = next(p for p in harness.ancestors(job.pid) if "inner" in harness.command_of(p))
    ctx.kill(pid)
    ctx.wait_gone(pid)
    os.kill(arbiter, signal.SIGCONT)
    ctx.desk.release(job)
    ctx.desk.drive(4, total=12, prefix="b")
    run.finish()


# dash has no redirection from a descriptor above 9.
DASH_FETCH = {
    "dd": 'dd bs=1 count=1 if="$TOKENPOOL_FIFO" of=/dev/null 2>/dev/null',
    "dd_below": 'dd bs=1 count=1 <"$TOKENPOOL_FIFO" >/dev/null 2>&1',
    "head": 'head -c1 <"$TOKENPOOL_FIFO" >/dev/null',
}


def dash(how, tail, user):
    def body(ctx):
        """Debian's sh goes by the FIFO's path."""
        ctx.makefile("b", 12, "b")
        fetch = f"{DASH_FETCH[how]} && job --say got a-token\n"
        inner = ctx.write(
            "inner", "#!/bin/dash\n" + fetch * 3 + "job hold\n"
            + 'printf + >"$TOKENPOOL_FIFO"\n' * 3, 0o755)
        top = ctx.script("top", f"{inner} || exit\nmake -C b\n")
        run = ctx.run([top], user=user)
        ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the shell with three tokens")
        expect(ctx.desk.texts("got"), ["a-token"] * 3, "what it got")
        ctx.desk.release(ctx.desk.held("hold")[0])
        ctx.desk.drive(4, total=12, prefix="b")
        report = run.finish()
        expect(report["tokens"]["refused"], 0, "honest returns that were refused")

    define(f"dash_{how}{tail}", body, user)


for _how in DASH_FETCH:
    for _tail, _user in USERS.items():
        dash(_how, _tail, _user)


MEMBER = """
import json, socket, subprocess
pool = socket.socket(socket.AF_UNIX)
pool.connect(os.environ["TOKENPOOL_ADDR"].split(";")[0].removeprefix("unix:"))
hello = {"protocol": 1, "cookie": os.environ["TOKENPOOL_COOKIE"], "name": "m", "pid": os.getpid()}
pool.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": hello}).encode())
pool.sendall(b"\\n")
assert b"result" in pool.recv(4096)
subprocess.run(["dd", "bs=1", "count=1", "status=none", "if=" + fifo_path(), "of=/dev/null"])
stay("hold")
os.write(open_fifo(), b"+")
"""


@needs("make")
def test_helper_of_a_member(ctx):
    """What a helper fetches for a process that is known by its session is that one's."""
    ctx.makefile("b", 12, "b")
    top = ctx.script("top", f"{ctx.program('member', MEMBER)} || exit\nmake -C b\n")
    run = ctx.run([top])
    ctx.desk.wait(lambda: ctx.desk.count("hold") == 1, "the member with its token")
    ctx.desk.release(ctx.desk.held("hold")[0])
    ctx.desk.drive(4, total=12, prefix="b")
    report = run.finish()
    expect(report["tokens"]["refused"], 0, "honest returns that were refused")
    expect(report["tokens"]["recovered"], 0, "recovered")


def handed_on(how, fetch, give, tail, user):
    def body(ctx):
        """Seven scripts, three tokens: what one returns the next has at once, so the FIFO is as empty
        after it as before. Whoever is mistaken for another, no token is lost."""
        script = ctx.write(
            "script",
            "#!/bin/bash\n" + PREAMBLE + f"for i in 1 2 3 4 5; do {fetch}; job s$1.$i; {give}; done\n",
            0o755)
        top = ctx.script("top", f"for n in 1 2 3 4 5 6 7; do {script} $n & done; wait")
        run = ctx.run([top], user=user)
        ctx.desk.wait(lambda: ctx.desk.count() == 3, "three scripts with a token")
        ctx.desk.let_all_out(run)
        report = run.finish()
        expect(ctx.desk.entered, 35, "jobs")
        expect((report["tokens"]["refused"], report["tokens"]["recovered"]), (0, 0),
               "tokens refused and recovered")

    define(f"{how}_handed_on{tail}", body, user)


BELOW = '"$TOKENPOOL_FIFO"'
for _tail, _user in USERS.items():
    handed_on("read", FETCH["read"], "printf + >&$W", _tail, _user)
    handed_on("dd", FETCH["dd"], "printf + >&$W", _tail, _user)
    handed_on("dash_dd", DASH_FETCH["dd"], f"printf + >{BELOW}", _tail, _user)
    handed_on("dash_head", DASH_FETCH["head"], f"printf + >{BELOW}", _tail, _user)


def taking_turns(tail, user):
    def body(ctx):
        """Four scripts and one token: with each return the next one has it. Who gave and who took is
        known without the kernel's word, too, so every return is accepted."""
        script = ctx.script("script", PREAMBLE + "for i in $(seq 60); do\n"
                            f"  {FETCH['read']}; sleep 0.01; printf + >&$W\ndone\n")
        top = ctx.script("top", "for n in 1 2 3 4; do " + f"{script} & done; wait")
        report = ctx.run([top], slots=2, user=user).finish()
        expect((report["tokens"]["refused"], report["tokens"]["recovered"]), (0, 0),
               "tokens refused and recovered")

    define(f"read_taking_turns{tail}", body, user)


for _tail, _user in USERS.items():
    taking_turns(_tail, _user)


@needs("root")
def test_killed_with_what_was_handed_on(ctx):
    """Nothing but the kernel's word tells who has it now."""
    script = ctx.script("script", PREAMBLE + f"{FETCH['read']}; job s$1; printf + >&$W; job rest\n")
    top = ctx.script("top", f"for n in 1 2 3; do {script} $n & done; wait")
    run = ctx.run([top], slots=2)
    ctx.desk.wait(lambda: ctx.desk.count("s") == 1, "the first with the token")
    ctx.desk.release(ctx.desk.held("s")[0])
    ctx.desk.wait(lambda: ctx.desk.count("rest") == 1 and ctx.desk.count("s") == 1, "the second")
    job = ctx.desk.held("s")[0]
    shell = harness.stat_of(job.pid)[1]
    ctx.kill(shell)
    ctx.wait_gone(shell)
    ctx.desk.release(job)
    ctx.desk.wait(lambda: len([n for n in ctx.desk.names if n.startswith("s")]) == 3, "the third")
    ctx.desk.let_all_out(run)
    expect(run.finish()["tokens"]["recovered"], 1, "tokens that came back")


@needs("make")
def test_jobs_of_a_shell(ctx):
    """A shell that runs its jobs on tokens only: three are in at once, never four."""
    top = ctx.script(
        "top",
        PREAMBLE + "for i in $(seq 12); do\n"
        "  IFS= read -r -n1 t <&$R\n"
        "  { job s$i; printf + >&$W; } &\n"
        "done\nwait\n")
    run = ctx.run([top])
    ctx.desk.drive(3, total=12, prefix="s")
    run.finish()


@needs("make-4.3", "ninja-1.13.2")
def test_shell_beside_make(ctx):
    """A shell's tokens, unseen, and a make's, seen, come out of one pool."""
    ctx.makefile("b", 20, "b")
    shell = ctx.script(
        "shell",
        # The make above it has made the descriptor one that does not wait.
        PREAMBLE + "until IFS= read -r -n1 t <&$R; do sleep 0.1; done 2>/dev/null\n"
        "job s1\nprintf + >&$W\njob --say shell done\n")
    ctx.write("t/Makefile", f"all: x y\nx:\n\t+@{shell}\ny:\n\t+@$(MAKE) -C ../b\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.3"])
    # Two slots are the two recipes' own; the shell has one more, and the make one.
    ctx.desk.wait(lambda: ctx.desk.count("b") >= 1, "the make's job")
    while ctx.desk.count("s") == 0:
        ctx.desk.release(ctx.desk.held("b")[0])
        entered = ctx.desk.entered
        ctx.desk.wait(lambda: ctx.desk.entered > entered, "another job")
    ctx.desk.drive(2, total=4, prefix="b")
    ctx.desk.release(ctx.desk.held("s")[0])
    ctx.desk.let_all_out(run)
    run.finish()
    expect_that(ctx.desk.peak <= 4, f"{ctx.desk.peak} jobs at once")
