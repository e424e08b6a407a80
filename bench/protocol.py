"""The benchmarks of the protocol: `tokenpool serve` against a bare echo and against its peers."""

import contextlib
import ctypes
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from frame import Failure, Samples, kilobytes, percentile, ratio_of, ratio_text

HOST = "127.0.0.1"
SLOTS = 512
PATIENCE = 10  # seconds for a server to listen, and to end
SET_DEATH_SIGNAL = 1  # prctl(2)


# --- servers -------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def end_with_parent():
    ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM)


@contextlib.contextmanager
def server(bench, command, executable=None):
    """Runs it until the block ends, however that comes about; gives the process."""
    errors = tempfile.TemporaryFile()
    process = subprocess.Popen(command, executable=executable, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=errors, cwd=bench.folder,
                               env=bench.environment, preexec_fn=end_with_parent)
    process.errors = errors
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"  {command[0]} did not end by SIGTERM")
            process.kill()
            process.wait()
        errors.close()


def helper_process(bench, command):
    """A helper that prints lines and waits for one."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env=bench.environment, text=True, preexec_fn=end_with_parent)


def connected(process, address):
    """A connection to a server that may still be about to listen."""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    end = time.monotonic() + PATIENCE
    while True:
        connection = socket.socket(family)
        connection.settimeout(PATIENCE)
        try:
            connection.connect(address if family == socket.AF_INET else str(address))
            return connection
        except OSError as error:
            connection.close()
            if process.poll() is not None or time.monotonic() > end:
                process.errors.seek(0)
                words = process.errors.read().decode(errors="replace").strip()
                raise Failure(f"{process.args[0]} does not listen at {address} ({error}): "
                              f"{words or 'it says nothing'}") from error
        time.sleep(0.01)


class Side:
    """A server under load: what bench_load is told about it."""

    def __init__(self, peer, tcp, unix="", cookie=""):
        self.peer = peer
        self.tcp = tcp
        self.unix = unix
        self.cookie = cookie

    def load(self, bench, what, how, width, amount, unix=False):
        cookie = [self.cookie] if self.cookie else []
        command = bench.helper("load", what, self.peer, how, self.unix if unix else self.tcp,
                               width, amount, *cookie)
        return bench.run(command)[0].split()


@contextlib.contextmanager
def echo(bench):
    with tempfile.TemporaryDirectory() as folder:
        port, path = free_port(), pathlib.Path(folder) / "echo"
        tcp, unix = f"tcp:{HOST}:{port}", f"unix:{path}"
        with server(bench, bench.helper("echo", unix, tcp)) as process:
            connected(process, path).close()
            connected(process, (HOST, port)).close()
            yield Side("echo", tcp, unix)


class Arbiter(Side):
    """`tokenpool serve` with that many slots."""

    def __init__(self, process, port, path):
        super().__init__("tokenpool", f"tcp:{HOST}:{port}", f"unix:{path}", f"{path}.cookie")
        self.process = process
        self.path = path
        connected(process, path).close()
        connected(process, (HOST, port)).close()

    def call(self, method, **params):
        """The result of one call over a connection of its own."""
        cookie = pathlib.Path(self.cookie).read_text().strip()
        hello = {"protocol": 1, "cookie": cookie, "name": "bench", "pid": os.getpid()}
        with connected(self.process, self.path) as connection, connection.makefile("rw") as stream:
            for number, (name, words) in enumerate((("hello", hello), (method, params))):
                stream.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": name,
                                         "params": words}) + "\n")
                try:
                    stream.flush()
                    line = stream.readline()
                except OSError as error:
                    raise Failure(f"serve does not answer {name}: {error}") from error
                answer = json.loads(line or "{}")
                if "result" not in answer:
                    raise Failure(f"serve refuses {name}: {line or 'it closes the connection'}")
        return answer["result"]

    def memory(self):
        """(Pss, peak resident) in MB of all processes of it."""
        pids = {self.process.pid, self.call("status")["pid"]}
        return (sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in pids) / 1024,
                sum(kilobytes(pid, "status", "VmHWM") for pid in pids) / 1024)


@contextlib.contextmanager
def arbiter(bench, slots):
    with tempfile.TemporaryDirectory() as folder:
        port, path = free_port(), pathlib.Path(folder) / "arbiter"
        command = [bench.program, "serve", "-j", str(slots), "--listen", f"unix:{path}",
                   "--listen", f"tcp:{HOST}:{port}"]
        with server(bench, command) as process:
            yield Arbiter(process, port, path)


def where(*names):
    """The first of these programs that is installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin"
    return next(filter(None, (shutil.which(name, path=path) for name in names)), None)


def talk(process, port, words, lines):
    """Says it and waits for that many lines of answer."""
    with connected(process, (HOST, port)) as connection:
        connection.sendall(words)
        while lines > 0:
            answer = connection.recv(65536)
            if not answer:
                raise Failure(f"{process.args[0]} has closed the connection")
            lines -= answer.count(b"\n")


@contextlib.contextmanager
def redis(bench, program):
    port = free_port()
    # Debian's server and redis-check-rdb of redis-tools are one program that looks at its name.
    command = ["redis-server", "--bind", HOST, "--port", str(port), "--save", "",
               "--appendonly", "no"]
    with server(bench, command, program) as process:
        talk(process, port, b"RPUSH slots x\r\n" * SLOTS, SLOTS)
        yield Side("redis", f"tcp:{HOST}:{port}")


@contextlib.contextmanager
def beanstalkd(bench, program):
    port = free_port()
    with server(bench, [program, "-l", HOST, "-p", str(port)]) as process:
        # No job may run out of time, which would give it back.
        talk(process, port, b"put 0 0 86400 1\r\nx\r\n" * SLOTS, SLOTS)
        yield Side("beanstalkd", f"tcp:{HOST}:{port}")


@contextlib.contextmanager
def gearmand(bench, program):
    port = free_port()
    command = [program, f"--listen={HOST}", f"--port={port}", "--log-file=none"]
    with server(bench, command) as process:
        connected(process, (HOST, port)).close()
        yield Side("gearmand", f"tcp:{HOST}:{port}")


PEERS = {"redis": (redis, "redis-server", "redis-check-rdb"),
         "beanstalkd": (beanstalkd, "beanstalkd"), "gearmand": (gearmand, "gearmand")}


def installed_peers(bench, stack):
    sides = {}
    for name, (start, *programs) in PEERS.items():
        program = where(*programs)
        if program is None:
            print(f"  {name} is not installed: not measured against it")
        else:
            sides[name] = stack.enter_context(start(bench, program))
    return sides


# --- the benchmarks ------------------------------------------------------------------------------


def in_turns(sides, number):
    """Who begins alternates, so that neither always runs on the warmer machine."""
    names = list(sides)
    return names if number % 2 == 0 else names[::-1]


def round_trips(bench):
    """Acquire and release over one connection, against an echo of the same lines."""
    pairs = bench.pick(20000, 3000)
    with echo(bench) as bare, arbiter(bench, SLOTS) as ours:
        for unix, kind in ((True, "Unix"), (False, "TCP")):
            sides = {(side, how): side for side in (bare, ours) for how in ("apart", "joined")}
            p50 = {key: Samples("us", 1) for key in sides}
            p99 = {key: Samples("us", 1) for key in sides}
            for number in bench.rounds(9, 3):
                for side, how in in_turns(sides, number):
                    values = [int(value) / 1000
                              for value in side.load(bench, "latency", how, 1, pairs, unix)]
                    p50[side, how].add(percentile(values, 0.5))
                    p99[side, how].add(percentile(values, 0.99))
            for values, share, target in ((p50, "p50", 1.6), (p99, "p99", None)):
                bench.compare(f"acquire + release, two round trips over {kind}, {share}",
                              values[bare, "apart"], values[ours, "apart"], target)
            for values, share in ((p50, "p50"), (p99, "p99")):
                one_trip = values[bare, "joined"]
                two_trips, joined = values[bare, "apart"], values[ours, "joined"]
                bench.row(f"release notified with the next acquire over {kind}, {share}",
                          f"two trips: {two_trips.text()}; one: {one_trip.text()}", joined.text(),
                          f"{ratio_text(ratio_of(joined, two_trips))}; "
                          f"{ratio_text(ratio_of(joined, one_trip))}")


def rate_row(bench, metric, theirs, ours, target=None):
    """One row for two sides that were measured in turns; more is better."""
    ratios = ratio_of(ours, theirs)
    bench.row(metric, theirs.text(), ours.text(), ratio_text(ratios),
              f">= {target}" if target else "", ratios[0] >= target if target else None,
              not target or not ratios[1] < target <= ratios[2])


def grants_of(bench, sides, width):
    """Pairs a second of each side, by (name, how)."""
    others = [name for name in sides if name != "tokenpool"]
    # Who is compared most is in the middle, next to all others.
    keys = [*((name, "apart") for name in others), ("tokenpool", "joined"), ("tokenpool", "apart"),
            *((name, "joined") for name in others)]
    rates = {key: Samples("k/s", 1) for key in keys}
    # Many short runs: what else the machine does then hits neighbours alike.
    for number in bench.rounds(15, 3):
        for name, how in in_turns(keys, number):
            lines = sides[name].load(bench, "grants", how, width, bench.pick(300, 80))
            rates[name, how].add(float(lines[0]) / 1000)
    return rates


def grants(bench):
    """Everybody takes a slot, gives it back and asks again, over TCP."""
    with contextlib.ExitStack() as stack:
        sides = {"tokenpool": stack.enter_context(arbiter(bench, SLOTS)),
                 "bare echo": stack.enter_context(echo(bench)),
                 **installed_peers(bench, stack)}
        others = [name for name in sides if name != "tokenpool"]
        for width in (1, 50, 1000):
            rates = grants_of(bench, sides, width)
            what = f"grants, {width} connection{'s' if width > 1 else ''}"
            for name in others:
                target = {"redis": 1.0, "beanstalkd": 1.0}.get(name)
                if name == "bare echo" and width == 50:
                    target = 0.95
                rate_row(bench, f"{what}, release notified: {name}", rates[name, "apart"],
                         rates["tokenpool", "joined"], target)
            # Like against like, for the record: nobody saves a round trip, and everybody does.
            for how, words in (("apart", "two round trips on both sides"),
                               ("joined", "release and acquire in one write on both sides")):
                ours = rates["tokenpool", how]
                bench.row(f"{what}, {words}",
                          "; ".join(f"{name} {rates[name, how].median:.1f}" for name in others)
                          + " k/s", ours.text(),
                          "; ".join(f"{ratio_of(ours, rates[name, how])[0]:.3f}"
                                    for name in others))


def crowd_size(bench):
    """As many clients as one server may have descriptors for."""
    wanted = bench.pick(10000, 1000)
    # Half of the clients are on a Unix socket, where the arbiter may watch each process, too.
    room = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 512) * 2 // 3
    if room < wanted:
        print(f"  `ulimit -Hn` leaves room for {room} clients only")
    return min(wanted, room)


def crowd(bench):
    """Thousands of clients, one of which is killed every 10 ms while it holds leases."""
    clients, wanted = crowd_size(bench), bench.pick(1000000, 20000)
    with arbiter(bench, SLOTS) as ours:
        empty = ours.memory()[0]
        command = bench.helper("crowd", ours.cookie, clients, wanted, 10, ours.unix, ours.tcp)
        with helper_process(bench, command) as process:
            if process.stdout.readline().strip() != "connected":
                raise Failure(f"{' '.join(command)} could not connect everybody")
            words = process.stdout.readline().split()
            if not words:
                raise Failure(f"{' '.join(command)} ended early")
            pss, peak = ours.memory()
            process.stdin.write("on\n")
            process.stdin.close()
            free, slots, granted, released, recovered, ms = process.stdout.readline().split()[1:]
    seconds = float(words[4])
    print(f"  {words[1]} grants in {seconds:.1f} s; {words[2]} processes killed, {words[3]} times "
          f"none held anything yet;\n  the arbiter counts {granted} granted, {released} released, "
          f"{recovered} recovered; all clients killed at the\n  end: {free} of {slots} slots free "
          f"after {float(ms):.0f} ms")
    what = f"{clients} clients, {words[1]} grants, {words[2]} kills"
    bench.row(f"{what}: slots free at the end", slots, free, f"{int(free) / int(slots):.3f}",
              "nothing lost", free == slots)
    bench.row(f"{what}: memory of serve (Pss)", f"no client: {empty:.1f} MB", f"{pss:.1f} MB",
              f"{pss / empty:.1f}", "< 100 MB", pss < 100)
    bench.row(f"{what}: memory of serve (peak resident)", f"no client: {empty:.1f} MB",
              f"{peak:.1f} MB", f"{peak / empty:.1f}", "< 100 MB", peak < 100)
    bench.row(f"{what}: grants a second", "", f"{int(words[1]) / seconds / 1000:.1f} k/s", "")


def sessions_memory(bench, clients, unix):
    with arbiter(bench, SLOTS) as ours:
        command = bench.helper("sessions", "hold", ours.cookie, ours.unix if unix else ours.tcp,
                               clients)
        with helper_process(bench, command) as process:
            if process.stdout.readline().strip() != "ready":
                raise Failure(f"{' '.join(command)} ended early")
            values = ours.memory()
            process.stdin.close()
    return values


def sessions(bench):
    """Memory of serve, as long as its clients live."""
    for unix, kind in ((True, "Unix"), (False, "TCP")):
        one, many, peak = Samples("MB"), Samples("MB"), Samples("MB")
        for _ in range(bench.pick(5, 3)):
            one.add(sessions_memory(bench, 1, unix)[0])
            pss, resident = sessions_memory(bench, 1000, unix)
            many.add(pss)
            peak.add(resident)
        print(f"  peak resident over {kind}: {peak.text()}")
        bench.row(f"memory of serve (Pss), 1000 clients over {kind}", "1 client: " + one.text(),
                  many.text(), ratio_text(ratio_of(many, one)), "<= 20 MB",
                  max(many.values) <= 20)


def lease_recovery(bench):
    """A process that holds a lease is killed; when has one that waits in acquire its answer?"""
    rounds, kills = bench.pick((5, 120), (3, 40))
    with arbiter(bench, 1) as ours:
        sides = {
            "bare": bench.helper("recovery", "bare", kills),
            "Unix": bench.helper("sessions", "recovery", ours.cookie, ours.unix, kills),
            "TCP": bench.helper("sessions", "recovery", ours.cookie, ours.tcp, kills),
        }
        measured = {side: [] for side in sides}
        for number in range(rounds):
            for side in in_turns(sides, number):
                lines = bench.run(sides[side])[0].split()
                if "lost" in lines:
                    raise Failure(f"a slot did not come back within 10 s: {' '.join(sides[side])}")
                measured[side] += [int(line) / 1e3 for line in lines]
    print(f"  {rounds * kills} kills on each side")
    for kind in ("Unix", "TCP"):
        for share, label, target in ((0.5, "p50", 1000), (0.99, "p99", 10000)):
            value, floor = percentile(measured[kind], share), percentile(measured["bare"], share)
            bench.row(f"lease holder killed -> acquire answered over {kind}, {label}",
                      f"bare pidfd + write: {floor:.0f} us", f"{value:.0f} us",
                      f"{value / floor:.2f} x bare", f"<= {target} us", value <= target)


def launcher(bench):
    """One job after another through exec, below run."""
    jobs = bench.pick(200, 40)
    true = where("true")
    loop = 'i=0; while [ $i -lt $0 ]; do "$@" || exit; i=$((i+1)); done'
    commands = {"plain": [true], "exec": [bench.program, "exec", "--", true]}
    wall = {side: Samples("ms") for side in commands}
    for number in bench.rounds(15, 5):
        for side in in_turns(commands, number):
            command = bench.pooled(4, ["sh", "-c", loop, str(jobs), *commands[side]])
            wall[side].add(bench.run(command)[1] * 1000 / jobs)
    bench.compare("exec -- true below run, one job: wall", wall["plain"], wall["exec"])


def wrap(bench):
    """Compilers of a build one after another, with and without --wrap."""
    jobs = bench.pick(200, 40)
    loop = ('i=0; while [ $i -lt $0 ]; do cc -c -x c /dev/null -o /dev/null || exit; '
            'i=$((i+1)); done')
    sides = {"plain": [], "wrap": ["--wrap"]}
    wall = {side: Samples("ms") for side in sides}
    for number in bench.rounds(15, 5):
        for side in in_turns(sides, number):
            command = bench.pooled(4, ["sh", "-c", loop, str(jobs)])
            command[2:2] = sides[side]
            wall[side].add(bench.run(command)[1] * 1000 / jobs)
    bench.compare("cc of an empty file below run --wrap, one call: wall", wall["plain"],
                  wall["wrap"])


BENCHMARKS = {"round-trips": round_trips, "grants": grants, "crowd": crowd, "sessions": sessions,
              "lease-recovery": lease_recovery, "exec": launcher, "wrap": wrap}
