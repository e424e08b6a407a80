#!/usr/bin/env python3
"""The runner itself: which tests it tries once more, and what it tells of those that pass then.

Each case is a suite of its own: a folder with links to the runner and one file of tests."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ("run.py", "harness.py", "flakes.py", "stall.py", "e2eclient.py", "job.c")
HEAD = """import os
import harness
from harness import Failure, expect, long, needs

def first(ctx, name="first"):
    mark = os.environ["SELF_TEST"] + "/" + name
    if os.path.exists(mark):
        return False
    open(mark, "w").close()
    return True

"""
FAILS_ONCE = "def test_{0}(ctx):\n    if first(ctx, '{0}'):\n        raise Failure('a slow machine')\n"


class Suites(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.home = self.folder.name
        for part in PARTS:
            os.symlink(f"{HERE}/{part}", f"{self.home}/{part}")
        self.flakes = f"{self.home}/flakes.json"

    def run_suite(self, tests, *options, program="exit 0", status):
        """Answers the lines of a run that ends with `status`."""
        with open(f"{self.home}/test_a.py", "w", encoding="utf-8") as file:
            file.write(HEAD + tests)
        with open(f"{self.home}/program", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{program}\n")
        done = subprocess.run(
            [sys.executable, f"{self.home}/run.py", "--program", f"{self.home}/program", "--seed",
             "7", *options], env={**os.environ, "SELF_TEST": self.home, "CI": ""},
            capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout.splitlines()

    def try_twice(self, tests, **more):
        return self.run_suite(tests, "--flakes", self.flakes, **more)

    def expect_no_second_try(self, tests, **more):
        lines = self.try_twice(tests, status=1, **more)
        self.assertEqual(lines[-1], "0 passed, 1 failed, 0 skipped")
        self.assertFalse(os.path.exists(self.flakes))
        self.assertFalse([line for line in lines if line.startswith(("FLAKE", "once more"))])

    def test_passes_at_the_second_try(self):
        tests = FAILS_ONCE.format("slow").replace("        raise", "        ctx.write('f', 'x')\n        raise")
        lines = self.try_twice(tests, status=0)
        self.assertEqual(lines[-1], "1 passed, 0 failed, 0 skipped")
        self.assertTrue(lines[-2].startswith("FLAKE a.slow 7 "), lines[-2])
        with open(self.flakes, encoding="utf-8") as file:
            (row,) = json.load(file)
        self.assertEqual((row["name"], row["seed"]), ("a.slow", 7))
        with open(f"{row['kept']}/output", encoding="utf-8") as file:
            self.assertIn("a slow machine", file.read())
        self.assertTrue(os.path.exists(f"{row['kept']}/folder/f"))

    def test_without_a_file_there_is_no_second_try(self):
        lines = self.run_suite(FAILS_ONCE.format("slow"), status=1)
        self.assertEqual(lines[-1], "0 passed, 1 failed, 0 skipped")

    def test_fails_twice(self):
        lines = self.try_twice("def test_bad(ctx):\n    raise Failure('bad')\n", status=1)
        self.assertEqual(lines[-2:], ["failed: a.bad", "0 passed, 1 failed, 0 skipped"])
        self.assertFalse(os.path.exists(self.flakes))

    def test_alone_and_after_the_others(self):
        tests = FAILS_ONCE.format("slow") + "def test_z(ctx):\n    pass\n"
        lines = self.try_twice(tests, status=0)
        self.assertLess(lines.index("ok   a.z"), lines.index("once more, alone: a.slow"))

    def test_two_flakes_are_borne_three_are_not(self):
        for number, status in ((2, 0), (3, 1)):
            for name in "xyz":
                if os.path.exists(f"{self.home}/{name}"):
                    os.unlink(f"{self.home}/{name}")
            tests = "\n".join(FAILS_ONCE.format(name) for name in "xyz"[:number])
            lines = self.try_twice(tests, status=status)
            self.assertEqual(sum(line.startswith("FLAKE") for line in lines), number)

    def test_a_broken_promise(self):
        self.expect_no_second_try("def test_a(ctx):\n    if first(ctx):\n"
                                  "        raise harness.BrokenPromise('a token is missing')\n")

    def test_a_process_that_is_left(self):
        self.expect_no_second_try(
            "def test_a(ctx):\n    if first(ctx):\n        ctx.deadline = 0\n"
            "        ctx.spawn(['setsid', '-f', 'sleep', '1000']).process.wait()\n")

    def test_a_fifo_that_is_left(self):
        self.expect_no_second_try("def test_a(ctx):\n    if first(ctx):\n"
                                  "        os.mkfifo(ctx.tmp + '/fifo')\n")

    def test_a_sanitizer_s_finding_beside_a_failure(self):
        self.expect_no_second_try(
            "def test_a(ctx):\n    if first(ctx):\n"
            "        ctx.spawn(['sh', '-c', 'echo x.cc:1: runtime error: y >&2']).process.wait()\n"
            "        raise Failure('something else')\n")

    def test_a_crash_of_ours_beside_a_failure(self):
        self.expect_no_second_try(
            "def test_a(ctx):\n    if first(ctx):\n"
            "        ctx.spawn([ctx.tokenpool, 'run']).process.wait()\n"
            "        raise Failure('something else')\n", program="kill -SEGV $$")

    def test_lost_tokens(self):
        self.expect_no_second_try(
            "def test_a(ctx):\n    if first(ctx):\n"
            "        ctx.run(['true']).finish()\n", program="""
while [ "$1" != --report ]; do shift; done
echo '{"tokens": {"missing": 1}}' >"$2" """)

    def test_too_many_jobs(self):
        self.expect_no_second_try(
            "def test_a(ctx):\n    if first(ctx):\n"
            "        ctx.spawn(['sh', '-c', 'job a & job b & wait'])\n"
            "        ctx.desk.wait(lambda: ctx.desk.count() == 2, 'both')\n"
            "        ctx.desk.drive(1, total=2)\n")

    def test_long_tests_are_asked_for(self):
        tests = "@long\ndef test_a(ctx):\n    pass\n\ndef test_b(ctx):\n    pass\n"
        for which, names in (("short", ["ok   a.b"]), ("long", ["ok   a.a"]),
                             ("all", ["ok   a.a", "ok   a.b"])):
            lines = self.run_suite(tests, "--which", which, "--jobs", "1", status=0)
            self.assertEqual([line for line in lines if line.startswith("ok")], names)

    def test_a_list_of_names(self):
        tests = "def test_a(ctx):\n    pass\n\ndef test_b(ctx):\n    pass\n"
        names = f"{self.home}/names"
        with open(names, "w", encoding="utf-8") as file:
            file.write("# some\na.b  # this one\n")
        lines = self.run_suite(tests, "--only", names, status=0)
        self.assertIn("ok   a.b", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed, 0 skipped")
        lines = self.run_suite(tests, "--others-than", names, status=0)
        self.assertIn("ok   a.a", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed, 0 skipped")
        with open(names, "a", encoding="utf-8") as file:
            file.write("a.gone\n")
        for option in ("--only", "--others-than"):
            self.run_suite(tests, option, names, status=1)


if __name__ == "__main__":
    unittest.main()
