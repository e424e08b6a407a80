"""The reference client's session: what it holds, what it waits for, how it gets back.

One thread reads what the arbiter sends and connects again; all others ask and wait.
"""

import json
import os
import re
import socket
import threading
import time

from reference_wire import MAX_NUMBER, Broken, Lines, own_start, read_answer

PATIENCE = 5.0
WORDS = ("type", "target", "memory", "priority", "pid", "start")
REASONS = {-32001: "refused", -32002: "incompatible"}


def failed(code, text):
    return {"ok": False, "code": code, "error": text}


class Call:
    def __init__(self, method, params, key=None):
        self.method, self.params, self.key, self.answer = method, params, key, None
        self.id, self.asked = 0, False
        wait = params.get("timeout_ms") if method == "acquire" else None
        self.deadline = None if wait is None else time.monotonic() + wait / 1000

    def left(self):
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class Protocol:
    mode = "protocol"

    def __init__(self, addresses, cookie):
        self.addresses, self.cookie, self.cond = addresses, cookie, threading.Condition()
        self.leases, self.pending, self.notices = {}, {}, []
        self.sock, self.connected, self.closed, self.last, self.slots = None, False, False, 0, 0

    def dial(self):
        for family, place in self.addresses:
            sock = socket.socket(family)
            try:
                sock.settimeout(PATIENCE)
                sock.connect(place)
                return sock
            except OSError:
                sock.close()
        return None

    def greet(self, sock):
        """Says hello and adopts what the arbiter answers; raises Broken or OSError."""
        with self.cond:
            held = list(self.leases.values())
            declared = [dict(e["words"], lease=e["lease"], slots=e["slots"]) for e in held]
        hello = {"protocol": 1, "cookie": self.cookie, "name": "reference"}
        hello.update(pid=os.getpid(), start=own_start())
        lease = os.environ.get("TOKENPOOL_LEASE", "")
        if re.fullmatch(r"\d{1,16}", lease) and 0 < int(lease) <= MAX_NUMBER:
            hello["lease"] = int(lease)
        if declared:
            hello["resume"] = declared
        self.lines, deadline = Lines(sock), time.monotonic() + PATIENCE
        self.send(sock, "hello", hello, 0)
        message = {"id": None}
        while message.get("id") != 0 or "method" in message:
            message = read_answer(self.lines.next(deadline))
        if "error" in message:
            broken = Broken("hello is refused")
            broken.code = message["error"]["code"]
            raise broken
        sock.settimeout(None)
        with self.cond:
            self.sock, self.connected, self.slots = sock, True, message["result"]["slots"]
            for entry, was, now in zip(held, declared, message["result"].get("resumed", [])):
                entry["lease"] = now
                if now == 0:
                    self.leases = {k: e for k, e in self.leases.items() if e is not entry}
                elif entry["slots"] < was["slots"]:  # released since it was declared
                    given = was["slots"] - entry["slots"]
                    self.send(sock, "release", {"lease": now, "slots": given})
            for call in self.pending.values():
                self.ask(call)
            self.cond.notify_all()

    def open(self):
        sock = self.dial()
        if sock is None:
            return "unreachable"
        try:
            self.greet(sock)
        except (OSError, Broken) as error:
            sock.close()
            return REASONS.get(getattr(error, "code", 0), "no-answer")
        threading.Thread(target=self.run, daemon=True).start()
        return "ok"

    def run(self):
        while not self.closed:
            try:
                while True:
                    self.take(read_answer(self.lines.next()))
            except (OSError, Broken):
                self.lose()
            delay = 0.05
            while not self.closed and not self.connected:
                with self.cond:
                    self.cond.wait_for(lambda: self.closed, delay)
                delay = min(2 * delay, 0.1 if self.leases else 5)
                sock = None if self.closed else self.dial()
                try:
                    if sock is not None:
                        self.greet(sock)
                except (OSError, Broken):
                    sock.close()

    def lose(self):
        with self.cond:
            self.connected = False
            self.sock.close()
            for call in [c for c in self.pending.values() if c.method != "acquire"]:
                self.done(call, failed(0, "the connection was lost"))
            self.cond.notify_all()

    def take(self, message):
        with self.cond:
            call = self.pending.get(message.get("id"))
            if "method" in message:
                self.notices.append(message)
            elif call is not None and "error" in message:
                error = message["error"]
                self.done(call, failed(error["code"], error.get("message", "")))
            elif call is not None:
                result = message["result"]
                if call.method == "acquire":
                    lease = {"lease": result["lease"], "slots": result["slots"]}
                    words = {k: v for k, v in call.params.items() if k in WORDS}
                    self.leases[call.key] = dict(lease, words=words)
                self.done(call, dict(result, ok=True))
            self.cond.notify_all()

    def done(self, call, answer):
        call.answer = answer
        self.pending.pop(call.id, None)

    def send(self, sock, method, params, id=None):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        if id is not None:
            message["id"] = id
        try:
            sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # the reader will find the connection gone

    def ask(self, call):
        params = dict(call.params)
        if call.asked and call.deadline is not None:
            params["timeout_ms"] = int(call.left() * 1000)
        call.asked = True
        self.send(self.sock, call.method, params, call.id)

    def begin(self, key, params, method="acquire"):
        with self.cond:
            call = Call(method, params, key)
            self.last += 1
            call.id = self.last
            self.pending[call.id] = call
            if self.connected:
                self.ask(call)
            elif method != "acquire":
                self.done(call, failed(0, "not connected"))
            return call

    def wait(self, call):
        with self.cond:
            while call.answer is None:
                left = None if self.connected else call.left()
                if left == 0:
                    self.done(call, failed(0, "the time is over, and the arbiter is not back"))
                else:
                    self.cond.wait(left)
            return call.answer

    def call(self, method, params):
        return self.wait(self.begin(None, params, method))

    def cancel(self, call):
        with self.cond:
            if call.answer is not None:
                return False
            if not self.connected:
                self.done(call, failed(-32004, "cancelled"))
                return True
        return self.call("cancel", {"id": call.id}).get("cancelled", False)

    def release(self, key, slots=None):
        with self.cond:
            entry = self.leases.get(key)
            if entry is None:
                return {"ok": True, "slots": 0}
            given = min(slots or entry["slots"], entry["slots"])
            entry["slots"] -= given
            if entry["slots"] == 0:
                del self.leases[key]
            if self.connected:
                self.send(self.sock, "release", {"lease": entry["lease"], "slots": given})
            return {"ok": True, "slots": entry["slots"]}

    def resize(self, key, least, most):
        lease = self.leases[key]["lease"]
        answer = self.call("resize", {"lease": lease, "min": least, "max": most})
        if answer["ok"]:
            self.leases[key]["slots"] = answer["slots"]
        return answer

    def report(self, key, what):
        entry = self.leases[key]
        entry["words"].update({k: v for k, v in what.items() if k in ("pid", "start")})
        return self.call("report", dict(what, lease=entry["lease"]))

    def status(self):
        answer = self.call("status", {})
        return answer if not answer["ok"] else {"ok": True, "status": answer}

    def until(self, connected):
        with self.cond:
            self.cond.wait_for(lambda: self.connected == connected)
        return {"ok": True}

    def notice(self, method):
        with self.cond:
            self.cond.wait_for(lambda: any(n["method"] == method for n in self.notices))
            found = next(n for n in self.notices if n["method"] == method)
            self.notices.remove(found)
        return {"ok": True, "params": found.get("params", {})}

    def listed(self):
        with self.cond:
            return {k: dict(e) for k, e in self.leases.items()}, self.connected

    def close(self):
        with self.cond:
            self.closed, self.leases = True, {}
            if self.connected:
                self.sock.shutdown(socket.SHUT_RDWR)
            self.cond.notify_all()
