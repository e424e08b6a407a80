"""Tools that know no jobserver, below `run --wrap`: their compilers obey the pool job by job."""

import os
import shutil

from harness import expect, expect_that, needs, timeout
from wrap_kit import COMPILES, compiler, environment, sources, status

WRAP = ["--wrap"]


def obeys(ctx, run, jobs, slots=3, asks=True):
    """So many compilers are in at once and never more, whatever -j says. `asks`: the tool starts all
    of its jobs at once, so all others are known to wait while those are in."""
    if asks:
        ctx.desk.wait(lambda: ctx.desk.count("c-") >= slots, f"{slots} compilers")
        ctx.wait(lambda: ctx.desk.count("c-") > slots or
                 status(ctx, ctx.desk.inside[0])[0]["waiting_total"] == jobs - slots,
                 f"{jobs - slots} more that wait")
        expect(ctx.desk.count("c-"), slots, "compilers at once")
    ctx.desk.drive(slots, total=jobs, prefix="c-")
    report = run.finish()
    expect(ctx.desk.peak, slots, "compilers at once")
    return report


@needs("ninja-1.11")
def test_ninja(ctx):
    compiler(ctx, "cc", "/usr/bin/cc")
    names = sources(ctx, "n", 10)
    text = "rule cc\n  command = cc -o $out -c $in\n"
    text += "".join(f"build {name}.o: cc {name}.c\n" for name in names)
    ctx.write("n/build.ninja", text)
    run = ctx.run(["ninja", "-C", "n", "-j16"], slots=3, options=WRAP,
                  env=environment(ctx, "ninja-1.11"))
    obeys(ctx, run, 10)
    expect_that(os.path.exists(f"{ctx.dir}/n/f9.o"), "the objects are there")


@needs("make-4.3")
def test_make_without_shims(ctx):
    """A make that has left the pool by its -j."""
    compiler(ctx, "gcc-mine", "/usr/bin/cc")
    names = sources(ctx, "m", 10)
    ctx.write("m/Makefile", "CC = gcc-mine\nall: " + " ".join(f"{n}.o" for n in names) + "\n"
              "%.o: %.c\n\t$(CC) -o $@ -c $<\n")
    run = ctx.run(["make", "-C", "m", "-j16"], slots=3, options=["--shims=off", "--wrap=gcc-mine"],
                  env=environment(ctx, "make-4.3"))
    obeys(ctx, run, 10)


@needs("meson", "ninja-1.11")
@timeout(180)
def test_meson(ctx):
    """It is set up inside, too, so that it knows the compiler by its shim."""
    compiler(ctx, "cc", "/usr/bin/cc")
    names = sources(ctx, "m", 9)
    ctx.write("m/main.c", "int main(void) { return 0; }\n")
    files = ", ".join(f"'{name}.c'" for name in names)
    ctx.write("m/meson.build", f"project('p', 'c')\nexecutable('p', 'main.c', {files})\n")
    env = environment(ctx, "ninja-1.11")
    setup = ctx.run(["meson", "setup", "m/out", "m"], slots=3, options=WRAP,
                    env={**env, "E2E_STAY": None})
    setup.finish()
    run = ctx.run(["meson", "compile", "-C", "m/out", "-j16"], slots=3, options=WRAP, env=env)
    obeys(ctx, run, 10)
    expect_that(os.path.exists(f"{ctx.dir}/m/out/p"), "the program is there")


@needs("scons")
@timeout(180)
def test_scons(ctx):
    compiler(ctx, "gcc", "/usr/bin/gcc")
    names = sources(ctx, "s", 10)
    ctx.write("s/SConstruct", "import os\nenv = Environment(ENV=os.environ)\n"
              f"for name in {names}:\n    env.Object(name + '.c')\n")
    run = ctx.run(["scons", "-C", "s", "-j16"], slots=3, options=WRAP, env=environment(ctx))
    obeys(ctx, run, 10)


@needs("dune", "ocamlopt.opt")
@timeout(180)
def test_dune(ctx):
    for name in ("ocamlc.opt", "ocamlopt.opt"):
        compiler(ctx, name, f"/usr/bin/{name}", COMPILES)
    for i in range(8):
        ctx.write(f"d/m{i}.ml", f"let x = {i}\n")
    ctx.write("d/dune-project", "(lang dune 2.0)\n")
    ctx.write("d/dune", "(library (name lib) (wrapped false))\n")
    run = ctx.run(["dune", "build", "--root", "d", "-j16", "./lib.cma", "--display", "quiet"],
                  slots=3, options=WRAP, env=environment(ctx))
    obeys(ctx, run, 8)


@needs("cmake", "ninja-1.11")
@timeout(180)
def test_cmake(ctx):
    """The tree remembers the shim's path, and can be built without a run as well. In the next run
    the compiler's launcher and ccache stand in front of it, and all together cost one slot."""
    compiler(ctx, "cc", "/usr/bin/cc")
    names = sources(ctx, "c", 10)
    ctx.write("c/CMakeLists.txt", "cmake_minimum_required(VERSION 3.20)\nproject(p C)\n"
              f"add_library(p STATIC {' '.join(name + '.c' for name in names)})\n")
    env = environment(ctx, "ninja-1.11")
    launchers = [f"{ctx.tokenpool}-exec"]
    if shutil.which("ccache"):
        launchers.append(shutil.which("ccache"))
        env["CCACHE_DIR"] = f"{ctx.dir}/ccache"
    configure = ctx.run(["cmake", "-G", "Ninja", "-S", "c", "-B", "out",
                         f"-DCMAKE_C_COMPILER_LAUNCHER={';'.join(launchers)}",
                         f"-DCMAKE_C_LINKER_LAUNCHER={ctx.tokenpool}-exec"],
                        slots=3, options=WRAP, env={**env, "E2E_STAY": None})
    configure.finish()
    with open(f"{ctx.dir}/out/CMakeCache.txt", encoding="utf-8") as file:
        expect_that(f"{ctx.dir}/data/tokenpool/wrap/" in file.read(), "the tree knows the shim")
    outside = ctx.spawn(["ninja", "-C", "out", "CMakeFiles/p.dir/f0.c.o"],
                        env={**env, "E2E_STAY": None})
    expect(outside.wait(), 0, "status of a build outside")
    run = ctx.run(["ninja", "-C", "out", "-j16"], slots=3, options=WRAP, env=env)
    obeys(ctx, run, 9)
    expect_that(os.path.exists(f"{ctx.dir}/out/libp.a"), "the library is there")


@needs("cargo")
@timeout(180)
def test_cargo(ctx):
    """By --wrap, and by RUSTC_WRAPPER, which takes one path: a job that cargo has a token for costs
    nothing more, so all slots are in use and none besides."""
    rustc = shutil.which("rustc") or "/usr/bin/rustc"
    stay = ('case " $* " in *" --crate-name l"*) '
            'if [ -n "$E2E_STAY" ]; then job "c-$4" || exit; fi ;; esac\n')
    ctx.script("real/rustc", stay + f'exec {rustc} "$@"\n')
    names = [f"l{i}" for i in range(6)]
    for name in names:
        ctx.write(f"w/{name}/Cargo.toml", f'[package]\nname = "{name}"\nversion = "0.1.0"\n'
                  'edition = "2018"\n')
        ctx.write(f"w/{name}/src/lib.rs", "pub fn f() {}\n")
    members = ", ".join(f'"{name}"' for name in names)
    ctx.write("w/Cargo.toml", f"[workspace]\nmembers = [{members}]\n")
    command = ["cargo", "build", "--offline", "--manifest-path", "w/Cargo.toml", "-q"]
    for number, (options, more) in enumerate(((WRAP, {}),
                                              ([], {"RUSTC_WRAPPER": f"{ctx.tokenpool}-exec"}))):
        env = environment(ctx, "cargo", CARGO_TARGET_DIR=f"{ctx.dir}/target{number}", **more)
        run = ctx.run(command, slots=3, options=options, env=env)
        # cargo starts as many as it has tokens for.
        obeys(ctx, run, 6, asks=False)


@needs("bazel-2.1.0")
@timeout(300)
def test_bazel(ctx):
    """It keeps its environment from its actions, unless it is told what they may know."""
    compiler(ctx, "cc", "/usr/bin/cc")
    names = sources(ctx, "b", 8)
    ctx.write("b/WORKSPACE", "")
    rules = "".join(f"genrule(name = '{name}', srcs = ['{name}.c'], outs = ['{name}.o'], "
                    f"cmd = 'cc -o $@ -c $<')\n" for name in names)
    ctx.write("b/BUILD", rules)
    passed = [f"--action_env={name}" for name in
              ("PATH", "TOKENPOOL_ADDR", "TOKENPOOL_COOKIE", "TOKENPOOL_WRAP", "E2E_STAY",
               "E2E_DESK")]
    bazel = ["bazel", f"--output_user_root={ctx.dir}/bazel", "--batch"]
    run = ctx.run([*bazel, "build", "-j", "16", "--local_cpu_resources=16",
                   "--local_ram_resources=65536", "--spawn_strategy=local",
                   "--genrule_strategy=local", *passed, "//:all"],
                  slots=3, options=WRAP, cwd=f"{ctx.dir}/b", env=environment(ctx, "bazel-2.1.0"))
    obeys(ctx, run, 8)
