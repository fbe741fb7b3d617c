"""Frames reduced to what two clients that do the same have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from relay_client.simulator import JournalEntry

_PLACEHOLDERS = frozenset({"control_id", "tag", "call_id", "node_id", "uri"})
"""Keys whose values are made up anew in every run; that they are there counts."""
_DROPPED = frozenset({"id", "jsonrpc", "agent", "timestamp"})
"""Keys that say nothing about what a client wants."""


def client_requests(entries: Iterable[JournalEntry]) -> list[Any]:
    """Return the requests of the client's, in order, without what is made up.

    Pings depend on how long a run takes, so they are left out.
    """
    return [
        normalise(entry.frame)
        for entry in entries
        if entry.sender == "client"
        and entry.method
        and entry.method != "signalwire.ping"
    ]


def unanswered_events(entries: Iterable[JournalEntry]) -> list[str]:
    """Return the types of the events that the client has not acknowledged."""
    entries = list(entries)
    replies = {
        entry.frame.get("id")
        for entry in entries
        if entry.sender == "client" and not entry.method
    }
    return [
        entry.event_type
        for entry in entries
        if entry.method == "signalwire.event" and entry.frame["id"] not in replies
    ]


def normalise(value: Any) -> Any:
    """Return a JSON value with ids dropped or replaced by their key."""
    if isinstance(value, dict):
        return {
            key: f"<{key}>" if key in _PLACEHOLDERS else normalise(found)
            for key, found in value.items()
            if key not in _DROPPED
        }
    if isinstance(value, list):
        return [normalise(found) for found in value]
    return value
