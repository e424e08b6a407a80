"""One takes and another returns, for itself or for somebody else: the books follow."""

import harness
from harness import expect, expect_that, needs
from test_confined_refused import refusing

# `take` and `give` by a program of their own, whose calls are seen, as job clients for scripts do.
HELPER = """
with open(__file__, "rb", buffering=0) as other:
    other.read(1)
    number = other.fileno()
pool = open_fifo()
assert pool == number  # a moment ago it was another file that is read byte by byte
if sys.argv[1] == "take":
    os.read(pool, 1)
else:
    os.write(pool, b"+")
"""

USERS = {"": {}, "_as_user": {"user": harness.NOBODY}}


def define(name, body, *wants, **options):
    body.__name__ = f"test_{name}"
    more = ["user"] if options.get("user") else []
    globals()[body.__name__] = needs(*wants, *more)(body)


def expect_honest(report):
    tokens = report["tokens"]
    expect((tokens["refused"], tokens["recovered"]), (0, 0), "tokens refused, recovered")


# Where the kernel does not tell how a process ended that its parent has reaped (Linux before 6.15)


def killed_clients(name, **options):
    def body(ctx):
        """Each has two of two tokens by calls of its own, has never returned one and leaves nobody.
        Its shell goes on, and the next one gets them."""
        client = ctx.program("client", (
            "pool = open_fifo()\nheld = [os.read(pool, 1) for _ in range(2)]\n"
            "if len(sys.argv) > 1: os.kill(os.getpid(), 9)\n"
            "for token in held: os.write(pool, token)\n"))
        top = ctx.script("top", f"for i in {{1..20}}; do {client} kill; {client}; done 2>/dev/null\n")
        run = ctx.run([top], slots=3, wrap=refusing(ctx, "ends"), **options)
        ctx.wait(run.ended, "the end of the run")
        tokens = run.finish()["tokens"]
        expect((tokens["recovered"], tokens["refused"]), (40, 0), "tokens recovered, refused")

    define(f"killed_clients_where_no_end_is_told{name}", body, **options)


def killed_readers(name, **options):
    def body(ctx):
        """Shells that took their token by a redirection, which nobody saw, are killed."""
        reader = ctx.script("reader", (
            'R=${TOKENPOOL_FDS%,*}; W=${TOKENPOOL_FDS#*,}\nread -r -n1 t <&$R\n'
            '[ "$1" = kill ] && kill -9 $$\nprintf + >&$W\n'))
        top = ctx.script("top", f"for i in {{1..20}}; do {reader} kill; {reader}; done 2>/dev/null\n")
        run = ctx.run([top], slots=2, wrap=refusing(ctx, "ends"), **options)
        ctx.wait(run.ended, "the end of the run")
        tokens = run.finish()["tokens"]
        expect((tokens["recovered"], tokens["refused"]), (20, 0), "tokens recovered, refused")

    define(f"killed_readers_where_no_end_is_told{name}", body, **options)


def helpers(name, fetch, **options):
    def body(ctx):
        """A helper that ended well has fetched its token for its shell, which has it until it
        returns it."""
        helper = ctx.program("helper", HELPER)
        take = fetch.format(helper=helper)
        top = ctx.script("top", (
            "R=${TOKENPOOL_FDS%,*}; W=${TOKENPOOL_FDS#*,}\n"
            f"{take}\n{take}\njob hold\nprintf + >&$W\nprintf + >&$W\n"
            f"{take}\n{take}\njob again\n{helper} give\n{helper} give\n"))
        run = ctx.run([top], slots=3, wrap=refusing(ctx, "ends"), **options)
        for word in ("hold", "again"):
            ctx.desk.wait(lambda word=word: ctx.desk.count(word) == 1, "the shell with two tokens")
            ctx.desk.release(ctx.desk.held(word)[0])
        ctx.wait(run.ended, "the end of the run")
        expect_honest(run.finish())

    define(f"{name}_where_no_end_is_told", body, **options)


for _name, _options in USERS.items():
    killed_clients(_name, **_options)
    killed_readers(_name, **_options)
    helpers(f"helpers{_name}", "{helper} take", **_options)
    helpers(f"dd{_name}", "dd bs=1 count=1 <&$R >/dev/null 2>&1", **_options)


def test_the_command_that_is_not_there_where_no_end_is_told(ctx):
    run = ctx.run(["no-such-command"], wrap=refusing(ctx, "ends"), report=False)
    run.wait()
    expect(run.status, 127, "status")


# Who takes, who returns


def test_takes_by_a_helper_and_returns_itself(ctx):
    """A pool of three tokens, which it fetches by dd over and over: it never has a fourth."""
    client = ctx.program("client", """
import subprocess
reader, writer = fds()
def take():
    command = ["dd", "bs=1", "count=1", "status=none"]
    return subprocess.run(command, stdin=reader, stdout=subprocess.PIPE).stdout
for width in (1, 3, 3):
    for _ in range(width): assert take()
    stay(f"has-{width}")
    for _ in range(width): os.write(writer, b"+")
""")
    taker = ctx.program("taker", "os.read(open_fifo(), 1)\nstay('fourth')\n")
    top = ctx.script("top", f"{client} &\njob gate\n{taker} &\nwait\n")
    run = ctx.run([top])
    ctx.desk.wait(lambda: ctx.desk.count("has-1") and ctx.desk.count("gate"), "the first token")
    ctx.desk.release(ctx.desk.held("has-1")[0])
    ctx.desk.wait(lambda: ctx.desk.count("has-3"), "three tokens")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: any("/taker" in harness.command_of(pid)
                              for pid in harness.descendants(run.pid)), "one that wants a fourth")
    expect(ctx.desk.count("fourth"), 0, "tokens beyond the third")
    ctx.desk.release(ctx.desk.held("has-3")[0])
    while not run.ended():
        ctx.desk.wait(lambda: ctx.desk.inside or run.ended(), "the rest")
        expect_that(ctx.desk.count("fourth") == 0 or ctx.desk.count("has-3") == 0, "four are out")
        for guest in list(ctx.desk.inside):
            ctx.desk.release(guest)
    tokens = run.finish()["tokens"]
    expect((tokens["refused"], tokens["recovered"]), (0, 1), "refused; recovered from the taker")


PARENTS = {
    "python": ("program", """
pool = open_fifo()
for i in range(6):
    os.read(pool, 1)
    if os.fork() == 0:
        stay(f"a{i}")
        os.write(pool, b"+")
        os._exit(0)
for i in range(6): os.wait()
"""),
    "bash": ("script", """
exec 60<>"$TOKENPOOL_FIFO"
for i in {0..5}; do read -r -n1 -u60 token; ( job a$i; printf + >&60 ) & done
wait
"""),
    "bash_on_inherited_descriptors": ("script", """
R=${TOKENPOOL_FDS%,*} W=${TOKENPOOL_FDS#*,}
for i in {0..5}; do read -r -n1 -u$R token; ( job a$i; printf + >&$W ) & done
wait
"""),
    "helper": ("script", """
for i in {0..5}; do read -r -n1 -u${TOKENPOOL_FDS%,*} token; ( job a$i; ./helper give ) & done
wait
"""),
}


def parent(name, kind, code, **options):
    def body(ctx):
        """It takes a token for each of its jobs, and the job gives it back at its end: two at a
        time in a pool of three, then a build has all."""
        ctx.program("helper", HELPER)
        ctx.makefile("b", 9, "b")
        client = getattr(ctx, kind)("client", code)
        top = ctx.script("top", f"cd {ctx.dir}\n{client}\nmake -C b\n")
        run = ctx.run([top], slots=3, tools=["make-4.3"], **options)
        ctx.desk.drive(2, total=6, prefix="a")
        ctx.desk.drive(3, total=9, prefix="b")
        expect_honest(run.finish())

    define(f"parent_takes_job_returns_{name}", body, "make-4.3", **options)


for _name, (_kind, _code) in PARENTS.items():
    for _tail, _options in USERS.items():
        parent(_name + _tail, _kind, _code, **_options)


# The implicit slot, lent and taken again


LOANS = {
    "helper": ("{helper} give", "{helper} take"),
    "printf": ("printf + >&${{TOKENPOOL_FDS#*,}}", "read -r -n1 t <&${{TOKENPOOL_FDS%,*}}"),
    "path": ('printf + >"$TOKENPOOL_FIFO"', 'read -r -n1 t <"$TOKENPOOL_FIFO"'),
}


def loan(how, slots, tail="", *wants, **options):
    def body(ctx):
        """A script's own slot goes to the pool first and is taken again last: as many jobs as there
        are slots."""
        helper = ctx.program("helper", HELPER)
        lend, again = (text.format(helper=helper) for text in LOANS[how])
        job = ctx.script("one", f"{helper} take\njob a$1\n{helper} give\n")
        jobs = "\n".join(f"{job} {i} &" for i in range(6))
        run = ctx.run([ctx.script("top", f"{lend}\n{jobs}\nwait\n{again}\njob last\n")],
                      slots=slots, **options)
        ctx.desk.drive(slots, total=6, prefix="a")
        ctx.desk.wait(lambda: ctx.desk.count("last"), "the rest of the script")
        ctx.desk.release(ctx.desk.held("last")[0])
        expect_honest(run.finish())

    define(f"loan_by_{how}_of_{slots}{tail}", body, *wants, **options)


for _how in ("helper", "printf"):
    for _slots in (1, 2, 3):
        loan(_how, _slots)
    loan(_how, 2, "_as_user", user=harness.NOBODY)
loan("path", 2, "", "root")


def implicit(slots):
    def body(ctx):
        """What cargo build scripts did for years."""
        client = ctx.program("client", """
import threading
pool = open_fifo()
os.write(pool, b"+")
def job(i):
    stay(f"a{i}")
    os.write(pool, b"+")
threads = []
for i in range(6):
    os.read(pool, 1)
    threads.append(threading.Thread(target=job, args=(i,)))
    threads[-1].start()
for one in threads: one.join()
os.read(pool, 1)
""")
        run = ctx.run([client], slots=slots)
        ctx.desk.drive(slots, total=6)
        expect_honest(run.finish())

    define(f"implicit_slot_given_back_of_{slots}", body)


for _slots in (1, 2, 3):
    implicit(_slots)


# Signals


def test_a_return_that_a_signal_meets_counts_once(ctx):
    """One signal at any moment of a return and a take, or after it: each is what read(2) and
    write(2) say."""
    client = ctx.program("client", """
import fcntl, random, signal, termios, time
pool = open_fifo()
held = [os.read(pool, 1) for _ in range(5)]
def pair():
    os.write(pool, held.pop())
    held.append(os.read(pool, 1))
began = time.monotonic()
for _ in range(50): pair()
usual = (time.monotonic() - began) / 50
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.siginterrupt(signal.SIGALRM, False)
moments = random.Random(1)
for _ in range(2000):
    signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-6, 1.5 * usual))
    pair()
signal.setitimer(signal.ITIMER_REAL, 0)
held += [os.read(pool, 1) for _ in range(2)]
print(int.from_bytes(fcntl.ioctl(pool, termios.FIONREAD, bytes(4)), sys.byteorder))
for token in held: os.write(pool, token)
""")
    run = ctx.run([client], slots=8)
    ctx.wait(run.ended, "the end of the client")
    expect_honest(run.finish())
    expect(run.stdout().strip(), "0", "tokens left when it has all seven")


# Subreapers


def orphans(name, wrap, *wants):
    def body(ctx):
        """A make is killed below a process that adopts orphans itself: its three tokens stay with
        its jobs."""
        ctx.makefile("a", 4, "a")
        ctx.makefile("b", 12, "b")
        top = ctx.script("top", "make -C a &\nwait\njob gate\nmake -C b\n")
        run = ctx.run([*wrap(ctx), top], tools=["make-4.3"])
        ctx.desk.wait(lambda: ctx.desk.count("a") == 4, "four jobs")
        make = run.find("make")[-1]
        ctx.kill(make)
        ctx.wait_gone(make)
        ctx.desk.wait(lambda: ctx.desk.count("gate"), "the shell")
        ctx.desk.release(ctx.desk.held("gate")[0])
        ctx.desk.wait(lambda: ctx.desk.count("b") == 1, "the second build, on the shell's slot")
        ctx.desk.let_all_out(run)
        report = run.finish()
        row = next(row for row in report["recoveries"] if row["pid"] == make)
        expect((row["held"], row["moved"]), (3, 3), "tokens that moved to the jobs")

    define(f"orphans_of_{name}", body, "make-4.3", *wants)


def subreaper(ctx):
    return [ctx.program("subreaper", (
        "import ctypes\nassert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0\n"
        "pid = os.fork()\n"
        "if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n"
        "left = True\n"
        "while left:\n"
        "    try: os.wait()\n"
        "    except ChildProcessError: left = False\n"))]


orphans("a_subreaper", subreaper)
orphans("a_pid_namespace", lambda ctx: ["unshare", "-pf", "--mount-proc"], "root")
