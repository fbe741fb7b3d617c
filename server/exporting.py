"""Recordings on their way out of a terminal: links to play them, and archives."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from server.addresses import ListenAddress
from server.errors import ConfigError
from server.library.archive import archive, unknown_ids
from server.library.index import MAX_LIMIT, RecordingQuery
from server.library.layout import is_recording_id
from server.library.store import Library
from server.listing import open_library


def write_link(directory: Path, recording_id: str, url: str, *, at: float) -> int:
    """Write the address at which a browser plays a recording; return the exit code.

    Args:
        directory: Of the recordings.
        recording_id: Which.
        url: Of the server.
        at: Where to begin, in seconds.

    Raises:
        ConfigError: The address is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"--url is {url!r}, but must be http://... or https://...")
    if open_library(directory, is_read_only=True).audio_path(recording_id) is None:
        sys.stderr.write(f"tapdeck: There is no audio of {recording_id!r}.\n")
        return 1
    place = f"#t={at:g}" if at else ""
    sys.stdout.write(f"{url.rstrip('/')}/recordings/{recording_id}{place}\n")
    return 0


def address_here(listen: ListenAddress) -> str:
    """Return the address of a server that listens there, for browsers beside it."""
    is_everywhere = listen.host in ("0.0.0.0", "::")  # noqa: S104 - only compared
    return f"http://{replace(listen, host='localhost') if is_everywhere else listen}"


def export(
    directory: Path, ids: Sequence[str], *, search: str | None, target: Path
) -> int:
    """Write recordings into a ZIP file, with a bar on a terminal; return the exit code.

    Raises:
        ConfigError: Nothing is asked for, or the file is there already.
    """
    if bool(ids) == bool(search):
        raise ConfigError("Name recordings, or give --search: one of the two.")
    if target.exists():
        raise ConfigError(f"There is a file {target} already (--output).")
    library = open_library(directory, is_read_only=True)
    wanted = _found(library, search) if search else list(dict.fromkeys(ids))
    unknown = [each for each in wanted if not is_recording_id(each)]
    if unknown := unknown or unknown_ids(library, wanted):
        sys.stderr.write(f"tapdeck: There is no recording {unknown[0]!r}.\n")
        return 1
    if not wanted:
        sys.stdout.write("No recordings are like that.\n")
        return 0
    size = _write(library, wanted, target)
    sys.stdout.write(f"{target}: {len(wanted)} recordings, {decimal(size)}\n")
    return 0


def _write(library: Library, ids: Sequence[str], target: Path) -> int:
    # Under another name until it is whole.
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as file, _progress() as progress:
            task = progress.add_task("exporting", total=_size(library, ids))
            for piece in archive(library, ids):
                file.write(piece)
                progress.advance(task, len(piece))
            size = file.tell()
        partial.replace(target)
    except OSError as error:
        raise ConfigError(f"Cannot write {target}: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return size


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _found(library: Library, text: str) -> list[str]:
    """Return the ids of all recordings with a text, newest first."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = RecordingQuery(text=text, limit=MAX_LIMIT, cursor=cursor)
        page = library.list(query)
        found += (recording.id for recording in page.items)
        cursor = page.next_cursor
        if cursor is None:
            return found


def _size(library: Library, ids: Sequence[str]) -> int:
    """Return about how large the archive will be."""
    total = 0
    for recording_id in ids:
        audio = library.audio_path(recording_id)
        total += library.layout.document(recording_id).stat().st_size
        total += 0 if audio is None else audio.stat().st_size
    return total
