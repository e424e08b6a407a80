"""`tokenpool run` as a command: statuses, words, streams."""

import json
import os
import signal
import subprocess

from harness import expect, expect_that, is_alive, needs
from lifecycle_kit import (NO_TOOLS, bytes_of, cli, expect_one_line, expect_quiet, finished,
                           lines_of)

LOOK_AT_SIGNALS = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]


def test_exit_status_is_the_commands(ctx):
    for status in (0, 1, 2, 42, 125, 126, 127, 128, 255):
        run = finished(ctx, ["sh", "-c", f"exit {status}"], status)
        expect_quiet(run, status)
        report = run.report()
        expect((report["exit_code"], report["signal"]), (status, None), "in the report")


def test_killed_command_gives_128_and_the_signal(ctx):
    for number in (1, 2, 6, 9, 11, 13, 14, 15):
        run = finished(ctx, ["sh", "-c", f"kill -{number} $$"], 128 + number)
        report = run.report()
        expect((report["exit_code"], report["signal"]), (128 + number, number), "in the report")


def test_two_dashes_are_optional(ctx):
    for dashes in ([], ["--"]):
        expect_quiet(cli(ctx, "run", "-j2", *dashes, "sh", "-c", "exit 7"), 7)


def test_options_behind_the_command_are_its_own(ctx):
    mine = ["-j9", "-q", "--report", "no/where", "--", "--track", "nonsense", "--help", "-h"]
    for dashes in ([], ["--"]):
        run = cli(ctx, "run", "-j2", *dashes, "printf", "%s\\n", *mine)
        expect_quiet(run)
        expect(run.stdout().splitlines(), mine, "words")
    expect(finished(ctx, ["printf", *mine]).report()["command"], ["printf", *mine], "in the report")


def test_words_arrive_unchanged(ctx):
    words = ["", " ", "a b", "'", '"', "\\", "*", "$HOME", "\n", "\t", "é", "-", "--x=y"]
    show = "import sys, os; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    run = finished(ctx, [ctx.python, "-c", show, *words])
    expect(run.stdout().split("\0"), words, "words")


def test_signal_mask_and_dispositions_are_those_of_the_caller(ctx):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM})

    for prepare in (None, ignore):
        # Popen's own care for SIGPIPE would come after ours.
        how = {"preexec_fn": prepare, "restore_signals": prepare is None}
        plain = ctx.spawn(LOOK_AT_SIGNALS, **how)
        plain.wait()
        expect(finished(ctx, LOOK_AT_SIGNALS, **how).stdout(), plain.stdout(), "signals")


def test_folder_umask_and_variables_are_those_of_the_caller(ctx):
    script = "pwd; umask; printf '%s\\n' \"$MINE\""
    run = finished(ctx, ["sh", "-c", script], cwd=ctx.tmp, umask=0o027, env={"MINE": "a  b=c"})
    expect(run.stdout().splitlines(), [ctx.tmp, "0027", "a  b=c"], "surroundings")


def test_limits_are_those_of_the_caller(ctx):
    plain = ctx.spawn(["sh", "-c", "ulimit -Sa; ulimit -Ha"])
    plain.wait()
    run = finished(ctx, ["sh", "-c", "ulimit -Sa; ulimit -Ha"])
    expect(run.stdout(), plain.stdout(), "limits")


def test_pool_of_one_slot_has_no_tokens(ctx):
    expect_quiet(finished(ctx, ["true"], slots=1))


def test_the_greatest_pool(ctx):
    expect_quiet(finished(ctx, ["true"], slots=512))


def test_default_number_of_slots(ctx):
    report = f"{ctx.dir}/r.json"
    expect_quiet(cli(ctx, "run", "--report", report, "true"))
    doctor = json.loads(cli(ctx, "doctor", "--json", env=NO_TOOLS).stdout())
    slots = json.loads(bytes_of(report))["slots"]["max"]
    expect(slots, doctor["slots"]["default"], "slots")
    expect_that(1 <= slots <= len(os.sched_getaffinity(0)), f"{slots} slots")


def test_bytes_go_through_unchanged(ctx):
    data = os.urandom(3 << 20)
    path = f"{ctx.dir}/data"
    with open(path, "wb") as file:
        file.write(data)
    for redirection, target in (("", "out_path"), (">&2", "err_path")):
        with open(path, "rb") as stdin:
            run = finished(ctx, ["sh", "-c", f"cat {redirection}"], stdin=stdin)
        expect_that(bytes_of(getattr(run, target)) == data, "the same bytes")
        other = run.err_path if target == "out_path" else run.out_path
        expect(bytes_of(other), b"", "on the other stream")


def test_streams_are_the_callers_own_files(ctx):
    path = ctx.write("in", "")
    with open(path, "rb") as stdin:
        run = finished(ctx, ["sh", "-c", "readlink /proc/$$/fd/[012]"], stdin=stdin)
    expect(run.stdout().splitlines(), [path, run.out_path, run.err_path], "files")


def test_only_the_pools_descriptors_are_added(ctx):
    show = (
        "import os, json; print(json.dumps([sorted(int(f) for f in os.listdir('/proc/self/fd')),"
        " os.environ.get('TOKENPOOL_FDS', '')]))"
    )
    plain = ctx.spawn([ctx.python, "-c", show])
    plain.wait()
    expected, _ = json.loads(plain.stdout())
    seen, fds = json.loads(finished(ctx, [ctx.python, "-c", show]).stdout())
    ends = [int(word) for word in fds.split(",")]
    expect_that(all(2 < end < 1024 for end in ends) and ends[0] != ends[1], f"descriptors {fds}")
    expect(seen, sorted({*expected, *ends}), "open descriptors")


def test_pipe_ends_with_the_command_although_a_daemon_lives_on(ctx):
    os.mkfifo(f"{ctx.dir}/stop")
    daemon = f"setsid sh -c 'read x <{ctx.dir}/stop' </dev/null >/dev/null 2>&1 & echo $! >{ctx.dir}/pid"
    command = f"{ctx.tokenpool} run -j4 --report {ctx.dir}/r.json -- sh -c \"$1\" | cat; exit ${{PIPESTATUS[0]}}"
    run = ctx.spawn(["bash", "-c", command, "-", daemon])
    expect(run.wait(), 0, "status")
    pid = int(lines_of(f"{ctx.dir}/pid")[0])
    expect_that(is_alive(pid), "the daemon has ended with the run")
    with open(f"{ctx.dir}/stop", "w", encoding="utf-8") as stop:
        stop.write("\n")
    ctx.wait_gone(pid)
    ctx.wait(lambda: not os.listdir(ctx.tmp), "an empty TMPDIR")
    expect(json.loads(bytes_of(f"{ctx.dir}/r.json"))["left_running"], 1, "left running")


def test_reader_that_goes_ends_a_writer_by_sigpipe(ctx):
    command = f"{ctx.tokenpool} run -q -j2 yes | head -n 1; echo ${{PIPESTATUS[0]}}"
    run = ctx.spawn(["bash", "-c", command])
    run.wait()
    expect(run.stdout().splitlines(), ["y", str(128 + signal.SIGPIPE)], "output and status")


def test_help_and_version_go_to_stdout(ctx):
    for words in (["--help"], ["-h"], ["help"], ["run", "--help"], ["doctor", "--help"],
                  ["env", "-h"], ["help", "run"], ["--version"]):
        run = cli(ctx, *words)
        expect_quiet(run)
        expect_that("tokenpool" in run.stdout(), f"help of {words}")


def test_wrong_word_gets_one_line_and_status_2(ctx):
    for words in (["ruin"], ["--nonsense"], ["doctor", "x"], ["env", "--nope"],
                  ["run", "--reprot", "f", "true"], ["run", "--track", "maybe", "true"],
                  ["run", "--shims", "perhaps", "true"], ["run", "--report"], ["run", "-j"]):
        run = cli(ctx, *words)
        expect_one_line(run, 2)
        expect(run.stdout(), "", "stdout")
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_no_word_at_all_prints_the_help_to_stderr(ctx):
    run = cli(ctx)
    expect((run.status, run.stdout()), (2, ""), "status and stdout")
    expect_that("tokenpool run" in run.stderr(), "the help")


def test_output_that_cannot_be_written_is_a_failure(ctx):
    with open("/dev/full", "wb") as full:
        for words in (["--help"], ["doctor", "--json"], ["--version"]):
            expect(cli(ctx, *words, stdout=full, env=NO_TOOLS).status, 1, f"status of {words}")


def test_shims_run_the_real_tool_outside_of_a_pool(ctx):
    for tool in ("make", "ninja", "cmake"):
        words = [tool, "--version"]
        plain = ctx.spawn(words)
        path = ":".join([ctx.shims, ctx.environment()["PATH"]])
        shim = ctx.spawn(words, env={"PATH": path})
        plain.wait()
        shim.wait()
        expect((shim.status, shim.stdout(), shim.stderr()),
               (plain.status, plain.stdout(), plain.stderr()), tool)


@needs("make-4.3")
def test_a_number_of_jobs_belongs_before_the_command(ctx):
    """Where a shim takes it off it says how many the pool has; past the shims it would leave the pool."""
    ctx.makefile("a", 1, "a")

    def said(*command, **options):
        run = ctx.run(list(command), tools=["make-4.3"], slots=2, **options)
        ctx.desk.let_all_out(run)
        run.books = False
        expect(run.wait(), 0, "status")
        return [line for line in run.stderr().splitlines() if "-j8" in line and "forced" not in line]

    (line,) = said("make", "-C", "a", "-j8")
    expect_that("took -j8 off make: the pool decides (2 slots); for 8 give that to tokenpool run: -j8"
                in line, line)
    (line,) = said("make", "-C", "a", "-j8", options=["--shims", "off"])
    expect_that("tokenpool run: make has -j8, by which it leaves the pool: give that to tokenpool "
                "run, before the command: tokenpool run -j8 make" in line, line)
    expect(said("make", "-C", "a", "-j8", options=["-q", "--shims", "off"]), [], "quiet")


def test_a_run_inside_of_a_run_says_so(ctx):
    inner = f"{ctx.tokenpool} run -j2 -- true"
    run = ctx.run(["sh", "-c", inner])
    expect(run.wait(), 0, "status")
    (line,) = [line for line in run.stderr().splitlines() if "another tokenpool run" in line]
    expect_that(f"(pid {run.pid}: " in line and "a pool of its own" in line, line)
    expect_that("jobserver-" not in run.stderr(), f"not as somebody else's: {run.stderr()}")


@needs("static")
def test_installed_program_needs_nothing_around_it(ctx):
    """One static file, in a chroot that has nothing but it and a static shell's job."""
    root = f"{ctx.dir}/root"
    os.makedirs(f"{root}/tmp")
    for program in (ctx.tokenpool, f"{ctx.session.bin}/job"):
        subprocess.run(["cp", program, root], check=True)
    if os.geteuid() != 0:
        return
    run = ctx.spawn(["chroot", root, "/tokenpool", "--version"])
    run.wait()
    expect(run.status, 0, "status of --version")
    # The job ends with 9 where there is no desk.
    run = ctx.spawn(["chroot", root, "/tokenpool", "run", "-j4", "/job", "x"],
                    env={"TMPDIR": None, "E2E_DESK": None})
    run.wait()
    expect(run.status, 9, f"status of run ({run.stderr()})")
    expect(os.listdir(f"{root}/tmp"), [], "left behind")
