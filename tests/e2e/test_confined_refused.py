"""Sandboxes that refuse what exact tracking needs: the listener, or writing into the clients'
memory. The build is as wide as ever and loses nothing."""

import os

import harness
from harness import expect, expect_that, needs
from lifecycle_kit import NO_TOOLS, cli
from test_clients_bulk import bulk_writer

# Executes its command under a filter that answers EPERM to seccomp(2) for a listener ("listener")
# or to process_vm_writev(2) ("memory"), as container runtimes and Yama do, to the ioctl(2) that
# tells how a process ended ("ends"), which Linux before 6.15 does not know, or to mknod(2)
# ("fifo"). Checks that it does.
# The numbers are those of <asm/unistd.h>, the layout is that of struct seccomp_data.
REFUSE = """
import ctypes, errno, platform, struct
what = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
generic = {"seccomp": 277, "writev": 271, "ioctl": 29, "mknod": 33, "mknodat": 33}
numbers = {
    "x86_64": {"seccomp": 317, "writev": 311, "ioctl": 16, "mknod": 133, "mknodat": 259},
    "ppc64le": {"seccomp": 358, "writev": 352, "ioctl": 54, "mknod": 14, "mknodat": 288},
    "s390x": {"seccomp": 348, "writev": 341, "ioctl": 54, "mknod": 14, "mknodat": 290},
}.get(platform.machine(), generic)
LOAD, EQUAL, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
FLAGS = 24 + (4 if sys.byteorder == "big" else 0)
NEW_LISTENER = 8
GET_INFO = 0xFF0B  # without its direction and size
program = {
    "listener": [(LOAD, 0, 0, 0), (EQUAL, 0, 3, numbers["seccomp"]), (LOAD, 0, 0, FLAGS),
                 (ANY_BIT, 0, 1, NEW_LISTENER), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)],
    "memory": [(LOAD, 0, 0, 0), (EQUAL, 0, 1, numbers["writev"]), (RETURN, 0, 0, REFUSE),
               (RETURN, 0, 0, ALLOW)],
    "ends": [(LOAD, 0, 0, 0), (EQUAL, 0, 4, numbers["ioctl"]), (LOAD, 0, 0, FLAGS),
             (AND, 0, 0, 0xFFFF), (EQUAL, 0, 1, GET_INFO), (RETURN, 0, 0, REFUSE),
             (RETURN, 0, 0, ALLOW)],
    "fifo": [(LOAD, 0, 0, 0), (EQUAL, 1, 0, numbers["mknod"]), (EQUAL, 0, 1, numbers["mknodat"]),
             (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)],
    # ... which a builder of images may only pretend to make.
    "faked fifo": [(LOAD, 0, 0, 0), (EQUAL, 1, 0, numbers["mknod"]),
                   (EQUAL, 0, 1, numbers["mknodat"]), (RETURN, 0, 0, 0x00050000),
                   (RETURN, 0, 0, ALLOW)],
}[what]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
filter = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
if os.geteuid() != 0:
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # no_new_privs
assert libc.prctl(22, 2, filter, 0, 0) == 0, os.strerror(ctypes.get_errno())
if what == "listener":
    refused = libc.syscall(numbers["seccomp"], 1, NEW_LISTENER, None)
elif what == "memory":
    refused = libc.process_vm_writev(os.getpid(), None, 0, None, 0, 0)
elif what == "ends":
    refused = libc.ioctl(0, ctypes.c_ulong(0xC040FF0B), None)
else:
    refused = libc.mknod(b"none", 0o10600, 0)
    if what == "faked fifo":
        assert refused == 0 and not os.path.exists("none")
        refused = -1
        ctypes.set_errno(errno.EPERM)
assert refused == -1 and ctypes.get_errno() == errno.EPERM
os.execv(sys.argv[2], sys.argv[2:])
"""


def refusing(ctx, what):
    return [ctx.program("refuse.py", REFUSE), what]


def define(name, body, *wants):
    """For root and for an ordinary user."""
    for tail, user in (("", None), ("_as_user", harness.NOBODY)):
        def one(ctx, user=user):
            body(ctx, user)

        one.__name__ = f"test_{name}{tail}"
        more = ["user"] if user else []
        globals()[one.__name__] = needs(*wants, *more)(one)


# The listener is refused: the run infers, and says so


def without_listener(name, *options):
    def body(ctx, user):
        ctx.makefile("a", 12, "a")
        run = ctx.run(["make", "-C", "a"], tools=["make-4.3"], options=options, user=user,
                      wrap=refusing(ctx, "listener"))
        ctx.desk.drive(4, total=12)
        expect(run.finish()["tracking"], "infer", "tracking")
        notes = run.notes()
        expect_that(len(notes) == 1 and "a sandbox forbids it" in notes[0], f"lines: {notes}")

    define(f"listener_{name}", body, "make-4.3")


without_listener("by_default")
without_listener("auto", "--track=auto")
without_listener("exact", "--track=exact")


@needs("make-4.3")
def test_listener_refused_and_not_asked_for(ctx):
    run = ctx.run(["true"], options=["--track=infer"], wrap=refusing(ctx, "listener"))
    run.finish()
    expect(run.notes(), [], "lines")


@needs("make-4.3")
def test_doctor_knows_what_is_refused(ctx):
    for what, call in (("listener", "sandbox"), ("memory", "process_vm_writev")):
        run = cli(ctx, "doctor", wrap=refusing(ctx, what), env=NO_TOOLS)
        expect_that(call in run.stdout(), f"doctor says {run.stdout()}")


@needs("make-4.3")
def test_no_fifo_can_be_made(ctx):
    """The build runs all the same, without a pool, and one line says why."""
    ctx.makefile("a", 3, "a")
    for what in ("fifo", "faked fifo"):
        run = ctx.run(["make", "-C", "a"], tools=["make-4.3"], wrap=refusing(ctx, what),
                      report=False)
        ctx.desk.let_all_out(run)
        run.finish()
        (note,) = run.notes()
        expect_that("no FIFO can be made" in note and "without a pool" in note, note)
        expect(len(ctx.desk.names), 3, "jobs")
        ctx.desk.names.clear()


# The clients' memory cannot be written: the kernel carries the reads out, counting tells the rest


def without_memory(name, build, *tools):
    def body(ctx, user):
        run = build(ctx, tools=list(tools), user=user, wrap=refusing(ctx, "memory"))
        report = run.finish()
        expect(report["tracking"], "exact", "tracking")
        tokens = report["tokens"]
        expect((tokens["refused"], tokens["recovered"]), (0, 0), "tokens refused, recovered")

    define(f"memory_{name}", body, *tools)


def one_make(ctx, **options):
    ctx.makefile("a", 12, "a")
    ctx.makefile("b", 12, "b")
    run = ctx.run([ctx.script("top", "make -C a\nmake -C b\n")], **options)
    for prefix in "ab":
        ctx.desk.drive(4, total=12, prefix=prefix)
    return run


def one_ninja(ctx, **options):
    ctx.ninjafile("a", 24, "a")
    run = ctx.run(["ninja", "-C", "a"], **options)
    ctx.desk.drive(4, total=24)
    return run


def sub_makes(ctx, **options):
    ctx.makefile("x", 12, "x")
    ctx.makefile("y", 12, "y")
    ctx.write("Makefile", "all: x y\nx y:\n\t+@$(MAKE) -C $@\n.PHONY: all x y\n")
    run = ctx.run(["make"], **options)
    ctx.desk.drive(4, total=24)
    return run


SHELL = """R=${TOKENPOOL_FDS%,*}; W=${TOKENPOOL_FDS#*,}
IFS= read -r -n1 t <&$R
job shell
printf + >&$W
"""


def shell_beside_make(ctx, **options):
    ctx.makefile("b", 30, "b")
    top = ctx.script("top", f"{ctx.script('shell', SHELL)} &\njob gate\nmake -C b\nwait\n")
    run = ctx.run([top], **options)
    ctx.desk.wait(lambda: ctx.desk.count("shell") and ctx.desk.count("gate"), "the shell's token")
    ctx.desk.release(ctx.desk.held("gate")[0])
    ctx.desk.drive(3, total=9, prefix="b")
    ctx.desk.release(ctx.desk.held("shell")[0])
    ctx.desk.drive(4, total=12, prefix="b")
    ctx.desk.let_all_out(run)
    return run


def blocked_reader(ctx, **options):
    """Six compete for three tokens, each with a read that blocks."""
    client = ctx.program("client", (
        "token = os.read(fds()[0], 1)\nstay(sys.argv[1])\nos.write(fds()[1], token)\n"))
    top = ctx.script("top", "".join(f"{client} r{i} &\n" for i in range(6)) + "wait\n")
    run = ctx.run([top], **options)
    ctx.desk.drive(3, total=6, prefix="r")
    return run


without_memory("make_43", one_make, "make-4.3")
without_memory("make_441", one_make, "make-4.4.1")
without_memory("make_43_below_make", sub_makes, "make-4.3")
without_memory("make_441_below_make", sub_makes, "make-4.4.1")
without_memory("ninja", one_ninja, "ninja-1.13.2")
without_memory("shell_beside_make", shell_beside_make, "make-4.3")
without_memory("bulk_writer", bulk_writer, "make-4.3")
without_memory("blocked_reader", blocked_reader)


def killed_without_memory(name, tool):
    def body(ctx, user):
        """The holder of three tokens is killed: they are there again for the next build."""
        if tool.startswith("ninja"):
            ctx.ninjafile("a", 12, "a")
        else:
            ctx.makefile("a", 12, "a")
        ctx.makefile("b", 12, "b")
        word = tool.split("-")[0]
        top = ctx.script("top", f"{word} -C a\njob gate\nmake -C b\n")
        run = ctx.run([top], tools=["make-4.3", tool], user=user, wrap=refusing(ctx, "memory"))
        ctx.desk.wait(lambda: ctx.desk.count("a") == 4, "four jobs in")
        pid = run.find(word)[-1]
        ctx.kill(pid)
        ctx.wait_gone(pid)
        for guest in ctx.desk.held("a"):
            ctx.desk.release(guest)
        ctx.desk.wait(lambda: ctx.desk.count("a") == 0 and ctx.desk.held("gate"), "the jobs' end")
        ctx.desk.release(ctx.desk.held("gate")[0])
        ctx.desk.drive(4, total=12, prefix="b")
        expect(run.finish()["tokens"]["recovered"], 3, "tokens recovered")

    define(f"memory_{name}_killed", body, "make-4.3", tool)


killed_without_memory("make_43", "make-4.3")
killed_without_memory("make_441", "make-4.4.1")
killed_without_memory("ninja", "ninja-1.13.2")
