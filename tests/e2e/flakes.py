"""The second try of a test: which first tries it forgives, and what is kept of them."""

import contextlib
import json
import os
import shutil
import stat

KEPT = "kept: "  # in the output of a test that failed: the folder that it has left
MOST_FLAKES = 2  # in a file; more fail the run


class Flakes:
    """The tests that failed once and then passed. Without a file no test is tried again."""

    def __init__(self, path, seed):
        self.path = path
        self.seed = seed
        self.rows = []
        self.again = []  # (name, function, output, folder) of failed first tries
        self.folder = os.path.splitext(path)[0] if path else None

    def retries(self, test):
        """Takes a failed test in, if it is to be tried again."""
        if self.path is None:
            return False
        output = test.output()
        kept = [line.removeprefix(KEPT) for line in output.splitlines() if line.startswith(KEPT)]
        self.again.append((test.name, test.function, output, kept[-1] if kept else None))
        return True

    def add(self, name, output, folder):
        home = f"{self.folder}/{name}"
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        with open(f"{home}/output", "w", encoding="utf-8") as file:
            file.write(output + "\n")
        if folder and os.path.isdir(folder):
            shutil.copytree(folder, f"{home}/folder", symlinks=True, ignore=specials,
                            ignore_dangling_symlinks=True)
        self.rows.append({"name": name, "seed": self.seed, "kept": home})

    def save(self):
        """Adds them to the file; answers how many are in it, those of other runs among them."""
        if not self.rows:
            return 0
        rows = []
        with contextlib.suppress(OSError, ValueError), open(self.path, encoding="utf-8") as file:
            rows = json.load(file)
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(rows + self.rows, file, indent=1)
            file.write("\n")
        return len(rows) + len(self.rows)


def specials(folder, names):
    """What cannot be copied: FIFOs and sockets."""
    def is_special(name):
        with contextlib.suppress(OSError):
            mode = os.lstat(f"{folder}/{name}").st_mode
            return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        return True
    return [name for name in names if is_special(name)]
