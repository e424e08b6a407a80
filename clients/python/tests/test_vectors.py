"""The golden vectors that the clients of all languages pass."""

import json
import os
import unittest

from support import VECTORS, COOKIE

from tokenpool._core import UP, Core
from tokenpool._wire import MAX_LINE, decode, encode


def load(name):
    with open(os.path.join(VECTORS, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def made(vector):
    """The bytes of a line, without its newline."""
    if "line" in vector:
        return vector["line"].encode("utf-8", "surrogatepass")
    if "line_hex" in vector:
        return bytes.fromhex(vector["line_hex"])
    make = vector["make"]
    if make["kind"] == "long":
        frame = b'{"jsonrpc":"2.0","id":1,"result":{"lease":9,"slots":2,"x":"%s"}}'
        return frame % (b"x" * (make["bytes"] - len(frame) + 1))  # "%s" and the newline
    opened = b'{"jsonrpc":"2.0","id":1,"result":{"lease":9,"slots":2,"x":' + b"[" * make["depth"]
    return opened if make["kind"] == "open" else opened + b"]" * make["depth"] + b"}}"


def core_that_waits():
    """A session that is up, whose acquire has the id 1."""
    core = Core({"protocol": 1, "cookie": COOKIE}, [("unix", "/x")])
    core.connected(0)
    core.feed(b'{"jsonrpc":"2.0","id":0,"result":{"slots":4}}\n', 0)
    request = core.ask({"min": 1, "max": 4}, None, 0)
    assert core.state == UP and request.id == 1
    core.notices.clear()
    return core, request


class Vectors(unittest.TestCase):
    def test_requests(self):
        for vector in load("requests"):
            if vector.get("server_only"):
                continue
            with self.subTest(vector["name"]):
                line = encode(vector["method"], vector.get("params"), vector["id"])
                self.assertEqual(line[-1:], b"\n")
                self.assertLessEqual(len(line), MAX_LINE)
                wanted = json.loads(vector["line"])
                known = {key: wanted[key] for key in ("jsonrpc", "id", "method", "params")
                         if key in wanted}
                known["params"] = known.get("params", {})
                self.assertEqual({"params": {}, **json.loads(line)}, known)

    def test_answers(self):
        for vector in load("answers"):
            with self.subTest(vector["name"]):
                message = decode(made(vector))
                self.assertEqual(message.kind, vector["kind"])
                for key in ("id", "result", "code", "message", "method", "params"):
                    if key in vector:
                        self.assertEqual(getattr(message, key), vector[key], key)

    def test_bad_answers(self):
        for vector in load("bad_answers"):
            with self.subTest(vector["name"]):
                core, request = core_that_waits()
                core.feed(made(vector) + b"\n", 0)
                self.assertFalse(request.done)
                self.assertEqual(core.notices, [])
                self.assertEqual(bool(core.broken), not vector.get("ignore", False), core.broken)

    def test_a_good_answer_is_told_from_a_bad_one(self):
        core, request = core_that_waits()
        core.feed(b'{"jsonrpc":"2.0","id":1,"result":{"lease":9,"slots":2}}\n', 0)
        self.assertTrue(request.done)
        self.assertIsNone(core.broken)


if __name__ == "__main__":
    unittest.main()
