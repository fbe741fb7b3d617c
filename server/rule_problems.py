"""What is said of a mistake in the rules for forwards: where, what, what is allowed.

Most of a rule may be secret, such as an address with a key in it, so only what cannot
be is shown.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import ErrorDetails

_SHOWN = frozenset(
    {
        *("name", "match", "context", "from", "to", "direction", "tag"),
        *("type", "framing", "codec", "sample_rate", "channels", "byte_order"),
        *("track", "buffer_ms", "policy", "max_attempts", "replay_s"),
        *("host", "port", "payload_type", "ptime", "rtcp"),
    }
)
_HIDDEN = "a value not shown here"
_MAX_SHOWN = 100
_KINDS = {
    "dict_type": "a table",
    "model_type": "a table",
    "string_type": "text",
    "tuple_type": "text or a list",
}
"""What some types are called where they are written."""


def rule_problem(detail: ErrorDetails, given: object, origin: str) -> str:
    """Return a sentence about one mistake.

    Args:
        detail: What is wrong, and where in the list of rules.
        given: The list as it was given, or its text.
        origin: Where it was given.
    """
    rules = json.loads(given) if isinstance(given, str) else given
    steps = detail["loc"][1:]
    if detail["type"] == "forward_type":
        steps = (*steps, "type")
    path, name, value = _follow(steps, rules)
    if detail["type"] == "missing":
        return f"{path}.{steps[-1]} ({origin}) is missing."
    if detail["type"] == "extra_forbidden":
        return f"{path} ({origin}) is not a setting{_did_you_mean(name)}"
    if isinstance(value, dict):
        return f"{path} ({origin}): {_rule(detail)}."
    return f"{path} ({origin}) is {_shown(name, value)}, but {_rule(detail)}."


def _follow(steps: Sequence[int | str], inner: Any) -> tuple[str, str, Any]:
    """Follow steps into what was given; those that nobody wrote are left out.

    Returns:
        The path, the last name on it, and what is there.
    """
    path, name = "forwards", ""
    for step in steps:
        if _has(inner, step):
            inner = inner[step]
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
            # Of a list, its name says what is in it.
            name = step if isinstance(step, str) else name
    return path, name, inner


def _has(inner: Any, step: int | str) -> bool:
    if isinstance(inner, dict):
        return step in inner
    return isinstance(inner, list) and isinstance(step, int) and step < len(inner)


def _shown(name: str, value: Any) -> str:
    """Say what was given without giving a secret away."""
    if name == "url" and isinstance(value, str):
        return _shown_url(value)
    if name not in _SHOWN:
        return _HIDDEN
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else _HIDDEN


def _shown_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return _HIDDEN
    if not parts.scheme or not parts.netloc:
        return _HIDDEN
    return repr(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***")


def _rule(detail: ErrorDetails) -> str:
    if (kind := _KINDS.get(detail["type"])) is not None:
        return f"must be {kind}"
    message = detail["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "must be", 1)


def _did_you_mean(name: str) -> str:
    known = [*_SHOWN, "url", "headers", "subprotocol", "format", "first_message"]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "."
