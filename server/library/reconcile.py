"""Bringing the index in line with the files, without reading those it knows.

Whatever comes, goes or is renamed in a folder gives that folder another modification
time. So a day whose folder has the time that it had when the index last looked is as
it was, and a start asks one time per day, not one file per recording. In a folder that
did change, only documents of another time or size than the index has are read.

Not found here: a document that somebody changed in place, in a folder where nothing
else happened. `tapdeck recordings verify` compares everything.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from server.library.document import read_document
from server.library.index import RecordingIndex, Row
from server.library.layout import (
    AUDIO_SUFFIX,
    COPY_SUFFIXES,
    DOCUMENT_SUFFIX,
    Layout,
    is_recording_id,
)
from server.library.recording import Recording
from server.library.rows import Entry, Stamp

BATCH = 500
"""Documents that come into the index in one transaction."""
SETTLED_NS = 2_000_000_000
"""File systems keep times in steps of up to a second or two: two changes of a folder
within one step look like one, so a time that is younger is not relied on."""

_SUFFIXES = (AUDIO_SUFFIX, DOCUMENT_SUFFIX, *COPY_SUFFIXES)


@dataclass(slots=True)
class Reconciled:
    """What there was to do."""

    read: int = 0
    """Documents that were new or had changed."""
    removed: int = 0
    """Rows of recordings that are gone."""
    unreadable: list[str] = field(default_factory=list)
    """Recordings whose document is damaged; they are not listed."""
    is_finished: bool = True
    """Whether nothing is left for the next time."""


@dataclass(slots=True)
class _Files:
    """What one recording has in its folder."""

    stamp: Stamp | None = None
    disk_bytes: int = 0


def reconcile(
    layout: Layout, index: RecordingIndex, *, is_due: Callable[[], bool] = lambda: False
) -> Reconciled:
    """Make the index say what the files say, newest day first.

    May run beside everything else; what it misses because of that, it finds next time.

    Args:
        layout: Where the files are.
        index: What is to be in line with them.
        is_due: Asked between documents; where it says so, the rest is left.

    Raises:
        sqlite3.Error: The index cannot be used.
        OSError: A folder cannot be read.
    """
    result = Reconciled()
    seen = index.seen_days()
    for day in sorted(layout.days() | seen.keys(), reverse=True):
        changed_ns = _changed_ns(layout.folder(day))
        if changed_ns is not None and seen.get(day) == changed_ns:
            continue
        if is_due():
            result.is_finished = False
        if result.is_finished:
            _reconcile_day(layout, index, day, result, is_due)
        if not result.is_finished:
            break
        if changed_ns is None or time.time_ns() - changed_ns > SETTLED_NS:
            index.set_seen(day, changed_ns)
    return result


def _reconcile_day(
    layout: Layout,
    index: RecordingIndex,
    day: str,
    result: Reconciled,
    is_due: Callable[[], bool],
) -> None:
    # Before the files: what is published meanwhile is a file more, never a row
    # without files.
    rows = index.rows_of(day)
    files = _files(layout.folder(day), day)
    changed = _changed(layout, rows, files, result)
    while batch := list(itertools.islice(changed, BATCH)):
        index.add_many(batch)
        result.read += len(batch)
        if is_due():
            result.is_finished = False
            return
    _forget(index, rows, files, result)


def _forget(
    index: RecordingIndex,
    rows: dict[str, Row],
    files: dict[str, _Files],
    result: Reconciled,
) -> None:
    """Take what is gone off the index, and other sizes into it."""
    damaged = set(result.unreadable)
    for recording_id, row in rows.items():
        found = files.get(recording_id)
        if found is None or found.stamp is None or recording_id in damaged:
            result.removed += index.discard(recording_id)
        elif found.stamp == row.stamp and found.disk_bytes != row.disk_bytes:
            index.resize(recording_id, found.disk_bytes)


def _changed(
    layout: Layout,
    rows: dict[str, Row],
    files: dict[str, _Files],
    result: Reconciled,
) -> Iterator[Entry]:
    for recording_id, found in files.items():
        row = rows.get(recording_id)
        if found.stamp is None or (row is not None and row.stamp == found.stamp):
            continue
        try:
            recording = read_document(layout, recording_id)
        except FileNotFoundError:
            # Deleted since the folder was listed.
            continue
        except ValueError:
            result.unreadable.append(recording_id)
            continue
        yield Entry(recording, found.stamp, found.disk_bytes)


def entry_of(layout: Layout, recording: Recording) -> Entry:
    """Return what comes into the index of a recording that is in its place.

    Raises:
        FileNotFoundError: There is no document.
    """
    stamp = _stamp(layout.document(recording.id).stat())
    others = (layout.audio(recording.id), *layout.copies(recording.id))
    disk_bytes = stamp.size_bytes + sum(_size(path) for path in others)
    return Entry(recording, stamp, disk_bytes)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_mtime_ns, status.st_size)


def _files(folder: Path, day: str) -> dict[str, _Files]:
    found: dict[str, _Files] = {}
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return found
    for entry in entries:
        name, dot, suffix = entry.name.partition(".")
        is_ours = is_recording_id(name) and name.startswith(day)
        if dot + suffix not in _SUFFIXES or not is_ours:
            continue
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue
        files = found.setdefault(name, _Files())
        files.disk_bytes += status.st_size
        if dot + suffix == DOCUMENT_SUFFIX:
            files.stamp = _stamp(status)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _changed_ns(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return None
