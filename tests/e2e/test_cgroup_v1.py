"""Where no control groups of version 2 are mounted, a build as root has one of version 1."""

import os

from harness import MachineLacks, expect, expect_that, needs, read_proc
from lifecycle_kit import cli, finished, wait_all_gone
from test_confined_cpus import mount_point, own_group
from test_lifecycle_both_killed import kill_both
from test_lifecycle_front_killed import FORGETFUL, kill_front
from test_uncooperative import expect_named, spinner, spinning, stop, stop_file


def without_version_2():
    """Words in front of a command that sees none. It is in the group of version 1 that this process
    is in."""
    unified, accounting = mount_point("cgroup2", None), mount_point("cgroup", "cpuacct")
    if accounting is None:
        raise MachineLacks("no control groups of version 1 with the cpuacct controller")
    if unified is None:
        return []
    return ["unshare", "-m", "sh", "-c", 'umount "$0" && exec "$@"', unified]


def folder_of(name):
    top, own = mount_point("cgroup", "cpuacct"), own_group("cpuacct")
    return f"{top}{own}".rstrip("/") + "/" + name


def group_of(pid):
    """The name of its group in the hierarchy with cpuacct."""
    for line in read_proc(pid, "cgroup").decode().splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpuacct" in controllers.split(","):
            return path.rsplit("/", 1)[1]
    return ""


def expect_group(pid):
    """The name of the group of the build that it belongs to."""
    name = group_of(pid)
    expect_that(name.startswith("tokenpool-") and os.path.isdir(folder_of(name)), f"group {name!r}")
    return name


def expect_no_group(name):
    expect_that(not os.path.exists(folder_of(name)), f"{name} is left")


@needs("root", "unshare")
def test_build_is_in_a_group(ctx):
    run = ctx.run(["sh", "-c", "setsid env -i sleep 1000 & job x; kill $!"], wrap=without_version_2())
    ctx.desk.wait(lambda: ctx.desk.inside, "the job")
    name = expect_group(ctx.desk.inside[0].pid)
    ctx.wait(lambda: run.find("sleep"), "the daemon")
    expect(group_of(run.find("sleep")[0]), name, "group of the daemon")
    expect_that(group_of(run.pid) != name, "the front is in it, too")
    ctx.desk.let_all_out(run)
    run.finish()
    expect_no_group(name)


# Takes off the limit that all processes of a build carry, too.
UNMARKED = """
import resource
resource.setrlimit(resource.RLIMIT_RTTIME, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
""" + FORGETFUL


@needs("root", "unshare")
def test_daemon_that_keeps_nothing_of_the_build(ctx):
    """It is found by the group alone when the front is killed."""
    script = ctx.script("spread.sh", f"{ctx.program('unmarked.py', UNMARKED)}\n"
                        "job --say up x\nexec sleep 2000\n")
    run = ctx.run([script], wrap=without_version_2())
    ctx.desk.wait(lambda: ctx.desk.has_said("up"), "the script")
    ctx.wait(lambda: len(run.find("sleep")) == 2, "both sleepers")
    name = expect_group(run.find("sleep")[0])
    kill_front(ctx, run, run.find("sleep"))
    ctx.wait(lambda: not os.path.exists(folder_of(name)), "the end of the group")


@needs("root", "unshare")
def test_what_a_dead_run_left_is_removed(ctx):
    run = ctx.run(["sh", "-c", "exec sleep 1000"], wrap=without_version_2())
    ctx.wait(lambda: run.find("sleep"), "the build")
    (sleep,) = run.find("sleep")
    name = expect_group(sleep)
    kill_both(ctx, run)
    wait_all_gone(ctx, [sleep])

    def procs():
        with open(f"{folder_of(name)}/cgroup.procs", encoding="ascii") as file:
            return file.read()

    ctx.wait(lambda: not procs(), "an empty group")
    finished(ctx, ["true"], wrap=without_version_2())
    expect_no_group(name)


@needs("root", "unshare")
def test_who_ignores_the_pool_is_named(ctx):
    run = ctx.run([spinner(ctx), "6", stop_file(ctx), "1e9"], wrap=without_version_2())
    pid = expect_named(ctx, run, "spinner", spinning(run, "spinner", 1))
    stop(ctx, run, pid, "spinner 6")


@needs("root", "unshare")
def test_doctor(ctx):
    run = cli(ctx, "doctor", "-v", wrap=without_version_2())
    rows = {line.split("  ")[1]: line for line in run.stdout().splitlines() if line.startswith("  ")}
    expect_that("v1, /" in rows["cgroups"], rows["cgroups"])
    expect_that(rows["... a group of our own"].endswith(" yes"), rows["... a group of our own"])
