"""Compilers that stay until the test lets them go, for the tests of `run --wrap`."""

import json
import os
import subprocess

import harness

# What the script of a compiler asks before it executes the real one: whether this call is a job.
COMPILES = 'case " $* " in *" -c "*) {stay} ;; esac\n'
ALWAYS = "{stay}\n"


def compiler(ctx, name, real, when=COMPILES):
    """A program `name` in the folder ctx.dir/real: `job NAME-OF-THE-LAST-ARGUMENT`, then `real`. It
    stays only where E2E_STAY is set, so that a tool can be configured without the desk."""
    stay = 'if [ -n "$E2E_STAY" ]; then job "c-$(basename "${@: -1}")" || exit; fi'
    return ctx.script(f"real/{name}", when.format(stay=stay) + f'exec {real} "$@"\n')


def environment(ctx, *tools, **more):
    """Variables with those compilers first on PATH, before `tools`."""
    path = ctx.environment(*tools)["PATH"]
    return {"PATH": f"{ctx.dir}/real:{path}", "E2E_STAY": "1", **more}


def sources(ctx, folder, number):
    """`number` C files f0.c ... in `folder`; answers their names without suffix."""
    names = [f"f{i}" for i in range(number)]
    for name in names:
        ctx.write(f"{folder}/{name}.c", f"int {name}(void) {{ return 0; }}\n")
    return names


def wrap_folder(ctx):
    """Where the shims of the test are, which has made one set of them."""
    top = f"{ctx.dir}/data/tokenpool/wrap"
    return f"{top}/{os.listdir(top)[0]}"


def status(ctx, guest):
    """What `tokenpool status` tells in the surroundings of a job that is inside."""
    variables = dict(word.split("=", 1) for word in
                     harness.read_proc(guest.pid, "environ").decode().split("\0") if "=" in word)
    text = subprocess.run([ctx.tokenpool, "status", "--json"], env=variables, check=True,
                          capture_output=True).stdout
    return json.loads(text), variables
