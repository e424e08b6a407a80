"""What every part of the kit uses: failures, deadlines, and the list of cases."""

import time

COOKIE = "0123456789abcdef" * 4
MAX_NUMBER = 2**53 - 1

_patience = [20.0]
_cases = []


class Failure(Exception):
    """The case has failed; the text says why."""


class Skipped(Exception):
    """The case cannot run here; the text says why."""


def set_patience(seconds):
    _patience[0] = seconds


class Deadline:
    """Of one wait. Only a client that does not do what it must ever meets it."""

    def __init__(self, what):
        self.what, self.end = what, time.monotonic() + _patience[0]

    def left(self):
        """Seconds; fails the case when there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise Failure(f"{self.what}: nothing within {_patience[0]:g} s")
        return left


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, want, what):
    check(got == want, f"{what} is {got!r} instead of {want!r}")


def case(function):
    """Marks a case: its name is the function's, its first argument a kit.Stage."""
    _cases.append((function.__name__.replace("_", " "), function))
    return function


def cases():
    return list(_cases)


# --- requests, whether they state their defaults or not ---

WORDS = ("type", "target", "memory", "priority", "pid", "start")
DEFAULTS = {"target": "", "memory": 0, "priority": 0}


def start_of(pid):
    """Field 22 of /proc/PID/stat, or None where that cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except OSError:
        return None


def words_of(params):
    words = {k: params[k] for k in WORDS if k in params}
    return {k: v for k, v in words.items() if k not in DEFAULTS or v != DEFAULTS[k]}


def same_words(got, want, what):
    """Compares the members that describe a job. A client may add `start` by itself."""
    got, want = words_of(got), words_of(want)
    if "pid" in want and "start" not in want and "start" in got:
        equal(got.pop("start"), start_of(want["pid"]), f"{what}: the start of pid {want['pid']}")
    equal(got, want, what)


def same_acquire(got, want, what="the acquire", asked_again=False):
    """Compares an acquire with the command that it came from."""
    least = want.get("min", 1)
    equal(got.get("min", 1), least, f"{what}: min")
    equal(got.get("max", got.get("min", 1)), want.get("max", least), f"{what}: max")
    same_words(got, want, what)
    wait, wanted = got.get("timeout_ms"), want.get("timeout_ms")
    if asked_again and wanted is not None:
        check(wait is not None and wait <= wanted, f"{what}: timeout_ms is {wait!r}, was {wanted}")
    else:
        equal(wait, wanted, f"{what}: timeout_ms")
