"""What the benchmarks share: a failure, the values of one side, ratios, the memory of a process."""

import pathlib
import re
import statistics
import sys


class Failure(Exception):
    """A benchmark that could not be carried out."""


def stop(words):
    print(f"bench: {words}", file=sys.stderr)
    sys.exit(1)


class Samples:
    """The values of one side, in the order in which they were measured."""

    def __init__(self, unit, digits=2):
        self.unit = unit
        self.digits = digits
        self.values = []

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values)

    def text(self):
        low, high = min(self.values), max(self.values)
        digits = self.digits
        return f"{self.median:.{digits}f} {self.unit} ({low:.{digits}f}-{high:.{digits}f})"


def ratio_of(ours, theirs):
    """The median, the least and the largest of the ratios of neighbouring runs."""
    pairs = [a / b for a, b in zip(ours.values, theirs.values) if b > 0]
    return statistics.median(pairs), min(pairs), max(pairs)


def ratio_text(ratios):
    digits = 3 if ratios[0] < 10 else 0
    return "{0:.{d}f} ({1:.{d}f}-{2:.{d}f})".format(*ratios, d=digits)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def kilobytes(pid, file, key):
    text = pathlib.Path(f"/proc/{pid}/{file}").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE).group(1))
