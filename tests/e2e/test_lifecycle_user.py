"""Front and arbiter are killed where the build has no control group, as an ordinary user."""

import os
import shutil

import test_lifecycle_arbiter_killed as arbiter_killed
import test_lifecycle_front_killed as front_killed
from harness import NOBODY, all_descendants, expect, needs, timeout

# Drops what its words say of that by which a process of a build could be known, and sleeps.
LEAVER = """
dropped = sys.argv[1:]
if "parent" in dropped and os.fork():
    os._exit(0)
if "session" in dropped:
    os.setsid()
if "descriptors" in dropped:
    os.closerange(0, 4096)
    for _ in range(3):
        os.open("/dev/null", os.O_RDWR)
os.execve("/bin/sleep", ["sleep", "1000"], {} if "environment" in dropped else os.environ)
"""
ALL = ("parent", "session", "environment", "descriptors")

TOOLS = (("make_43", "make-4.3"), ("make_441", "make-4.4.1"), ("ninja", "ninja-1.13.2"))


def define(name, body, *wants, seconds=60):
    body.__name__ = f"test_{name}"
    globals()[body.__name__] = timeout(seconds)(needs("user", *wants)(body))


def leaves(name, dropped, *options, line="{} &"):
    """`line` of the build's script starts a process that keeps everything but what it `dropped`."""

    def body(ctx):
        leaver = " ".join([ctx.program("leaver.py", LEAVER), *dropped])
        front_killed.spread(ctx, line.format(leaver), options, NOBODY)

    define(f"front_killed_{name}", body)


leaves("plain_child", [])
for _one in ALL:
    leaves(f"child_without_{_one}", [_one])
leaves("grandchild_with_parent_only", ["session", "environment", "descriptors"], line="({}; :) &")
leaves("daemon_with_environment_only", ["parent", "session", "descriptors"])
leaves("daemon_with_descriptors_only", ["parent", "session", "environment"])
# The command itself dies with the front, so its children have lost their parent as well.
leaves("child_with_parent_only", ["session", "environment", "descriptors"])
leaves("daemon_with_session_only", ["parent", "environment", "descriptors"])
leaves("daemon_that_keeps_nothing", ALL)
leaves("with_inference_daemon_that_keeps_nothing", ALL, "--track=infer")
leaves("with_inference_plain_child", [], "--track=infer")
leaves("with_inference_daemon_with_environment_only", ["parent", "session", "descriptors"],
       "--track=infer")
leaves("with_inference_daemon_with_descriptors_only", ["parent", "session", "environment"],
       "--track=infer")


def tree(name, build, command, *tools):
    def body(ctx):
        """Four jobs on two levels; nobody of them or of the tools above outlives the front."""
        build(ctx)
        run = ctx.run(command, tools=tools, user=NOBODY)
        ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
        front_killed.expect_no_group(run)
        front_killed.kill_front(ctx, run, all_descendants(run.pid))
        ctx.wait(lambda: not ctx.leftovers(), "nobody of the build")

    define(f"front_killed_{name}", body, *tools)


# A recipe in a session of its own, one with a clean environment, one that is both.
RECIPES = """
all: plain own clean both
.PHONY: all plain own clean both
plain:
\t@job $@
own:
\t@setsid --wait job $@
clean:
\t@env -i PATH="$$PATH" E2E_DESK="$$E2E_DESK" job $@
both:
\t@env -i PATH="$$PATH" E2E_DESK="$$E2E_DESK" setsid --wait job $@
"""


def make_tree(ctx):
    ctx.write("m/Makefile", RECIPES)
    ctx.write("t/Makefile", "all:\n\t+@$(MAKE) -C ../m\n")


def ninja_tree(ctx):
    ctx.ninjafile("n", 3, "n")
    ctx.makefile("m", 6, "m")
    with open(f"{ctx.dir}/n/build.ninja", "a", encoding="utf-8") as file:
        file.write("rule sub\n  command = make -C ../m\nbuild sub: sub\n")


tree("make_43_tree", make_tree, ["make", "-C", "t"], "make-4.3")
tree("make_441_tree", make_tree, ["make", "-C", "t"], "make-4.4.1")
tree("ninja_tree", ninja_tree, ["ninja", "-C", "n"], "ninja-1.13.2", "make-4.3")


def as_user(name, body, *wants, seconds=90):
    define(name, lambda ctx: body(ctx, user=NOBODY), *wants, seconds=seconds)


as_user("front_killed_stopped_build", front_killed.stopped_build)
as_user("front_killed_build_that_forks_all_the_time", front_killed.forks_all_the_time)
as_user("front_killed_after_an_arbiter_was", front_killed.after_an_arbiter_was)


def in_the_middle(name, tool, deaths):
    def body(ctx):
        if name == "ninja":
            ctx.ninjafile("a", 24, "a")
        else:
            ctx.makefile("a", 24, "a")
        command = [tool.split("-")[0], "-C", "a"]
        arbiter_killed.in_the_middle(ctx, command, [tool], deaths, user=NOBODY)

    define(f"arbiter_killed_{'once' if deaths == 1 else f'{deaths}_times'}_in_{name}", body, tool)


for _name, _tool in TOOLS:
    in_the_middle(_name, _tool, 1)
    in_the_middle(_name, _tool, 5)

as_user("arbiter_killed_while_readers_block", arbiter_killed.blocked_readers)
as_user("arbiter_killed_before_the_holders", arbiter_killed.dies_after_the_arbiter)
as_user("arbiter_killed_together_with_the_holders", arbiter_killed.dies_together_with_the_arbiter)


@needs("user", "make-4.3")
@timeout(180)
def test_arbiter_killed_at_random_moments(ctx):
    arbiter_killed.at_random_moments(ctx, ["make-4.3"], 3, user=NOBODY)


def vanished(name, tool, user):
    def body(ctx):
        """The next arbiter needs no name of the FIFO: the build goes on as wide as before."""
        if tool.startswith("ninja"):
            ctx.ninjafile("a", 24, "a")
        else:
            ctx.makefile("a", 24, "a")
        run = ctx.run([tool.split("-")[0], "-C", "a"], tools=[tool], user=user)
        ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
        (folder,) = os.listdir(ctx.tmp)
        shutil.rmtree(f"{ctx.tmp}/{folder}")
        for _ in range(2):
            arbiter_killed.kill_arbiter(ctx, run)
        ctx.desk.drive(4, total=24)
        arbiter_killed.expect_restarts(run, 2)
        about = [line for line in run.notes() if "removed" in line]
        expect(len(about), 1, f"lines about the folder in {run.notes()}")

    define(f"arbiter_killed_after_the_folder_vanished_{name}", body, tool)


for _name, _tool in TOOLS:
    vanished(_name, _tool, None)
    vanished(f"{_name}_as_user", _tool, NOBODY)
