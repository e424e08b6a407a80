#!/usr/bin/env python3
"""Driver for the conformance kit: commands as lines of JSON on stdin, answers on stdout."""

import json
import os
import queue
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "src"))

import tokenpool  # noqa: E402

ACQUIRE = ("min", "max", "type", "target", "memory", "priority", "pid", "start")


class Recorder(tokenpool.Pool):
    """Also hears events before anybody has subscribed, which no arbiter but the kit's sends."""

    def __init__(self, hear):
        self.hear = hear
        super().__init__("conformance", False, None)

    def _dispatch(self, notices):
        for method, _, params in notices:
            if method == "event":
                self.hear("event", **params)
        super()._dispatch(notices)


class Driver:
    def __init__(self):
        self.pool = None
        self.leases = {}
        self.pending = {}
        self.news = threading.Condition()
        self.notices = {"recall": [], "revoke": [], "event": []}
        self.losses = 0

    def do_connect(self, _):
        self.pool = pool = Recorder(self.notice)
        pool.on_recall(lambda lease, slots: self.notice("recall", lease=lease.id, slots=slots))
        pool.on_revoke(lambda lease, reason, deadline_ms: self.notice(
            "revoke", lease=lease.id, reason=reason, deadline_ms=deadline_ms))
        pool.on_connection(self.connection)
        answer = {"mode": pool.mode.value, "reason": pool.reason.value, "slots": pool.slots}
        if pool.jobserver_reason:
            answer["jobserver_reason"] = pool.jobserver_reason.value
        return answer

    def notice(self, method, **params):
        with self.news:
            self.notices[method].append(params)
            self.news.notify_all()

    def connection(self, connected):
        with self.news:
            self.losses += 0 if connected else 1
            self.news.notify_all()

    def members(self, command):
        members = {name: command[name] for name in ACQUIRE if name in command}
        if "timeout_ms" in command:
            members["timeout"] = command["timeout_ms"] / 1000
        return members

    def granted(self, key, lease):
        self.leases[key] = lease
        return {"lease": lease.id, "slots": lease.slots}

    def do_acquire(self, command):
        return self.granted(command["key"], self.pool.acquire(**self.members(command)))

    def do_begin(self, command):
        self.pending[command["key"]] = self.pool.begin(**self.members(command))
        return {}

    def do_await(self, command):
        return self.granted(command["key"], self.pending[command["key"]].result())

    def do_cancel(self, command):
        return {"cancelled": self.pending[command["key"]].cancel()}

    def do_release(self, command):
        return {"slots": self.leases[command["key"]].release(command.get("slots"))}

    def do_resize(self, command):
        low = command.get("min", 1)
        return {"slots": self.leases[command["key"]].resize(low, command.get("max"))}

    def do_report(self, command):
        members = {name: value for name, value in command.items() if name not in ("do", "key")}
        self.leases[command["key"]].report(**members)
        return {}

    def do_status(self, _):
        return {"status": self.pool.status()}

    def do_leases(self, _):
        held = {key: {"lease": lease.id, "slots": lease.slots}
                for key, lease in self.leases.items() if lease.slots}
        return {"leases": held, "connected": self.pool.connected}

    def do_wait_connected(self, _):
        with self.news:
            self.news.wait_for(lambda: self.pool.connected)
        return {}

    def do_wait_disconnected(self, _):
        with self.news:
            self.news.wait_for(lambda: self.losses or not self.pool.connected)
            self.losses = 0
        return {}

    def do_wait_notice(self, command):
        method = command["method"]
        with self.news:
            self.news.wait_for(lambda: self.notices[method])
            return {"params": self.notices[method].pop(0)}

    def do_close(self, _):
        self.pool.close()
        return {}

    def answer(self, command):
        try:
            return {"ok": True, **getattr(self, "do_" + command["do"])(command)}
        except tokenpool.Error as error:
            return {"ok": False, "code": error.code, "error": str(error)}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            return {"ok": False, "code": 0, "error": repr(error)}


def read(driver, commands):
    for line in sys.stdin:
        commands.put(line)
    if driver.pool:
        driver.pool.close()
    os._exit(0)


def main():
    driver, commands = Driver(), queue.Queue()
    threading.Thread(target=read, args=(driver, commands), daemon=True).start()
    while True:
        command = json.loads(commands.get())
        if command["do"] == "quit":
            print('{"ok":true}', flush=True)
            if driver.pool:
                driver.pool.close()
            os._exit(0)  # the other thread still reads stdin
        print(json.dumps(driver.answer(command)), flush=True)


if __name__ == "__main__":
    main()
