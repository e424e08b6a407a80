#!/usr/bin/env python3
"""Whether a client of tokenpool-protocol(7) behaves. See README.md.

Usage: python3 kit.py [-k PATTERN] [--server PROGRAM] [--list] -- DRIVER ARG...
"""

import argparse
import ctypes
import importlib
import os
import pathlib
import re
import sys
import traceback

import common
from common import Failure, Skipped
from stage import Stage

HERE = pathlib.Path(__file__).resolve().parent
PR_SET_CHILD_SUBREAPER = 36


def run_case(function, command, server):
    """(word, reason) of one case."""
    stage = Stage(command, server)
    word, reason = "ok", ""
    try:
        function(stage)
        stage.finish()
    except Skipped as skipped:
        word, reason = "skip", str(skipped)
    except Failure as failure:
        where = [f for f in traceback.extract_tb(failure.__traceback__) if "cases_" in f.filename]
        place = f" [{os.path.basename(where[-1].filename)}:{where[-1].lineno}]" if where else ""
        word, reason = "FAIL", f"{failure}{place}"
    except Exception:  # an error of the kit, or a driver's answer that is not as it must be
        word, reason = "FAIL", traceback.format_exc()
    finally:
        said = stage.clear()
    if word == "FAIL" and said.strip():
        reason += "\n      stderr of the driver:\n      " + said.strip().replace("\n", "\n      ")
    return word, reason


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("Usage: ")[1].strip())
    parser.add_argument("-k", metavar="PATTERN", default="", help="only cases that match it")
    parser.add_argument("--server", metavar="PROGRAM", help="a tokenpool, for real runs")
    parser.add_argument("--list", action="store_true", help="print the cases' names")
    parser.add_argument("--patience", type=float, default=20, help="seconds that any wait may take")
    parser.add_argument("driver", nargs="*")
    options = parser.parse_args()
    if not options.driver and not options.list:
        parser.error("name a driver after --")
    common.set_patience(options.patience)
    if sys.platform == "linux":  # so that what a driver leaves behind becomes a child of the kit
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for file in sorted(HERE.glob("cases_*.py")):
        importlib.import_module(file.stem)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    for name, function in common.cases():
        if not re.search(options.k, name):
            continue
        if options.list:
            print(name)
            continue
        word, reason = run_case(function, options.driver, options.server)
        counts[word] += 1
        print(f"{word:4}  {name}" + (f"\n      {reason}" if reason else ""), flush=True)
    if options.list:
        return 0
    if counts["skip"]:
        print(f"{counts['skip']} skipped")
    print(f"{counts['ok']} passed, {counts['FAIL']} failed")
    return 1 if counts["FAIL"] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
