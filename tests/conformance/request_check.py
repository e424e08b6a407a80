"""Whether a line is a request that an arbiter can carry out; as strict as tests/vectors says.

check(line) answers Request or raises Refusal. It is what the fake arbiter holds against every line
of a client, and self_test.py holds it against the golden vectors.
"""

import collections
import json
import re

MAX_LINE, MAX_DEPTH, MAX_NUMBER = 65536, 16, 2**53 - 1

Request = collections.namedtuple("Request", "method params id")


class Refusal(Exception):
    def __init__(self, code, text, id=None, silent=False):
        super().__init__(text)
        self.code, self.id, self.silent = code, id, silent


def _depth(text):
    """How deep the brackets outside of texts go."""
    depth = deepest = 0
    for bracket in re.findall(r'[][{}]', re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _float(text):
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is beyond a double")
    return value


def _int(text):
    return -0.0 if text == "-0" else int(text)


def _constant(text):
    raise ValueError(f"{text} is no JSON")


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from _texts(entry)


def _parse(line):
    try:
        text = line.decode()
        if _depth(text) > MAX_DEPTH:
            raise ValueError("too deep")
        value = json.loads(text, parse_float=_float, parse_int=_int, parse_constant=_constant)
        for part in _texts(value):
            part.encode()  # half of a surrogate pair cannot be
        return value
    except ValueError as error:
        raise Refusal(-32700, f"no JSON: {error}") from error


# Each of these answers nothing, or what is wrong.


def _whole(least, most):
    def wrong(value):
        if type(value) is not int or not least <= value <= most:
            return f"is no whole number from {least} to {most}"

    return wrong


def _text(least, most, pattern=None):
    def wrong(value):
        if not isinstance(value, str) or not least <= len(value.encode()) <= most:
            return f"is no text of {least} to {most} bytes"
        if pattern and not re.fullmatch(pattern, value):
            return f"has other characters than {pattern}"

    return wrong


def _boolean(value):
    if type(value) is not bool:
        return "is neither true nor false"


def _seconds(value):
    if type(value) not in (int, float) or value < 0:
        return "is no number from 0 on"


def _id(value):
    if _whole(0, MAX_NUMBER)(value) and _text(1, 64)(value):
        return "is neither a number nor a text of 1 to 64 bytes"


def _limits(value):
    if not isinstance(value, dict):
        return "is no object"
    for key, limit in value.items():
        wrong = _type(key) or (limit is not None and _whole(0, 512)(limit))
        if wrong:
            return f"has {key}, which {wrong}"


def _resume(value):
    if not isinstance(value, list) or len(value) > 512:
        return "is no list of at most 512"
    for entry in value:
        if not isinstance(entry, dict):
            return "has an entry that is no object"
        wrong = _members(entry, dict(_JOB, lease=_LEASE, slots=_SLOTS), ("lease", "slots"))
        if wrong:
            return f"has an entry whose {wrong}"


def _members(params, known, needed):
    for name in needed:
        if name not in params:
            return f"{name} is missing"
    for name, wrong in known.items():
        if name in params and wrong(params[name]):
            return f"{name} {wrong(params[name])}"


_NUMBER, _LEASE, _SLOTS = _whole(0, MAX_NUMBER), _whole(1, MAX_NUMBER), _whole(1, 512)
_PRINTED = r"[^\0-\x1f]*"  # no control character
_PID, _type = _whole(1, 2**31 - 1), _text(1, 32, r"[A-Za-z0-9_.-]+")
_JOB = {"type": _type, "target": _text(0, 256, _PRINTED), "memory": _NUMBER,
        "priority": _whole(-100, 100), "pid": _PID, "start": _NUMBER}
_PROTOCOL = _whole(float("-inf"), float("inf"))
# Of each method the members that it knows, and those that it needs.
METHODS = {
    "hello": ({"protocol": _PROTOCOL, "cookie": _text(0, MAX_LINE), "name": _text(1, 64, _PRINTED),
               "pid": _PID, "start": _NUMBER, "lease": _LEASE, "launcher": _boolean,
               "resume": _resume}, ("protocol", "cookie", "name", "pid")),
    "acquire": (dict(_JOB, min=_SLOTS, max=_SLOTS, timeout_ms=_whole(0, 86400000)), ()),
    "release": ({"lease": _LEASE, "slots": _SLOTS}, ("lease",)),
    "resize": ({"lease": _LEASE, "min": _SLOTS, "max": _SLOTS}, ("lease", "min", "max")),
    "report": ({"lease": _LEASE, "pid": _PID, "start": _NUMBER, "peak_memory": _NUMBER,
                "cpu_seconds": _seconds, "exit": _whole(0, 255)}, ("lease",)),
    "cancel": ({"id": _id}, ("id",)),
    "status": ({}, ()),
    "set": ({"slots": _SLOTS, "limits": _limits, "paused": _boolean}, ()),
    "subscribe": ({}, ()),
}


def check(line):
    """`line` comes without its newline."""
    if len(line) >= MAX_LINE:
        raise Refusal(-32600, "too long a line")
    message = _parse(line)
    if not isinstance(message, dict):
        raise Refusal(-32600, "no object")
    silent, id = "id" not in message, message.get("id")
    if not silent and _id(id):
        raise Refusal(-32600, f"id {_id(id)}")
    method = message.get("method")
    if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
        raise Refusal(-32600, "no request: jsonrpc or method is missing or wrong", id)
    if method not in METHODS:
        raise Refusal(-32601, f"no method {method}", id, silent)
    params = message.get("params", {})
    wrong = "params is no object" if not isinstance(params, dict) else None
    wrong = wrong or _members(params, *METHODS[method])
    if not wrong and method in ("acquire", "resize"):
        least = params.get("min", 1)
        wrong = "min is larger than max" if least > params.get("max", least) else None
    if wrong:
        raise Refusal(-32602, wrong, id, silent)
    return Request(method, params, id)
