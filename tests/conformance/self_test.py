#!/usr/bin/env python3
"""Whether the kit finds what it must: a test of the kit, not of a client.

Usage: python3 self_test.py [-k PATTERN]

The golden vectors must agree with the fake arbiter's own judgement and with the reference client's.
The reference driver must pass every case. Then it is broken in one place after the other, and each
time the named cases must fail, with the reason that was to be expected.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import reference_wire
import request_check
from cases_stream import bytes_of, vectors

HERE = pathlib.Path(__file__).resolve().parent
WIRE, PROTOCOL = "reference_wire.py", "reference_protocol.py"
JOBSERVER = "reference_jobserver.py"
HEAD = '{"jsonrpc":"2.0","id":1,"method":"status","params":'

# Name, file, [(text, what is put in its place)], cases, reason. A text must be there once.
BREAKS = [
    ("loses leases at resume", PROTOCOL,
     [('hello["resume"] = declared', 'hello["resume"] = declared[1:]')],
     "lost and back declares exactly", "the leases that resume declares"),
    ("declares released leases", PROTOCOL,
     [("del self.leases[key]", "self.gone = [dict(self.leases.pop(key), slots=given)]"),
      ("held = list(self.leases.values())",
       'held = list(self.leases.values()) + getattr(self, "gone", [])')],
     "releases made while lost", "the leases that resume declares"),
    ("declares the slots as granted at first", PROTOCOL,
     [('slots=e["slots"]) for', 'slots=e.setdefault("first", e["slots"])) for')],
     "resume declares what resize", "slots of lease 101 in resume"),
    ("declares a lease without its words", PROTOCOL,
     [('dict(e["words"], lease', "dict({}, lease")],
     "lost and back declares exactly", "lease 12 in resume is"),
    ("ignores 0", PROTOCOL, [("if now == 0:", "if now is None:")],
     "resume answered with 0", r"leases \{key"),
    ("keeps the old numbers", PROTOCOL,
     [('entry["lease"] = now', 'entry["lease"] = now and entry["lease"]')],
     "resume adopts new numbers", r"leases \{key"),
    ("keeps waiting requests silent after a reconnect", PROTOCOL,
     [("in self.pending.values():\n                self.ask", "in ():\n                self.ask")],
     "requests that waited are asked again", "waiting for acquire"),
    ("asks again in another order", PROTOCOL,
     [("in self.pending.values():\n                self.ask",
       "in reversed(list(self.pending.values())):\n                self.ask")],
     "requests that waited are asked again", "the acquire x, asked again"),
    ("asks again for what was cancelled", PROTOCOL,
     [('self.done(call, failed(-32004, "cancelled"))',
       'call.answer = failed(-32004, "cancelled")')],
     "requests cancelled while lost", "min of acquire"),
    ("forgets a release during hello", PROTOCOL,
     [('elif entry["slots"] < was["slots"]:', 'elif entry["slots"] > was["slots"]:')],
     "a release made while the lost", "waiting for release"),
    ("never comes back", PROTOCOL,
     [("delay = 0.05\n", "delay = 0.05\n            return\n")],
     "lost and back over TCP", "a connection to the arbiter"),
    ("comes back to the first address only", PROTOCOL,
     [("in self.addresses:", "in self.addresses[:1]:")],
     "find the second address|another of the addresses", "a connection to the arbiter"),
    ("keeps half a line over a reconnect", PROTOCOL,
     [("self.lines, deadline = Lines(sock), time.monotonic() + PATIENCE",
       'old = getattr(self, "lines", None)\n        self.lines, deadline = Lines(sock), '
       "time.monotonic() + PATIENCE\n        self.lines.bytes = old.bytes if old else b''")],
     "lost in the middle of an answer", "closed the connection where acquire"),
    ("waits for ever while lost", PROTOCOL,
     [("left = None if self.connected else call.left()", "left = None")],
     "requests whose time is over", "to answer"),
    ("waits for an answer that was lost", PROTOCOL,
     [('in [c for c in self.pending.values() if c.method != "acquire"]:', "in ():")],
     "requests under way but acquire", "to answer .*resize"),
    ("waits for hello without end", PROTOCOL, [("PATIENCE = 5.0", "PATIENCE = 3600.0")],
     "never answers hello", "give up after 5 s"),
    ("sends no start", PROTOCOL, [(", start=own_start())", ")")],
     "hello has its members", "start of hello"),
    ("sends its parent's pid", PROTOCOL, [("pid=os.getpid()", "pid=os.getppid()")],
     "hello has its members", "pid of hello"),
    ("sends any TOKENPOOL_LEASE", PROTOCOL, [(" and 0 < int(lease) <= MAX_NUMBER", "")],
     "hello leaves out", "to be refused with -32602: lease"),
    ("sends numbers as texts", PROTOCOL, [('"slots": given})\n            return',
                                           '"slots": str(given)})\n            return')],
     "release all", "to be refused with -32602: slots"),
    ("uses one id for all", PROTOCOL, [("self.last += 1", "self.last = 1")],
     "different ids", "how many ids differ"),
    ("holds a release back", PROTOCOL,
     [('if self.connected:\n                self.send(self.sock, "release"',
       'if self.connected and self.last > 9:\n                self.send(self.sock, "release"')],
     "release all", "waiting for release"),
    ("cancels by itself only", PROTOCOL,
     [('return self.call("cancel", {"id": call.id}).get("cancelled", False)',
       'self.done(call, failed(-32004, "cancelled"))\n        return True')],
     "cancel a request that waits", "waiting for cancel"),
    ("takes an unknown error for success", PROTOCOL,
     [('elif call is not None and "error" in message:',
       'elif call is not None and message.get("error", {}).get("code", 0) < -32000:'),
      ('result = message["result"]', 'result = message.get("result", {"lease": 0, "slots": 0})')],
     "passes on the errors", "must fail"),
    ("does not split lines", WIRE,
     [('line, self.bytes = self.bytes.split(b"\\n", 1)', 'line, self.bytes = self.bytes, b""')],
     "several in one segment", "to answer .*await"),
    ("takes a segment for a line", WIRE,
     [('while b"\\n" not in self.bytes:', "while not self.bytes:"),
      ('line, self.bytes = self.bytes.split(b"\\n", 1)',
       'line, _, self.bytes = self.bytes.partition(b"\\n")')],
     "pieces of one byte", "closed the connection"),
    ("reads lines without end", WIRE, [("if len(self.bytes) >= MAX_LINE:", "if False:")],
     "a line without end", "after 64 KiB without a newline"),
    ("takes lines that are too long", WIRE,
     [("if len(self.bytes) >= MAX_LINE:", "if False:"), ("if len(line) >= MAX_LINE:", "if False:")],
     "every golden bad answer", "65537 bytes"),
    ("refuses notifications that it does not know", WIRE,
     [('if not isinstance(message["method"], str):',
       'if message["method"] not in ("event", "revoke", "recall"):')],
     "nobody knows do no harm", "closed the connection where status|failed: 0"),
    ("reads what is no UTF-8", WIRE,
     [("line.decode()", 'line.decode(errors="replace")')],
     "every golden bad answer", "no UTF-8"),
    ("ignores garbage", PROTOCOL,
     [("self.take(read_answer(self.lines.next()))",
       "try:\n                        self.take(read_answer(self.lines.next()))\n"
       '                    except Broken as error:\n'
       '                        if "closed" in str(error):\n                            raise')],
     "every golden bad answer", "after a bad answer"),
    ("leaves a child with the connection", PROTOCOL,
     [("threading.Thread(target=self.run",
       "os.fork() or time.sleep(3600)\n        threading.Thread(target=self.run")],
     "killed after hello", "the end of the connection after SIGKILL"),
    ("leaves a child without the connection", PROTOCOL,
     [("threading.Thread(target=self.run",
       "os.fork() or sock.close() or time.sleep(3600)\n        threading.Thread(target=self.run")],
     "killed after hello", "processes of the driver are left"),
    ("takes nproc when it is alone", JOBSERVER,
     [('return None, None, 1, "no-makeflags"', 'return None, None, 64, "no-makeflags"')],
     "find without an address", r"\(mode, reason, slots"),
    ("lends its one slot twice", JOBSERVER,
     [("self.implicit = False", "self.implicit = self.read is None")],
     "single lends one slot", "must fail"),
    ("writes another byte back", JOBSERVER,
     [("os.write(self.write, token)", 'os.write(self.write, b"+")')],
     "jobserver by fifo|every byte", "the bytes of the tokens"),
    ("pays for the implicit slot", JOBSERVER,
     [("if len(slots) < most and self.implicit:", "if self.read is None and self.implicit:")],
     "the implicit slot costs nothing", "how many tokens"),
    ("keeps its tokens when it ends", JOBSERVER,
     [("for key in list(self.held):", "for key in ():")],
     "close quit and the end", "how many tokens"),
    ("keeps the tokens of a request that failed", JOBSERVER,
     [("self.give(slots, len(slots))", "self.implicit = True")],
     "cannot be had at once", "how many tokens"),
    ("takes less than min", JOBSERVER,
     [("if len(slots) >= ticket.least:", "if slots:")],
     "min is waited for", r"leases \{key|\(lease, slots\)"),
    ("keeps what a cancelled request had", JOBSERVER,
     [('self.end(ticket, slots, failed(-32004, "cancelled"))',
       'self.end(ticket, [], failed(-32004, "cancelled"))')],
     "cancelled half way", "how many tokens|to answer .*acquire"),
    ("makes the descriptors of others non-blocking", JOBSERVER,
     [("read = os.open(paths[0], way | os.O_NONBLOCK)",
       "read = int(pair[1]) if pair else os.open(paths[0], way)\n"
       "        os.set_blocking(read, False)")],
     "jobserver by descriptors", "has O_NONBLOCK"),
    ("prefers --jobserver-fds", JOBSERVER,
     [('if w.startswith("--jobserver-auth=")]', 'if w.startswith("--jobserver-fds=")]'),
      ('for w in words if w.startswith("--jobserver-fds=")]\n    if',
       'for w in words if w.startswith("--jobserver-auth=")]\n    if')],
     "auth beats fds", r"\(mode, reason, slots\)"),
    ("takes the first --jobserver-auth", JOBSERVER, [("named[-1]", "named[0]")],
     "the last auth counts", r"\(mode, reason, slots\)"),
]


def run_kit(driver, pattern, patience):
    command = [sys.executable, "-B", "-S", str(HERE / "kit.py"), "-k", pattern, "--patience", patience]
    command += ["--", sys.executable, "-B", "-S", str(driver)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def judged(line):
    """What the fake arbiter would answer: (code, id), or the request."""
    try:
        return request_check.check(line)
    except request_check.Refusal as refusal:
        return (None if refusal.silent else refusal.code), refusal.id


def readable(line):
    """What the reference client makes of it. Its Lines refuses those that are too long."""
    try:
        reference_wire.read_answer(line)
        return len(line) < reference_wire.MAX_LINE
    except reference_wire.Broken:
        return False


def wrong_vectors():
    """Yields each vector that is read in another way than it says."""
    for vector in vectors("requests.json"):
        got, name = judged(bytes_of(vector, HEAD)), vector["name"]
        params = vector.get("params", getattr(got, "params", None))
        if got != (vector["method"], params, vector["id"]):
            yield f"requests.json, {name}: {got}"
    for vector in vectors("bad_requests.json"):
        got = judged(bytes_of(vector, HEAD))
        if not vector.get("session") and got != (vector["code"], vector["id"]):
            yield f"bad_requests.json, {vector['name']}: {got}"
    for vector in vectors("answers.json"):
        if not readable(bytes_of(vector)):
            yield f"answers.json, {vector['name']}: not understood"
    for vector in vectors("bad_answers.json"):
        line = bytes_of(vector)
        if line.strip() and readable(line) != vector.get("ignore", False):
            yield f"bad_answers.json, {vector['name']}: {readable(line)}"


def broken(folder, file, changes):
    """A copy of the reference driver with those changes."""
    for path in HERE.glob("reference_*.py"):
        shutil.copy(path, folder)
    path = pathlib.Path(folder, file)
    text = path.read_text()
    for old, new in changes:
        if text.count(old) != 1:
            raise SystemExit(f"self_test.py: {file} has {text.count(old)} times: {old}")
        text = text.replace(old, new)
    path.write_text(text)
    return pathlib.Path(folder, "reference_driver.py")


NOTHING = "nothing has failed"
AT_ONCE = 8  # they wait more than they compute


def unnoticed(file, changes, pattern, reason):
    """Why the kit has not noticed that break; empty when it has."""
    with tempfile.TemporaryDirectory() as folder:
        result = run_kit(broken(folder, file, changes), pattern, "7")
    failed = re.findall(r"(?ms)^FAIL .*?(?=^(?:ok|skip|FAIL)  |^\d+ )", result.stdout)
    if result.returncode != 1 or not failed:
        return NOTHING
    if not any(re.search(reason, text) for text in failed):
        return f"it failed for another reason than {reason}"
    return ""


def judge(file, changes, pattern, reason):
    """As unnoticed(). What a client does too early goes unnoticed when it is late just then."""
    for _ in range(5):
        why = unnoticed(file, changes, pattern, reason)
        if why != NOTHING:
            break
    return why


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("Usage: ")[1].split("\n")[0])
    parser.add_argument("-k", metavar="PATTERN", default="", help="only breaks that match it")
    options = parser.parse_args()
    failures = list(wrong_vectors())
    print("\n".join(failures) if failures else "ok    the golden vectors agree")
    if not options.k:
        result = run_kit(HERE / "reference_driver.py", "", "20")
        good = result.returncode == 0 and " 0 failed" in result.stdout
        print(f"{'ok' if good else 'FAIL':4}  the reference driver passes", flush=True)
        if not good:
            print(result.stdout + result.stderr)
            failures.append("the reference driver")
    chosen = [one for one in BREAKS if re.search(options.k, one[0])]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for (name, *_), why in zip(chosen, pool.map(lambda one: judge(*one[1:]), chosen)):
            print(f"{'FAIL' if why else 'ok':4}  a client that {name}{': ' if why else ''}{why}",
                  flush=True)
            if why:
                failures.append(name)
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
