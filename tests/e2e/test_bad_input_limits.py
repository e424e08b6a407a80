"""No descriptors, no processes, no standard streams: a run works or says why it cannot, and ends."""

import os
import re

from harness import expect, expect_that, needs, timeout
from lifecycle_kit import expect_clean_folder


def works_or_says_why(ctx, run, what):
    """It ran the command, or did not and said in one line why."""
    run.wait()
    lines = run.notes()
    if run.status == 0:
        expect(run.stdout(), "ok\n", f"output with {what}")
        expect(lines, [], f"lines with {what}")
    else:
        expect(run.status, 125, f"status with {what}")
        expect(run.stdout(), "", f"output with {what}")
        expect_that(len(lines) == 1, f"one line with {what}, not {lines}")
    expect_clean_folder(ctx)


@needs("static")
@timeout(60)
def test_few_descriptors(ctx):
    for limit in range(3, 31):
        run = ctx.spawn(["prlimit", f"--nofile={limit}:{limit}", ctx.tokenpool, "run", "-j4", "--",
                         "/bin/sh", "-c", "echo ok"])
        works_or_says_why(ctx, run, f"{limit} descriptors")


@needs("static")
@timeout(60)
def test_few_descriptors_now_more_on_demand(ctx):
    """The soft limit is low, the hard one is not: the build sees both as they were."""
    for limit in range(3, 31):
        run = ctx.spawn(["prlimit", f"--nofile={limit}:4096", ctx.tokenpool, "run", "-j4", "--",
                         "/bin/sh", "-c", "echo ok"])
        works_or_says_why(ctx, run, f"{limit} descriptors")


@needs("static")  # a sanitizer opens pipes of its own, and takes it for a finding if it cannot
@timeout(60)
def test_few_descriptors_free(ctx):
    """The caller has left the run only a few below a usual limit."""
    for free in range(0, 16):
        limit = 64

        def occupy(used=limit - 3 - free):
            for _ in range(used):
                os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)

        run = ctx.spawn(["prlimit", f"--nofile={limit}:{limit}", ctx.tokenpool, "run", "-j4", "--",
                         "/bin/sh", "-c", "echo ok"], preexec_fn=occupy, close_fds=False)
        run.wait()
        if run.status == 127:
            continue  # not even the program before us could be loaded
        works_or_says_why(ctx, run, f"{free} descriptors free")


@needs("user", "static")
@timeout(60)
def test_few_processes(ctx):
    # A uid of its own: the limit counts all processes of a user.
    user = 1_900_000_000 + os.getpid()
    for limit in range(0, 9):
        run = ctx.spawn(["prlimit", f"--nproc={limit}:{limit}", ctx.tokenpool, "run", "-j4", "--",
                         "/bin/sh", "-c", "echo ok"], user=user)
        works_or_says_why(ctx, run, f"{limit} processes")


@needs("static")
@timeout(60)
def test_little_memory(ctx):
    for megabytes in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64):
        run = ctx.spawn(["prlimit", f"--as={megabytes << 20}", ctx.tokenpool, "run", "-j4", "--",
                         "/bin/sh", "-c", "echo ok"])
        run.wait()
        if not run.notes() and (run.status > 128 or "Fatal glibc error" in run.stderr()):
            continue  # the kernel or the C library could not even load the program
        works_or_says_why(ctx, run, f"{megabytes} MiB")


def check_streams(ctx, closed):
    """Starts a run with these streams closed; the command sees them closed and nothing else there."""
    redirections = " ".join(f"{number}>&-" if number else "0<&-" for number in closed)
    report = f"{ctx.dir}/closed.json"
    look = ctx.program("look.py", (
        "import json, stat\n"
        "seen = {}\n"
        "for name in os.listdir('/proc/self/fd'):\n"
        "    try: seen[int(name)] = stat.S_ISFIFO(os.fstat(int(name)).st_mode)\n"
        "    except OSError: pass\n"
        "ends = list(fds())\n"
        "json.dump({'seen': sorted(seen), 'ends': ends}, open(sys.argv[1], 'w'))\n"
        "os.read(ends[0], 1); os.write(ends[1], b'+')\n"
    ))
    script = f'exec {ctx.tokenpool} run -j4 --report {report} -- {look} {ctx.dir}/seen.json {redirections}'
    run = ctx.spawn(["bash", "-c", script], slots=4, report_path=report)
    books = run.finish()
    expect((books["tokens"]["taken"], books["tokens"]["returned"]), (1, 1), f"tokens without {closed}")
    with open(f"{ctx.dir}/seen.json", encoding="utf-8") as file:
        text = file.read()
    ends = [int(word) for word in re.search(r'"ends": \[(.*)\]', text).group(1).split(",")]
    expect_that(all(end > 2 for end in ends), f"descriptors {ends} without {closed}")
    expect(books["arbiter_restarts"], 0, f"arbiters that died without {closed}")
    expect(run.notes(), [], f"lines without {closed}")
    expect_clean_folder(ctx)


@timeout(30)
def test_stdin_closed(ctx):
    check_streams(ctx, [0])


@timeout(30)
def test_stdout_closed(ctx):
    check_streams(ctx, [1])


@timeout(30)
def test_stderr_closed(ctx):
    check_streams(ctx, [2])


@timeout(30)
def test_all_streams_closed(ctx):
    check_streams(ctx, [0, 1, 2])


def test_closed_streams_stay_closed_for_the_command(ctx):
    """Or are /dev/null; never something of ours."""
    for number in (0, 1, 2):
        place = f"{ctx.dir}/link{number}"
        look = f"readlink /proc/$$/fd/{number} >{place}; true"
        close = f"{number}>&-" if number else "0<&-"
        run = ctx.spawn(["bash", "-c", f"exec {ctx.tokenpool} run -j4 bash -c '{look}' {close}"])
        expect(run.wait(), 0, "status")
        with open(place, encoding="utf-8") as file:
            expect_that(file.read().strip() in ("", "/dev/null"), f"{number} is closed or null")
