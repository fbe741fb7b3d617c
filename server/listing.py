"""The library in a terminal: a table, a document, a check.

Names in recordings come from the wire; they are shown without control characters and
never read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from server.errors import ConfigError
from server.library.index import MAX_LIMIT, RecordingQuery
from server.library.recording import Recording
from server.library.store import Library

_T = TypeVar("_T")

# Of what is not a terminal, such as a pipe into grep: never cut a line.
_UNCUT = 10_000


def list_recordings(directory: Path, *, text: str, limit: int) -> int:
    """Write a table of recordings, newest first; return the exit code."""
    recordings = _newest(open_library(directory, is_read_only=True), text, limit)
    if not recordings:
        sys.stdout.write(f"No recordings in {directory}.\n")
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("ID", "STARTED (UTC)", "STATE", "DIRECTION", "FROM", "TO"):
        table.add_column(heading, no_wrap=True)
    table.add_column("SECONDS", justify="right", no_wrap=True)
    table.add_column("VERDICT")
    for recording in recordings:
        table.add_row(*(Text(_printable(cell)) for cell in _cells(recording)))
    _console().print(table)
    return 0


def show_recording(directory: Path, recording_id: str) -> int:
    """Write everything about one recording; return the exit code."""
    # Its files say everything: the index is not asked.
    library = Library(_existing(directory))
    recording = library.get(recording_id)
    if recording is None:
        sys.stderr.write(f"tapdeck: There is no recording {recording_id!r}.\n")
        return 1
    # ASCII escapes keep control characters of wire names away from the terminal.
    sys.stdout.write(json.dumps(recording.to_json(), indent=2) + "\n")
    audio = library.audio_path(recording_id)
    sys.stdout.write(f"audio: {audio}\n" if audio else "audio: none\n")
    return 0


def verify_recordings(directory: Path, ids: Sequence[str], *, repair: bool) -> int:
    """Write what looking at the recordings showed; return 1 if any is damaged."""
    library = open_library(directory, is_read_only=not repair)
    console = _console()
    checked = damaged = repaired = 0
    findings = library.verify(ids or None, repair=repair)
    for finding in with_progress(findings, "verifying", len(ids) or len(library)):
        checked += 1
        damaged += not finding.ok
        repaired += finding.repaired
        if finding.problem:
            line = f"{finding.id}: {finding.problem}"
            if finding.repaired:
                line += "; the index is repaired"
            style = "yellow" if finding.ok else "red"
            console.print(Text(_printable(line), style=style))
    summary = f"{checked} checked, {damaged} damaged"
    if repaired:
        summary += f", {repaired} repaired in the index"
    console.print(Text(f"{summary}."))
    return 1 if damaged else 0


def with_progress(things: Iterable[_T], doing: str, total: int) -> Iterable[_T]:
    """Go through things with a bar on standard error, if that is a terminal."""
    return track(
        things,
        doing,
        total=total,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def open_library(directory: Path, *, is_read_only: bool) -> Library:
    """Return the library in a directory.

    Args:
        directory: Its root.
        is_read_only: Change nothing, not even the index. Otherwise the index may be
            changed, and is made if there is none; it is not brought in line.

    Raises:
        ConfigError: There is no such directory.
    """
    library = Library(_existing(directory))
    if is_read_only:
        library.load()
    else:
        library.prepare()
    return library


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise ConfigError(f"There is no directory {directory} (recordings_dir).")
    return directory


def _newest(library: Library, text: str, limit: int) -> list[Recording]:
    found: list[Recording] = []
    cursor: str | None = None
    while len(found) < limit:
        wanted = min(limit - len(found), MAX_LIMIT)
        page = library.list(RecordingQuery(text=text, limit=wanted, cursor=cursor))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _cells(recording: Recording) -> tuple[str, ...]:
    return (
        recording.id,
        f"{recording.started_at:%Y-%m-%d %H:%M:%S}",
        recording.state.value,
        recording.direction,
        recording.from_number,
        recording.to_number,
        f"{recording.duration_s:.1f}",
        recording.verdict.reason,
    )


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)


def _console() -> Console:
    is_terminal = sys.stdout.isatty()
    return Console(
        file=sys.stdout,
        width=None if is_terminal else _UNCUT,
        highlight=False,
        soft_wrap=False,
    )
