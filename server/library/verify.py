"""Whether the files of a recording, and the index, are what its document says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from server.library.document import read_document
from server.library.files import sha256_of
from server.library.index import RecordingIndex
from server.library.layout import PEAKS_SUFFIX, Layout, is_recording_id
from server.library.peak_files import make_peaks
from server.library.reconcile import entry_of
from server.library.recording import Recording
from server.library.rows import abridged

_TOLERANCE_S = 0.001
"""`duration_s` may be rounded to the millisecond."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What looking at one recording showed."""

    id: str
    ok: bool
    """Whether all is as it should be, if necessary after a repair."""
    problem: str = ""
    """Empty if nothing was wrong."""
    repaired: bool = False
    """Whether the index was wrong and has been put right."""


@dataclass(frozen=True, slots=True)
class _Header:
    samples: int
    sample_rate: int
    channels: int


class Verifier:
    """Compares recordings with each other's halves, and the index with both.

    Args:
        layout: Where the files are.
        index: What is listed.
        is_repairing: Put the index right where it is wrong, and remove peaks that are;
            they are made anew. Recordings are never changed.
    """

    def __init__(
        self, layout: Layout, index: RecordingIndex, *, is_repairing: bool
    ) -> None:
        self._layout = layout
        self._index = index
        self._is_repairing = is_repairing

    def all_ids(self) -> Iterator[str]:
        """Return every id that has a file or is listed, oldest first."""
        for day in sorted(self._layout.days() | self._index.seen_days().keys()):
            listed = self._index.rows_of(day).keys()
            yield from sorted(self._layout.day_ids(day) | listed)

    def verify(self, recording_id: str) -> Finding:
        """Look at one recording."""
        if not is_recording_id(recording_id):
            return Finding(recording_id, False, "not an id of a recording")
        finding = self._look(recording_id)
        if not finding.ok and self._is_underway(recording_id):
            return Finding(recording_id, True)
        return finding

    def _is_underway(self, recording_id: str) -> bool:
        """Tell whether a server is about to list it, or does when it starts again."""
        is_whole = (
            self._layout.document(recording_id).exists() and recording_id in self._index
        )
        return (
            not is_whole
            and self._layout.audio(recording_id).exists()
            and self._layout.is_being_published(recording_id)
        )

    def _look(self, recording_id: str) -> Finding:
        recording: Recording | None = None
        try:
            recording = read_document(self._layout, recording_id)
            audio = self._layout.audio(recording_id)
            problems = list(audio_problems(recording, audio))
        except FileNotFoundError:
            problems = self._without_document(recording_id)
        except OSError as error:
            return Finding(recording_id, False, f"cannot be read: {error.strerror}")
        except ValueError as error:
            problems = [f"damaged document: {error}"]
        return self._finding(recording_id, problems, recording)

    def _without_document(self, recording_id: str) -> list[str]:
        if self._layout.audio(recording_id).exists():
            return ["audio without a document"]
        is_listed = recording_id in self._index
        return [] if is_listed else ["no such recording"]

    def _finding(
        self, recording_id: str, problems: list[str], recording: Recording | None
    ) -> Finding:
        listed = self._index_problem(recording_id, recording)
        peaks = "" if problems else _peaks_problem(self._layout.audio(recording_id))
        is_repaired = bool(listed or peaks) and self._is_repairing
        if is_repaired and peaks:
            self._peaks(recording_id).unlink(missing_ok=True)
        if is_repaired:
            self._repair(recording_id, recording)
        ok = not problems and (not (listed or peaks) or is_repaired)
        every = "; ".join([*problems, *filter(None, [listed, peaks])])
        return Finding(recording_id, ok, every, is_repaired)

    def _peaks(self, recording_id: str) -> Path:
        return self._layout.audio(recording_id).with_suffix(PEAKS_SUFFIX)

    def _index_problem(self, recording_id: str, recording: Recording | None) -> str:
        try:
            row = self._index.get(recording_id)
        except ValueError:
            return "the row in the index cannot be read"
        if recording is None:
            return "" if row is None else "the index lists it, and there is no document"
        if row is None:
            return "the index does not list it"
        return "" if row == abridged(recording) else "the index says something else"

    def _repair(self, recording_id: str, recording: Recording | None) -> None:
        if recording is None:
            self._index.discard(recording_id)
        else:
            self._index.add(entry_of(self._layout, recording))


def audio_problems(recording: Recording, audio: Path) -> Iterator[str]:
    """Return what is wrong with the audio of a recording."""
    if not recording.has_audio:
        if audio.exists():
            yield "there is audio, which the document says there is not"
        return
    if not audio.exists():
        yield "the audio is missing"
        return
    try:
        header = _header(audio)
    except soundfile.LibsndfileError as error:
        yield f"the audio cannot be read: {error.error_string}"
    else:
        yield from _differences(recording, header)
    yield from _changes(recording, audio)


def _peaks_problem(audio: Path) -> str:
    """Compare the peaks, if there are any, with what the audio would give."""
    path = audio.with_suffix(PEAKS_SUFFIX)
    try:
        kept = path.read_bytes()
        made = make_peaks(audio).dump(audio.stat().st_size)
    except (FileNotFoundError, soundfile.LibsndfileError):
        return ""
    return "" if kept == made else "the peaks are not those of the audio"


def _differences(recording: Recording, header: _Header) -> Iterator[str]:
    pairs = (
        ("samples", recording.samples, header.samples),
        ("sample_rate", recording.sample_rate, header.sample_rate),
        ("channels", recording.channels, header.channels),
    )
    for name, documented, found in pairs:
        if documented != found:
            yield f"{name} is {found}, the document says {documented}"
    length_s = header.samples / header.sample_rate
    if abs(recording.duration_s - length_s) > _TOLERANCE_S:
        yield (
            f"the audio lasts {length_s:.3f} s, "
            f"the document says {recording.duration_s:.3f} s"
        )


def _changes(recording: Recording, audio: Path) -> Iterator[str]:
    """Compare the bytes; a document from before they were told has no hash."""
    if not recording.sha256:
        return
    size = audio.stat().st_size
    if size != recording.size_bytes:
        yield f"the file has {size} bytes, the document says {recording.size_bytes}"
    elif sha256_of(audio) != recording.sha256:
        yield "the file is not the one that was recorded: its SHA-256 differs"


def _header(audio: Path) -> _Header:
    info = soundfile.info(str(audio))
    return _Header(int(info.frames), int(info.samplerate), int(info.channels))
