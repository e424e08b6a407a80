"""What the tests of a run's life share: short ways to a run, and looks at its processes."""

import glob
import os
import signal

from harness import Failure, comm_of, descendants, expect, expect_that, is_alive, read_proc

# Counts the signals that it gets, one line of a log each; SIGUSR1 ends it. As "parent" it has a
# child that does the same. Blocked and waited for, so that no signal can come between.
COUNTER = """
import signal, subprocess
log, role = sys.argv[1], sys.argv[2]
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
def write(text):
    os.write(out, f"{role} {text}\\n".encode())
watched = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, watched)
child = None
if role == "parent":
    child = subprocess.Popen([sys.executable, __file__, log, "child"])
write(f"ready {os.getpid()}")
while True:
    number = signal.sigwait(watched)
    write(signal.Signals(number).name)
    if number == signal.SIGUSR1:
        break
if child:
    child.wait()
"""


def lines_of(path):
    """The whole lines of a file that others append to; none if it does not exist."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    return text[: text.rfind("\n") + 1].splitlines()


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


# On it `tokenpool doctor` finds no tool to ask for its version, which is most of its time.
NO_TOOLS = {"PATH": "/nonexistent"}


def cli(ctx, *words, **options):
    """`tokenpool WORDS` to its end."""
    run = ctx.spawn([ctx.tokenpool, *words], **options)
    run.wait()
    return run


def finished(ctx, command, status=0, held=0, **options):
    """`tokenpool run -- COMMAND` to its end, its status and its books checked; answers the run."""
    run = ctx.run(command, **options)
    run.finish(status, held)
    return run


def expect_one_line(run, status, *words):
    """It ended with `status` and said one line, with these words in it."""
    expect(run.status, status, "status")
    lines = run.stderr().splitlines()
    expect_that(len(lines) == 1, f"one line on stderr, not {lines}")
    for word in words:
        expect_that(word in lines[0], f"{word!r} in {lines[0]!r}")


def expect_quiet(run, status=0):
    expect((run.status, run.stderr()), (status, ""), "status and stderr")


def expect_clean_folder(ctx):
    """Waits until nothing lies in TMPDIR."""
    ctx.wait(lambda: not os.listdir(ctx.tmp), "an empty TMPDIR")


def folders(ctx):
    """The names of the runs' folders in TMPDIR, which are those of their control groups, too."""
    return sorted(name for name in os.listdir(ctx.tmp) if name.startswith("tokenpool-"))


def groups(name):
    return glob.glob(f"/sys/fs/cgroup/**/{name}", recursive=True)


def state_of(pid):
    text = read_proc(pid, "stat")
    return text[text.rindex(b")") + 2 :].split()[0].decode() if text else ""


def group_of(pid):
    text = read_proc(pid, "stat")
    return int(text[text.rindex(b")") + 2 :].split()[2])


def in_read(pid):
    """Whether it stands in read(2)."""
    words = read_proc(pid, "syscall").split()
    return bool(words) and words[0] == b"0"


def in_epoll_wait(pid):
    """Whether it has nothing to do and waits for events."""
    words = read_proc(pid, "syscall").split()
    return bool(words) and words[0] in (b"232", b"281")


def arbiter_child(front):
    """The living arbiter of a front that is known by its pid, or None."""
    for pid in descendants(front):
        if comm_of(pid).startswith("tokenpool-arb"):
            return pid
    return None


def wait_arbiter(ctx, run, other_than=None):
    """Waits for a living arbiter that is not `other_than`; answers its pid."""
    found = []

    def living():
        if run.ended():
            raise Failure("the run ended while its arbiter was looked for")
        pid = arbiter_child(run.pid)
        if pid is not None and pid != other_than:
            found.append(pid)
        return bool(found)

    ctx.wait(living, "an arbiter")
    return found[-1]


def wait_lines(ctx, path, count, prefix=""):
    """Waits until a log has `count` lines with that prefix; answers them."""

    def lines():
        return [line for line in lines_of(path) if line.startswith(prefix)]

    ctx.wait(lambda: len(lines()) >= count, f"{count} lines {prefix}... in {path}")
    return lines()


def wait_all_gone(ctx, pids):
    ctx.wait(
        lambda: not any(is_alive(pid) for pid in pids),
        f"the end of {pids}",
    )


def expect_killed(ctx, run, pids):
    """The front was, and has left nothing, none of `pids` either."""
    run.books = False
    expect(run.wait(), 128 + signal.SIGKILL, "status")
    wait_all_gone(ctx, pids)
    expect_clean_folder(ctx)


def number_of(name):
    return int(getattr(signal, name))
