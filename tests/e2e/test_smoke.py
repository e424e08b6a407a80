"""The harness itself, and the plainest of builds."""

from harness import needs


@needs("make-4.3")
def test_make_43(ctx):
    ctx.makefile("a", 12, "a")
    run = ctx.run(["make", "-C", "a"], tools=["make-4.3"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("make-4.4.1")
def test_make_441(ctx):
    ctx.makefile("a", 12, "a")
    run = ctx.run(["make", "-C", "a"], tools=["make-4.4.1"])
    ctx.desk.drive(4, total=12)
    run.finish()


@needs("ninja-1.13.2")
def test_ninja(ctx):
    ctx.ninjafile("a", 12, "a")
    run = ctx.run(["ninja", "-C", "a"], tools=["ninja-1.13.2"])
    ctx.desk.drive(4, total=12)
    run.finish()
