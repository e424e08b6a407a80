"""What single steps cost: a lease beside a crowd, a loop that reads byte by byte, a launcher, and the
end of a process where the kernel does not tell of it."""

import pathlib
import sys

from frame import Samples, ratio_of, ratio_text
from protocol import SLOTS, arbiter, in_turns

# Prints the median time of an acquire and its release, in us, beside so many idle processes.
CROWD = """
import json, os, socket, statistics, subprocess, sys, time
idle = [subprocess.Popen(["sleep", "1000"]) for _ in range(int(sys.argv[1]))]
peer = socket.socket(socket.AF_UNIX)
peer.connect(os.environ["TOKENPOOL_ADDR"].split(";")[0].removeprefix("unix:"))
lines = peer.makefile("rw")


def call(method, **params):
    print(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}), file=lines,
          flush=True)
    return json.loads(lines.readline())["result"]


call("hello", protocol=1, cookie=os.environ["TOKENPOOL_COOKIE"], name="crowd", pid=os.getpid())
times = []
for _ in range(300):
    begin = time.monotonic()
    call("release", lease=call("acquire", min=1, max=1)["lease"])
    times.append((time.monotonic() - begin) * 1e6)
print(statistics.median(times))
for one in idle:
    one.kill()
"""

LINES = "seq -f some/path/of/a/source/file%06g.c 1 "
LOOP = "while read -r -u 3 line; do :; done 3< <(" + LINES + "{lines})"


def lease_crowd(bench):
    """A lease of a client within a run, beside processes that have nothing to do with it."""
    script = bench.folder / "crowd.py"
    script.write_text(CROWD)
    client = [sys.executable, str(script)]
    crowd = bench.pick(800, 200)
    times = {side: Samples("us", 0) for side in ("serve", "alone", "crowd")}
    with arbiter(bench, SLOTS) as side:
        cookie = pathlib.Path(side.cookie).read_text().strip()
        serve = ["env", f"TOKENPOOL_ADDR={side.unix}", f"TOKENPOOL_COOKIE={cookie}", *client, "0"]
        commands = {"serve": serve, "alone": bench.pooled(4, [*client, "0"]),
                    "crowd": bench.pooled(4, [*client, str(crowd)])}
        for number in bench.rounds(9, 3):
            for name in in_turns(commands, number):
                times[name].add(float(bench.run(commands[name])[0]))
    bench.compare("acquire + release of a client within run, against serve", times["serve"],
                  times["alone"], 1.3)
    bench.compare(f"acquire + release within run beside {crowd} idle processes, against serve",
                  times["serve"], times["crowd"], 1.3)


def read_loop(bench):
    """A shell that reads a file byte by byte on descriptor 3."""
    loop = LOOP.format(lines=bench.pick(1500, 300))
    command = ["bash", "-c", loop]
    nothing = ["bash", "-c", ":"]
    sides = {"plain": command, "bare": bench.helper("calls", "bare", *command),
             "run": bench.pooled(2, command), "start": bench.pooled(2, nothing),
             "bare start": bench.helper("calls", "bare", *nothing)}
    wall = {side: Samples("ms", 0) for side in sides}
    for number in bench.rounds(15, 5):
        for side in in_turns(sides, number):
            wall[side].add(bench.run(sides[side])[1] * 1000)
    ours, floor = Samples("ms", 0), Samples("ms", 0)
    for at in range(len(wall["run"].values)):
        ours.add(wall["run"].values[at] - wall["start"].values[at])
        floor.add(wall["bare"].values[at] - wall["bare start"].values[at])
    bench.compare("while read -u 3, without the start: no filter", wall["plain"], ours)
    bench.compare("while read -u 3, without the start: filter whose listener only lets calls go on",
                  floor, ours, 1.3)


def launches(bench):
    """Short jobs through the launcher, one more than there are slots, against as many as slots."""
    jobs = bench.pick(200, 60)
    job = " ".join(bench.helper("job", "sleep", "10"))
    xargs = f"seq {jobs} | xargs -I {{}} -P "
    commands = {"plain": f"{xargs} 4 {job}", "exec": f"{xargs} 5 {bench.program}-exec -- {job}"}
    sides = {side: bench.pooled(4, ["sh", "-c", line]) for side, line in commands.items()}
    wall = {side: Samples("s") for side in ("plain", "exec")}
    for number in bench.rounds(9, 3):
        for side in in_turns(sides, number):
            wall[side].add(bench.run(sides[side])[1])
    bench.compare(f"{jobs} jobs of 10 ms: xargs -P4 against xargs -P5 tokenpool-exec, 4 slots",
                  wall["plain"], wall["exec"], 1.10)


def exits(bench):
    """Processes that do nothing but end, where the kernel tells how and where it does not."""
    count = bench.pick(1000, 200)
    true = bench.helper("job", "sleep", "0")
    loop = f"i=0; while [ $i -lt {count} ]; do {' '.join(true)}; i=$((i+1)); done"
    command = bench.pooled(4, ["sh", "-c", loop])
    sides = {"tells": command, "old": bench.helper("calls", "old-kernel", *command)}
    wall = {side: Samples("ms", 3) for side in sides}
    cpu = {side: Samples("ms", 3) for side in sides}
    for number in bench.rounds(9, 3):
        for side in in_turns(sides, number):
            _, seconds, used = bench.run(sides[side])
            wall[side].add(seconds * 1000 / count)
            cpu[side].add(used * 1000 / count)
    for what, samples in (("wall", wall), ("CPU", cpu)):
        more = [old - new for old, new in zip(samples["old"].values, samples["tells"].values)]
        more.sort()
        bench.row(f"a process that does nothing but end, Linux < 6.15: {what}",
                  "Linux 6.15: " + samples["tells"].text(), samples["old"].text(),
                  ratio_text(ratio_of(samples["old"], samples["tells"]))
                  + f"; {more[len(more) // 2] * 1000:.0f} us more")


BENCHMARKS = {"lease-crowd": lease_crowd, "read-loop": read_loop, "launches": launches,
              "exits": exits}
