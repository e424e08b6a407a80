"""The arbiter dies before each of its system calls: whatever it had begun, no token is lost and none
is made, nobody waits forever, and nobody who went on has to ask twice.

A first round, traced, tells which calls there are. Then the same round is played once for each of
them, with an arbiter that strace kills there.
"""

import collections
import os
import re
import shutil
import subprocess

from harness import (NOBODY, Failure, arbiters_killed, expect, expect_that, kill, needs, read_proc,
                     timeout)
from lifecycle_kit import expect_killed, folders, state_of, wait_arbiter, wait_lines
from protocol_kit import variables_of
from test_bad_input_jobservers import level
from test_status import look

# Does what its steering FIFO says, word by word; each is a line of its log when it is done.
CLIENT = """
import select
log_path, steer_path = sys.argv[1:]
log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
steer = os.open(steer_path, os.O_RDWR)
inner = os.pipe()
acts = {
    "take": lambda: os.read(fds()[0], 1),
    "give": lambda: os.write(fds()[1], b"+"),
    "beat": lambda: (os.write(inner[1], b"x"), os.read(inner[0], 1)),
}
os.write(log, f"up {os.getpid()} {fds()[0]} {fifo_path()}\\n".encode())
while True:
    select.select([steer], [], [])
    word = os.read(steer, 100).decode().strip()
    if word == "end":
        break
    acts[word]()
    os.write(log, f"did {word}\\n".encode())
"""

# One arbiter may die so often before the FIFO is left to itself (core::kMaxArbiterDeaths).
DEATHS = 8


class Client:
    def __init__(self, ctx, name):
        self.ctx = ctx
        self.log, self.path = f"{ctx.dir}/{name}.log", f"{ctx.dir}/{name}.steer"
        os.mkfifo(self.path)
        self.steering = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.done = collections.Counter()
        self.words = f"{self.log} {self.path}"

    def meet(self):
        _, self.pid, self.end, self.fifo = wait_lines(self.ctx, self.log, 1, "up")[0].split()

    def begin(self, word):
        self.done[word] += 1
        os.write(self.steering, word.encode() + b"\n")

    def finish(self, word):
        wait_lines(self.ctx, self.log, self.done[word], f"did {word}")

    def do(self, word):
        self.begin(word)
        self.finish(word)

    def waits(self):
        """For a token."""
        call = read_proc(self.pid, "syscall").split()
        return len(call) > 1 and call[0] == b"0" and int(call[1], 16) == int(self.end)

    def leave(self):
        os.write(self.steering, b"end\n")
        os.close(self.steering)


class Build:
    """Two clients with one token between them."""

    def __init__(self, ctx):
        self.ctx = ctx
        program = ctx.program("client.py", CLIENT)
        self.clients = [Client(ctx, f"{name}{len(ctx.runs)}") for name in ("giver", "reader")]
        script = "".join(f"{program} {client.words} & " for client in self.clients)
        self.run = ctx.run(["sh", "-c", script + "wait"], slots=2)
        for client in self.clients:
            client.meet()
        self.variables = variables_of(int(self.clients[0].pid))
        self.fifo = os.open(self.clients[0].fifo, os.O_RDONLY | os.O_NONBLOCK)

    def round(self):
        """A token from the FIFO, from hand to hand, and back; and a call that is none of ours."""
        giver, reader = self.clients
        giver.do("beat")
        giver.do("take")
        reader.begin("take")
        self.ctx.wait(reader.waits, "a reader that waits")
        giver.do("give")
        reader.finish("take")
        reader.do("give")
        giver.do("beat")

    def free(self):
        return level(self.fifo)

    def finish(self, deaths):
        for client in self.clients:
            client.leave()
        os.close(self.fifo)
        report = self.run.finish()
        tokens = report["tokens"]
        expect(tokens["returned"], tokens["taken"], "taken and returned")
        expect((tokens["recovered"], tokens["refused"]), (0, 0), "recovered and refused")
        expect(report["arbiter_restarts"], deaths, "arbiters that died")


def trace(ctx, pid, *options):
    """strace on `pid`, attached."""
    tracer = subprocess.Popen(["strace", "-p", str(pid), "-o", f"{ctx.dir}/trace", *options],
                              stderr=subprocess.PIPE)
    line = tracer.stderr.readline()
    if b"attached" not in line:
        raise Failure(f"strace: {line}")
    return tracer


def let_go(tracer):
    tracer.terminate()
    tracer.communicate()


def traced_calls(ctx):
    """(name, which one) of all system calls in the last trace, each of a name by itself."""
    with open(f"{ctx.dir}/trace", encoding="utf-8", errors="replace") as file:
        names = re.findall(r"^(\w+)\(", file.read(), re.MULTILINE)
    count = collections.Counter()
    for name in names:
        count[name] += 1
        yield name, count[name]


def points(ctx):
    """The calls of a round."""
    build = Build(ctx)
    build.round()
    tracer = trace(ctx, wait_arbiter(ctx, build.run))
    build.round()
    let_go(tracer)
    build.finish(0)
    return sorted(traced_calls(ctx))


def dies_at(ctx, build, name, which):
    arbiter = wait_arbiter(ctx, build.run)
    tracer = trace(ctx, arbiter, "-e", f"inject={name}:signal=KILL:when={which}")
    build.round()
    let_go(tracer)
    place = f"after a death at {name} {which}"
    ctx.wait(lambda: build.free() == 1, f"a free token {place}")
    status = look(ctx, build.variables)
    expect((status["tokens"], status["free"]), (0, 1), f"held and free {place}")
    if wait_arbiter(ctx, build.run) == arbiter:
        return False  # it made fewer such calls this time
    arbiters_killed.add(arbiter)
    return True


@needs("strace", "root")
@timeout(600)
def test_every_system_call(ctx):
    everywhere = points(ctx)
    expect_that(len(everywhere) > 20, f"{everywhere}")
    died = 0
    while everywhere:
        build, deaths = Build(ctx), 0
        while everywhere and deaths < DEATHS:
            deaths += dies_at(ctx, build, *everywhere.pop())
        build.finish(deaths)
        died += deaths
    expect_that(died > 20, f"{died} deaths")


def replaced(ctx, *options):
    """A build without a control group whose arbiter is killed while strace looks at its front.
    Answers the run, what is to be gone at its end, and strace."""
    ctx.desk.wait(lambda: not ctx.desk.inside, "an empty desk")
    run = ctx.run(["sh", "-c", "setsid sleep 1000 & job one"], user=NOBODY)
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    ctx.wait(lambda: run.find("sleep"), "the sleeper")
    first = wait_arbiter(ctx, run)
    tracer = trace(ctx, run.pid, *options)
    kill(first)
    return run, [first, ctx.desk.inside[0].pid, *run.find("sleep")], tracer


# The call by which the front makes another arbiter.
FORK = ("clone", 1)


def at_rest(run):
    return state_of(run.pid) == "S" and "goes on" in run.stderr()


def front_dies_at(ctx, name, which):
    """Answers whether another arbiter was there by then: the front may have made more calls before
    its fork than in the first round. Without one nobody ends the build."""
    run, pids, tracer = replaced(ctx, "-e", f"inject={name}:signal=KILL:when={which}")
    ctx.wait(lambda: run.ended() or at_rest(run), f"the end of the front at {name} {which}")
    if not run.ended():
        kill(run.pid)
    let_go(tracer)
    forked = FORK in traced_calls(ctx)
    if not forked:
        for pid in pids[1:]:
            kill(pid)
        for folder in folders(ctx):
            shutil.rmtree(f"{ctx.tmp}/{folder}")
    expect_killed(ctx, run, pids)
    return forked


@needs("strace", "user")
@timeout(120)
def test_front_killed_once_it_has_forked_another_arbiter(ctx):
    """From that moment on there is somebody who ends the build."""
    run, pids, tracer = replaced(ctx)
    wait_arbiter(ctx, run, other_than=pids[0])
    ctx.wait(lambda: at_rest(run), "the other arbiter")
    let_go(tracer)
    kill(run.pid)
    expect_killed(ctx, run, pids)
    calls = list(traced_calls(ctx))
    expect_that(calls[-1] != FORK, f"{calls}")
    for point in calls[calls.index(FORK) + 1:]:
        ctx.wait(lambda point=point: front_dies_at(ctx, *point), f"a front that has forked at {point}")
