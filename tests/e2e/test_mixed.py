"""Trees of different tools in one pool, and what users write on their command lines."""

import os

from harness import expect, expect_that, long, needs, timeout


def took(run):
    return [line for line in run.notes() if " took " in line]


@needs("make-4.3", "ninja-1.13.2")
def test_make43_ninja_make43(ctx):
    three_levels(ctx, "make-4.3")


@needs("make-4.4.1", "ninja-1.13.2")
def test_make441_ninja_make441(ctx):
    three_levels(ctx, "make-4.4.1")


def three_levels(ctx, make, prefix=""):
    """make -> ninja -> make, with jobs on each level. ninja asks for tokens only when one of its
    jobs ends, so the make below it has jobs to the end."""
    ctx.makefile("m", 40, "m")
    ctx.write("n/build.ninja",
              "rule job\n  command = job $name $out\n"
              "rule sub\n  command = make -C ../m && touch $out\n"
              "build sub: sub\n"
              + "".join(f"build n{i}.o: job\n  name = n{i}\n" for i in range(6)))
    ctx.write("t/Makefile",
              "all: n t0 t1 t2\n.PHONY: all n t0 t1 t2\nn:\n\t+ninja -C ../n\n"
              "t0 t1 t2:\n\t@job $@\n")
    run = ctx.run(["make", "-C", "t"], tools=[make, "ninja-1.13.2"])
    ctx.desk.drive(4, total=40)
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.peak, 4, "most jobs at once")
    expect(ctx.desk.entered, 49, "jobs")


@needs("ninja-1.13.2", "make-4.4.1")
def test_ninja_make441(ctx):
    ctx.makefile("m", 20, "m")
    ctx.makefile("k", 20, "k")
    ctx.write("n/build.ninja", "rule sub\n  command = make -C ../$in_dir && touch $out\n"
              "build m: sub\n  in_dir = m\nbuild k: sub\n  in_dir = k\n")
    run = ctx.run(["ninja", "-C", "n"], tools=["ninja-1.13.2", "make-4.4.1"])
    # Once one of the two makes has ended, ninja's own slot may be the one that rests.
    ctx.desk.drive(4, total=30)
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.peak, 4, "most jobs at once")
    expect(ctx.desk.entered, 40, "jobs")


@needs("make-4.3", "make-4.4.1")
def test_make43_below_make441_and_back(ctx):
    """Two generations of make, each below the other."""
    old, new = ctx.tool("make-4.3"), ctx.tool("make-4.4.1")
    ctx.makefile("a", 12, "a")
    ctx.write("t/Makefile", f"all:\n\t+PATH=\"$$TOKENPOOL_SHIMS:{old}:$$PATH\" make -C ../u\n")
    ctx.write("u/Makefile", f"all:\n\t+PATH=\"$$TOKENPOOL_SHIMS:{new}:$$PATH\" make -C ../a\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.4.1"])
    ctx.desk.drive(4, total=12)
    run.finish()


def cargo_and_make_test(cargo, make, shims):
    def body(ctx):
        cargo_and_make(ctx, cargo, make, shims)

    name = f"test_{cargo}_build_script_{make}_shims_{shims}".replace("-", "").replace(".", "")
    body.__name__ = name
    # Each two of the three meet in the short ones.
    is_long = not (cargo == "cargo") ^ (make == "make-4.3") ^ (shims == "on")
    globals()[name] = long(timeout(180)(needs(cargo, make)(body)), is_long)


for _cargo in ("cargo", "cargo-1.65"):
    for _make in ("make-4.3", "make-4.4.1"):
        for _shims in ("on", "off"):
            cargo_and_make_test(_cargo, _make, _shims)


def cargo_and_make(ctx, cargo, make, shims):
    """cargo -> build script -> make, as crates with C in them do it."""
    ctx.makefile("a", 16, "a")
    ctx.write("c/Cargo.toml", '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\n')
    ctx.write("c/src/lib.rs", "")
    ctx.write("c/build.rs",
              'fn main() {\n  let flags = std::env::var("CARGO_MAKEFLAGS").unwrap();\n'
              '  let ok = std::process::Command::new("make").args(["-C", "../a"])\n'
              '    .env("MAKEFLAGS", flags).status().unwrap();\n  assert!(ok.success());\n}\n')
    options = ["--shims", "off"] if shims == "off" else []
    run = ctx.run(["cargo", "build", "--offline", "-q"], tools=[cargo, make], options=options,
                  cwd=f"{ctx.dir}/c")
    ctx.desk.drive(4, total=16)
    run.finish()


@long
@timeout(240)
@needs("cargo-1.65", "make-4.3")
def test_cargo165_workspace(ctx):
    """Crates side by side, and below each of them a make: what a cargo that knows no FIFO's path
    is told, and what it tells its build scripts. A recipe of an old make has to say +, by which it
    leaves cargo the descriptors."""
    names = [f"c{i}" for i in range(4)]
    listed = ", ".join(f'"{name}"' for name in names)
    ctx.write("w/Cargo.toml", f'[workspace]\nmembers = [{listed}]\n')
    for name in names:
        ctx.makefile(f"m/{name}", 12, f"{name}-")
        ctx.write(f"w/{name}/Cargo.toml",
                  f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
        ctx.write(f"w/{name}/src/lib.rs", "")
        ctx.write(f"w/{name}/build.rs",
                  'fn main() { assert!(std::process::Command::new("make")'
                  f'.args(["-C", "../../m/{name}"]).status().unwrap().success()); }}\n')
    ctx.write("t/Makefile", "all:\n\t+cd ../w && cargo build --offline -q\n")
    run = ctx.run(["make", "-C", "t"], tools=["cargo-1.65", "make-4.3"])
    ctx.desk.drive(4, total=36)
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.peak, 4, "most jobs at once")
    expect(ctx.desk.entered, 48, "jobs")


def several_build_scripts(make):
    def body(ctx):
        """cargo -> several build scripts at once -> a make in each."""
        members = [f"c{i}" for i in range(4)]
        ctx.write("w/Cargo.toml", f'[workspace]\nresolver = "2"\nmembers = {members}\n'
                  .replace("'", '"'))
        for name in members:
            ctx.makefile(f"m-{name}", 8, name)
            ctx.write(f"w/{name}/Cargo.toml",
                      f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
            ctx.write(f"w/{name}/src/lib.rs", "")
            ctx.write(f"w/{name}/build.rs",
                      'fn main() {\n  let flags = std::env::var("CARGO_MAKEFLAGS").unwrap();\n'
                      '  let ok = std::process::Command::new("make")\n'
                      f'    .args(["-C", "{ctx.dir}/m-{name}"]).env("MAKEFLAGS", flags)\n'
                      '    .status().unwrap();\n  assert!(ok.success());\n}\n')
        run = ctx.run(["cargo", "build", "--offline", "-q"], tools=["cargo", make],
                      cwd=f"{ctx.dir}/w")
        ctx.desk.drive(4, total=24)
        ctx.desk.let_all_out(run)
        run.finish()
        expect(ctx.desk.peak, 4, "most jobs at once")
        expect(ctx.desk.entered, 32, "jobs")

    body.__name__ = f"test_cargo_several_build_scripts_{make.replace('-', '').replace('.', '')}"
    globals()[body.__name__] = long(timeout(180)(needs("cargo", make)(body)), make == "make-4.4.1")


for _make in ("make-4.3", "make-4.4.1"):
    several_build_scripts(_make)


@timeout(180)
@needs("ninja-1.13.2", "make-4.3", "cargo", "cmake-4.3.1")
def test_deep(ctx):
    """ninja -> make -> sh -> ninja -> cargo -> build script -> make -> ctest: every one of them is
    the only job of the one above it, up to the last make."""
    ctest_folder(ctx, 12, "e")
    ctx.write("m2/Makefile",
              "jobs := k0 k1 k2 k3 k4 k5\n.PHONY: all t $(jobs)\nall: $(jobs) t\n"
              "t:\n\t+ctest --test-dir ../e\n$(jobs):\n\t@job $@\n")
    ctx.write("c/Cargo.toml", '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\n')
    ctx.write("c/src/lib.rs", "")
    ctx.write("c/build.rs",
              'fn main() { assert!(std::process::Command::new("make")'
              f'.args(["-C", "{ctx.dir}/m2"]).status().unwrap().success()); }}\n')
    ctx.write("n2/build.ninja",
              "rule c\n  command = cd ../c && cargo build --offline -q\nbuild c: c\n")
    ctx.write("m1/Makefile", "all:\n\t+sh -c 'ninja -C ../n2'\n")
    ctx.write("n1/build.ninja", "rule m\n  command = make -C ../m1\nbuild m: m\n")
    run = ctx.run(["ninja", "-C", "n1"],
                  tools=["cargo", "make-4.3", "ninja-1.13.2", "cmake-4.3.1"])
    ctx.desk.drive(4, total=12)
    ctx.desk.let_all_out(run)
    run.finish()
    expect(ctx.desk.peak, 4, "most jobs at once")
    expect(ctx.desk.entered, 18, "jobs")


# gcc's link-time compiler, which is a job of the desk where it compiles one part of the program.
LTO1 = """case " $* " in *" -fltrans "*) job lt || exit 1 ;; esac
exec {real} "$@"
"""


def lto_test(make, flag):
    def body(ctx):
        """make -> gcc -flto -> make -> lto1: the link's own make is as wide as the pool."""
        found = ctx.spawn(["gcc", "-print-prog-name=lto1"])
        expect(found.wait(), 0, "status of gcc")
        os.mkdir(f"{ctx.dir}/compilers")
        ctx.script("compilers/lto1", LTO1.format(real=found.stdout().strip()))
        # A part of its own for each function, which is not inlined.
        functions = [f"f{i}" for i in range(10)]
        for i, name in enumerate(functions):
            ctx.write(f"l/{name}.c",
                      f"__attribute__((noipa)) int {name}(int x) {{ return x * {i + 1}; }}\n")
        ctx.write("l/main.c",
                  "".join(f"int {name}(int);\n" for name in functions)
                  + "int main(int c, char** v) { (void)v; return ("
                  + " + ".join(f"{name}(c)" for name in functions) + ") == 0; }\n")
        objects = " ".join(f"{name}.o" for name in ["main", *functions])
        ctx.write("l/Makefile",
                  f"program: {objects}\n"
                  f"\t+gcc -B{ctx.dir}/compilers/ -O2 {flag} -flto-partition=max $^ -o $@\n"
                  "%.o: %.c\n\tgcc -O2 -flto -c $< -o $@\n")
        run = ctx.run(["make", "-C", "l"], tools=[make])
        ctx.desk.drive(4, total=8, prefix="lt")
        ctx.desk.let_all_out(run)
        report = run.finish()
        expect(ctx.desk.peak, 4, "most parts at once")
        expect_that(ctx.desk.entered > 10, f"{ctx.desk.entered} parts")
        expect_that("resetting jobserver" not in run.stderr(), "a make left the pool")
        expect(report["tokens"]["refused"], 0, "tokens refused")
        expect(os.access(f"{ctx.dir}/l/program", os.X_OK), True, "program")

    short = f"{flag.rpartition('=')[2]}_{make.replace('-', '').replace('.', '')}"
    body.__name__ = f"test_gcc_lto_{short}"
    is_long = (flag, make) not in (("-flto=jobserver", "make-4.3"), ("-flto=auto", "make-4.4.1"))
    globals()[body.__name__] = long(timeout(120)(needs(make, "gcc")(body)), is_long)


for _make in ("make-4.3", "make-4.4.1"):
    for _flag in ("-flto=auto", "-flto=jobserver", "-flto=8"):
        lto_test(_make, _flag)


def cmake_test(generator, tools, inside):
    def body(ctx):
        """cmake --build; it keeps the absolute path of the make or ninja that it has found."""
        source = ctx.cmakefile("a", 12, "a")
        configure = ["cmake", "-G", generator, "-S", source, "-B", f"{ctx.dir}/out"]
        build = f"cmake --build {ctx.dir}/out"
        if inside:
            script = ctx.script("top", f"{' '.join(configure[:2])} '{generator}' -S {source} "
                                       f"-B {ctx.dir}/out >/dev/null || exit\n{build}\n")
            run = ctx.run([script], tools=tools)
        else:
            expect(ctx.spawn(configure, tools=tools).wait(), 0, "status of cmake")
            run = ctx.run(build.split(" "), tools=tools)
        ctx.desk.drive(4, total=12)
        run.finish()
        expect(took(run), [], "words taken off")

    place = "inside" if inside else "outside"
    name = f"cmake_{generator.split(' ')[-1].lower()}_configured_{place}"
    body.__name__ = f"test_{name}"
    globals()[body.__name__] = needs("cmake", *tools)(body)


for _inside in (False, True):
    cmake_test("Unix Makefiles", ["make-4.3"], _inside)
    cmake_test("Ninja", ["ninja-1.13.2"], _inside)


def ctest_folder(ctx, jobs, prefix):
    ctx.write(f"{prefix}/CTestTestfile.cmake",
              "".join(f"add_test({prefix}{i} job {prefix}{i})\n" for i in range(jobs)))


@needs("cmake-4.3.1")
def test_ctest(ctx):
    ctest_folder(ctx, 12, "a")
    run = ctx.run(["ctest", "--test-dir", "a"], tools=["cmake-4.3.1"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("cmake-4.3.1", "make-4.3", "ninja-1.13.2", "cmake")
def test_jobs_on_command_lines(ctx):
    """-jN is taken off, with one line for each tool of the build, not for each call."""
    ctx.makefile("a", 8, "a")
    ctx.makefile("b", 8, "b")
    ctx.ninjafile("c", 8, "c")
    ctx.ninjafile("d", 8, "d")
    ctest_folder(ctx, 8, "e")
    ctest_folder(ctx, 8, "f")
    source = ctx.cmakefile("g", 8, "g")
    configured = ctx.spawn(["cmake", "-S", source, "-B", f"{ctx.dir}/out"],
                           tools=["cmake-4.3.1", "make-4.3"])
    expect(configured.wait(), 0, "status of cmake")
    script = ctx.script(
        "top",
        "set -e\nmake -j9 -C a\nmake -j 7 -C b\nninja -j9 -C c\nninja -C d -j 11\n"
        "ctest -j9 --test-dir e\nctest -j 8 --test-dir f\n"
        f"cmake --build {ctx.dir}/out -j9\ncmake --build {ctx.dir}/out --parallel 8\n")
    run = ctx.run([script], tools=["cmake-4.3.1", "make-4.3", "ninja-1.13.2"])
    for prefix in "abcdefg":
        ctx.desk.drive(4, total=8, prefix=prefix)
    run.finish()
    lines = took(run)
    for tool in ("make", "ninja", "ctest", "cmake"):
        expect(len([x for x in lines if f" off {tool}:" in x]), 1, f"lines about {tool} in {lines}")
    expect(len(lines), 4, f"lines in {lines}")


@needs("make-4.3")
def test_jobs_in_sub_makes(ctx):
    """A makefile that writes $(MAKE) -j8 stays in the pool."""
    ctx.makefile("a", 12, "a")
    ctx.write("t/Makefile", "all:\n\t$(MAKE) -j8 -C ../a\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.3"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("make-4.4.1")
def test_jobs_in_sub_makes_441(ctx):
    ctx.makefile("a", 12, "a")
    ctx.write("t/Makefile", "all:\n\t$(MAKE) -j8 -C ../a\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.4.1"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("make-4.3")
def test_shims_off(ctx):
    """--shims off leaves PATH alone."""
    script = ctx.script("top", 'echo "$PATH"\n')
    run = ctx.run([script], tools=["make-4.3"], options=["--shims", "off"])
    run.finish()
    expect(run.stdout().strip(), ctx.environment("make-4.3")["PATH"], "PATH")
    ctx.makefile("a", 12, "a")
    run = ctx.run(["make", "-C", "a"], tools=["make-4.3"], options=["--shims", "off"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("make-4.4.1", "ninja-1.13.2")
def test_shims_off_new_tools(ctx):
    """Tools that take the FIFO's path need no shims."""
    ctx.makefile("m", 24, "m")
    ctx.write("n/build.ninja", "rule sub\n  command = make -C ../m && touch $out\nbuild sub: sub\n")
    ctx.write("t/Makefile", "all:\n\tninja -C ../n\n")
    run = ctx.run(["make", "-C", "t"], tools=["make-4.4.1", "ninja-1.13.2"],
                  options=["--shims", "off"])
    ctx.desk.drive(4, total=24)
    run.finish()
    expect(ctx.desk.peak, 4, "most jobs at once")


@timeout(240)
@needs("make-4.3", "make-4.4.1", "ninja-1.13.2", "cmake-4.3.1", "cargo", "cmake")
def test_everything(ctx):
    """A script that runs all of them, one after the other and inside of each other."""
    ctx.makefile("a", 8, "a")
    ctx.ninjafile("b", 8, "b")
    ctest_folder(ctx, 8, "c")
    source = ctx.cmakefile("d", 8, "d")
    ctx.makefile("e", 8, "e")
    ctx.write("r/Cargo.toml", '[package]\nname = "r"\nversion = "0.1.0"\nedition = "2021"\n')
    ctx.write("r/src/lib.rs", "")
    ctx.write("r/build.rs",
              'fn main() { assert!(std::process::Command::new("make").args(["-C", "../e"])'
              '.status().unwrap().success()); }\n')
    new = ctx.tool("make-4.4.1")
    ctx.makefile("f", 8, "f")
    script = ctx.script(
        "top",
        "set -e\nmake -C a\nninja -C b\nctest --test-dir c\n"
        f"cmake -S {source} -B out >/dev/null\ncmake --build out\n"
        "(cd r; cargo build --offline -q)\n"
        f"PATH=\"$TOKENPOOL_SHIMS:{new}:$PATH\" make -C f\n")
    run = ctx.run([script], tools=["make-4.3", "ninja-1.13.2", "cmake-4.3.1", "cargo"])
    for prefix in "abcdef":
        ctx.desk.drive(4, total=8, prefix=prefix)
    run.finish()
    expect(ctx.desk.peak, 4, "most jobs at once")


@needs("make-4.3")
def test_widths(ctx):
    """Pools of one, two and many slots."""
    for slots in (1, 2, 16, 100):
        ctx.makefile("a", slots * 2, "a")
        run = ctx.run(["make", "-C", "a"], slots=slots, tools=["make-4.3"])
        ctx.desk.drive(slots, total=slots * 2)
        run.finish()


@needs("make-4.4.1", "ninja-1.13.2")
def test_widest(ctx):
    """The pool's limit, 512 slots."""
    ctx.makefile("a", 520, "a")
    run = ctx.run(["make", "-C", "a"], slots=512, tools=["make-4.4.1"])
    ctx.desk.drive(512, total=520)
    run.finish()


@needs("make-4.3")
def test_unchanged_outside(ctx):
    """Outside of a pool a shim is the real tool: -j stays."""
    ctx.makefile("a", 6, "a")
    shims = ctx.shims
    run = ctx.spawn(["make", "-j6", "-C", "a"],
                    env={"PATH": f"{shims}:{ctx.tool('make-4.3')}:{ctx.session.bin}:/usr/bin:/bin"})
    ctx.desk.drive(6, total=6)
    expect(run.wait(), 0, "status")
    expect(run.stderr(), "", "stderr")
