"""Lines on the wire: JSON-RPC 2.0, one object a line (see tokenpool-protocol(7), FRAMES)."""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Union

MAX_LINE = 65536  # bytes, with the newline
MAX_NUMBER = 2 ** 53 - 1


class Broken(Exception):
    """The other side does not speak the protocol; the connection is of no use any more."""


class Message(NamedTuple):
    kind: str  # "result", "error", "notification" or "request"
    id: Union[int, str, None] = None
    result: Dict[str, Any] = {}
    code: int = 0
    message: str = ""
    method: str = ""
    params: Dict[str, Any] = {}


def encode(method: str, params: Optional[Dict[str, Any]] = None,
           id: Union[int, str, None] = None) -> bytes:
    """A request, or without `id` a notification. ValueError: it is too long a line, or NaN."""
    message: Dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if id is not None:
        message["id"] = id
    if params:
        message["params"] = params
    return _line(message)


def encode_refusal(id: Union[int, str, None], method: str) -> bytes:
    """The answer to a request of the arbiter, of which version 1 has none."""
    error = {"code": -32601, "message": f"no method {method[:64]}"}
    return _line({"jsonrpc": "2.0", "id": id, "error": error})


def _line(message: Dict[str, Any]) -> bytes:
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A file name that is no UTF-8 comes as lone surrogates, which the wire does not take.
    line = text.encode("utf-8", "replace") + b"\n"
    if len(line) > MAX_LINE:
        raise ValueError(f"a message of {len(line)} bytes; the protocol has at most {MAX_LINE}")
    return line


def is_whole(value: Any, low: int, high: int = MAX_NUMBER) -> bool:
    return type(value) is int and low <= value <= high  # True and False are no numbers here


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def decode(line: bytes) -> Message:
    """Reads one line without its newline. Raises Broken."""
    try:
        message = json.loads(line.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Broken("a line that is no JSON") from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise Broken("a line that is no JSON-RPC 2.0")
    id = message.get("id")
    if "method" in message:
        method, params = message["method"], message.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict):
            raise Broken("a notification without a method or params")
        return Message("request" if "id" in message else "notification", id, method=method,
                       params=params)
    if ("result" in message) == ("error" in message) or "id" not in message:
        raise Broken("a line that is neither request nor answer")
    if not (is_whole(id, 0) or isinstance(id, str) or (id is None and "error" in message)):
        raise Broken("an answer with an id that is none")
    if "result" in message:
        if not isinstance(message["result"], dict):
            raise Broken("a result that is no object")
        return Message("result", id, result=message["result"])
    error = message["error"]
    if not isinstance(error, dict) or type(error.get("code")) is not int:
        raise Broken("an error without a code")
    return Message("error", id, code=error["code"], message=str(error.get("message", "")))


class Lines:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> List[bytes]:
        """The lines that are complete with `data`, without empty ones. Raises Broken."""
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        if any(len(line) >= MAX_LINE for line in lines) or len(rest) >= MAX_LINE:
            raise Broken("too long a line")
        return [bytes(line) for line in lines if line not in (b"", b"\r")]
