"""`tokenpool serve`: its addresses and files, socket activation, its end, and its units."""

import configparser
import json
import os
import signal
import socket
import stat

from harness import NOBODY, expect, expect_that, needs
from lifecycle_kit import cli, expect_one_line, expect_quiet, state_of
from protocol_kit import DRAINING, NO_LEASE, UNAVAILABLE, Bystander, Peer, Server


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# ---- where it listens --------------------------------------------------------------------------


def test_the_default_socket(ctx):
    folder = f"{ctx.dir}/runtime"
    os.mkdir(folder, 0o700)
    variables = {"XDG_RUNTIME_DIR": folder}
    server = Server(ctx, path="", env=variables)
    expect(server.addresses(), [f"unix:{folder}/tokenpool/socket"], "addresses")
    made = [mode_of(f"{folder}/tokenpool{name}") for name in ("", "/socket", "/socket.cookie")]
    expect(made, [0o700, 0o600, 0o600], "modes of folder, socket and cookie")
    seen = cli(ctx, "status", "--json", env=variables)
    expect(json.loads(seen.stdout())["pid"], server.pid, "pid, without any word on the server")
    server.end()
    expect(os.listdir(f"{folder}/tokenpool"), ["socket.cookie"], "what is left")


@needs("root", "unshare")
def test_the_default_socket_below_run(ctx):
    """In a /run of its own, as root and as another user."""
    theirs = f"/run/user/{NOBODY}"
    own_run = f"mount -t tmpfs none /run && mkdir -p {theirs} && chown {NOBODY} {theirs}"
    for user, path in ((None, "/run/tokenpool/socket"), (NOBODY, f"{theirs}/tokenpool/socket")):
        become = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}",
                                          "--clear-groups"]
        wrap = ["unshare", "-m", "sh", "-c", f'{own_run} && exec "$@"', "sh", *become]
        server = Server(ctx, path="", wrap=wrap, env={"XDG_RUNTIME_DIR": None})
        expect(server.addresses(), [f"unix:{path}"], "addresses")
        inside = f"/proc/{server.pid}/root{path}"
        expect(mode_of(os.path.dirname(inside)), 0o700, "mode of the folder")
        with open(f"{inside}.cookie", encoding="ascii") as file:
            cookie = file.read().strip()
        Peer(ctx, f"unix:{inside}").hello(cookie)
        server.end()


def test_several_addresses_have_one_pool(ctx):
    words = ["--listen", f"unix:{ctx.dir}/second/socket", "--listen", "tcp:127.0.0.1:0"]
    server = Server(ctx, *words, slots=3)
    addresses = server.addresses()
    expect(len(addresses), 3, "addresses")
    expect(server.cookie_file(), f"{ctx.dir}/serve/socket.cookie", "beside the first")
    peers = [server.member(address) for address in addresses]
    leases = [peer.call("acquire")["lease"] for peer in peers]
    expect(len(set(leases)), 3, "numbers of leases")
    for peer in peers:
        peer.refused(UNAVAILABLE, "acquire", timeout_ms=0)
        peer.refused(NO_LEASE, "release", lease=leases[(peers.index(peer) + 1) % 3])
    waits = peers[2].ask("acquire")
    peers[0].call("release", lease=leases[0])
    expect(peers[2].result(waits)["slots"], 1, "slots across addresses")
    for peer in peers:
        peer.close()
    server.end()
    expect(os.listdir(f"{ctx.dir}/second"), [], "what is left at the second socket")


def test_an_address_that_is_taken(ctx):
    taken = socket.create_server(("127.0.0.1", 0))
    address = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
    Server(ctx, "--listen", address).expect_refused(125, address, "in use")
    expect(os.listdir(f"{ctx.dir}/serve"), [], "what is left of its Unix socket")


def test_a_second_server_is_told_of_the_first(ctx):
    first = Server(ctx)
    bystander = Bystander(first)
    holder = first.member()
    lease = holder.call("acquire")["lease"]
    before = first.cookie()
    for _ in range(3):
        second = Server(ctx)
        second.expect_refused(125, first.path, f"process {first.pid} ")
    other = Server(ctx, path=f"{ctx.dir}/other/socket")  # the user may have several
    other.member().close()
    other.end()
    bystander.finish()
    expect(first.cookie(), before, "the cookie")
    expect(holder.call("release", lease=lease), {"slots": 0}, "what the lease has left")
    first.member().close()
    first.end()


def test_what_is_no_socket_is_not_removed(ctx):
    os.mkdir(f"{ctx.dir}/serve", 0o700)
    path = ctx.write("serve/socket", "precious")
    os.chmod(f"{ctx.dir}/serve", 0o700)
    Server(ctx).expect_refused(125, path)
    with open(path, encoding="ascii") as file:
        expect(file.read(), "precious", "the file")


def test_a_folder_that_others_may_enter_is_refused(ctx):
    os.mkdir(f"{ctx.dir}/serve")
    os.chmod(f"{ctx.dir}/serve", 0o755)
    Server(ctx).expect_refused(125, f"{ctx.dir}/serve", "chmod 700")
    expect(os.listdir(f"{ctx.dir}/serve"), [], "nothing was made")


# ---- the cookie --------------------------------------------------------------------------------


def test_the_cookie_survives_a_restart(ctx):
    server = Server(ctx)
    cookie = server.cookie()
    expect(len(bytes.fromhex(cookie)), 32, "bytes")
    expect(mode_of(server.cookie_file()), 0o600, "mode")
    server.end()
    for number in (signal.SIGTERM, signal.SIGKILL):
        again = Server(ctx)
        expect((again.cookie(), mode_of(again.cookie_file())), (cookie, 0o600), "cookie, mode")
        again.member().close()
        again.signal(number)
        again.run.wait()
    os.unlink(f"{ctx.dir}/serve/socket.cookie")
    fresh = Server(ctx)
    expect_that(fresh.cookie() != cookie, "another secret, where the file was removed")
    fresh.end()


def test_cookie_files_that_are_not_to_be_trusted(ctx):
    secret = "0123456789abcdef" * 4
    path = ctx.write("secret", secret, 0o600)

    def refused(*words):
        server = Server(ctx, "--cookie-file", path)
        server.expect_refused(125, path, *words)
        expect_that(secret not in server.run.stderr(), "the secret is not told")
        expect(os.listdir(f"{ctx.dir}/serve"), [], "what is left")

    for mode in (0o640, 0o604, 0o660):
        os.chmod(path, mode)
        refused("others may read it")
    os.chmod(path, 0o600)
    for text in ("", secret[:-1], secret[:-1] + "g"):
        ctx.write("secret", text, 0o600)
        refused("64 hexadecimal digits")
    ctx.write("secret", secret, 0o600)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
        refused("another user")
        os.chown(path, 0, 0)
    os.rename(path, f"{path}.real")
    os.symlink(f"{path}.real", path)
    refused()
    for make in (os.mkfifo, os.mkdir, lambda name: socket.socket(socket.AF_UNIX).bind(name)):
        path = f"{ctx.dir}/prepared-{make.__name__}"
        make(path)
        refused("no regular file")
    path = f"{ctx.dir}/no-folder/secret"
    refused()


# ---- socket activation -------------------------------------------------------------------------


ACTIVATE = """
import os, sys
pid, count, first, *words = sys.argv[1:]
for at in range(int(count)):
    os.dup2(int(first) + at, 3 + at)
    os.set_inheritable(3 + at, True)
os.environ["LISTEN_PID"] = str(os.getpid()) if pid == "own" else pid
os.environ["LISTEN_FDS"] = count
os.execv(words[0], words)
"""


def activated(ctx, sockets, *words, pid="own", **options):
    """As a service manager starts it: the sockets are descriptors 3, 4, … of the server."""
    first = 100
    for at, listening in enumerate(sockets):
        os.dup2(listening.fileno(), first + at)
    numbers = range(first, first + len(sockets))
    wrap = [ctx.python, "-c", ACTIVATE, pid, str(len(sockets)), str(first)]
    server = Server(ctx, *words, path=options.pop("path", ""), wrap=wrap, pass_fds=numbers,
                    **options)
    for number in numbers:
        os.close(number)
    return server


def listening_socket(path):
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    listening.bind(path)
    os.umask(mask)
    listening.listen()
    return listening


def test_socket_activation(ctx):
    path = f"{ctx.dir}/unit/socket"
    listening = listening_socket(path)
    early = Peer(ctx, f"unix:{path}")  # it is the reason why the service is started
    server = activated(ctx, [listening])
    expect(server.addresses(), [f"unix:{path}"], "addresses")
    expect(server.cookie_file(), f"{path}.cookie", "the cookie's file")
    expect(mode_of(f"{path}.cookie"), 0o600, "its mode")
    early.hello(server.cookie())
    lease = early.call("acquire")["lease"]
    seen = cli(ctx, "status", "--json", "--server", path)
    expect(json.loads(seen.stdout())["leases_total"], 1, "leases")
    early.call("release", lease=lease)
    early.close()
    server.end()
    # The manager's socket stays, and whoever comes next starts the service again.
    expect(sorted(os.listdir(f"{ctx.dir}/unit")), ["socket", "socket.cookie"], "what is left")
    next_one = Peer(ctx, f"unix:{path}")
    again = activated(ctx, [listening])
    expect(again.cookie_file(), server.cookie_file(), "the cookie's file")
    next_one.hello(again.cookie())
    again.end()


def test_socket_activation_with_more_addresses(ctx):
    one = listening_socket(f"{ctx.dir}/unit/one")
    two = listening_socket(f"{ctx.dir}/unit/two")
    server = activated(ctx, [one, two], "--listen", "tcp:127.0.0.1:0")
    addresses = server.addresses()
    expect(addresses[:2], [f"unix:{ctx.dir}/unit/{name}" for name in ("one", "two")], "addresses")
    expect(server.cookie_file(), f"{ctx.dir}/unit/one.cookie", "the cookie's file")
    for address in addresses:
        server.member(address).close()
    server.end()


def test_a_socket_that_does_not_listen(ctx):
    os.makedirs(f"{ctx.dir}/unit", 0o700)
    deaf = socket.socket(socket.AF_UNIX)
    deaf.bind(f"{ctx.dir}/unit/deaf")
    activated(ctx, [deaf]).expect_refused(125, "descriptor 3", "listening")


def test_sockets_that_were_passed_to_another_process(ctx):
    """Its variables have reached us: they are of no concern, and descriptor 3 is left alone."""
    listening = listening_socket(f"{ctx.dir}/unit/socket")
    runtime = f"{ctx.dir}/runtime"
    os.mkdir(runtime, 0o700)
    for pid in (str(os.getpid()), "1", "", "nonsense"):
        server = activated(ctx, [listening], pid=pid, path=f"{ctx.dir}/serve/socket")
        expect(server.addresses(), [f"unix:{ctx.dir}/serve/socket"], f"addresses, pid {pid!r}")
        server.end()
        server = activated(ctx, [listening], pid=pid, env={"XDG_RUNTIME_DIR": runtime})
        expect(server.addresses(), [f"unix:{runtime}/tokenpool/socket"], f"default, pid {pid!r}")
        server.end()
    expect(os.listdir(f"{ctx.dir}/unit"), ["socket"], "beside the socket of the other process")


def test_quiet(ctx):
    server = ctx.spawn([ctx.tokenpool, "serve", "-q", "--listen", f"unix:{ctx.dir}/q/socket"])
    ctx.wait(lambda: os.path.exists(f"{ctx.dir}/q/socket.cookie"), "the cookie")
    peer = Peer(ctx, f"unix:{ctx.dir}/q/socket")
    with open(f"{ctx.dir}/q/socket.cookie", encoding="ascii") as file:
        peer.hello(file.read().strip())
    ctx.kill(server.pid, signal.SIGTERM)
    server.wait()
    expect_quiet(server)


# ---- its end -----------------------------------------------------------------------------------


def folder_of(server):
    return sorted(os.listdir(os.path.dirname(server.path)))


def test_a_signal_ends_it_and_nothing_is_left(ctx):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Server(ctx)
        expect(folder_of(server), ["socket", "socket.cookie", "socket.lock"], "what it has made")
        peer = server.member()
        server.signal(number)
        expect(server.run.wait(), 0, f"status after {number}")
        peer.expect_closed()
        expect(folder_of(server), ["socket.cookie"], "what is left")
        expect(server.run.stderr().count("\n"), 1, "lines on stderr")


def draining(ctx, server, peer):
    server.signal(signal.SIGTERM)
    ctx.wait(lambda: peer.status()["draining"], "that it drains")


def test_sigterm_lets_leases_end(ctx):
    server = Server(ctx)
    holder, other, stranger = server.member(), server.member(), server.peer()
    leases = [holder.call("acquire", min=2)["lease"], other.call("acquire", min=2)["lease"]]
    waits = [holder.ask("acquire"), other.ask("acquire", min=3)]
    draining(ctx, server, holder)
    for peer, call in zip((holder, other), waits):
        expect(peer.code(call), DRAINING, "code of a request that waits")
        peer.refused(DRAINING, "acquire")
        peer.refused(DRAINING, "acquire", timeout_ms=0)
    holder.call("set", paused=False)
    holder.refused(DRAINING, "acquire")
    stranger.call("hello", protocol=1, cookie=server.cookie(), name="late", pid=1)
    stranger.refused(DRAINING, "acquire")
    expect(holder.call("release", lease=leases[0], slots=1), {"slots": 1}, "some given back")
    expect(holder.call("release", lease=leases[0]), {"slots": 0}, "all given back")
    expect(other.status()["leases_total"], 1, "leases")
    expect_that(not server.run.ended(), "it waits for the last lease")
    other.close()  # the last lease ends with its session
    expect(server.run.wait(), 0, "status")
    holder.expect_closed()
    expect(folder_of(server), ["socket.cookie"], "what is left")


def test_who_comes_while_it_drains_is_told(ctx):
    """And does not wait until the last lease has ended."""
    server = Server(ctx)
    cookie = server.cookie()
    holder = server.member()
    holder.call("acquire")
    draining(ctx, server, holder)
    late = server.peer()
    late.call("hello", protocol=1, cookie=cookie, name="late", pid=1)
    late.refused(DRAINING, "acquire")
    expect(late.status()["draining"], True, "what status tells")
    job = exec_job(ctx, server, "never")
    expect(job.wait(), 125, "status of an exec that comes then")
    expect_that("the arbiter is about to end" in job.stderr(), job.stderr())
    holder.close()
    expect(server.run.wait(), 0, "status")


def test_a_second_sigterm_ends_it_at_once(ctx):
    server = Server(ctx)
    holder = server.member()
    holder.call("acquire")
    draining(ctx, server, holder)
    server.signal(signal.SIGTERM)
    expect(server.run.wait(), 0, "status")
    holder.expect_closed()
    expect(folder_of(server), ["socket.cookie"], "what is left")


def exec_job(ctx, server, name):
    return ctx.spawn([ctx.tokenpool, "exec", "--target", name, "job", name], env=server.variables())


def test_sigterm_lets_jobs_of_exec_end(ctx):
    server = Server(ctx, slots=2)
    jobs = [exec_job(ctx, server, name) for name in ("a", "b")]
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "both jobs in")
    draining(ctx, server, server.member())
    ctx.desk.release(ctx.desk.held("a")[0])
    expect(jobs[0].wait(), 0, "status of the first job")
    expect_that(not server.run.ended(), "it waits for the other")
    ctx.desk.release(ctx.desk.held("b")[0])
    expect((jobs[1].wait(), server.run.wait()), (0, 0), "status of job and server")
    expect([job.stderr() for job in jobs], ["", ""], "what exec said")


# ---- killed ------------------------------------------------------------------------------------


def killed(server):
    server.signal(signal.SIGKILL)
    server.run.wait()


def test_the_socket_of_a_killed_server_is_taken_over(ctx):
    server = Server(ctx)
    for _ in range(3):
        killed(server)
        expect(folder_of(server), ["socket", "socket.cookie", "socket.lock"], "what is left")
        server = Server(ctx)
        server.member().close()
    server.end()
    expect(folder_of(server), ["socket.cookie"], "what is left")


def test_what_was_never_held_is_not_resumed(ctx):
    """Only the client that has lost a lease with its connection gets it back, and no more of it."""
    server = Server(ctx)
    forged = [{"lease": 7, "slots": 4}, {"lease": 1 << 52, "slots": 1}]
    expect(server.peer().hello(server.cookie(), resume=forged)["resumed"], [0, 0], "never given")
    holder = server.member()
    lease = holder.call("acquire", min=2)["lease"]
    holder.close()
    looker = server.member()
    ctx.wait(lambda: looker.status()["leases_total"] == 0, "its end")
    again = server.peer()
    answer = again.hello(server.cookie(), resume=[{"lease": lease, "slots": 4}])
    expect(answer["resumed"], [lease], "the same process says so")
    expect(looker.status()["leased"], 2, "slots")
    again.close()
    server.end()


def test_an_operator_ends_a_lease(ctx):
    server = Server(ctx)
    holder, other = server.member(), server.member()
    lease = holder.call("acquire", min=3, target="app")["lease"]
    waits = other.ask("acquire", min=4)
    variables = server.variables()
    expect_one_line(cli(ctx, "set", f"lease.{lease + 1}=0", env=variables), 1,
                    f"there is no lease {lease + 1}")
    said = cli(ctx, "set", f"lease.{lease}=0", env=variables)
    expect((said.wait(), said.stdout()), (0, "slots 4, no limits\n"), "what is now")
    expect(other.result(waits)["slots"], 4, "slots of who waited")
    row = other.status()["recoveries"][0]
    expect((row["lease"], row["slots"], row["cause"]), (lease, 3, "operator"), "recovery")
    shown = cli(ctx, "status", env=variables)
    expect(shown.wait(), 0, "status")
    expect_that("ended by set" in shown.stdout(), shown.stdout())
    expect(holder.call("release", lease=lease)["slots"], 0, "what its client has left")
    other.close()
    server.end()


def test_a_lease_pays_only_for_those_below_it(ctx):
    """Who says that it runs under a lease is one that its holder has started, or has the lease's
    number in the environment that it was started with."""
    server = Server(ctx)
    launchers = [ctx.spawn([ctx.tokenpool, "exec", "--slots", "2", "job", "outer"],
                           env=server.variables())]
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the holder's job")
    looker = server.member()
    lease = looker.status()["leases"][0]["lease"]
    stranger = server.member(lease=lease)
    expect(stranger.call("acquire").get("paid", 0), 0, "slots paid for a stranger")
    expect(looker.status()["leased"], 3, "slots out")
    launchers.append(ctx.spawn([ctx.tokenpool, "exec", "job", "inner"],
                               env={**server.variables(), "TOKENPOOL_LEASE": str(lease)}))
    ctx.desk.wait(lambda: ctx.desk.count() == 2, "the job below it")
    status = looker.status()
    expect((status["leased"], status["leases_total"]), (3, 3), "slots out, leases")
    for guest in ctx.desk.held():
        ctx.desk.release(guest)
    for launcher in launchers:
        expect(launcher.wait(), 0, "status of exec")
    stranger.close()
    looker.close()
    server.end()


def test_clients_resume_at_the_next_server(ctx):
    server = Server(ctx)
    holder = server.member()
    lease = holder.call("acquire", min=3, type="link", target="app")["lease"]
    epoch = holder.status()["epoch"]
    killed(server)
    holder.expect_closed()
    server = Server(ctx)
    holder, other = server.peer(), server.member()
    declared = [{"lease": lease, "slots": 3, "type": "link", "target": "app"}]
    answer = holder.hello(server.cookie(), resume=declared)
    expect(answer["resumed"], [lease], "the lease's number")
    expect_that(answer["epoch"] != epoch, "another epoch")
    waits = other.ask("acquire", min=2)
    one = other.call("acquire")  # beside the one that waits, in the last slot
    other.refused(UNAVAILABLE, "acquire", timeout_ms=0)
    status = other.status()
    expect((status["leased"], status["free"], status["waiting_total"]), (4, 0, 1), "of the pool")
    row = next(row for row in status["leases"] if row["lease"] == lease)
    expect([row[key] for key in ("slots", "type", "target")], [3, "link", "app"], "the lease")
    holder.call("release", lease=lease, slots=2)
    two = other.result(waits)
    expect((one["slots"], two["slots"]), (1, 2), "what was granted")
    expect_that(len({lease, one["lease"], two["lease"]}) == 3, "three numbers")
    holder.close()
    other.close()
    expect(server.member().call("acquire", min=4)["slots"], 4, "all of them, once all is back")
    server.signal(signal.SIGKILL)
    server.run.wait()


def test_jobs_of_exec_survive_a_killed_server(ctx):
    """Four hold slots and two wait when it is killed. Those that wait are stopped until the others
    have declared what they hold, however long that takes, so that the width is known."""
    server = Server(ctx)
    jobs = [exec_job(ctx, server, f"j{i}") for i in range(4)]
    ctx.desk.wait(lambda: ctx.desk.count() == 4, "four jobs in")
    jobs += [exec_job(ctx, server, f"j{i}") for i in range(4, 6)]
    looker = server.member()
    ctx.wait(lambda: looker.status()["waiting_total"] == 2, "two that wait")
    for job in jobs[4:]:
        ctx.kill(job.pid, signal.SIGSTOP)
        ctx.wait(lambda job=job: state_of(job.pid) == "T", "that it is stopped")
    killed(server)
    server = Server(ctx)
    looker = server.member()
    ctx.wait(lambda: looker.status()["leases_total"] == 4, "that four have resumed")
    for job in jobs[4:]:
        ctx.kill(job.pid, signal.SIGCONT)
    ctx.wait(lambda: looker.status()["waiting_total"] == 2, "that two ask again")
    jobs += [exec_job(ctx, server, f"j{i}") for i in range(6, 10)]
    ctx.desk.drive(4, total=10)
    expect([job.wait() for job in jobs], [0] * 10, "status of the jobs")
    expect([job.stderr() for job in jobs], [""] * 10, "what exec said")
    looker.close()
    server.end()


# ---- by the command line -----------------------------------------------------------------------


def test_env_exec_and_status_over_tcp(ctx):
    server = Server(ctx, "--listen", "tcp:127.0.0.1:0")
    tcp = server.addresses()[1]
    at = ["--server", tcp, "--cookie-file", server.cookie_file()]
    found = json.loads(cli(ctx, "env", "--json", *at).stdout())["set"]
    expect(found, {"TOKENPOOL_ADDR": tcp, "TOKENPOOL_COOKIE": server.cookie()}, "variables")
    words = ["--slots", "2", "--type", "link", "job", "a"]
    job = ctx.spawn([ctx.tokenpool, "exec", *words], env=found)
    ctx.desk.wait(lambda: ctx.desk.count() == 1, "the job in")
    seen = cli(ctx, "status", "--json", env=found)
    expect_quiet(seen)
    status = json.loads(seen.stdout())
    expect((status["slots"], status["free"], status["leased"]), (4, 2, 2), "of the pool")
    expect([row["type"] for row in status["leases"]], ["link"], "types of leases")
    ctx.desk.release(ctx.desk.held()[0])
    expect((job.wait(), job.stderr()), (0, ""), "status and stderr of exec")
    server.end()
    gone = cli(ctx, "status", *at)
    expect_one_line(gone, 1, "nobody answers at", tcp)


def test_exec_waits_for_a_server_that_is_stopped(ctx):
    """It lives, so the job does not run outside of its pool."""
    server = Server(ctx)
    variables = {"TOKENPOOL_ADDR": server.addresses()[0], "TOKENPOOL_COOKIE": server.cookie()}
    server.signal(signal.SIGSTOP)
    ctx.wait(lambda: state_of(server.pid) == "T", "that it is stopped")
    job = ctx.spawn([ctx.tokenpool, "exec", "job", "a"], env=variables)
    ctx.wait(lambda: "waits for it" in job.stderr(), "that it says what it waits for")
    late = ctx.spawn([ctx.tokenpool, "exec", "--timeout", "0.1", "job", "late"], env=variables)
    expect(late.wait(), 125, "status where --timeout is over")
    alone = ctx.spawn([ctx.tokenpool, "exec", "--alone-after", "0", "job", "b"], env=variables)
    ctx.desk.wait(lambda: ctx.desk.count("b") == 1, "the job that was told not to wait")
    ctx.desk.release(ctx.desk.held("b")[0])
    expect(alone.wait(), 0, "status of that one")
    expect_that("does not answer" in alone.stderr() and "one slot" in alone.stderr(),
                f"it says so: {alone.stderr()}")
    expect(ctx.desk.count("a"), 0, "jobs that are not in the pool")
    server.signal(signal.SIGCONT)
    ctx.desk.wait(lambda: ctx.desk.count("a") == 1, "the job, once it goes on")
    expect(json.loads(cli(ctx, "status", "--json", env=variables).stdout())["leased"], 1, "leased")
    ctx.desk.release(ctx.desk.held("a")[0])
    expect(job.wait(), 0, "status")
    server.end()


@needs("root")
def test_another_user_is_told_why(ctx):
    """By the arbiter where its socket can be reached, by the system where it cannot."""
    server = Server(ctx)
    socket_path = server.addresses()[0].removeprefix("unix:")
    variables = {"TOKENPOOL_ADDR": server.addresses()[0], "TOKENPOOL_COOKIE": server.cookie()}
    closed = ctx.spawn([ctx.tokenpool, "exec", "true"], env=variables, user=NOBODY)
    expect(closed.wait(), 0, "status")
    expect_that("Permission denied" in closed.stderr(), f"the reason: {closed.stderr()}")
    os.chmod(os.path.dirname(socket_path), 0o711)
    os.chmod(socket_path, 0o666)
    refused = ctx.spawn([ctx.tokenpool, "exec", "true"], env=variables, user=NOBODY)
    expect(refused.wait(), 0, "status")
    expect_that(f"it serves user 0 only, you are user {NOBODY}" in refused.stderr(),
                f"the reason: {refused.stderr()}")
    server.end()


# ---- the units ---------------------------------------------------------------------------------

UNITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../systemd")


def unit(name):
    """[Section] to {key: value} of a unit in which no key occurs twice."""
    parser = configparser.ConfigParser(delimiters="=", comment_prefixes="#", interpolation=None)
    parser.optionxform = str
    source = name if os.path.exists(f"{UNITS}/{name}") else f"{name}.in"
    with open(f"{UNITS}/{source}", encoding="utf-8") as file:
        parser.read_file(file)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_units_start_it(ctx):
    """What they say, done by hand: the socket, the command on it, a reload, an end."""
    listens, serves = unit("tokenpool.socket")["Socket"], unit("tokenpool.service")["Service"]
    runtime = f"{ctx.dir}/runtime"
    os.mkdir(runtime, 0o700)
    path = listens["ListenStream"].replace("%t", runtime)
    os.mkdir(os.path.dirname(path), int(listens["DirectoryMode"], 8))
    listening = listening_socket(path)
    os.chmod(path, int(listens["SocketMode"], 8))
    program, command, options = serves["ExecStart"].split()
    expect((program, options), ("@program@", "$TOKENPOOL_SERVE_OPTIONS"), "words of ExecStart")
    expect(command, "serve", "the command")
    config = ctx.write("serve.toml", "jobs = 3")
    server = activated(ctx, [listening], "--config", config, slots=None)
    variables = {"XDG_RUNTIME_DIR": runtime}
    looker = server.member()
    expect(looker.status()["slots"], 3, "slots")
    seen = cli(ctx, "status", "--json", env=variables)  # finds it without a word
    expect(json.loads(seen.stdout())["pid"], server.pid, "pid")
    expect(serves["ExecReload"], "kill -HUP $MAINPID", "the command that reloads")
    ctx.write("serve.toml", "jobs = 5")
    server.signal(signal.SIGHUP)
    ctx.wait(lambda: looker.status()["slots"] == 5, "five slots")
    server.end()
    expect(serves["RestartPreventExitStatus"], "2 125", "statuses that a restart does not mend")
    expect(sorted(os.listdir(os.path.dirname(path))), ["socket", "socket.cookie"], "what is left")


def test_the_units_belong_together(ctx):
    listens, serves = unit("tokenpool.socket"), unit("tokenpool.service")
    for one in (listens, serves):
        expect_that("man:tokenpool-serve(1)" in one["Unit"]["Documentation"], "its page")
    for key in ("Requires", "After"):
        expect(serves["Unit"][key], "tokenpool.socket", key)
    expect((listens["Install"], serves["Install"]),
           ({"WantedBy": "sockets.target"},
            {"WantedBy": "default.target", "Also": "tokenpool.socket"}), "how they are enabled")
    limit = int(serves["Service"]["LimitNOFILE"])
    expect_that(limit >= 2 * 12288, f"two descriptors for each session: {limit}")
