"""The report and the closing line."""

import json
import os
import threading

from harness import expect, expect_that, need_told_ends
from lifecycle_kit import bytes_of, cli, expect_one_line, expect_quiet, finished, lines_of

# Takes a token by the descriptor that it inherited and is killed with it.
KILLED_HOLDER = """
import signal
os.read(fds()[0], 1)
os.kill(os.getpid(), signal.SIGKILL)
"""

KEYS = {
    "schema", "version", "command", "exit_code", "signal", "wall_seconds", "cpu_seconds",
    "tracking", "slots", "tokens", "recoveries", "refusals", "jobs", "uncooperative", "memory", "frozen",
    "left_running", "arbiter_restarts",
}
TOKENS = {"issued", "taken", "returned", "recovered", "refused", "minted", "missing", "held"}


def test_has_what_is_documented(ctx):
    report = finished(ctx, ["sh", "-c", "exit 3"], 3, slots=3).report()
    expect(KEYS - set(report), set(), "keys that are missing")
    expect(TOKENS - set(report["tokens"]), set(), "keys of tokens that are missing")
    expect_that(all(isinstance(n, int) for n in report["tokens"].values()), "whole numbers")
    expect([report["slots"][key] for key in ("min", "max", "final")], [3, 3, 3], "slots")
    expect(report["slots"]["peak_in_use"], 1, "peak")
    expect_that(report["tracking"] in ("exact", "infer", "none"), "tracking")
    expect(report["command"], ["sh", "-c", "exit 3"], "command")
    expect_that(report["wall_seconds"] >= 0 and report["cpu_seconds"] >= 0, "seconds")


def test_bytes_that_are_no_text_stay_valid_json(ctx):
    run = finished(ctx, ["sh", "-c", "exit 0", "\udcff\udcfe\x01"])
    expect_that(run.report()["command"][3] != "", "the last word")


def test_names_who_was_recovered_from(ctx):
    need_told_ends()
    holder = ctx.program("holder.py", KILLED_HOLDER)
    run = finished(ctx, ["sh", "-c", f"{holder} & echo $! >{ctx.dir}/pid; wait"])
    report = run.report()
    expect(report["tokens"]["recovered"], 1, "recovered")
    expect(len(report["recoveries"]), 1, "recoveries")
    row = report["recoveries"][0]
    expect(row["pid"], int(lines_of(f"{ctx.dir}/pid")[0]), "pid")
    expect_that("holder.py" in row["command"], f"command {row['command']}")
    expect((row["held"], row["recovered"], row["moved"]), (1, 1, 0), "held, recovered, moved")
    expect(row["cause"], "killed", "cause")
    expect_that(row["after_us"] >= 0, "after_us")
    notes = run.notes()
    expect_that(len(notes) == 1 and "1 token recovered" in notes[0], f"closing line: {notes}")


def test_helpers_that_fetch_tokens_lose_none(ctx):
    """They end well and hand over what they fetched; only one process is killed with a token."""
    need_told_ends()
    holder = ctx.program("holder.py", KILLED_HOLDER)
    fetch = ("dd bs=1 count=1 status=none <&${TOKENPOOL_FDS%,*} >/dev/null\n"
             "printf + >&${TOKENPOOL_FDS#*,}\n")
    run = finished(ctx, ["bash", "-c", f"for i in 1 2 3 4 5; do {fetch} done; {holder} & wait"])
    report = run.report()
    expect(report["tokens"]["recovered"], 1, "recovered")
    expect([row["cause"] for row in report["recoveries"]], ["killed"], "recoveries")
    (note,) = run.notes()
    expect_that("1 token recovered from 1 dead process (" in note, note)
    expect_that("holder.py" in report["recoveries"][0]["command"], "who was killed")


def test_q_silences_the_closing_line(ctx):
    holder = ctx.program("holder.py", KILLED_HOLDER)
    run = finished(ctx, ["sh", "-c", f"{holder} & wait"], options=["-q"])
    expect(run.report()["tokens"]["recovered"], 1, "recovered")
    expect(run.notes(), [], "Tokenpool's lines")


def test_nothing_to_say_means_no_line(ctx):
    expect_quiet(finished(ctx, ["true"]))


def test_appears_complete_or_not_at_all(ctx):
    place = f"{ctx.dir}/place"
    os.mkdir(place)
    path = f"{place}/r.json"
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            try:
                seen.add(bytes_of(path))
            except FileNotFoundError:
                pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for turn in range(15):
            expect(cli(ctx, "run", "-j4", "--report", path, "sh", "-c", f"exit {turn}").status,
                   turn, "status")
    finally:
        stop.set()
        watcher.join()
    seen.add(bytes_of(path))
    for text in seen:
        expect(json.loads(text)["schema"], "tokenpool-report", "schema")
    expect(os.listdir(place), ["r.json"], "files beside the report")


def refused_before_the_build(ctx, place, **options):
    witness = f"{ctx.dir}/witness"
    run = cli(ctx, "run", "-j2", "--report", place, "touch", witness, **options)
    expect_that(not os.path.exists(witness), f"the build was started; {run.stderr()}")
    expect_one_line(run, 125, "report")
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_missing_folder_is_refused_before_the_build(ctx):
    refused_before_the_build(ctx, f"{ctx.dir}/none/r.json")


def test_file_as_folder_is_refused_before_the_build(ctx):
    refused_before_the_build(ctx, "/etc/passwd/r.json")


def test_folder_as_report_is_refused_before_the_build(ctx):
    os.mkdir(f"{ctx.dir}/folder")
    refused_before_the_build(ctx, f"{ctx.dir}/folder")


def test_folder_that_takes_no_files_is_refused_before_the_build(ctx):
    refused_before_the_build(ctx, "/proc/r.json")


def test_too_long_name_is_refused_before_the_build(ctx):
    refused_before_the_build(ctx, f"{ctx.dir}/{'x' * 300}")


def test_folder_without_permission_is_refused_before_the_build(ctx):
    if os.geteuid() != 0:
        return
    os.mkdir(f"{ctx.dir}/closed", 0o755)
    refused_before_the_build(ctx, f"{ctx.dir}/closed/r.json", user=65534)


def test_relative_name_means_where_the_run_was_started(ctx):
    expect(cli(ctx, "run", "-j2", "--report", "here.json", "sh", "-c", "cd /; exit 5").status, 5,
           "status")
    expect(json.loads(bytes_of(f"{ctx.dir}/here.json"))["exit_code"], 5, "in the report")


def test_folder_that_vanishes_costs_a_line_but_not_the_status(ctx):
    os.mkdir(f"{ctx.dir}/folder")
    run = cli(ctx, "run", "-j2", "--report", f"{ctx.dir}/folder/r.json", "sh", "-c",
              f"rmdir {ctx.dir}/folder; exit 6")
    expect_one_line(run, 6, "report")


def test_older_report_is_replaced(ctx):
    ctx.write("old.json", "{}")
    cli(ctx, "run", "-j2", "--report", f"{ctx.dir}/old.json", "true")
    expect(json.loads(bytes_of(f"{ctx.dir}/old.json"))["exit_code"], 0, "in the report")


def test_helper_is_named_by_what_it_executed(ctx):
    """The tracker sees it first while it still is the shell that redirects for it."""
    helper = ctx.program("helper.py", (
        "assert os.read(0, 1)\n"
        # A call that is seen: before it is answered, the one that was not is found.
        "os.write(fds()[1], os.read(fds()[0], 1))\n"))
    run = finished(ctx, ["bash", "-c", f"{helper} <&${{TOKENPOOL_FDS%,*}}; exit 0"])
    (recovery,) = run.report()["recoveries"]
    expect(recovery["command"].split(" ")[1:], ["-S", helper], "its command line")
