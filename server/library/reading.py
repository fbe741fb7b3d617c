"""Pages out of the index; `server.library.search` says by which way."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from server.library.search import (
    TRIGRAM,
    Conditions,
    RecordingQuery,
    filters,
    match_any,
    match_of,
    needle_of,
    trigrams,
)

FEW = 3000
"""Rows that it takes no time to look at one by one."""
NEWEST = 10_000
"""Rows that a text of one or two characters is looked for in first."""
SAMPLE = 500
"""Newest rows that tell how common trigrams are."""
MAX_TERMS = 2000
"""Trigrams that a short text may stand for."""

_LAST = "\U0010ffff"
_COLUMNS = "x.key, x.packed"

Rows: TypeAlias = list[tuple[int, bytes]]
"""Keys and packed documents, newest first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One page that is being read.

    Args:
        connection: To read with.
        query: What is wanted, but for the cursor.
        before: Only rows of a lesser key.
        counts: Tells how common trigrams are.
    """

    connection: sqlite3.Connection
    query: RecordingQuery
    before: int | None
    counts: Callable[[sqlite3.Connection], Mapping[str, int]]

    def rows(self) -> Rows:
        """Return one row more than the page holds, if there is one."""
        wanted = filters(self.query, self._skew())
        is_filtered = not wanted.are_none
        if self.before is not None:
            wanted.add("{key} < ?", self.before)
        needle = needle_of(self.query)
        if not needle:
            return self._walk(wanted, needle)
        if is_filtered and self._are_few(wanted):
            return self._walk(wanted, needle)
        if len(needle) >= TRIGRAM:
            return self._match(match_of(needle, self.counts(self.connection)), wanted)
        found = self._walk(wanted, needle, among=NEWEST)
        if len(found) > self.query.limit:
            return found
        terms = self._terms(needle)
        return self._match(match_any(terms), wanted) if terms else []

    def _skew(self) -> tuple[int, int]:
        # A statement each: only then does either read one entry of its index.
        ends = [
            self.connection.execute(
                f"SELECT {end}(skew_ms) FROM recordings WHERE skew_ms <> 0"  # noqa: S608
            ).fetchone()[0]
            for end in ("min", "max")
        ]
        return min(0, ends[0] or 0), max(0, ends[1] or 0)

    def _are_few(self, wanted: Conditions) -> bool:
        walk, values = wanted.walk()
        (count,) = self.connection.execute(
            f"SELECT count(*) FROM (SELECT 1 {walk} LIMIT ?)",  # noqa: S608
            [*values, FEW + 1],
        ).fetchone()
        return bool(count <= FEW)

    def _walk(self, wanted: Conditions, needle: str, among: int = -1) -> Rows:
        """Look at the rows that fulfil the conditions, or at the newest of them."""
        walk, values = wanted.walk()
        key = wanted.key
        return self.connection.execute(
            f"SELECT {_COLUMNS} FROM "  # noqa: S608
            f"(SELECT {key} AS key {walk} ORDER BY {key} DESC LIMIT ?) AS n "
            "CROSS JOIN texts AS x ON x.key = n.key WHERE instr(x.haystack, ?) "
            "ORDER BY n.key DESC LIMIT ?",
            [*values, among if needle else self._one_more, needle, self._one_more],
        ).fetchall()

    def _match(self, match: str, wanted: Conditions) -> Rows:
        """Look at the rows that trigrams lead to."""
        check, values = wanted.check("s.rowid")
        return self.connection.execute(
            f"SELECT {_COLUMNS} FROM search AS s "  # noqa: S608
            "CROSS JOIN texts AS x ON x.key = s.rowid "
            "CROSS JOIN recordings AS r ON r.key = s.rowid "
            f"WHERE s.search MATCH ? AND instr(x.haystack, ?) AND {check} "
            "ORDER BY s.rowid DESC LIMIT ?",
            [match, needle_of(self.query), *values, self._one_more],
        ).fetchall()

    def _terms(self, needle: str) -> list[str]:
        """Return the trigrams that begin with a short text."""
        self.connection.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS temp.terms "
            "USING fts5vocab('main', 'search', 'row')"
        )
        found = self.connection.execute(
            "SELECT term FROM temp.terms WHERE term >= ? AND term <= ? LIMIT ?",
            (needle, needle + _LAST, MAX_TERMS),
        )
        return [term for (term,) in found]

    @property
    def _one_more(self) -> int:
        return self.query.limit + 1


def count_trigrams(connection: sqlite3.Connection) -> Counter[str]:
    """Return how many of the newest rows have each trigram."""
    counts: Counter[str] = Counter()
    newest = "SELECT haystack FROM texts ORDER BY key DESC LIMIT ?"
    for (haystack,) in connection.execute(newest, (SAMPLE,)):
        counts.update(trigrams(haystack))
    return counts
