"""`cmake --build` with a -j: whether it is taken off depends on the tool that builds the tree."""

import json

from harness import expect, expect_that, long, needs, timeout

WORDS = {"j": "-j{}", "parallel": "--parallel {}", "native": "-- -j{}"}


def took(run):
    return [line for line in run.notes() if " took " in line]


def outside(run):
    return [line for line in run.notes() if "does not obey the pool" in line]


def configured(ctx, generator, program, jobs, *prefixes, tools=()):
    """A tree that was configured outside of a run, for the tool with that absolute path."""
    source = ctx.cmakefile("source", jobs, *prefixes)
    tree = f"{ctx.dir}/tree"
    run = ctx.spawn(["cmake", "-G", generator, f"-DCMAKE_MAKE_PROGRAM={program}", "-S", source,
                     "-B", tree], tools=tools)
    expect(run.wait(), 0, "status of cmake")
    return tree


def define(name, function, *what, is_long=False):
    function.__name__ = f"test_{name}"
    globals()[function.__name__] = long(timeout(180)(needs("cmake", *what)(function)), is_long)


def all_ways(tree, number):
    """Builds each of the targets j, parallel, native and level with another way to say `number`."""
    lines = [f"cmake --build {tree} --target {prefix}_jobs {words.format(number)}"
             for prefix, words in WORDS.items()]
    lines.append(f"export CMAKE_BUILD_PARALLEL_LEVEL={number}")
    lines.append(f"cmake --build {tree} --target level_jobs")
    return "set -e\n" + "\n".join(lines) + "\n"


def client(generator, tool, cmakes, on_path, is_long=False):
    def body(ctx):
        """Every number is taken off; the tool joins by MAKEFLAGS, although cmake executes it past
        its shim and PATH may have another version of it."""
        program = f"{ctx.tool(tool)}/{tool.split('-', maxsplit=1)[0]}"
        tree = configured(ctx, generator, program, 7, *WORDS, "level", tools=cmakes)
        run = ctx.run([ctx.script("top", all_ways(tree, 9))], tools=[*cmakes, on_path])
        for prefix in (*WORDS, "level"):
            ctx.desk.drive(4, total=7, prefix=prefix)
        run.finish()
        expect(ctx.desk.peak, 4, "most jobs at once")
        expect(len(took(run)), 2, f"words taken off in {run.notes()}")
        expect(outside(run), [], "outsiders")
        expect_that("resetting jobserver" not in run.stderr(), "a make left the pool")

    version = "_".join(cmakes) or "cmake"
    name = f"{version}_{tool}_beside_{on_path}".replace("-", "").replace(".", "")
    define(name, body, tool, on_path, *cmakes, is_long=is_long)


# The short ones have each tool once, and beside it another than itself.
for _cmakes in ([], ["cmake-4.3.1"]):
    client("Unix Makefiles", "make-4.3", _cmakes, "make-4.3", is_long=True)
    client("Unix Makefiles", "make-4.3", _cmakes, "make-4.4.1", is_long=bool(_cmakes))
    client("Unix Makefiles", "make-4.4.1", _cmakes, "make-4.3", is_long=not _cmakes)
    client("Unix Makefiles", "make-4.4.1", _cmakes, "make-4.4.1", is_long=True)
    client("Ninja", "ninja-1.13.2", _cmakes, "make-4.3", is_long=not _cmakes)
    client("Ninja", "ninja-1.13.2", _cmakes, "ninja-1.11", is_long=bool(_cmakes))


def old_ninja(cmakes):
    def body(ctx):
        """A ninja before 1.13 keeps the number that the user wrote, and one line says why."""
        program = f"{ctx.tool('ninja-1.11')}/ninja"
        tree = configured(ctx, "Ninja", program, 7, *WORDS, "level", tools=cmakes)
        # The ninja on PATH is a client, but it is not the one that builds.
        run = ctx.run([ctx.script("top", all_ways(tree, 2))], slots=6, tools=[*cmakes, "ninja-1.13.2"])
        for prefix in (*WORDS, "level"):
            ctx.desk.drive(2, total=7, prefix=prefix)
        run.finish()
        expect(ctx.desk.peak, 2, "most jobs at once")
        expect(took(run), [], "words taken off")
        expect(len(outside(run)), 1, f"lines in {run.notes()}")
        expect_that(program in outside(run)[0], f"the tool's path in {outside(run)}")

    define("_".join(["old_ninja", *cmakes]).replace("-", "").replace(".", ""), body, "ninja-1.11",
           "ninja-1.13.2", *cmakes)


for _cmakes in ([], ["cmake-4.3.1"]):
    old_ninja(_cmakes)


@needs("cmake", "ninja-1.11")
def test_old_ninja_without_a_number(ctx):
    """It is left alone, as when it is called directly: both together say one line."""
    tree = configured(ctx, "Ninja", f"{ctx.tool('ninja-1.11')}/ninja", 2, "a")
    run = ctx.run([ctx.script("top", f"cmake --build {tree}\nninja -C {tree}\n")],
                  tools=["ninja-1.11"])
    ctx.desk.let_all_out(run)
    run.finish()
    expect(len(run.notes()), 1, f"lines in {run.notes()}")
    expect(len(outside(run)), 1, f"lines in {run.notes()}")


@needs("cmake", "ninja-1.11")
def test_old_ninja_and_a_level_from_outside(ctx):
    """run takes the level out of the build's environment; the tool that needs it gets it back."""
    tree = configured(ctx, "Ninja", f"{ctx.tool('ninja-1.11')}/ninja", 7, "a")
    run = ctx.run(["cmake", "--build", tree], slots=5, env={"CMAKE_BUILD_PARALLEL_LEVEL": "2"})
    ctx.desk.drive(2, total=7)
    run.finish()
    expect(ctx.desk.peak, 2, "most jobs at once")


def by_shim(name, tool, width, taken):
    def body(ctx):
        """A tree that was configured inside of a run remembers the shim; what counts is the tool
        that the shim executes."""
        source = ctx.cmakefile("source", 7, "a")
        script = ctx.script(
            "top", f"cmake -G Ninja -S {source} -B tree >/dev/null || exit\n"
                   "grep -q '^CMAKE_MAKE_PROGRAM:FILEPATH=.*/shims/ninja' tree/CMakeCache.txt || "
                   "exit\ncmake --build tree -j2\n")
        run = ctx.run([script], slots=5, tools=[tool])
        ctx.desk.drive(width, total=7)
        run.finish()
        expect(ctx.desk.peak, width, "most jobs at once")
        expect((len(took(run)), len(outside(run))), (taken, 1 - taken), f"lines in {run.notes()}")

    define(name, body, tool)


by_shim("tree_of_a_shim_of_ninja1132", "ninja-1.13.2", 5, 1)
by_shim("tree_of_a_shim_of_ninja111", "ninja-1.11", 2, 0)


def preset(name, tool, width, taken):
    def body(ctx):
        """A preset's folder is not known: the -j goes if make and ninja on PATH are clients."""
        source = ctx.cmakefile("source", 7, "a")
        ctx.write("source/CMakePresets.json", json.dumps({
            "version": 2,
            "configurePresets": [{"name": "c", "generator": "Ninja",
                                  "binaryDir": "${sourceDir}/tree"}],
            "buildPresets": [{"name": "b", "configurePreset": "c"}]}))
        expect(ctx.spawn(["cmake", "--preset", "c"], tools=[tool], cwd=source).wait(), 0, "status")
        run = ctx.run(["cmake", "--build", "--preset", "b", "-j2"], slots=5, cwd=source,
                      tools=[tool, "make-4.3"])
        ctx.desk.drive(width, total=7)
        run.finish()
        expect(ctx.desk.peak, width, "most jobs at once")
        expect((len(took(run)), len(outside(run))), (taken, 1 - taken), f"lines in {run.notes()}")

    define(name, body, tool, "make-4.3")


preset("preset_ninja1132", "ninja-1.13.2", 5, 1)
preset("preset_ninja111", "ninja-1.11", 2, 0)
