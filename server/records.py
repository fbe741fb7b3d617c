"""The library's records of taps that have no audio yet, kept by threads that may wait.

They are what a crash leaves of such taps.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from server.library.announced import AnnouncedTap
from server.library.store import Library
from server.sinks.writers import WriterPool


class TapRecords:
    """Writes and removes records, in order, without waiting for the disk."""

    def __init__(self, library: Library, writers: WriterPool) -> None:
        self._library = library
        self._channel = writers.channel()

    def keep(self, record: AnnouncedTap) -> None:
        """Have a record written soon."""
        self._channel.put(partial(self._write, record), 0)

    def drop(self, announced_id: str) -> None:
        """Have a record removed soon."""
        self._channel.put(partial(self._remove, announced_id), 0)

    def _write(self, record: AnnouncedTap) -> None:
        try:
            record.write(self._library.layout.announced(record.id))
        except OSError:
            # Only a crash would miss it, and the disk has bigger troubles.
            self._channel.count_refused("no record of a tap")

    def _remove(self, announced_id: str) -> None:
        with suppress(OSError):
            self._library.layout.announced(announced_id).unlink(missing_ok=True)
