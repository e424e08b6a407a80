#!/usr/bin/env python3
"""Records a build for sim/traces: which jobs there were, in which order, and who waited for whom.

    cmake -S DIR -B BUILD -G Ninja -DCMAKE_PROJECT_INCLUDE=.../sim/traces/record.cmake
    ninja -C BUILD -j1
    record.py [--busy] BUILD >NAME.trace

record.cmake makes this script the launcher of every job. It notes what .ninja_log does not tell,
CPU times, and what a second run of ninja would mix up there, the order. The jobs that one waits for
come from `ninja -t graph`. What a job took and was no CPU time, it waited; with --busy, for jobs
that compute and a machine that had other work, it waited for a CPU and the trace does not say so.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

NOTES = "jobs.times"


def launch(output, command):
    """Carries out one job and notes the milliseconds that it took, and those of CPU time."""
    begin = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    used = usage.ru_utime + usage.ru_stime
    with open(NOTES, "a", encoding="utf-8") as notes:  # ninja starts all jobs in its folder
        notes.write(f"{output} {1e3 * begin:.0f} {1e3 * wall:.0f} {1e3 * used:.0f}\n")
    return os.waitstatus_to_exitcode(status)


def graph(folder):
    """The names of all files and rules, and from what each is made."""
    dot = subprocess.run(["ninja", "-C", folder, "-t", "graph"], check=True, capture_output=True,
                         text=True).stdout
    names, inputs = {}, {}
    for line in dot.splitlines():
        if node := re.match(r'"(\w+)" \[label="([^"]*)"', line):
            names[node[1]] = node[2]
        elif edge := re.match(r'"(\w+)" -> "(\w+)"', line):
            inputs.setdefault(edge[2], []).append(edge[1])
    return names, inputs


def jobs_before(node, jobs, inputs, seen):
    """The jobs that `node` waits for, through whatever is no job."""
    found = set()
    for source in inputs.get(node, ()):
        if source in jobs:
            found.add(jobs[source])
        elif source not in seen:
            seen.add(source)
            found |= jobs_before(source, jobs, inputs, seen)
    return found


def main(folder, busy):
    base = pathlib.Path(folder)
    if not (base / NOTES).exists():
        sys.exit(f"record.py: {base / NOTES} is missing: no job was recorded there; the head "
                 "of this file says how")
    times = {}
    for line in (base / NOTES).read_text(encoding="utf-8").splitlines():
        output, *numbers = line.split()
        begin, wall, cpu = map(int, numbers)
        # A job may be several commands.
        first, wall_before, cpu_before = times.get(output, (begin, 0, 0))
        times[output] = first, wall + wall_before, cpu + cpu_before
    names, inputs = graph(folder)
    nodes = {name: node for node, name in names.items()}
    ordered = sorted((name for name in times if name in nodes), key=times.get)
    jobs = {nodes[name]: number for number, name in enumerate(ordered)}
    for name in ordered:
        _, wall, cpu = times[name]
        before = jobs_before(nodes[name], jobs, inputs, set())
        print(cpu, 0 if busy else max(0, wall - cpu), os.path.basename(name), *sorted(before))


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "--launch":
        sys.exit(launch(sys.argv[2], sys.argv[3:]))
    main(sys.argv[-1], "--busy" in sys.argv)
