"""Without -j a pool is as wide as the CPUs that affinity and quota leave to the run."""

import os
import subprocess

from harness import MachineLacks, expect, needs


def run_without_j(ctx, slots, **options):
    """A make that fills a pool of `slots`."""
    ctx.makefile("a", 4 * slots, "a")
    report = f"{ctx.dir}/cpus.json"
    run = ctx.spawn([ctx.tokenpool, "run", "--report", report, "make", "-C", "a"], slots=slots,
                    report_path=report, **options)
    ctx.desk.drive(slots, total=4 * slots)
    expect(run.finish()["slots"]["max"], slots, "slots")


def cpus(count):
    found = sorted(os.sched_getaffinity(0))
    if len(found) < count:
        raise MachineLacks(f"{len(found)} CPU here")
    return ",".join(str(number) for number in found[:count])


@needs("make", "taskset")
def test_one_cpu_by_affinity(ctx):
    cpus(2)
    run_without_j(ctx, 1, wrap=["taskset", "-c", cpus(1)])


@needs("make", "taskset")
def test_two_cpus_by_affinity(ctx):
    run_without_j(ctx, 2, wrap=["taskset", "-c", cpus(2)])


@needs("make", "taskset", "user")
def test_one_cpu_by_affinity_as_user(ctx):
    cpus(2)
    run_without_j(ctx, 1, wrap=["taskset", "-c", cpus(1)], user=65534)


def mount_point(kind, option):
    """Where a control group hierarchy is mounted (proc(5)), or None."""
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            left, _, right = line.partition(" - ")
            found, _, options = right.split()[:3]
            if found == kind and (option is None or option in options.split(",")):
                return left.split()[4]
    return None


def own_group(controller):
    """This process's path in the hierarchy with that controller; None: version 2."""
    with open("/proc/self/cgroup", encoding="utf-8") as lines:
        for line in lines:
            number, names, path = line.strip().split(":", 2)
            if number == "0" if controller is None else controller in names.split(","):
                return path
    return None


def folder_with_cpu_max():
    """The nearest group whose sub-groups have the cpu controller of version 2."""
    top, own = mount_point("cgroup2", None), own_group(None)
    if top is None or own is None:
        raise MachineLacks("no control groups of version 2")
    while True:
        with open(f"{top}{own}/cgroup.subtree_control", encoding="ascii") as file:
            if "cpu" in file.read().split():
                return f"{top}{own}"
        if own in ("/", ""):
            raise MachineLacks("the cpu controller is in no control group of version 2")
        own = os.path.dirname(own)


def folder_with_cfs_quota():
    top, own = mount_point("cgroup", "cpu"), own_group("cpu")
    if top is None or own is None:
        raise MachineLacks("no control groups of version 1 with the cpu controller")
    return f"{top}{own}".rstrip("/")


def below_quota(ctx, folder, settings):
    """A run in a new group with these settings, which leave it one CPU at most."""
    if not os.access(folder, os.W_OK):
        raise MachineLacks(f"{folder} may not be written")
    group = f"{folder}/e2e-cpus-{os.getpid()}"
    os.mkdir(group)
    try:
        for name, value in settings:
            with open(f"{group}/{name}", "w", encoding="ascii") as file:
                file.write(value)
        run_without_j(ctx, 1, wrap=["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"])
    finally:
        ctx.kill_all()
        ctx.wait(lambda: is_removed(group), f"the end of {group}")


def is_removed(group):
    return subprocess.run(["rmdir", group], stderr=subprocess.DEVNULL, check=False).returncode == 0


@needs("make", "root")
def test_one_cpu_by_cpu_max(ctx):
    cpus(2)
    below_quota(ctx, folder_with_cpu_max(), [("cpu.max", "100000 100000")])


@needs("make", "root")
def test_part_of_a_cpu_by_cpu_max(ctx):
    cpus(2)
    below_quota(ctx, folder_with_cpu_max(), [("cpu.max", "60000 100000")])


@needs("make", "root")
def test_one_cpu_by_cfs_quota(ctx):
    cpus(2)
    below_quota(ctx, folder_with_cfs_quota(), [("cpu.cfs_period_us", "100000"),
                                               ("cpu.cfs_quota_us", "100000")])


@needs("make", "root")
def test_part_of_a_cpu_by_cfs_quota(ctx):
    cpus(2)
    below_quota(ctx, folder_with_cfs_quota(), [("cpu.cfs_period_us", "100000"),
                                               ("cpu.cfs_quota_us", "60000")])
