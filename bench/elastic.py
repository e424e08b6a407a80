"""The benchmark of elastic pools: `run -j auto`, told nothing, against the best fixed -j."""

import os

from frame import Samples, ratio_of, ratio_text

JOB_MS = 200


def makefile_of(bench, jobs, words):
    names = " ".join(f"j{i}" for i in range(jobs))
    makefile = bench.folder / "elastic.mk"
    command = " ".join(bench.helper("job", *words))
    makefile.write_text(f".PHONY: all {names}\nall: {names}\n{names}:\n\t@{command}\n")
    return ["make", "-f", str(makefile)]


def elastic_of(bench, title, words, targets):
    """`words` of one job, that has JOB_MS of CPU time."""
    cpus = len(os.sched_getaffinity(0))
    most = 3 * cpus
    # Looked for in short builds: where the best is does not depend on the length.
    sweep = sorted({cpus, cpus + 1, 3 * cpus // 2, 2 * cpus, 5 * cpus // 2, most})
    short = makefile_of(bench, bench.pick(50, 20) * cpus, words)
    # make's -l asks for the load average before 4.4, for what is runnable at the moment since.
    path = bench.fetched("make-4.4*")
    version = bench.run(["make", "--version"], path)[0].split()[2]
    wall = {slots: bench.run(bench.pooled(slots, short), path)[1] for slots in sweep}
    best = min(wall, key=wall.get)
    print(f"  {title}: " + ", ".join(f"-j{slots} {wall[slots]:.1f} s" for slots in sweep))

    jobs = bench.pick(120, 30) * cpus
    build = makefile_of(bench, jobs, words)
    sides = {
        "best": bench.pooled(best, build),
        "auto": bench.pooled("auto", build),
        "cpus": bench.pooled(cpus, build),
        "load": build[:1] + [f"-j{most}", f"-l{cpus}"] + build[1:],
    }
    measured = {side: Samples("s") for side in sides}
    in_use = {side: Samples("%", 1) for side in sides}
    for _ in bench.rounds(5, 1):
        for side, command in sides.items():
            seconds = bench.run(command, path)[1]
            measured[side].add(seconds)
            in_use[side].add(100 * jobs * JOB_MS / 1000 / (seconds * cpus))
    ours = measured["auto"]
    # In the short builds of --quick the time until the place is found is a large part.
    within, faster = targets if not bench.options.quick else (None, None)
    bench.compare(f"{title}: best of a sweep (-j{best}) against -j auto", measured["best"], ours,
                  within)
    others = (("cpus", f"-j{cpus}, as many as CPUs,"),
              ("load", f"make {version} -j{most} -l{cpus}"))
    for side, words in others:
        ratios = ratio_of(measured[side], ours)
        goal = faster if side == "cpus" else None
        bench.row(f"{title}: {words} against -j auto", measured[side].text(), ours.text(),
                  f"{ratio_text(ratios)} x faster", f">= {goal}" if goal else "",
                  ratios[0] >= goal if goal else None,
                  not goal or not ratios[1] < goal <= ratios[2])
    for side, words in (("best", f"-j{best}, the best fixed"), *others):
        bench.row(f"{title}, CPUs in use for them: {words} against -j auto", in_use[side].text(),
                  in_use["auto"].text(), ratio_text(ratio_of(in_use["auto"], in_use[side])))


def elastic(bench):
    """Slots that follow the machine, for jobs that compute and jobs that sleep half the time."""
    elastic_of(bench, "computing jobs", ("burn", JOB_MS), (1.05, None))
    elastic_of(bench, "jobs asleep half of their time", ("half", 2 * JOB_MS), (1.05, 1.3))


BENCHMARKS = {"elastic": elastic}
