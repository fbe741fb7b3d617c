"""Server-sent events as bytes (HTML Living Standard, section 9.2).

Pure: no input or output, no clock.
"""

from __future__ import annotations

RETRY = b"retry: 2000\n\n"
"""Milliseconds for which a browser waits before it connects again."""


def frame(name: str, data: str, event_id: str = "") -> bytes:
    """Return one event.

    Args:
        name: Of its kind.
        data: JSON without a line break, which would end the field.
        event_id: What a client shows to go on behind it; a client keeps the last one
            that it was told.
    """
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode()


def keepalive(event_id: str) -> bytes:
    """Return what no client shows to anybody, and what moves its last id on.

    A block without data is no event, but its id counts (section 9.2.6).
    """
    return f": alive\nid: {event_id}\n\n".encode()
