"""The index of recordings: SQLite, newest first, searched and paged.

It knows nothing that is not in the documents, so it can be deleted at any time.
Errors of SQLite come out as they are; who owns the files decides what they mean.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from server.library.database import Database
from server.library.errors import InvalidCursor
from server.library.reading import Reading, count_trigrams
from server.library.recording import Recording
from server.library.rows import (
    MAX_LISTED_GAPS,
    Entry,
    Stamp,
    exact,
    haystack,
    id_ms,
    key_at,
    key_of,
    ms_of,
    pack,
    unpack,
)
from server.library.search import DEFAULT_LIMIT, MAX_LIMIT, RecordingQuery

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "MAX_LISTED_GAPS",
    "Candidate",
    "RecordingIndex",
    "RecordingPage",
    "RecordingQuery",
]

DAY_MS = 86_400_000
COUNTS_GOOD_FOR = 5000
"""Recordings that may come before it is looked again how common trigrams are."""

_CURSOR = re.compile(rb"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """Some recordings, newest first."""

    items: tuple[Recording, ...]
    next_cursor: str | None
    """Leads to what is older; None if nothing is."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the index believes about the files of a recording."""

    stamp: Stamp
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """What retention has to know of a recording."""

    id: str
    key: int
    """Where it stands in the index; greater is newer."""
    started_ms: int
    """Since 1970."""
    disk_bytes: int
    legal_hold: bool
    tags: tuple[str, ...] = ()


class RecordingIndex:
    """Recordings by id; see `server.library.database` for what threads may do."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self._database = Database(path, is_read_only=is_read_only)
        self._counts: Mapping[str, int] | None = None
        self._added = 0

    @classmethod
    def temporary(cls) -> RecordingIndex:
        """Return an empty index that goes away with this object."""
        folder = tempfile.mkdtemp(prefix="tapdeck-index-")
        index = cls(Path(folder) / "index.sqlite")
        weakref.finalize(index, shutil.rmtree, folder, ignore_errors=True)
        index.create()
        return index

    def open(self) -> None:
        """Make sure that there is an index of this version.

        Raises:
            sqlite3.DatabaseError: It is of another version, damaged, or not there.
        """
        self._database.open()

    def create(self) -> None:
        """Start with an empty one."""
        self._database.create()
        self._counts = None

    def close(self) -> None:
        """Close it; it opens again when it is used."""
        self._database.close()

    @property
    def exists(self) -> bool:
        """Whether its file is there; people may delete it at any time."""
        return self._database.path.exists()

    def __contains__(self, recording_id: str) -> bool:
        query = "SELECT 1 FROM recordings WHERE id = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (_name(recording_id),)).fetchone()
        return row is not None

    def __len__(self) -> int:
        with self._database.read() as connection:
            row = connection.execute("SELECT count(*) FROM recordings").fetchone()
        return int(row[0])

    def get(self, recording_id: str) -> Recording | None:
        """Return a recording abridged, as a list shows it."""
        query = "SELECT packed FROM recordings JOIN texts USING (key) WHERE id = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (_name(recording_id),)).fetchone()
        return None if row is None else unpack(row[0])

    def add(self, entry: Entry) -> None:
        """Take in a recording, or what is new about one."""
        self.add_many((entry,))

    def add_many(self, entries: Iterable[Entry]) -> None:
        """Take in several recordings at once: all of them, or none."""
        with self._database.write() as connection:
            for entry in entries:
                _put(connection, entry)
                self._added += 1
        if self._added >= COUNTS_GOOD_FOR:
            self._added, self._counts = 0, None

    def discard(self, recording_id: str) -> bool:
        """Forget a recording; tell whether it was known."""
        with self._database.write() as connection:
            key = _key(connection, recording_id)
            if key is not None:
                _remove(connection, key)
        return key is not None

    def resize(self, recording_id: str, disk_bytes: int) -> None:
        """Take in that the files of a recording have another size."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE recordings SET disk_bytes = ? WHERE id = ?",
                (disk_bytes, recording_id),
            )

    def page(self, query: RecordingQuery) -> RecordingPage:
        """Return the newest recordings that match, after the cursor if there is one.

        Raises:
            InvalidCursor: It did not come from a page.
        """
        before = None if query.cursor is None else _read_cursor(query.cursor)
        with self._database.read() as connection:
            rows = Reading(connection, query, before, self._count).rows()
        items = tuple(unpack(packed) for _, packed in rows[: query.limit])
        is_last = len(rows) <= query.limit
        return RecordingPage(
            items, None if is_last else _cursor(rows[query.limit - 1][0])
        )

    def rows_of(self, day: str) -> dict[str, Row]:
        """Return what is known of the recordings of a day, such as `20261122`."""
        start = id_ms(f"{day}T000000000Z")
        query = (
            "SELECT id, mtime_ns, document_bytes, disk_bytes FROM recordings "
            "WHERE key >= ? AND key < ?"
        )
        with self._database.read() as connection:
            found = connection.execute(
                query, (key_at(start), key_at(start + DAY_MS))
            ).fetchall()
        return {row[0]: Row(Stamp(row[1], row[2]), row[3]) for row in found}

    def seen_days(self) -> dict[str, int]:
        """Return when the folder of each day had changed when it was last read.

        Every day that has a recording is among them; 0 means that it never was read.
        """
        with self._database.read() as connection:
            return dict(connection.execute("SELECT day, mtime_ns FROM days"))

    def set_seen(self, day: str, mtime_ns: int | None) -> None:
        """Keep that the folder of a day has been read; None: there is none now."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM days WHERE day = ?", (day,))
            if mtime_ns is not None:
                connection.execute("INSERT INTO days VALUES (?, ?)", (day, mtime_ns))

    def oldest(self, limit: int, *, after: int = -1) -> list[Candidate]:
        """Return so many recordings, oldest first, from behind a key."""
        query = (
            "SELECT id, key, started_ms, disk_bytes, legal_hold, "
            "(SELECT json_group_array(hex(tag)) FROM tags AS t WHERE t.key = r.key) "
            "FROM recordings AS r WHERE key > ? ORDER BY key LIMIT ?"
        )
        with self._database.read() as connection:
            return [
                Candidate(row[0], row[1], row[2], row[3], bool(row[4]), _tags(row[5]))
                for row in connection.execute(query, (after, limit))
            ]

    def bytes_by_day(self) -> dict[int, int]:
        """Return how much of the disk each day needs, by days since 1970.

        Reads every row, narrow as they are.
        """
        query = (
            "SELECT started_ms / ?, sum(disk_bytes) FROM recordings "
            "GROUP BY started_ms / ?"
        )
        with self._database.read() as connection:
            return dict(connection.execute(query, (DAY_MS, DAY_MS)))

    def _count(self, connection: sqlite3.Connection) -> Mapping[str, int]:
        if self._counts is None:
            self._counts = count_trigrams(connection)
        return self._counts


def _put(connection: sqlite3.Connection, entry: Entry) -> None:
    recording = entry.recording
    key = _key(connection, recording.id)
    if key is None:
        key = _free_key(connection, recording.id)
    # Also what is left at a key whose recording was removed by other hands.
    _remove(connection, key)
    started_ms = ms_of(recording.started_at)
    words = haystack(recording)
    connection.execute(
        "INSERT INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key,
            recording.id,
            started_ms,
            started_ms - id_ms(recording.id),
            exact(recording.direction),
            exact(recording.call_id),
            recording.state.value,
            recording.legal_hold,
            entry.disk_bytes or recording.size_bytes,
            entry.stamp.mtime_ns,
            entry.stamp.size_bytes,
        ),
    )
    connection.execute(
        "INSERT INTO texts VALUES (?, ?, ?)", (key, words, pack(recording))
    )
    connection.execute(
        "INSERT INTO search (rowid, haystack) VALUES (?, ?)", (key, words)
    )
    # A day that nobody has looked at since: its folder has no time that is known.
    connection.execute("INSERT OR IGNORE INTO days VALUES (?, 0)", (recording.id[:8],))
    connection.executemany(
        "INSERT INTO tags VALUES (?, ?)",
        [(exact(tag), key) for tag in set(recording.tags)],
    )


def _remove(connection: sqlite3.Connection, key: int) -> None:
    # What leads to a row can only be told from the row, so it goes first.
    connection.execute(
        "INSERT INTO search (search, rowid, haystack) "
        "SELECT 'delete', key, haystack FROM texts WHERE key = ?",
        (key,),
    )
    for table in ("texts", "tags", "recordings"):
        connection.execute(f"DELETE FROM {table} WHERE key = ?", (key,))  # noqa: S608


def _key(connection: sqlite3.Connection, recording_id: str) -> int | None:
    query = "SELECT key FROM recordings WHERE id = ?"
    row = connection.execute(query, (_name(recording_id),)).fetchone()
    return None if row is None else int(row[0])


def _free_key(connection: sqlite3.Connection, recording_id: str) -> int:
    key = key_of(recording_id)
    query = "SELECT 1 FROM recordings WHERE key = ?"
    while connection.execute(query, (key,)).fetchone():
        key += 1
    return key


def _tags(text: str) -> tuple[str, ...]:
    return tuple(
        bytes.fromhex(tag).decode("utf-8", "surrogatepass") for tag in json.loads(text)
    )


def _name(text: str) -> str:
    """Return an id as SQLite takes it: a text that no id is may be no Unicode."""
    return text.encode("utf-8", "replace").decode()


def _cursor(key: int) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor(cursor) from None
    if not _CURSOR.fullmatch(text) or int(text) >= 1 << 63:
        raise InvalidCursor(cursor)
    return int(text)
