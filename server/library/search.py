"""From what is wanted to SQL: which recordings, newest first.

Theory of operation: rows are walked in falling order of their key until a page is
full. Three ways lead to them, and the first that is good enough is taken:

1. Filters (time, state, tag, ...) that leave few rows: each of these is looked at.
2. A text of three characters or more: the trigrams in it that are rarest lead to the
   rows that may have it, and each is looked at. Lists of common trigrams, such as
   `202`, which every id has, would cost more than they spare.
3. A shorter text: the newest rows are looked at, and if those do not fill the page, it
   is searched by every trigram that begins with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from server.library.rows import exact, folded, key_at, ms_of

TRIGRAM = 3
MAX_LIMIT = 500
DEFAULT_LIMIT = 50
_RAREST = 3
"""Trigrams of a text to search by: more of them rule little out and cost time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuery:
    """Which recordings are wanted. Everything that is given must hold."""

    text: str = ""
    """Part of an id, a number, a tag or the note, in any case."""
    started_from: datetime | None = None
    started_before: datetime | None = None
    direction: str | None = None
    call_id: str | None = None
    tag: str | None = None
    """The whole of one of its tags."""
    state: str | None = None
    limit: int = DEFAULT_LIMIT
    """From 1 to `MAX_LIMIT`."""
    cursor: str | None = None
    """Of the page before; None for the first."""


@dataclass(slots=True)
class Conditions:
    """What a row must fulfil, as SQL; `{key}` in it stands for the key that is walked.

    Each statement says by itself whose key that is: rows are then ruled out before
    they are read.
    """

    clauses: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    tag: bytes | None = None

    @property
    def are_none(self) -> bool:
        """Whether every row will do."""
        return not self.clauses and self.tag is None

    def add(self, clause: str, *values: object) -> None:
        """Demand one thing more."""
        self.clauses.append(clause)
        self.values.extend(values)

    def walk(self) -> tuple[str, list[object]]:
        """Return what follows SELECT to walk the rows that fulfil this."""
        if self.tag is None:
            return f"FROM recordings AS r WHERE {self._sql('r.key')}", self.values
        tables = "tags AS t CROSS JOIN recordings AS r ON r.key = t.key"
        where = f"t.tag = ? AND {self._sql('t.key')}"
        return f"FROM {tables} WHERE {where}", [self.tag, *self.values]

    def check(self, key: str) -> tuple[str, list[object]]:
        """Return a condition for rows that something else leads to."""
        if self.tag is None:
            return self._sql(key), self.values
        tagged = f"(?, {key}) IN (SELECT tag, key FROM tags)"  # noqa: S608
        return f"{tagged} AND {self._sql(key)}", [self.tag, *self.values]

    @property
    def key(self) -> str:
        """The key that `walk` walks."""
        return "r.key" if self.tag is None else "t.key"

    def _sql(self, key: str) -> str:
        return " AND ".join(self.clauses).replace("{key}", key) or "1"


def filters(query: RecordingQuery, skew: tuple[int, int]) -> Conditions:
    """Return everything that is wanted but the text and the cursor.

    Args:
        query: What is wanted.
        skew: The least and the greatest time from the moment that an id names to the
            start of its recording, in milliseconds, 0 included.
    """
    found = Conditions(tag=None if query.tag is None else exact(query.tag))
    if query.call_id is not None:
        found.add("r.call_id = ?", exact(query.call_id))
    if query.state is not None:
        found.add("r.state = ?", query.state)
    if query.direction is not None:
        found.add("r.direction = ?", exact(query.direction))
    least, greatest = skew
    if query.started_from is not None:
        start = _ceiling_ms(query.started_from)
        found.add("r.started_ms >= ? AND {key} >= ?", start, key_at(start - greatest))
    if query.started_before is not None:
        end = _ceiling_ms(query.started_before)
        found.add("r.started_ms < ? AND {key} < ?", end, key_at(end - least))
    return found


def needle_of(query: RecordingQuery) -> str:
    """Return the text as it stands in a haystack, if it does."""
    return folded(query.text)


def trigrams(text: str) -> set[str]:
    """Return every three characters in a row."""
    return {text[at : at + TRIGRAM] for at in range(len(text) - TRIGRAM + 1)}


def match_of(needle: str, counts: Mapping[str, int]) -> str:
    """Return the full-text query for what may have the needle in it.

    Args:
        needle: Three characters or more.
        counts: How common trigrams are.
    """
    rarest = sorted(trigrams(needle), key=lambda each: (counts.get(each, 0), each))
    return " AND ".join(map(_quoted, rarest[:_RAREST]))


def match_any(terms: Sequence[str]) -> str:
    """Return the full-text query for what has one of the trigrams in it."""
    return " OR ".join(map(_quoted, terms))


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


def _ceiling_ms(moment: datetime) -> int:
    # Starts are kept in milliseconds: none lies between two of them.
    floor = ms_of(moment)
    return floor + (moment.microsecond % 1000 > 0)
