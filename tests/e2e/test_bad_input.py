"""Bad input gets one clear line and status 2 or 125-127, and leaves nothing behind."""

import os

from harness import expect, expect_that, needs
from lifecycle_kit import cli, expect_clean_folder, expect_one_line, expect_quiet, finished


def refused(ctx, status, words, *sentence, **options):
    witness = f"{ctx.dir}/witness"
    run = cli(ctx, *words, "touch", witness, **options)
    expect_one_line(run, status, *sentence)
    expect(run.stdout(), "", "stdout")
    expect_that(not os.path.exists(witness), "the command was run")
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_numbers_of_slots_that_make_no_pool(ctx):
    for slots in ("0", "-1", "-5000", "00", "x", "4x", " 4", "4 ", "+4", "4.5", "0x4", "1e2", "",
                  "99999999999999999999", "-99999999999999999999", "8-4", "2-", "-", "--", "AUTO"):
        refused(ctx, 2, ["run", "-j", slots], "-j")


def test_slots_written_onto_the_option(ctx):
    for word in ("-j0", "-j-1", "-j5000", "-j8-4", "-jx"):
        refused(ctx, 2, ["run", word], "-j")


def test_too_many_slots_are_refused_with_the_limit_and_its_reason(ctx):
    for slots in ("513", "5000"):
        refused(ctx, 2, ["run", "-j", slots], "512", "because")


def test_no_command(ctx):
    for words in (["run"], ["run", "--"], ["run", "-j4"], ["run", "-j4", "--"]):
        expect_one_line(cli(ctx, *words), 2, "command")
    expect_one_line(cli(ctx, "run", ""), 2)
    expect_one_line(cli(ctx, "run", "--", ""), 2)
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_unknown_option(ctx):
    for word in ("--nonsense", "-z", "--memory-", "--report-file=x"):
        refused(ctx, 2, ["run", word], word.split("=")[0])


def command_fails(ctx, status, name, *sentence):
    """The line, and the books: a command that cannot be run has had a pool for a moment."""
    expect_one_line(cli(ctx, "run", "-j4", name), status, name, *sentence)
    expect_one_line(cli(ctx, "run", "-j4", "--", name, "--with", "words"), status, name)
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_command_that_is_missing(ctx):
    command_fails(ctx, 127, "no-such-command-anywhere", "PATH")
    command_fails(ctx, 127, f"{ctx.dir}/none")
    command_fails(ctx, 127, "./none")


def test_command_that_is_written_in_another_way(ctx):
    """What people type who know a shell, make, or another launcher; the line has the right way."""
    for words, status, sentence in (
            (["run", "make -j4 && ls"], 127, ["'make -j4 && ls'", "sh -c"]),
            (["run", "./configure --prefix=/usr"], 127, ["sh -c"]),
            (["run", "CC=clang", "make"], 127, ["env CC=clang"]),
            (["-j4", "make"], 2, ["tokenpool run -j4"]),
            (["--jobs=4", "make"], 2, ["tokenpool run --jobs=4"]),
            (["run", "--wrap", "cc,ld", "make"], 2, ["--wrap=cc,ld"]),
            (["run", "--wrap", "cc", "--", "make"], 2, ["--wrap=cc"]),
            (["run", "--limit", "link", "make"], 2, ["TYPE=N"]),
            (["run", "--limit=link=x", "make"], 2, ["TYPE=N"])):
        expect_one_line(cli(ctx, *words), status, *sentence)
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_jobs_is_j(ctx):
    for words in (["--jobs", "3"], ["--jobs=3"], ["-j", "3"], ["-j3-3"]):
        said = cli(ctx, "run", *words, "sh", "-c", "echo $TOKENPOOL_JOBS")
        expect(said.stdout(), "3\n", f"slots of {words}")


def test_command_that_is_not_executable(ctx):
    command_fails(ctx, 126, ctx.write("plain", "#!/bin/sh\n", 0o644), "executable")


def test_command_that_is_a_folder(ctx):
    command_fails(ctx, 126, ctx.tmp, "directory")


def test_command_that_is_below_a_file(ctx):
    command_fails(ctx, 126, "/etc/passwd/x")


def test_command_whose_interpreter_is_missing(ctx):
    command_fails(ctx, 127, ctx.write("script", "#!/no/such/interpreter\n", 0o755), "interpreter")


def test_file_without_a_format_is_given_to_the_shell(ctx):
    """As execvp(3), and so every shell, does."""
    expect_quiet(cli(ctx, "run", ctx.write("plain", "exit 9\n", 0o755)), 9)
    garbage = cli(ctx, "run", ctx.write("garbage", "\x7fELF nothing", 0o755))
    expect_that(garbage.status in (2, 126, 127), f"status {garbage.status}")
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_command_on_path_that_is_not_executable(ctx):
    folder = f"{ctx.dir}/bin"
    os.mkdir(folder)
    ctx.write("bin/plain-tool", "#!/bin/sh\n", 0o644)
    path = f"{folder}:{ctx.environment()['PATH']}"
    expect_one_line(cli(ctx, "run", "plain-tool", env={"PATH": path}), 126, "plain-tool")


def test_too_many_words_for_the_kernel(ctx):
    # The variables that the pool adds are what takes it over the limit.
    words = ["x" * 131000] * 15
    run = cli(ctx, "run", "-j2", "true", *words)
    expect_that(run.status in (0, 126), f"status {run.status}")
    expect_that(len(run.stderr().splitlines()) <= 1, run.stderr()[:1000])
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


# TMPDIR


def expect_elsewhere(ctx, folder, **options):
    """The build runs, with its FIFO in /tmp, and one line says so."""
    run = cli(ctx, "run", "-j4", "sh", "-c", "echo $TOKENPOOL_FIFO", env={"TMPDIR": folder},
              **options)
    expect_that(run.stdout().startswith("/tmp/"), run.stdout())
    expect_one_line(run, 0, f"TMPDIR={folder}", "/tmp instead")
    expect_that(not os.path.exists(os.path.dirname(run.stdout().strip())), "the folder in /tmp")


def test_tmpdir_that_is_missing(ctx):
    expect_elsewhere(ctx, f"{ctx.dir}/none")


def test_tmpdir_that_is_a_file(ctx):
    expect_elsewhere(ctx, ctx.write("file", ""))


def test_tmpdir_that_takes_no_folder(ctx):
    expect_elsewhere(ctx, "/proc")


@needs("user")
def test_tmpdir_that_cannot_be_written(ctx):
    folder = f"{ctx.dir}/closed"
    os.mkdir(folder, 0o755)
    expect_elsewhere(ctx, folder, user=65534)


def test_tmpdir_with_characters_that_no_client_can_take(ctx):
    """The run goes on with /tmp, says so in one line, and leaves nothing there either."""
    for name in ("with blank", "with'quote", "with\\backslash", "with$dollar", "with,comma"):
        folder = f"{ctx.dir}/{name}"
        os.mkdir(folder)
        run = cli(ctx, "run", "-j4", "sh", "-c", "printenv TOKENPOOL_FIFO TMPDIR",
                  env={"TMPDIR": folder})
        fifo, tmpdir = run.stdout().splitlines()
        expect(tmpdir, folder, "the command's TMPDIR")
        expect_that(fifo.startswith("/tmp/"), fifo)
        expect_one_line(run, 0, folder, "/tmp")
        expect(os.listdir(folder), [], "left behind")
        expect_that(not os.path.exists(os.path.dirname(fifo)), "the folder in /tmp is still there")


def test_tmpdir_that_is_relative(ctx):
    """It is meant from the current folder; clients in other folders get the absolute path."""
    for name in ("tmp", "./tmp/", "logs/../tmp"):
        run = cli(ctx, "run", "-j4", "sh", "-c", "cd /; test -p $TOKENPOOL_FIFO && echo $TOKENPOOL_FIFO",
                  env={"TMPDIR": name})
        expect_quiet(run)
        expect_that(run.stdout().startswith(ctx.dir + "/"), run.stdout())
        expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_tmpdir_that_is_relative_to_a_folder_that_no_client_can_take(ctx):
    folder = f"{ctx.dir}/with blank"
    os.makedirs(f"{folder}/tmp")
    run = cli(ctx, "run", "-j4", "sh", "-c", "echo $TOKENPOOL_FIFO", env={"TMPDIR": "tmp"}, cwd=folder)
    expect_one_line(run, 0, "TMPDIR=tmp", f"{folder}/tmp", "characters", "/tmp instead")
    expect_that(run.stdout().startswith("/tmp/tokenpool-"), run.stdout())


def test_tmpdir_that_is_relative_to_nothing(ctx):
    script = f"mkdir gone; cd gone; rmdir ../gone; exec {ctx.tokenpool} run -j4 pwd -P"
    run = ctx.spawn(["bash", "-c", script], env={"TMPDIR": "tmp"})
    run.wait()
    expect_that("TMPDIR=tmp is relative, and the current folder is not known" in run.stderr(),
                run.stderr())


def test_tmpdir_that_is_empty_means_tmp(ctx):
    run = cli(ctx, "run", "-j4", "sh", "-c", "echo $TOKENPOOL_FIFO", env={"TMPDIR": ""})
    expect_quiet(run)
    expect_that(run.stdout().startswith("/tmp/tokenpool-"), run.stdout())


def on_small_filesystem(ctx, options, command):
    """Runs it with TMPDIR on a tmpfs of its own; the last line of stdout is what was left there."""
    folder = f"{ctx.dir}/small"
    os.makedirs(folder, exist_ok=True)
    script = (
        f"mount -t tmpfs -o {options} none {folder} || exit 77; "
        f"TMPDIR={folder} {ctx.tokenpool} run -j4 -- {command}; status=$?; "
        f"echo left: $(ls -A {folder}); exit $status"
    )
    run = ctx.spawn(["unshare", "-m", "sh", "-c", script])
    run.wait()
    expect(run.stdout().splitlines()[-1], "left:", "left behind")
    return run


@needs("root", "unshare")
def test_tmpdir_without_inodes(ctx):
    # One is the root folder's: none is left for our folder, and then none for the FIFO.
    for count in (1, 2):
        run = on_small_filesystem(ctx, f"nr_inodes={count}", "true")
        expect_one_line(run, 0, "TMPDIR=", "space", "instead")


@needs("root", "unshare", "static")
def test_tmpdir_with_just_enough_inodes(ctx):
    ctx.makefile("a", 3, "a")
    for count in (3, 4, 5):
        run = on_small_filesystem(ctx, f"nr_inodes={count}", f"make --version -C {ctx.dir}/a")
        expect_quiet(run)


@needs("root", "unshare")
def test_tmpdir_that_is_read_only(ctx):
    expect_one_line(on_small_filesystem(ctx, "ro", "true"), 0, "TMPDIR=", "instead")


@needs("root", "unshare")
def test_tmpdir_without_blocks(ctx):
    command = "sh -c 'head -c 100000 /dev/zero >$TMPDIR/fill 2>/dev/null; rm $TMPDIR/fill; exit 4'"
    expect_quiet(on_small_filesystem(ctx, "size=4k", command), 4)


def test_folder_that_vanishes_during_the_build(ctx):
    for what in ('"${TOKENPOOL_FIFO%/fifo}"', '"$TOKENPOOL_FIFO"', "$TMPDIR/tokenpool-*"):
        run = finished(ctx, ["sh", "-c", f"rm -r {what}; exit 5"], 5)
        expect_one_line(run, 5, "removed")
        expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_fifo_that_was_replaced_by_something_else(ctx):
    for replacement in ("touch", "mkfifo", "mkdir"):
        script = f'rm "$TOKENPOOL_FIFO"; {replacement} "$TOKENPOOL_FIFO"; exit 5'
        expect_one_line(finished(ctx, ["sh", "-c", script], 5), 5, "removed")
        expect_clean_folder(ctx)


def test_make_goes_on_when_the_folder_vanishes(ctx):
    ctx.makefile("a", 12, "a")
    run = ctx.run(["make", "-C", "a"])
    ctx.desk.wait(lambda: len(ctx.desk.inside) == 4, "four jobs in")
    folder = f"{ctx.tmp}/{os.listdir(ctx.tmp)[0]}"
    os.remove(f"{folder}/fifo")
    ctx.desk.drive(4, total=12)
    run.finish()
    expect_that(any("removed" in line for line in run.notes()), f"a note: {run.notes()}")
