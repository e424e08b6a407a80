"""Without an arbiter: the GNU make jobserver of MAKEFLAGS, or one slot."""

import fcntl
import os
import struct
import termios

from common import COOKIE, case, check, equal


class Pipe:
    """A jobserver of the kit: the descriptors of a pipe or a FIFO and the tokens in it.

    Its own descriptors share their open file description with what a driver inherits.
    """

    def __init__(self, stage, tokens, fifo=False):
        self.tokens = tokens
        if fifo:
            self.path = stage.path(f"fifo{len(stage.closers)}")
            os.mkfifo(self.path)
            self.read = self.write = os.open(self.path, os.O_RDWR)
        else:
            self.read, self.write = os.pipe()
        for end in {self.read, self.write}:
            stage.closers.append(lambda end=end: os.close(end))
        os.write(self.write, tokens)

    @property
    def fds(self):
        return f"{self.read},{self.write}"

    def count(self):
        room = fcntl.ioctl(self.read, termios.FIONREAD, b"\0" * 4)
        return struct.unpack("i", room)[0]

    def add(self, token):
        self.tokens += token
        os.write(self.write, token)

    def holds(self, count, when):
        equal(self.count(), count, f"how many tokens the jobserver has {when}")

    def is_whole(self, when):
        """Every token is back, as the same byte."""
        self.holds(len(self.tokens), when)
        got = os.read(self.read, 4096)
        os.write(self.write, got)
        equal(sorted(got), sorted(self.tokens), f"the bytes of the tokens {when}")

    def is_blocking(self, when):
        for end in (self.read, self.write):
            flags = fcntl.fcntl(end, fcntl.F_GETFL)
            check(not flags & os.O_NONBLOCK, f"descriptor {end} of others has O_NONBLOCK {when}")


def connect(driver, slots=4, reason="no-address"):
    answer = driver.done("connect")
    got = tuple(answer.get(k) for k in ("mode", "reason", "slots"))
    equal(got, ("jobserver", reason, slots), "(mode, reason, slots)")


def by_fifo(stage, tokens=b"abc", flags=" -j4 --jobserver-auth=fifo:{path}", slots=4, **env):
    pipe = Pipe(stage, tokens, fifo=True)
    driver = stage.driver(MAKEFLAGS=flags.format(path=pipe.path), **env)
    connect(driver, slots)
    return driver, pipe


def single(stage, reason, pass_fds=(), **env):
    driver = stage.driver(pass_fds, **env)
    answer = driver.done("connect")
    got = tuple(answer.get(k) for k in ("mode", "reason", "slots", "jobserver_reason"))
    equal(got, ("single", "no-address", 1, reason), "(mode, reason, slots, jobserver_reason)")
    driver.end_of_input()


def whole_life(driver, pipe):
    """Takes three of four slots, then the last, waits for one more, and gives all back."""
    pipe.holds(3, "before")
    driver.granted(0, 3, "acquire", key="a", min=1, max=3)
    pipe.holds(1, "while a lease of 3 is held: one slot is the implicit one")
    pipe.is_blocking("while a lease is held")
    driver.granted(0, 1, "acquire", key="b", min=1, max=4)
    pipe.holds(0, "while 4 slots are held")
    driver.refused((-32003, 0), "acquire", key="c", timeout_ms=0)
    driver.done("begin", key="c")
    driver.holds(a=(0, 3), b=(0, 1))
    pipe.is_blocking("while a request waits")
    pipe.add(b"z")
    driver.granted(0, 1, "await", key="c")
    pipe.holds(0, "while 5 slots are held")
    equal(driver.done("release", key="a", slots=2).get("slots"), 1, "slots left")
    pipe.holds(2, "after 2 of a lease of 3 were released")
    for key in "abc":
        equal(driver.done("release", key=key).get("slots"), 0, "slots left")
    driver.holds()
    pipe.is_whole("after everything was released")
    pipe.is_blocking("at the end")


@case
def jobserver_by_fifo(stage):
    driver, pipe = by_fifo(stage)
    whole_life(driver, pipe)


@case
def jobserver_by_descriptors(stage):
    for flags in (" -j4 --jobserver-auth={fds}", " -j4 --jobserver-fds={fds}",
                  "k -j4 --jobserver-auth={fds} -- A=--jobserver-auth=fifo:/nowhere"):
        pipe = Pipe(stage, b"abc")
        env = {"MAKEFLAGS": flags.format(fds=pipe.fds)}
        driver = stage.driver((pipe.read, pipe.write), **env)
        connect(driver)
        whole_life(driver, pipe)


@case
def jobserver_whose_slots_are_unknown(stage):
    driver, pipe = by_fifo(stage, flags=" -j --jobserver-auth=fifo:{path}", slots=1)
    whole_life(driver, pipe)


@case
def jobserver_the_last_auth_counts(stage):
    driver, pipe = by_fifo(stage, flags=" -j4 --jobserver-auth=fifo:/nowhere --jobserver-auth=3;4 "
                                        "--jobserver-auth=fifo:{path}")
    whole_life(driver, pipe)


@case
def jobserver_auth_beats_fds(stage):
    other = Pipe(stage, b"xyz")
    for flags in (" -j4 --jobserver-auth=fifo:{path} --jobserver-fds=",
                  " -j4 --jobserver-fds=@ --jobserver-auth=fifo:{path} --jobserver-fds="):
        flags = flags.replace("@", "7,-1") + other.fds
        driver, pipe = by_fifo(stage, flags=flags)
        whole_life(driver, pipe)
    other.is_whole("though it is named by --jobserver-fds only")


@case
def jobserver_without_any_look_at_CARGO_MAKEFLAGS(stage):
    driver, pipe = by_fifo(stage, CARGO_MAKEFLAGS="-j --jobserver-auth=fifo:/nowhere")
    whole_life(driver, pipe)
    pipe = Pipe(stage, b"abc", fifo=True)
    single(stage, "no-makeflags", CARGO_MAKEFLAGS=" -j4 --jobserver-auth=fifo:" + pipe.path)


@case
def jobserver_is_not_touched_beside_an_arbiter(stage):
    pipe = Pipe(stage, b"abc", fifo=True)
    driver, _, session = stage.connected(MAKEFLAGS=" -j4 --jobserver-auth=fifo:" + pipe.path)
    driver.send("acquire", key="a", max=4)
    session.answer(session.expect("acquire"), {"lease": 1, "slots": 4})
    driver.granted(1, 4)
    pipe.is_whole("while an arbiter serves")


@case
def jobserver_serves_when_no_arbiter_does(stage):
    for reason in ("unreachable", "refused", "incompatible"):
        pipe = Pipe(stage, b"abc", fifo=True)
        arbiter = stage.unix(reason)
        driver = stage.driver_of(arbiter, MAKEFLAGS=" -j4 --jobserver-auth=fifo:" + pipe.path)
        if reason == "unreachable":
            arbiter.stop()
        driver.send("connect")
        if reason != "unreachable":
            session, hello = arbiter.knock()
            session.refuse(hello, {"refused": -32001, "incompatible": -32002}[reason])
            session.close()
        answer = driver.answer()
        got = tuple(answer.get(k) for k in ("mode", "reason", "slots"))
        equal(got, ("jobserver", reason, 4), "(mode, reason, slots)")
        whole_life(driver, pipe)


@case
def jobserver_serves_when_the_address_or_the_cookie_is_bad(stage):
    for reason, env in (("bad-address", {"TOKENPOOL_ADDR": "x", "TOKENPOOL_COOKIE": COOKIE}),
                        ("no-cookie", {"TOKENPOOL_ADDR": "unix:/nowhere"}),
                        ("bad-cookie", {"TOKENPOOL_ADDR": "unix:/n", "TOKENPOOL_COOKIE": "x"})):
        pipe = Pipe(stage, b"abc", fifo=True)
        driver = stage.driver(MAKEFLAGS=" -j4 --jobserver-auth=fifo:" + pipe.path, **env)
        connect(driver, reason=reason)
        whole_life(driver, pipe)


@case
def jobserver_the_implicit_slot_costs_nothing_and_is_lent_again(stage):
    driver, pipe = by_fifo(stage)
    driver.granted(0, 1, "acquire", key="a")
    pipe.holds(3, "while one slot is held, the implicit one")
    driver.granted(0, 1, "acquire", key="b")
    pipe.holds(2, "while two are held")
    driver.done("release", key="a")
    # Either the implicit slot is free now, or the other lease has it and its token has gone back.
    check(pipe.count() in (2, 3), f"{pipe.count()} tokens are there after the first release")
    driver.granted(0, 1, "acquire", key="c")
    pipe.holds(2, "after the implicit slot was lent again")
    driver.done("release", key="b")
    driver.done("release", key="c")
    pipe.is_whole("at the end")


@case
def jobserver_the_implicit_slot_ends_a_wait(stage):
    driver, pipe = by_fifo(stage, tokens=b"a")
    driver.granted(0, 2, "acquire", key="a", min=2)
    driver.done("begin", key="b")
    driver.done("release", key="a", slots=1)
    driver.granted(0, 1, "await", key="b")
    driver.done("begin", key="c")
    driver.done("release", key="a")
    driver.granted(0, 1, "await", key="c")
    driver.done("release", key="b")
    driver.done("release", key="c")
    pipe.is_whole("at the end")


@case
def jobserver_min_is_waited_for(stage):
    driver, pipe = by_fifo(stage, tokens=b"a")
    driver.done("begin", key="a", min=4, max=6)
    pipe.add(b"b")
    driver.holds()
    pipe.add(b"c")
    driver.granted(0, 4, "await", key="a")
    pipe.holds(0, "while 4 slots are held")
    driver.done("release", key="a")
    pipe.is_whole("at the end")


@case
def jobserver_what_cannot_be_had_at_once_takes_nothing(stage):
    driver, pipe = by_fifo(stage)
    driver.refused((-32003, -32005, 0), "acquire", key="a", min=8, timeout_ms=0)
    pipe.is_whole("after a request that failed")
    driver.granted(0, 4, "acquire", key="a", min=4, timeout_ms=0)
    driver.refused((-32003, 0), "acquire", key="b", timeout_ms=1)
    driver.done("release", key="a")
    pipe.is_whole("at the end")


@case
def jobserver_a_cancelled_request_takes_nothing(stage):
    driver, pipe = by_fifo(stage, tokens=b"a")
    driver.granted(0, 2, "acquire", key="a", min=2)
    driver.done("begin", key="b")
    equal(driver.done("cancel", key="b").get("cancelled"), True, "cancelled")
    driver.refused((-32004, 0), "await", key="b")
    pipe.add(b"b")
    driver.granted(0, 1, "acquire", key="c")
    driver.done("release", key="c")
    pipe.holds(1, "after a request was cancelled")
    driver.done("release", key="a")
    pipe.is_whole("at the end")


@case
def jobserver_a_request_cancelled_half_way_gives_back_what_it_had(stage):
    driver, pipe = by_fifo(stage, tokens=b"ab")
    driver.done("begin", key="a", min=4)
    equal(driver.done("cancel", key="a").get("cancelled"), True, "cancelled")
    driver.refused((-32004, 0), "await", key="a")
    pipe.is_whole("after a request was cancelled")
    driver.granted(0, 3, "acquire", key="b", min=3)
    driver.done("release", key="b")
    pipe.is_whole("at the end")


@case
def jobserver_resize_loses_no_token(stage):
    driver, pipe = by_fifo(stage)
    driver.granted(0, 1, "acquire", key="a")
    for least, most in ((1, 3), (1, 2), (1, 9), (9, 9), (1, 1)):
        driver.do("resize", key="a", min=least, max=most)
        slots = driver.leases()["a"][1]
        pipe.holds(4 - slots, f"after a resize to {least} to {most} has left {slots}")
    driver.done("report", key="a", exit=0, cpu_seconds=0.5)
    driver.done("release", key="a")
    pipe.is_whole("at the end")


@case
def jobserver_every_byte_goes_back_as_it_came(stage):
    tokens = bytes([0, 1, 10, 13, 32, 43, 127, 128, 255])
    driver, pipe = by_fifo(stage, tokens=tokens, flags=" -j10 --jobserver-auth=fifo:{path}",
                           slots=10)
    for at in range(10):
        driver.granted(0, 1, "acquire", key=f"k{at}")
    pipe.holds(0, "while all are held")
    for at in (3, 9, 0, 5, 1, 8, 2, 4, 7, 6):
        driver.done("release", key=f"k{at}")
    pipe.is_whole("at the end")


@case
def jobserver_close_quit_and_the_end_of_input_give_all_back(stage):
    for end in ("close", "quit", "input"):
        driver, pipe = by_fifo(stage)
        driver.granted(0, 2, "acquire", key="a", min=2)
        driver.granted(0, 1, "acquire", key="b")
        pipe.holds(1, "while three are held")
        if end == "close":
            driver.done("close")
        elif end == "quit":
            driver.quit()
        else:
            driver.end_of_input()
        pipe.is_whole(f"after {end}")


@case
def jobserver_two_drivers_share_it(stage):
    first, pipe = by_fifo(stage)
    second = stage.driver(MAKEFLAGS=" -j4 --jobserver-auth=fifo:" + pipe.path)
    connect(second)
    first.granted(0, 4, "acquire", key="a", max=9)
    second.granted(0, 1, "acquire", key="a", max=9)
    second.done("begin", key="b")
    first.done("release", key="a", slots=1)
    second.granted(0, 1, "await", key="b")
    pipe.holds(0, "while both hold")
    first.done("release", key="a")
    second.done("release", key="a")
    second.done("release", key="b")
    pipe.is_whole("at the end")


# --- one slot ---


@case
def single_because_there_is_no_jobserver(stage):
    single(stage, "no-makeflags")
    for flags in ("k", " -j4", " -k -- A=--jobserver-auth=3,4", " -j4 --jobserver-auth=-2,-2",
                  " --jobserver-fds=-1,-1"):
        single(stage, "no-jobserver", MAKEFLAGS=flags)


@case
def single_because_the_jobserver_cannot_be_parsed(stage):
    for value in ("3;4", "3,x", "fifo:", ""):
        single(stage, "bad-jobserver", MAKEFLAGS=f" -j4 --jobserver-auth={value}")


@case
def single_because_the_jobserver_is_a_semaphore(stage):
    single(stage, "unsupported", MAKEFLAGS=" -j4 --jobserver-auth=gmake_semaphore_4711")


@case
def single_because_the_jobserver_cannot_be_opened(stage):
    gone = stage.path("gone")
    single(stage, "cannot-open", MAKEFLAGS=" -j4 --jobserver-auth=fifo:" + gone)
    single(stage, "cannot-open", MAKEFLAGS=" -j4 --jobserver-auth=900,901")


@case
def single_because_the_jobserver_is_no_pipe(stage):
    with open(stage.path("file"), "w+b") as file:
        file.write(b"+++")
        file.flush()
        flags = " -j4 --jobserver-auth="
        single(stage, "not-a-pipe", MAKEFLAGS=flags + "fifo:" + stage.path("file"))
        single(stage, "not-a-pipe", MAKEFLAGS=flags + "fifo:" + stage.folder)
        fds = f"{file.fileno()},{file.fileno()}"
        single(stage, "not-a-pipe", (file.fileno(),), MAKEFLAGS=flags + fds)


@case
def single_lends_one_slot_at_a_time(stage):
    driver = stage.driver()
    equal(driver.done("connect").get("slots"), 1, "slots")
    driver.granted(0, 1, "acquire", key="a", min=1, max=64)
    driver.refused((-32003, 0), "acquire", key="b", timeout_ms=0)
    driver.done("begin", key="b", max=2)
    driver.done("begin", key="c")
    driver.holds(a=(0, 1))
    driver.done("cancel", key="c")
    driver.refused((-32004, 0), "await", key="c")
    equal(driver.done("release", key="a").get("slots"), 0, "slots left")
    driver.granted(0, 1, "await", key="b")
    driver.holds(b=(0, 1))
    driver.done("release", key="b")
    driver.granted(0, 1, "acquire", key="d")


@case
def single_never_has_two_slots(stage):
    driver = stage.driver()
    driver.done("connect")
    driver.refused(-32005, "acquire", key="a", min=2)
    driver.refused(-32005, "acquire", key="a", min=2, max=8, timeout_ms=0)
    driver.granted(0, 1, "acquire", key="a")
    driver.done("report", key="a", exit=1)
    driver.do("resize", key="a", min=1, max=2)
    driver.holds(a=(0, 1))


@case
def single_quits_while_a_request_waits(stage):
    driver = stage.driver()
    driver.done("connect")
    driver.granted(0, 1, "acquire", key="a")
    driver.done("begin", key="b")
    driver.quit()
