"""`tokenpool doctor` and `tokenpool env`, inside and outside of a run."""

import json
import os

from harness import expect, expect_that
from lifecycle_kit import NO_TOOLS, cli, expect_one_line, expect_quiet, finished, lines_of


def test_text_and_json_agree(ctx):
    text = cli(ctx, "doctor", "-v")
    data = cli(ctx, "doctor", "--json")
    facts = json.loads(data.stdout())
    expect((text.stderr(), data.stderr()), ("", ""), "stderr")
    expect(text.status, data.status, "status")
    expect(text.status, 0 if facts["well"] else 1, "status")
    for word in (f"Tracking: {facts['tracking']}", os.uname().release, "make"):
        expect_that(word in text.stdout(), f"{word} in the text")
    expect(facts["surrounding_fifo"], None, "pool around it")
    expect_that("make" in [tool["name"] for tool in facts["tools"]], "make among the tools")


def test_tells_the_tracking_that_run_uses(ctx):
    facts = json.loads(cli(ctx, "doctor", "--json", env=NO_TOOLS).stdout())
    expect(finished(ctx, ["true"]).report()["tracking"], facts["tracking"], "tracking")


def test_names_what_would_make_a_tool_leave_the_pool(ctx):
    for name, value in (("CMAKE_BUILD_PARALLEL_LEVEL", "8"), ("MAKEFLAGS", "-j8"),
                        ("CARGO_MAKEFLAGS", "-j8"), ("CARGO_MAKEFLAGS", "--foo")):
        run = cli(ctx, "doctor", "--json", env={name: value, **NO_TOOLS})
        findings = json.loads(run.stdout())["findings"]
        expect_that(any(name in json.dumps(one) for one in findings), f"{name} in {findings}")


def test_doctor_inside_of_a_run_sees_its_pool(ctx):
    run = finished(ctx, ["sh", "-c", f"PATH=/nonexistent {ctx.tokenpool} doctor --json; true"])
    facts = json.loads(run.stdout())
    expect_that(facts["surrounding_fifo"].startswith(ctx.tmp + "/"), facts["surrounding_fifo"])


def test_doctor_leaves_nothing_behind(ctx):
    cli(ctx, "doctor")
    expect(os.listdir(ctx.tmp), [], "TMPDIR")


def test_env_outside_of_a_run_has_nothing_to_print(ctx):
    run = cli(ctx, "env")
    expect_one_line(run, 1)
    expect(run.stdout(), "", "stdout")


def test_env_takes_a_dead_pool_for_none(ctx):
    variables = {"TOKENPOOL_FIFO": f"{ctx.dir}/gone", "TOKENPOOL_JOBS": "4"}
    expect_one_line(cli(ctx, "env", env=variables), 1)


def test_env_is_for_eval(ctx):
    script = (
        f'expected="$TOKENPOOL_FIFO $MAKEFLAGS"; text=$({ctx.tokenpool} env) || exit 9; '
        'unset TOKENPOOL_FIFO MAKEFLAGS; eval "$text"; '
        '[ "$expected" = "$TOKENPOOL_FIFO $MAKEFLAGS" ]'
    )
    expect_quiet(finished(ctx, ["sh", "-c", script]))


def test_env_finds_the_pool_of_a_shell_that_lost_its_variables(ctx):
    script = (
        f'fifo=$TOKENPOOL_FIFO; eval "$(env -i PATH="$PATH" {ctx.tokenpool} env)"; '
        '[ "$fifo" = "$TOKENPOOL_FIFO" ]'
    )
    expect_quiet(finished(ctx, ["sh", "-c", script]))


def test_env_finds_the_pool_where_nobody_has_its_variables(ctx):
    """The command itself was started with an empty environment: its descriptors tell, and where it
    has closed them, those of the front above it."""
    finish = f"exec {ctx.tokenpool} env"
    for script in (finish, f"for fd in /proc/self/fd/*; do fd=${{fd##*/}}; "
                           f"[ $fd -gt 2 ] && eval \"exec $fd>&-\"; done; {finish}"):
        seen = finished(ctx, ["env", "-i", "bash", "-c", script])
        expect_quiet(seen)
        text = seen.stdout()
        for word in (f"export TOKENPOOL_FIFO='{ctx.tmp}/", "export TOKENPOOL_JOBS='4'",
                     "export MAKEFLAGS='", "--jobserver-auth=fifo:", f"export PATH='{ctx.shims}:"):
            expect_that(word in text, f"{word} in {text}")


def test_env_finds_the_inner_one_of_two_pools(ctx):
    inner = [ctx.tokenpool, "run", "-j3", "--", "env", "-i", ctx.tokenpool, "env"]
    expect_that("TOKENPOOL_JOBS='3'" in finished(ctx, inner).stdout(), "the inner pool")


def test_env_keeps_only_what_concerns_the_pool(ctx):
    script = 'cat "${TOKENPOOL_FIFO%/*}/environment"; stat -c %a "${TOKENPOOL_FIFO%/*}/environment"'
    run = finished(ctx, ["sh", "-c", script], env={"SECRET": "hush"})
    expect_that("TOKENPOOL_FIFO=" in run.stdout() and "hush" not in run.stdout(), run.stdout())
    expect(run.stdout().split("\0")[-1].strip(), "600", "mode")


def test_env_brings_make_back_into_the_pool(ctx):
    """A build whose environment was cleaned is in the pool again after the eval, four wide."""
    ctx.makefile("a", 12, "a")
    script = ctx.script("clean.sh", (
        f'eval "$({ctx.tokenpool} env)"\nexec make -C {ctx.dir}/a\n'))
    keep = ctx.environment()
    clean = ["env", "-i", *(f"{name}={keep[name]}" for name in ("PATH", "E2E_DESK", "TMPDIR"))]
    run = ctx.run(["sh", "-c", '"$@"; exit $?', "-", *clean, script])
    ctx.desk.drive(4, total=12)
    run.finish()


def test_env_json_says_the_same(ctx):
    script = f'printf "%s\\n" "$MAKEFLAGS" >{ctx.dir}/flags; {ctx.tokenpool} env --json'
    run = finished(ctx, ["sh", "-c", script])
    expect(json.loads(run.stdout())["set"]["MAKEFLAGS"], lines_of(f"{ctx.dir}/flags")[0], "flags")
