"""`tokenpool exec --opam`: the extended jobserver of opam."""

import harness
from harness import expect, needs
from test_exec_kill import status_for

# What the clients below have in common.
CLIENT = """
read, write = map(int, os.environ["OPAMJOBSERVER"].split(","))
def ask(count=1): os.write(write, b"+" * count)
def give(count=1): os.write(write, b"-" * count)
def get(count):
    answer = b""
    while len(answer) < count: answer += os.read(read, 1)
    assert answer == b"+" * count
"""


def opam(ctx, name, text):
    return f"{ctx.tokenpool} exec --opam -- {ctx.program(name, CLIENT + text)}"


@needs("make-4.3")
def test_asks_gets_and_gives(ctx):
    """Of a pool of four it runs on one and gets three; what it still holds at its end is free."""
    client = opam(ctx, "client", """
assert read > 2 and write > 2
ask(5)
get(3)
stay("three")
give(2)
get(2)
stay("five")
""")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("x", f"{client}\nmake -C b\n")], tools=["make-4.3"])
    for name in ("three", "five"):
        ctx.desk.wait(lambda: ctx.desk.held(name), name)
        ctx.desk.release(ctx.desk.held(name)[0])
    ctx.desk.drive(4, total=12, prefix="b")
    run.finish()
    expect(run.notes(), [], "notes")


def test_beside_others(ctx):
    """While it holds three the others have one, and with each that it gives back one more."""
    client = opam(ctx, "client", """
ask(3)
get(3)
for number in range(3):
    stay(f"step{number}")
    give()
stay("last")
""")
    names = " ".join(f"j{i}" for i in range(24))
    others = f"echo {names} | xargs -n 1 -P 24 {ctx.tokenpool} exec -- job"
    run = ctx.run([ctx.script("x", f"{client} &\njob gate\n{others}\nwait\n")], slots=5)
    ctx.desk.wait(lambda: ctx.desk.held("step0"), "three slots")
    ctx.desk.wait(lambda: ctx.desk.held("gate"), "the script")
    ctx.desk.release(ctx.desk.held("gate")[0])
    for step in range(3):
        ctx.desk.wait(lambda: ctx.desk.held(f"step{step}"), f"step {step}")
        ctx.desk.drive(1 + step, until=lambda: True, prefix="j")
        ctx.desk.wait(lambda: ctx.desk.count("j") >= 1, "the next")
        ctx.desk.release(ctx.desk.held(f"step{step}")[0])
        ctx.desk.wait(lambda: len(ctx.desk.held("j")) == 2 + step, "one more job")
    ctx.desk.let_all_out(run)
    run.finish()


def test_killed(ctx):
    """The client is killed, and its exec, in either order: all is free when the client has ended."""
    client = opam(ctx, "client", 'ask(2)\nget(2)\nstay("c" + sys.argv[1])\n')
    lines = f"{client} 1\n{client} 2\n{client} 3\n"
    run = ctx.run([ctx.script("x", lines + "wait\n")], slots=3)
    ctx.desk.wait(lambda: ctx.desk.held("c1"), "the first client")
    ctx.kill(run.find("client")[0] if run.find("client") else ctx.desk.held("c1")[0].pid)
    ctx.desk.wait(lambda: ctx.desk.held("c2"), "the second client")
    guest = ctx.desk.held("c2")[0]
    launcher = harness.stat_of(guest.pid)[1]
    ctx.kill(launcher)
    ctx.wait_gone(launcher)
    ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.held("c3"), "the third client")
    ctx.desk.let_all_out(run)
    run.finish()


def test_exec_killed_keeps_the_slots(ctx):
    """The client lives on: its slots are in use until it ends."""
    client = opam(ctx, "client", 'ask(2)\nget(2)\nstay("client")\n')
    names = " ".join(f"j{i}" for i in range(8))
    others = f"echo {names} | xargs -n 1 -P 8 {ctx.tokenpool} exec -- job"
    run = ctx.run([ctx.script("x", f"{client} &\njob gate\n{others}\nwait\n")], slots=4)
    ctx.desk.wait(lambda: ctx.desk.held("client") and ctx.desk.held("gate"), "the client")
    guest = ctx.desk.held("client")[0]
    launcher = harness.stat_of(guest.pid)[1]
    ctx.kill(launcher)
    ctx.wait_gone(launcher)
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.wait(lambda: ctx.desk.count("j") == 1, "a job on the fourth slot")
    for _ in range(3):
        before = ctx.desk.entered
        ctx.desk.release(ctx.desk.held("j")[0])
        ctx.desk.wait(lambda: ctx.desk.entered > before, "the next job in its place")
        expect(ctx.desk.count("j"), 1, "jobs beside the client")
    ctx.desk.release(guest)
    ctx.desk.wait(lambda: ctx.desk.count("j") == 4, "four jobs")
    ctx.desk.let_all_out(run)
    run.finish()


def test_a_client_that_misbehaves(ctx):
    """It floods, writes nonsense, reads nothing and closes its end; the pool is whole afterwards."""
    client = opam(ctx, "client", """
os.write(write, b"x?" * 2000)
ask(5000)
give(2)
os.set_blocking(write, False)
try:
    for _ in range(1000): os.write(write, b"+" * 4096)
except BlockingIOError:
    pass
say("flooded")
os.close(write)
os.close(read)
stay("closed")
""")
    run = ctx.run([ctx.script("x", f"{client}\n{ctx.tokenpool} exec --slots 4 -- job wide\n")])
    ctx.desk.wait(lambda: ctx.desk.held("closed"), "the client")
    ctx.desk.release(ctx.desk.held("closed")[0])
    ctx.desk.wait(lambda: ctx.desk.held("wide"), "a job with all slots")
    ctx.desk.let_all_out(run)
    run.finish()
    lines = [line for line in run.notes() if "neither + nor -" in line]
    expect(len(lines), 1, "lines about its bytes")


@needs("make-4.3")
def test_below_make(ctx):
    """make has paid for one job, not for what that asks for besides."""
    client = opam(ctx, "client", 'stay("client")\nask()\nget(1)\nsay("got")\nstay("more")\n')
    ctx.write("m/Makefile", f"all: a b c d\n.PHONY: all a b c d\na:\n\t@{client}\n"
              "b c d:\n\t@job $@\n")
    run = ctx.run(["make", "-C", "m"], tools=["make-4.3"])
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs")
    client = ctx.desk.held("client")[0]
    ctx.desk.release(client)

    def waits():
        status = status_for(ctx, client)
        return status is not None and status["waiting_total"] == 1

    ctx.wait(lambda: ctx.desk.has_said("got") or waits(), "the request")
    expect(ctx.desk.has_said("got"), False, "a slot while all four are in use")
    ctx.desk.release(ctx.desk.held("b")[0])
    ctx.desk.wait(lambda: ctx.desk.held("more"), "the slot of a job that has ended")
    ctx.desk.let_all_out(run)
    run.finish()
