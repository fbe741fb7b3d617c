"""The list of recordings in memory: newest first, searched and paged.

Holds every recording abridged, so that ten thousand gaps in one of them cost no
memory here and no bandwidth in a list.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import threading
from dataclasses import dataclass, replace
from datetime import datetime

from server.library.errors import InvalidCursor
from server.library.layout import is_recording_id
from server.library.recording import Recording

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_LISTED_GAPS = 100
"""Gaps of one recording in a list; the recording itself has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuery:
    """Which recordings are wanted. Everything that is given must hold."""

    text: str = ""
    """Part of an id or a number, in any case."""
    started_from: datetime | None = None
    started_before: datetime | None = None
    direction: str | None = None
    call_id: str | None = None
    limit: int = DEFAULT_LIMIT
    """From 1 to `MAX_LIMIT`."""
    cursor: str | None = None
    """Of the page before; None for the first."""


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """Some recordings, newest first."""

    items: tuple[Recording, ...]
    next_cursor: str | None
    """Leads to what is older; None if nothing is."""


@dataclass(frozen=True, slots=True)
class _Entry:
    recording: Recording
    haystack: str

    def matches(self, query: RecordingQuery, needle: str) -> bool:
        recording = self.recording
        before, after = query.started_before, query.started_from
        return (
            needle in self.haystack
            and (query.direction is None or recording.direction == query.direction)
            and (query.call_id is None or recording.call_id == query.call_id)
            and (after is None or recording.started_at >= after)
            and (before is None or recording.started_at < before)
        )


class RecordingIndex:
    """Recordings by id.

    The one place with a lock: it is asked from the threads that HTTP requests run
    in and told of new recordings by the threads that write them, so no single task
    could own it. The lock is held for a few list operations, never for a search or
    a file.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._ids: list[str] = []
        """Sorted, which is by time."""

    def __contains__(self, recording_id: str) -> bool:
        return recording_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, recording: Recording) -> None:
        """Take in a recording, or what is new about one."""
        entry = _Entry(_abridged(recording), _haystack(recording))
        with self._lock:
            if recording.id not in self._entries:
                bisect.insort(self._ids, recording.id)
            self._entries[recording.id] = entry

    def replace_all(self, recordings: list[Recording]) -> None:
        """Forget everything else and hold just these."""
        entries = {one.id: _Entry(_abridged(one), _haystack(one)) for one in recordings}
        with self._lock:
            self._entries = entries
            self._ids = sorted(entries)

    def discard(self, recording_id: str) -> None:
        """Forget a recording."""
        with self._lock:
            if self._entries.pop(recording_id, None):
                del self._ids[bisect.bisect_left(self._ids, recording_id)]

    def page(self, query: RecordingQuery) -> RecordingPage:
        """Return the newest recordings that match, after the cursor if there is one.

        Raises:
            InvalidCursor: It did not come from a page.
        """
        older_than = None if query.cursor is None else _read_cursor(query.cursor)
        with self._lock:
            end = (
                len(self._ids)
                if older_than is None
                else bisect.bisect_left(self._ids, older_than)
            )
            ids, entries = self._ids[:end], self._entries
        found: list[Recording] = []
        needle = query.text.casefold()
        for recording_id in reversed(ids):
            entry = entries.get(recording_id)
            if entry is None or not entry.matches(query, needle):
                continue
            if len(found) == query.limit:
                return RecordingPage(tuple(found), _cursor(found[-1].id))
            found.append(entry.recording)
        return RecordingPage(tuple(found), None)


def _abridged(recording: Recording) -> Recording:
    more = len(recording.gaps) - MAX_LISTED_GAPS
    if more <= 0:
        return recording
    return replace(
        recording,
        gaps=recording.gaps[:MAX_LISTED_GAPS],
        gaps_omitted=recording.gaps_omitted + more,
    )


def _haystack(recording: Recording) -> str:
    # A line each, so that nothing is found across two of them.
    return "\n".join(
        (
            recording.id,
            recording.call_id,
            recording.node_id,
            recording.control_id,
            recording.from_number,
            recording.to_number,
        )
    ).casefold()


def _cursor(recording_id: str) -> str:
    return base64.urlsafe_b64encode(recording_id.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> str:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        recording_id = base64.b64decode(padded, b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidCursor(cursor) from None
    if not is_recording_id(recording_id):
        raise InvalidCursor(cursor)
    return recording_id
