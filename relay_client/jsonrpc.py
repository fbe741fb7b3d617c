"""JSON-RPC 2.0 as RELAY speaks it: messages, result codes and the pending table.

Implements the envelope of RELAY: one JSON object per WebSocket text message, requests
in both directions, replies in any order. A calling result carries its own `code`, a
string of which any 2xx means success; older servers nest the result once or twice.

Pure: text in, values out. Nothing here raises on what a peer sent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]
"""A JSON object as it came from the wire or goes to it."""

MessageId = str | int

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
UNKNOWN_CODE = -1

_NUMBER = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_MAX_NESTING = 2


@dataclass(frozen=True, slots=True)
class Request:
    """The peer asks for something."""

    method: str
    params: JsonObject
    id: MessageId | None
    """None for a notification, which must not be replied to."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The peer's result for one of our requests; not yet checked for its code."""

    id: MessageId
    result: JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """The peer refused one of our requests."""

    id: MessageId
    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Invalid:
    """Text that is no message for us."""

    reason: str
    """A name for the `drops` counter."""


Message = Request | Reply | Failure | Invalid


def parse(text: str) -> Message:
    """Return the message in `text`."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return Invalid("invalid_json")
    if not isinstance(message, dict):
        return Invalid("not_an_object")
    message_id = message.get("id")
    if message_id is not None and not isinstance(message_id, str | int):
        return Invalid("bad_id")
    if "method" in message:
        return _parse_request(message, message_id)
    if message_id is None:
        return Invalid("neither_request_nor_reply")
    if "error" in message:
        return _parse_error(message["error"], message_id)
    if "result" in message:
        return Reply(message_id, as_object(message["result"]))
    return Invalid("neither_request_nor_reply")


def _parse_request(message: JsonObject, message_id: MessageId | None) -> Message:
    method, params = message["method"], message.get("params")
    if not isinstance(method, str):
        return Invalid("bad_method")
    if params is not None and not isinstance(params, dict):
        return Invalid("bad_params")
    return Request(method, params or {}, message_id)


def _parse_error(error: object, message_id: MessageId) -> Failure:
    if not isinstance(error, dict):
        return Failure(message_id, UNKNOWN_CODE, str(error))
    text = error.get("message")
    return Failure(message_id, as_code(error.get("code")), _sentence(text))


def check(reply: Reply, *, max_nesting: int = _MAX_NESTING) -> Reply | Failure:
    """Return the reply with its innermost result, or the failure that it carries.

    A result without a code counts as success, as in the official SDKs.
    """
    result = _innermost(reply.result, max_nesting)
    code = result.get("code")
    if code is None or 200 <= as_code(code) <= 299:
        return Reply(reply.id, result)
    return Failure(reply.id, as_code(code), _sentence(result.get("message")))


def _innermost(result: JsonObject, max_nesting: int) -> JsonObject:
    for _ in range(max_nesting):
        inner = result.get("result")
        if "code" in result or not isinstance(inner, dict):
            break
        result = inner
    return result


def as_code(value: object) -> int:
    """Return a result code given as a number or as text; -1 if it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return int(value)
    return UNKNOWN_CODE


def as_object(value: object) -> JsonObject:
    """Return `value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _sentence(text: object) -> str:
    return text if isinstance(text, str) and text else "no reason given"


def serialize_request(request_id: str, method: str, params: JsonObject) -> str:
    """Return the text of a request; raise `TypeError` if `params` is not JSON."""
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return json.dumps(message)


def serialize_result(message_id: MessageId) -> str:
    """Return the text of an empty result, RELAY's acknowledgement."""
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "result": {}})


def serialize_error(message_id: MessageId, code: int, message: str) -> str:
    """Return the text of an error reply."""
    error = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "error": error})


@dataclass(frozen=True, slots=True)
class Pending:
    """A request on its way: sent and not yet replied to, or waiting to be sent."""

    id: str
    method: str
    text: str
    sent_at: float
    expires_at: float
    is_own: bool = False
    """Made by the protocol machine for itself: nobody waits for the reply."""


class PendingTable:
    """Requests by id, in the order they were added, each with a deadline."""

    def __init__(self) -> None:
        self._entries: dict[str, Pending] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Pending) -> None:
        """Take a request in."""
        self._entries[entry.id] = entry

    def pop(self, message_id: MessageId) -> Pending | None:
        """Take a request out; None if it is not (or no longer) known."""
        if not isinstance(message_id, str):
            return None
        return self._entries.pop(message_id, None)

    def expire(self, now: float) -> list[Pending]:
        """Take out every request whose deadline has passed."""
        late = [entry for entry in self._entries.values() if entry.expires_at <= now]
        for entry in late:
            del self._entries[entry.id]
        return late

    def clear(self) -> list[Pending]:
        """Take everything out."""
        entries = list(self._entries.values())
        self._entries.clear()
        return entries

    def next_expiry(self) -> float | None:
        """Return the earliest deadline."""
        return min((e.expires_at for e in self._entries.values()), default=None)
