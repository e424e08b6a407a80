"""The reference client without an arbiter: the GNU make jobserver of MAKEFLAGS, or one slot."""

import os
import re
import select
import stat
import threading
import time

from reference_protocol import failed


def find(makeflags):
    """(read, write, slots, reason): descriptors of a jobserver, or None, None and why not."""
    if makeflags is None:
        return None, None, 1, "no-makeflags"
    words = makeflags.split(" -- ")[0].split()
    jobs = [w[2:] for w in words if re.fullmatch(r"-j\d*", w)]
    slots = max(1, int(jobs[-1])) if jobs and jobs[-1] else 1
    named = [w.split("=", 1)[1] for w in words if w.startswith("--jobserver-auth=")]
    named = named or [w.split("=", 1)[1] for w in words if w.startswith("--jobserver-fds=")]
    if not named:
        return None, None, 1, "no-jobserver"
    value = named[-1]
    pair = re.fullmatch(r"(-?\d+),(-?\d+)", value)
    if pair and (int(pair[1]) < 0 or int(pair[2]) < 0):
        return None, None, 1, "no-jobserver"
    if pair:
        paths = ["/dev/fd/" + pair[1], "/dev/fd/" + pair[2]]
    elif value.startswith("fifo:") and len(value) > 5:
        paths = [value[5:], value[5:]]
    else:
        semaphore = re.fullmatch(r"[A-Za-z0-9_.-]+", value)
        return None, None, 1, "unsupported" if semaphore else "bad-jobserver"
    try:
        if not all(stat.S_ISFIFO(os.stat(path).st_mode) for path in paths):
            return None, None, 1, "not-a-pipe"
        # Opened anew, so that O_NONBLOCK is ours alone; a FIFO for both, so that open never waits.
        way = os.O_RDONLY if pair else os.O_RDWR
        read = os.open(paths[0], way | os.O_NONBLOCK)
        return read, os.open(paths[1], os.O_WRONLY), slots, "ok"
    except OSError:
        return None, None, 1, "cannot-open"


class Ticket:
    """A request that may wait."""

    def __init__(self, key, params):
        self.key, self.answer, self.cancelled, self.ended = key, None, False, threading.Event()
        self.least = params.get("min", 1)
        self.most = params.get("max", self.least)
        wait = params.get("timeout_ms")
        self.deadline = None if wait is None else time.monotonic() + wait / 1000
        self.bell = os.pipe()

    def ring(self):
        os.write(self.bell[1], b"!")


class Fallback:
    def __init__(self, read, write, slots):
        self.read, self.write, self.slots = read, write, slots
        self.mode = "single" if read is None else "jobserver"
        self.implicit, self.held, self.tickets = True, {}, []
        self.lock = threading.RLock()

    def token(self):
        """A token, or None where there is none at this moment."""
        try:
            return (os.read(self.read, 1) or None) if self.read is not None else None
        except BlockingIOError:
            return None

    def take(self, slots, most):
        """Adds to a list of tokens, in which None is the implicit slot, what is free."""
        with self.lock:
            if len(slots) < most and self.implicit:
                self.implicit = False
                slots.append(None)
            while len(slots) < most:
                token = self.token()
                if token is None:
                    return
                slots.append(token)

    def give(self, slots, count):
        """Returns so many of a list's slots, the implicit one last."""
        with self.lock:
            slots.sort(key=lambda token: token is not None)
            for _ in range(count):
                token = slots.pop()
                if token is None:
                    self.implicit = True
                else:
                    os.write(self.write, token)
            for ticket in self.tickets:
                ticket.ring()

    def begin(self, key, params):
        ticket = Ticket(key, params)
        with self.lock:
            self.tickets.append(ticket)
        threading.Thread(target=self.serve, args=(ticket,), daemon=True).start()
        return ticket

    def serve(self, ticket):
        slots = []
        if self.mode == "single" and ticket.least > 1:
            return self.end(ticket, slots, failed(-32005, "there is one slot"))
        while True:
            self.take(slots, ticket.most)
            with self.lock:
                if ticket.cancelled:
                    return self.end(ticket, slots, failed(-32004, "cancelled"))
                if len(slots) >= ticket.least:
                    self.held[ticket.key] = slots
                    return self.end(ticket, [], {"ok": True, "lease": 0, "slots": len(slots)})
            left = None if ticket.deadline is None else ticket.deadline - time.monotonic()
            if left is not None and left <= 0:
                return self.end(ticket, slots, failed(-32003, "no slot in time"))
            waits = [ticket.bell[0]] + ([self.read] if self.read is not None else [])
            if ticket.bell[0] in select.select(waits, [], [], left)[0]:
                os.read(ticket.bell[0], 4096)

    def end(self, ticket, slots, answer):
        with self.lock:
            self.tickets.remove(ticket)
            self.give(slots, len(slots))
            ticket.answer = answer
            for end in ticket.bell:
                os.close(end)
        ticket.ended.set()

    def wait(self, ticket):
        ticket.ended.wait()
        return ticket.answer

    def cancel(self, ticket):
        with self.lock:
            if ticket.answer is None:
                ticket.cancelled = True
                ticket.ring()
        return self.wait(ticket).get("code") == -32004

    def release(self, key, slots=None):
        with self.lock:
            held = self.held.get(key, [])
            self.give(held, min(slots or len(held), len(held)))
            if not held:
                self.held.pop(key, None)
            return {"ok": True, "slots": len(held)}

    def resize(self, key, least, most):
        with self.lock:
            held = self.held[key]
            before = len(held)
            self.take(held, most)
            if len(held) < least:
                self.give(held, len(held) - before)
                return failed(-32003, "not so many are free")
            self.give(held, max(0, len(held) - most))
            return {"ok": True, "slots": len(held)}

    def report(self, key, what):
        return {"ok": True}

    def status(self):
        return failed(0, "there is no arbiter")

    def listed(self):
        return {k: {"lease": 0, "slots": len(slots)} for k, slots in self.held.items()}, False

    def close(self):
        for ticket in list(self.tickets):
            self.cancel(ticket)
        for key in list(self.held):
            self.release(key)
