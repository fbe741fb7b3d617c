"""The index of one library, kept in line with its files and never trusted with them.

The files are the truth. Whatever happens to the index, a recording is kept, and what
the index missed it is told later. So nothing here fails because SQLite does, except a
question that only the index could answer.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from server.library.database import OutdatedError
from server.library.errors import IndexUnavailable
from server.library.index import RecordingIndex
from server.library.layout import Layout
from server.library.reconcile import Reconciled, entry_of, reconcile
from server.library.recording import Recording

logger = logging.getLogger(__name__)

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""Anything else, such as a full disk or too many open files, will pass."""

_T = TypeVar("_T")


class Catalogue:
    """What is listed of a library."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.index = RecordingIndex(layout.index)
        self._is_damaged = False

    def open(self) -> None:
        """Open the index, or make a new one; `tend` fills it."""
        try:
            if not self.index.exists:
                self.index.create()
            try:
                self.index.open()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                logger.warning("the index cannot be used: %s", error)
                self._renew()
        except sqlite3.Error as error:
            _log("open the index", "", error)

    def load(self) -> None:
        """Open the index for reading only; without one, list the files."""
        self.index = RecordingIndex(self._layout.index, is_read_only=True)
        try:
            self.index.open()
        except sqlite3.Error:
            self.index = RecordingIndex.temporary()
            self.tend()

    def tend(self, *, patience_s: float | None = None) -> bool:
        """Bring the index in line with the files; tell whether it is now.

        Args:
            patience_s: How long it may take to read documents; None: as long as it
                needs. What is left is done next time.

        Raises:
            OSError: The files cannot be read.
        """
        try:
            if self._is_damaged or not self.index.exists:
                self._renew()
            try:
                result = self._reconcile(patience_s)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                logger.warning("the index is damaged: %s", error)
                self._renew()
                result = self._reconcile(patience_s)
        except sqlite3.Error as error:
            _log("bring the index in line with the files", "", error)
            return True
        _report(result)
        return result.is_finished

    def _reconcile(self, patience_s: float | None) -> Reconciled:
        until = math.inf if patience_s is None else time.monotonic() + patience_s
        return reconcile(
            self._layout, self.index, is_due=lambda: time.monotonic() >= until
        )

    def _renew(self) -> None:
        logger.warning("the index is made anew")
        self.index.create()
        self._is_damaged = False

    def has(self, recording_id: str) -> bool:
        """Tell whether a recording is listed."""
        return self.ask(lambda index: recording_id in index)

    def add(self, recording: Recording) -> None:
        """List a recording that is in its place, or what is new about it."""
        try:
            self.index.add(entry_of(self._layout, recording))
        except (sqlite3.Error, FileNotFoundError) as error:
            # Without its document somebody was faster, and has deleted it.
            _log("list", recording.id, error)

    def discard(self, recording_id: str) -> bool:
        """List a recording no more; tell whether it was listed."""
        try:
            return self.index.discard(recording_id)
        except sqlite3.Error as error:
            _log("take off the list", recording_id, error)
            return False

    def ask(self, question: Callable[[RecordingIndex], _T]) -> _T:
        """Return what the index says.

        Raises:
            IndexUnavailable: It cannot say.
        """
        try:
            return question(self.index)
        except (sqlite3.Error, ValueError) as error:
            self._is_damaged = self._is_damaged or _is_damage(error)
            logger.error("the index cannot be read: %s", error)
            raise IndexUnavailable(
                None, f"the index cannot be read ({error})"
            ) from error


def _log(what: str, recording_id: str, error: Exception) -> None:
    logger.error("cannot %s %s: %s; the files are kept", what, recording_id, error)


def _is_damage(error: Exception) -> bool:
    if isinstance(error, OutdatedError) or not isinstance(error, sqlite3.Error):
        # Of another version, or a row that is no document.
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def _report(result: Reconciled) -> None:
    if result.read or result.removed:
        logger.info(
            "the index took in %d recordings and dropped %d%s",
            result.read,
            result.removed,
            "" if result.is_finished else "; there are more",
        )
    if result.unreadable:
        logger.warning(
            "%d recordings have a damaged document and are not listed, "
            "such as %s; `tapdeck recordings verify` names them all",
            len(result.unreadable),
            min(result.unreadable),
        )
