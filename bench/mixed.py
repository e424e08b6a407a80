"""Four builds at once, by four tools: each for itself, each with -l, and all under one pool."""

import os
import pathlib
import shlex
import shutil
import threading

from frame import Failure, Samples, ratio_of, ratio_text

# So many make about 0.2 s of CPU time for either compiler.
FUNCTIONS = 12
C_FUNCTION = """
int f{i}(int *v, int n) {{
  int sum = {i};
  for (int k = 0; k < n; ++k) {{
    if (v[k] % {odd} == 0) sum += v[k] * k;
    else for (int m = 0; m < 8; ++m) v[k] ^= sum << m;
    switch (v[k] & 7) {{ case 0: sum ^= k; break; case 1: sum -= m{i}(v, k); break;
      case 5: sum *= 3; break; default: sum += v[(k + {odd}) % n]; }}
  }}
  return sum;
}}
"""
RUST_FUNCTION = """
pub fn f{i}(v: &mut Vec<i64>) -> Option<String> {{
    let sum: i64 = v.iter().enumerate().filter(|(k, _)| k % {odd} != 0).map(|(_, x)| x * {i}).sum();
    v.sort_by_key(|x| x ^ sum);
    v.first().map(|x| format!("{{}} {{}}", x, sum))
}}
"""


def c_source(number):
    text = "".join(f"static int m{i}(int *v, int n) {{ return n ? v[n - 1] / {i + 2} : {number}; }}"
                   + C_FUNCTION.format(i=i, odd=2 * i + 3) for i in range(FUNCTIONS))
    return text.replace("int f", f"int u{number}_f")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_projects(folder, jobs):
    objects = [f"u{number}" for number in range(jobs)]
    for project in ("make", "ninja", "cmake"):
        for number, name in enumerate(objects):
            write(folder / project / f"{name}.c", c_source(number))
    names = " ".join(f"{name}.o" for name in objects)
    write(folder / "make/Makefile",
          f"all: {names}\n%.o: %.c\n\tcc -O2 -c -o $@ $<\n")
    edges = "".join(f"build {name}.o: cc {name}.c\n" for name in objects)
    write(folder / "ninja/build.ninja", f"rule cc\n  command = cc -O2 -c -o $out $in\n{edges}")
    sources = " ".join(f"{name}.c" for name in objects)
    write(folder / "cmake/CMakeLists.txt",
          "cmake_minimum_required(VERSION 3.13)\nproject(mixed C)\nset(CMAKE_C_FLAGS -O2)\n"
          f"add_library(mixed STATIC {sources})\n")
    members = ", ".join(f'"{name}"' for name in objects)
    write(folder / "cargo/Cargo.toml", f'[workspace]\nresolver = "2"\nmembers = [{members}]\n')
    for name in objects:
        write(folder / f"cargo/{name}/Cargo.toml",
              f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
        write(folder / f"cargo/{name}/src/lib.rs", "".join(
            RUST_FUNCTION.format(i=i, odd=2 * i + 3) for i in range(FUNCTIONS)))


def build_all(flags, jobs, launcher=""):
    """The shell's command for all four. cargo has no -l."""
    return ["sh", "-c", f"""
        {launcher} make -s -C make {flags} & a=$!
        {launcher} ninja --quiet -C ninja {flags} & b=$!
        (cd cargo && exec {launcher} cargo build -q --offline {jobs}) & c=$!
        {launcher} cmake --build cmake/build -- -s {flags} & d=$!
        wait $a && wait $b && wait $c && wait $d"""]


class Sampler:
    """How many threads below this process are runnable, 20 times a second: the jobs, the tools, the
    front and the arbiter."""

    def __init__(self):
        self.counts = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(0.05):
            self.counts.append(sum(map(runnable_of, descendants(os.getpid()))))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def descendants(pid):
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        if words := stat_of(f"/proc/{name}/stat"):
            children.setdefault(int(words[1]), []).append(int(name))
    found = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), ())
        found += below
        waiting += below
    return found


def runnable_of(pid):
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(stat_of(f"/proc/{pid}/task/{thread}/stat")[:1] == ["R"] for thread in threads)


def stat_of(path):
    """The words from the state on, as the name before it may hold any; none of one that ended."""
    try:
        return pathlib.Path(path).read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def tools_of(bench):
    """For PATH: clients of the jobserver, where those of the machine are too old or not there."""
    path = bench.fetched("make-4.4*", "ninja-1.1[3-9]*")
    if path and not shutil.which("cargo"):
        cargo = bench.fetched("cargo-*")
        path = cargo and f"{path}:{cargo}"
    if not path or not shutil.which("cmake"):
        raise Failure("needs cmake on PATH, and in --tools DIR make 4.4, ninja 1.13 and cargo, which "
                      "tools/fetch-tools puts there")
    return path


def sides_of(bench, cpus):
    jobs = f"-j{cpus}"
    leased = f"{shlex.quote(bench.program)} exec --"
    return {
        "alone": build_all(jobs, jobs),
        "load": build_all(f"{jobs} -l{cpus}", jobs),
        "pool": bench.pooled(cpus, build_all("", "")),
        "leased": bench.pooled(cpus, build_all("", "", leased)),
    }


def measure(bench, command, path, source):
    """Of one build of all four: wall, CPU time, runnable threads at most and on average."""
    # In the same folder each time: CMake's cache holds absolute names.
    folder = bench.folder / "mixed"
    os.chdir(bench.folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    os.chdir(folder)
    with Sampler() as sampler:
        _, wall, used = bench.run(command, path)
    return wall, used, max(sampler.counts), sum(sampler.counts) / len(sampler.counts)


def mixed(bench):
    """Four builds at once (make, ninja, cargo, cmake): each for itself, with -l, under one pool."""
    cpus = len(os.sched_getaffinity(0))
    path = tools_of(bench)
    count = bench.pick(8, 5)
    source, folder = bench.folder / "pristine", bench.folder / "mixed"
    write_projects(folder, count)
    bench.run(["cmake", "-S", str(folder / "cmake"), "-B", str(folder / "cmake/build"),
               "-G", "Unix Makefiles"], path)
    shutil.copytree(folder, source)

    sides = sides_of(bench, cpus)
    units = {"wall": "s", "CPU": "s", "peak": "threads", "mean": "threads"}
    measured = {side: {name: Samples(unit, 1) for name, unit in units.items()} for side in sides}
    for _ in bench.rounds(5, 2):
        for side, command in sides.items():
            values = measure(bench, command, path, source)
            for samples, value in zip(measured[side].values(), values):
                samples.add(value)
    least = measured["alone"]["CPU"].median / cpus
    print(f"  4 builds of {count} jobs; all CPUs in use all the time would be {least:.1f} s.\n"
          "  Each tool runs one job without a token: on the slot of whoever started it, which is\n"
          "  one for all four if a shell did, and one for each if exec did. cargo has no -l.")
    for ours, title in (("pool", f"one pool of {cpus}"),
                        ("leased", f"one pool of {cpus}, each tool started by exec")):
        for theirs, words in (("alone", f"-j{cpus}"), ("load", f"-j{cpus} -l{cpus}")):
            compare(bench, f"make, ninja, cargo, cmake at once, each {words}, against {title}",
                    measured[theirs], measured[ours])


def compare(bench, what, theirs, ours):
    bench.compare(f"{what}: wall", theirs["wall"], ours["wall"])
    for name in ("peak", "mean"):
        bench.row(f"{what}: runnable threads, {name}", theirs[name].text(), ours[name].text(),
                  ratio_text(ratio_of(ours[name], theirs[name])))


BENCHMARKS = {"mixed": mixed}
