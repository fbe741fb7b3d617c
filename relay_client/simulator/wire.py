"""JSON-RPC as RELAY uses it (section 2 of the protocol notes)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

METHOD_NOT_FOUND = -32601


@dataclass(frozen=True, slots=True)
class Request:
    """Something the client asks for."""

    id: Any
    method: str
    params: Json


@dataclass(frozen=True, slots=True)
class Response:
    """The client's answer to something the platform sent."""

    id: Any
    is_error: bool


def parse_frame(text: str) -> tuple[Json, Request | Response] | None:
    """Return a frame as it is and as what it is; None if it is neither."""
    try:
        frame = json.loads(text)
    except ValueError:
        return None
    if not isinstance(frame, dict):
        return None
    if isinstance(frame.get("method"), str):
        params = frame.get("params")
        found = Request(
            frame.get("id"),
            frame["method"],
            params if isinstance(params, dict) else {},
        )
        return frame, found
    if "result" in frame or "error" in frame:
        return frame, Response(frame.get("id"), "error" in frame)
    return None


def make_request(frame_id: str, method: str, params: Json) -> Json:
    """Return a request of the platform's."""
    return {"jsonrpc": "2.0", "id": frame_id, "method": method, "params": params}


def make_result(frame_id: Any, result: Json) -> Json:
    """Return a reply."""
    return {"jsonrpc": "2.0", "id": frame_id, "result": result}


def make_error(frame_id: Any, code: int, message: str) -> Json:
    """Return a refusal."""
    error = {"code": code, "message": message}
    return {"jsonrpc": "2.0", "id": frame_id, "error": error}
