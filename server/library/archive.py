"""Many recordings as one ZIP, made piece by piece while it is sent.

Nothing is compressed: audio gains little by it, and it would cost a core. Whatever the
recordings, memory holds one piece and the names. Sizes follow the data (APPNOTE 4.3.9),
and ZIP64 is used where a file needs it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from server.library.layout import AUDIO_SUFFIX, DOCUMENT_SUFFIX, started_at_of
from server.library.store import Library

PIECE_BYTES = 256 * 1024
MISSING_NAME = "missing.txt"
"""In the archive: the ids of recordings that were deleted while it was made."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""That a ZIP can tell."""


def unknown_ids(library: Library, ids: Sequence[str]) -> list[str]:
    """Return those that are no recordings here."""
    return [each for each in ids if not library.layout.document(each).exists()]


def archive(library: Library, ids: Sequence[str]) -> Generator[bytes, None, None]:
    """Return a ZIP with the WAV and the document of each recording, in pieces.

    Blocks on the disk between two pieces.

    Raises:
        OSError: The disk cannot be read; what was returned is no whole ZIP.
    """
    outlet = _Outlet()
    missing = []
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as package:
        for recording_id in ids:
            try:
                yield from _add(library, recording_id, package, outlet)
            except FileNotFoundError:
                missing.append(recording_id)
        if missing:
            package.writestr(MISSING_NAME, "".join(f"{each}\n" for each in missing))
    yield outlet.take()


def _add(
    library: Library, recording_id: str, package: zipfile.ZipFile, outlet: _Outlet
) -> Iterator[bytes]:
    # Read first: once its audio is under way, a recording cannot be left out.
    document = library.layout.document(recording_id).read_bytes()
    audio = library.audio_path(recording_id)
    if audio is not None:
        yield from _add_audio(recording_id, audio, package, outlet)
    package.writestr(_entry(recording_id, DOCUMENT_SUFFIX), document)
    yield outlet.take()


def _add_audio(
    recording_id: str, audio: Path, package: zipfile.ZipFile, outlet: _Outlet
) -> Iterator[bytes]:
    entry = _entry(recording_id, AUDIO_SUFFIX)
    with audio.open("rb") as source:
        # Only tells whether ZIP64 is needed.
        entry.file_size = audio.stat().st_size
        with package.open(entry, "w") as target:
            while piece := source.read(PIECE_BYTES):
                target.write(piece)
                yield outlet.take()


def _entry(recording_id: str, suffix: str) -> zipfile.ZipInfo:
    moment = started_at_of(recording_id).timetuple()[:6]
    entry = zipfile.ZipInfo(recording_id + suffix, max(moment, _EARLIEST))
    entry.external_attr = 0o644 << 16
    return entry


class _Outlet(io.RawIOBase):
    """What the archive is written to; cannot go back, and is emptied piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Take data in."""
        self._pieces += data
        return len(data)

    def take(self) -> bytes:
        """Return what came in since the last time."""
        taken = bytes(self._pieces)
        self._pieces.clear()
        return taken
