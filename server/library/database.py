"""The file of the index: SQLite with one rule for threads.

Any thread may read at any time, each read with a connection that nobody else uses
meanwhile. Writes go through one connection, one transaction after another. In WAL mode
neither waits for the other.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from server.library.rows import DICTIONARY

SUFFIXES = ("", "-wal", "-shm")
"""Of the files that one database may consist of."""

_BUSY_S = 5.0
"""For which one process waits for a transaction of another."""
_CACHE_KIB = 16 * 1024

# A row has its words and its document apart from what is filtered by, so that
# filtering reads little. `search` keeps no text of its own: trigrams lead to rows.
_SCHEMA = """
CREATE TABLE recordings (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    started_ms INTEGER NOT NULL,
    skew_ms INTEGER NOT NULL,
    direction BLOB NOT NULL,
    call_id BLOB NOT NULL,
    state TEXT NOT NULL,
    legal_hold INTEGER NOT NULL,
    disk_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    document_bytes INTEGER NOT NULL
);
CREATE INDEX by_call ON recordings (call_id);
CREATE INDEX by_direction ON recordings (direction);
CREATE INDEX by_state ON recordings (state);
CREATE INDEX by_state_and_direction ON recordings (state, direction);
CREATE INDEX skewed ON recordings (skew_ms) WHERE skew_ms <> 0;
CREATE TABLE texts (
    key INTEGER PRIMARY KEY,
    haystack TEXT NOT NULL,
    packed BLOB NOT NULL
);
CREATE VIRTUAL TABLE search USING fts5 (
    haystack, content = 'texts', content_rowid = 'key',
    tokenize = 'trigram case_sensitive 1', detail = none, columnsize = 0
);
CREATE TABLE tags (
    tag BLOB NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (tag, key)
) WITHOUT ROWID;
CREATE INDEX tags_by_key ON tags (key);
CREATE TABLE days (
    day TEXT PRIMARY KEY,
    mtime_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""

VERSION = zlib.crc32(_SCHEMA.encode() + DICTIONARY) >> 1
"""Of the schema and of how documents are packed; 31 bits, as `user_version` has."""


class OutdatedError(sqlite3.DatabaseError):
    """The file was made by another version of this program, or is empty."""


class Database:
    """Connections to one file.

    Args:
        path: The file.
        is_read_only: Never write, so that a library can be looked at by anybody.
    """

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self._uri = f"file:{quote(str(path.absolute()))}"
        self._is_read_only = is_read_only
        self._lock = threading.Lock()
        """Held by the one transaction that writes."""
        self._writer: list[sqlite3.Connection] = []
        self._idle: list[sqlite3.Connection] = []
        self._created = 0
        """How often the file was exchanged; a connection to an old one is not kept."""
        # Closed also if the owner forgets: the last one to close tidies the log up.
        self._finalizer = weakref.finalize(self, _close_all, self._writer, self._idle)

    def open(self) -> None:
        """Make sure that the file is one of this version.

        Raises:
            OutdatedError: It is not.
            sqlite3.Error: It cannot be used.
        """
        if self._is_read_only:
            self._uri = _readable(self.path, self._uri)
        with self.read() as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found != VERSION:
            self.close()
            raise OutdatedError(f"version {found}, {VERSION} wanted")

    def create(self) -> None:
        """Start with an empty file, whatever was there."""
        with self._lock:
            self._created += 1
            _close_all(self._writer, self._idle)
            for suffix in SUFFIXES:
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            connection = self._connect("?mode=rwc")
            connection.executescript(_SCHEMA)
            # Last: a file that was not finished has another version.
            connection.execute(f"PRAGMA user_version = {VERSION}")
            self._writer.append(connection)

    def close(self) -> None:
        """Close every connection that is idle."""
        with self._lock:
            _close_all(self._writer, self._idle)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; what it sees stays the same within a transaction."""
        created = self._created
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            # What is cached of a damaged or exchanged file must not be asked again.
            connection.close()
            raise
        if created == self._created:
            self._idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection that writes, in a transaction: all of it or nothing."""
        with self._lock:
            if not self._writer:
                self._writer.append(self._connect())
            connection = self._writer[0]
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._writer.clear()
                # Closing rolls back, also where the disk is too full to do so.
                connection.close()
                raise

    def _connect(self, mode: str = "?mode=rw") -> sqlite3.Connection:
        connection = sqlite3.connect(
            # For reading only, the address says so already.
            self._uri if self._is_read_only else self._uri + mode,
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._configure(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _configure(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if not self._is_read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may cost the last rows, never the file; they are found again
            # because their folder has changed.
            connection.execute("PRAGMA synchronous = NORMAL")


def _readable(path: Path, uri: str) -> str:
    """Return the address by which the file is read and nothing beside it is made.

    A file that is in use has a log beside it. Where there is none, nobody writes, and
    to read as usual would leave a log behind: of this user, so that a server of
    another one could not write.
    """
    is_in_use = Path(f"{path}{SUFFIXES[1]}").exists()
    return uri + ("?mode=ro" if is_in_use else "?mode=ro&immutable=1")


def _close_all(*lists: list[sqlite3.Connection]) -> None:
    for connections in lists:
        while connections:
            connections.pop().close()
