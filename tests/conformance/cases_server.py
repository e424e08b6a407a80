"""Drivers below a real `tokenpool run -j4`; skipped without --server.

They need nothing of it but TOKENPOOL_ADDR and TOKENPOOL_COOKIE. A run's own command counts as the
holder of one slot while several clients are below it, so two drivers have three or four to share.
"""

import pathlib
import socket
import subprocess
import sys

from common import Deadline, Failure, Skipped, case, check, equal
from driver import Driver

NEST = pathlib.Path(__file__).resolve().parent / "nest.py"
WIDTH = 4
SHARED = WIDTH - 1  # what is to be had however many clients there are


class Run:
    """`PROGRAM run -j4 -- nest.py`, and the drivers below it."""

    def __init__(self, stage, count):
        if stage.server is None:
            raise Skipped("needs --server")
        self.desk = socket.socket(socket.AF_UNIX)
        stage.closers.append(self.desk.close)
        self.desk.bind(stage.path("desk"))
        self.desk.listen(count)
        command = [stage.server, "run", f"-j{WIDTH}", "--", sys.executable, "-S", str(NEST)]
        command += [stage.path("desk"), str(count), *stage.command]
        self.process = subprocess.Popen(command, env=stage.environment_of_run(),
                                        stdin=subprocess.DEVNULL, stdout=stage.stderr,
                                        stderr=stage.stderr)
        stage.closers.append(self.stop)
        self.drivers = [self._driver(stage, at) for at in range(count)]
        for driver in self.drivers:
            answer = driver.done("connect")
            got = tuple(answer.get(k) for k in ("mode", "reason", "slots"))
            equal(got, ("protocol", "ok", WIDTH), "(mode, reason, slots)")

    def _driver(self, stage, at):
        self.desk.settimeout(Deadline("the driver below the run to start").left())
        try:
            sock = self.desk.accept()[0]
        except socket.timeout:
            raise Failure("no driver was started below the run") from None
        stage.closers.append(sock.close)
        driver = Driver(sock.fileno(), sock.fileno(), 0, f"driver {at + 1}")
        driver.pid = int(driver.line("the driver's pid"))
        driver.hang_up = lambda: sock.shutdown(socket.SHUT_WR)
        return driver

    def finish(self):
        """Every driver that lives ends with its stdin, and the run with 0."""
        for driver in self.drivers:
            if not driver.dead:
                driver.end_of_input()
        try:
            status = self.process.wait(Deadline("the run to end").left())
        except subprocess.TimeoutExpired:
            raise Failure("the run did not end after its drivers") from None
        equal(status, 0, "the exit status of the run")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def take_all(driver, prefix="t"):
    """Single slots without waiting, until there are no more: their keys."""
    keys = []
    while True:
        key = f"{prefix}{len(keys)}"
        answer = driver.do("acquire", key=key, timeout_ms=0)
        if not answer["ok"]:
            equal(answer.get("code"), -32003, "code of an acquire that does not wait")
            return keys
        equal(answer.get("slots"), 1, "slots of a lease of one slot")
        keys.append(key)
        check(len(keys) <= WIDTH, f"more than {WIDTH} slots of a pool of {WIDTH}: {keys}")


def slots_of(*drivers):
    return sum(slots for driver in drivers for _, slots in driver.leases().values())


@case
def server_serves_a_driver_that_is_its_command(stage):
    if stage.server is None:
        raise Skipped("needs --server")
    command = [stage.server, "run", f"-j{WIDTH}", "--", *stage.command]
    driver = Driver.start(command, stage.environment_of_run(), stage.stderr)
    stage.drivers.append(driver)
    equal(driver.done("connect").get("mode"), "protocol", "mode")
    check(driver.done("acquire", key="a")["lease"] > 0, "the lease has no number")
    driver.done("release", key="a")
    driver.quit()


@case
def server_gives_the_width_of_the_pool_and_no_more(stage):
    run = Run(stage, 1)
    driver = run.drivers[0]
    for turn in range(3):
        equal(driver.done("acquire", key="a", min=WIDTH).get("slots"), WIDTH, "slots")
        driver.refused(-32003, "acquire", key="b", timeout_ms=0)
        driver.done("release", key="a")
        equal(len(take_all(driver)), WIDTH, "how many leases of one slot there are")
        for at in range(WIDTH):
            driver.done("release", key=f"t{at}")
    driver.refused(-32005, "acquire", key="c", min=WIDTH + 1)
    run.finish()


@case
def server_gives_a_range_what_it_has(stage):
    run = Run(stage, 1)
    driver = run.drivers[0]
    driver.done("acquire", key="a", min=2)
    slots = driver.done("acquire", key="b", min=1, max=512)["slots"]
    check(1 <= slots <= WIDTH - 2, f"{slots} slots beside 2 of {WIDTH}")
    rest = take_all(driver)
    equal(2 + slots + len(rest), WIDTH, "slots of all leases")
    run.finish()


@case
def server_lets_a_request_wait_and_serves_it(stage):
    run = Run(stage, 1)
    driver = run.drivers[0]
    driver.done("acquire", key="a", min=WIDTH)
    driver.done("begin", key="b", min=2)
    driver.done("begin", key="c", min=2)
    equal(driver.done("status")["status"].get("waiting_total"), 2, "waiting_total of status")
    equal(driver.done("cancel", key="b").get("cancelled"), True, "cancelled")
    driver.refused(-32004, "await", key="b")
    driver.done("release", key="a", slots=2)
    equal(driver.done("await", key="c").get("slots"), 2, "slots")
    equal(slots_of(driver), WIDTH, "slots of all leases")
    run.finish()


@case
def server_resizes(stage):
    run = Run(stage, 1)
    driver = run.drivers[0]
    driver.done("acquire", key="a")
    equal(driver.done("resize", key="a", min=1, max=3).get("slots"), 3, "slots")
    driver.done("acquire", key="b")
    driver.refused(-32003, "resize", key="a", min=4, max=4)
    equal(driver.done("resize", key="a", min=1, max=1).get("slots"), 1, "slots")
    equal(len(take_all(driver)), WIDTH - 2, "what a smaller lease leaves")
    driver.done("report", key="a", exit=0, cpu_seconds=0.25, peak_memory=1 << 20)
    run.finish()


@case
def server_lets_two_drivers_have_no_more_than_the_pool(stage):
    run = Run(stage, 2)
    first, second = run.drivers
    for key in "abc":
        equal(first.done("acquire", key=key).get("slots"), 1, "slots")
    for turn in range(3):
        keys = take_all(second)
        check(slots_of(first, second) in (WIDTH - 1, WIDTH), "the pool has 3 or 4 slots for two")
        second.done("begin", key="x")
        first.done("release", key="abc"[turn])
        equal(second.done("await", key="x").get("slots"), 1, "slots")
        for key in [*keys, "x"]:
            second.done("release", key=key)
    equal(slots_of(first, second), 0, "slots that are held")
    run.finish()


@case
def server_takes_back_what_a_killed_driver_held(stage):
    run = Run(stage, 2)
    first, second = run.drivers
    check(len(take_all(first)) >= SHARED, f"fewer than {SHARED} slots were to be had")
    second.done("begin", key="x", min=SHARED)
    first.kill()
    equal(second.done("await", key="x").get("slots"), SHARED, "slots")
    run.finish()


@case
def server_forgets_the_request_of_a_killed_driver(stage):
    run = Run(stage, 3)
    first, second, third = run.drivers
    keys = take_all(first)
    second.done("begin", key="x", min=SHARED)
    equal(second.done("status")["status"].get("waiting_total"), 1, "waiting_total of status")
    third.done("begin", key="y", min=SHARED)
    second.kill()
    for key in keys:
        first.done("release", key=key)
    equal(third.done("await", key="y").get("slots"), SHARED, "slots")
    run.finish()


@case
def server_serves_wide_and_narrow_requests(stage):
    """Each is released as soon as it is served: which one comes first is the arbiter's affair."""
    run = Run(stage, 2)
    first, second = run.drivers
    keys = take_all(first)
    second.done("begin", key="wide", min=SHARED)
    for at in range(6):
        first.done("begin", key=f"narrow{at}")
    second.send("await", key="wide")
    second.send("release", key="wide")
    for key in keys:
        first.send("release", key=key)
    for at in range(6):
        first.send("await", key=f"narrow{at}")
        first.send("release", key=f"narrow{at}")
    for key in keys:
        first.done()
    for at in range(6):
        equal(first.done().get("slots"), 1, "slots of a narrow lease")
        first.done()
    equal(second.done().get("slots"), SHARED, "slots of the wide lease")
    second.done()
    equal(slots_of(first, second), 0, "slots that are held")
    run.finish()
