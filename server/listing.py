"""The library in a terminal: a table, a document, a check.

Names in recordings come from the wire; they are shown without control characters and
never read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.errors import ConfigError
from server.library.index import MAX_LIMIT, RecordingQuery
from server.library.recording import Recording
from server.library.store import Library

# Of what is not a terminal, such as a pipe into grep: never cut a line.
_UNCUT = 10_000


def list_recordings(directory: Path, *, text: str, limit: int) -> int:
    """Write a table of recordings, newest first; return the exit code."""
    recordings = _newest(_open(directory), text, limit)
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
    library = _open(directory)
    recording = library.get(recording_id)
    if recording is None:
        sys.stderr.write(f"tapdeck: There is no recording {recording_id!r}.\n")
        return 1
    # ASCII escapes keep control characters of wire names away from the terminal.
    sys.stdout.write(json.dumps(recording.to_json(), indent=2) + "\n")
    audio = library.audio_path(recording_id)
    sys.stdout.write(f"audio: {audio}\n" if audio else "audio: none\n")
    return 0


def verify_recordings(directory: Path, ids: Sequence[str]) -> int:
    """Write what looking at the recordings showed; return 1 if any is damaged."""
    library = _open(directory)
    console = _console()
    checked = damaged = 0
    for finding in library.verify(ids or None):
        checked += 1
        if not finding.ok:
            damaged += 1
            line = f"{_printable(finding.id)}: {_printable(finding.problem)}"
            console.print(Text(line, style="red"))
    console.print(Text(f"{checked} checked, {damaged} damaged."))
    return 1 if damaged else 0


def _open(directory: Path) -> Library:
    if not directory.is_dir():
        raise ConfigError(f"There is no directory {directory} (recordings_dir).")
    library = Library(directory)
    library.load()
    return library


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
