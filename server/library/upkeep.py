"""Looking after a library: its index, and what retention says. A little at a time."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Callable, Iterator

from server.library.errors import RecordingOnHold
from server.library.index import Candidate
from server.library.retention import Ages, Deletion, DiskFacts, RetentionRules, Room
from server.library.store import Library

logger = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""For which one turn reads documents into the index."""
MAX_LOOKED_AT = 20_000
"""Recordings that one turn judges."""
MAX_DELETED = 200
"""Recordings that one turn deletes."""
CHUNK = 1000


class Upkeep:
    """Takes turns at one library; each is short, so that it can be stopped after any.

    Args:
        library: Open.
        rules: What is to be kept.
        now_ms: The time, in milliseconds since 1970.
    """

    def __init__(
        self, library: Library, rules: RetentionRules, now_ms: Callable[[], int]
    ) -> None:
        self._library = library
        self._rules = rules
        self._now_ms = now_ms
        self._after = -1
        """Everything up to this key is young enough or kept for its tags; -1: begin
        anew. So recordings that are kept for long are not judged every time."""
        self.is_behind = False
        """Whether the next turn should not wait."""

    def turn(self) -> list[Deletion]:
        """Bring the index in line and delete what is due; return what has gone.

        Raises:
            OSError: The disk refused.
        """
        self.is_behind = not self._library.tend(patience_s=PATIENCE_S)
        # What is not in the index yet would count as room.
        if self.is_behind or self._rules.are_none:
            return []
        gone = self._delete_aged()
        return gone if self.is_behind else gone + self._make_room()

    def _delete_aged(self) -> list[Deletion]:
        ages = Ages(self._rules, self._now_ms())
        due = itertools.takewhile(
            lambda each: not ages.are_over_at(each), walk(self._library, self._after)
        )
        gone: list[Deletion] = []
        for looked_at, candidate in enumerate(due):
            if looked_at == MAX_LOOKED_AT or len(gone) == MAX_DELETED:
                self.is_behind = True
                return gone
            gone += self._delete(ages.judge(candidate))
            self._after = candidate.key
        self._after = -1
        return gone

    def _make_room(self) -> list[Deletion]:
        room = Room(self._rules, self._disk())
        gone: list[Deletion] = []
        if room.is_enough():
            return gone
        for candidate in walk(self._library):
            if room.is_enough():
                break
            if len(gone) == MAX_DELETED:
                self.is_behind = True
                break
            gone += self._delete(room.judge(candidate))
        return gone

    def _delete(self, deletion: Deletion | None) -> list[Deletion]:
        if deletion is None or not carry_out(self._library, deletion):
            return []
        return [deletion]

    def _disk(self) -> DiskFacts:
        if self._rules.max_bytes is None:
            # Nobody asks for the size, and to sum it up reads the whole index.
            return DiskFacts(0, shutil.disk_usage(self._library.root).free)
        return disk_facts(self._library)


def disk_facts(library: Library) -> DiskFacts:
    """Return how full things are; reads the whole index."""
    used = sum(library.catalogue.ask(lambda index: index.bytes_by_day()).values())
    return DiskFacts(used, shutil.disk_usage(library.root).free)


def walk(library: Library, after: int = -1) -> Iterator[Candidate]:
    """Return recordings oldest first, from behind a key, a chunk at a time."""
    while chunk := _chunk(library, after):
        yield from chunk
        after = chunk[-1].key


def carry_out(library: Library, deletion: Deletion) -> bool:
    """Delete a recording and say why; tell whether it has gone."""
    try:
        has_gone = library.delete(deletion.id)
    except RecordingOnHold:
        # The hold came after the index was asked.
        return False
    if has_gone:
        logger.info("deleted %s: %s", deletion.id, deletion.reason)
    return has_gone


def _chunk(library: Library, after: int) -> list[Candidate]:
    return library.catalogue.ask(lambda index: index.oldest(CHUNK, after=after))
