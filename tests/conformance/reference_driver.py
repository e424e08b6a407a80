#!/usr/bin/env python3
"""A plain client of tokenpool-protocol(7) behind the driver contract of README.md.

It is here to test the kit and to be read by whoever writes a client. Nothing in it is clever.
"""

import json
import os
import re
import sys

import reference_jobserver
from reference_protocol import Protocol, failed
from reference_wire import parse_address


def find_arbiter():
    """(client, reason): a session with an arbiter, or None and why not."""
    addresses = os.environ.get("TOKENPOOL_ADDR", "")
    cookie = os.environ.get("TOKENPOOL_COOKIE", "")
    if not addresses:
        return None, "no-address"
    places = [parse_address(text) for text in addresses.split(";")]
    if None in places:
        return None, "bad-address"
    if not cookie:
        return None, "no-cookie"
    if not re.fullmatch(r"[0-9a-fA-F]{64}", cookie):
        return None, "bad-cookie"
    client = Protocol(places, cookie)
    reason = client.open()
    return (client if reason == "ok" else None), reason


class Driver:
    def __init__(self):
        self.client, self.calls = None, {}

    def carry_out(self, command):
        what, key = command.pop("do"), command.pop("key", None)
        return getattr(self, "do_" + what)(key, command)

    def do_connect(self, key, rest):
        self.client, reason = find_arbiter()
        answer = {"ok": True, "reason": reason}
        if self.client is None:
            read, write, slots, why = reference_jobserver.find(os.environ.get("MAKEFLAGS"))
            self.client = reference_jobserver.Fallback(read, write, slots)
            if self.client.mode == "single":
                answer["jobserver_reason"] = why
        return dict(answer, mode=self.client.mode, slots=self.client.slots)

    def do_begin(self, key, rest):
        self.calls[key] = self.client.begin(key, rest)
        return {"ok": True}

    def do_await(self, key, rest):
        return self.client.wait(self.calls[key])

    def do_acquire(self, key, rest):
        self.do_begin(key, rest)
        return self.do_await(key, rest)

    def do_cancel(self, key, rest):
        return {"ok": True, "cancelled": self.client.cancel(self.calls[key])}

    def do_release(self, key, rest):
        return self.client.release(key, **rest)

    def do_resize(self, key, rest):
        return self.client.resize(key, rest["min"], rest["max"])

    def do_report(self, key, rest):
        return self.client.report(key, rest)

    def do_status(self, key, rest):
        return self.client.status()

    def do_leases(self, key, rest):
        leases, connected = self.client.listed()
        return {"ok": True, "leases": leases, "connected": connected}

    def do_wait_connected(self, key, rest):
        return self.client.until(True)

    def do_wait_disconnected(self, key, rest):
        return self.client.until(False)

    def do_wait_notice(self, key, rest):
        return self.client.notice(rest["method"])

    def do_close(self, key, rest):
        self.client.close()
        return {"ok": True}

    do_quit = do_close


def main():
    driver, what = Driver(), None
    while what != "quit":
        line = sys.stdin.readline()
        if not line:
            break
        command = json.loads(line)
        what = command["do"]
        try:
            answer = driver.carry_out(command)
        except (KeyError, AttributeError, OSError) as error:
            answer = failed(0, repr(error))
        print(json.dumps(answer), flush=True)
    if what != "quit" and driver.client is not None:
        driver.client.close()
    os._exit(0)  # threads of ours may wait for what never comes


if __name__ == "__main__":
    main()
