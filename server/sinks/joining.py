"""Makes one file of the finished files of several tracks; blocking.

The parts stay until the whole is in the library, so that a crash or a full disk costs
nothing but the work.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from server.library.joined import comment, describe_joined, in_order, offsets
from server.library.layout import DOCUMENT_SUFFIX, RANDOM_LENGTH
from server.library.recording import Recording
from server.library.store import Library
from server.library.wav_layout import Encoding, WavLayout
from server.sinks.wav import WavWriter

JOINING_SUFFIX = ".joining"
"""Of a file that is not whole; what a crash leaves of it is written again."""

_CHUNK = 1 << 18
"""Samples copied at a time."""
_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True)
class _Source:
    """The audio of one part, and where it begins in the whole."""

    audio: npt.NDArray[np.generic]
    start: int

    def read(self, at: int, count: int, out: npt.NDArray[np.generic]) -> None:
        """Copy what belongs at `at` and behind it; the rest of `out` stays."""
        begin = max(at, self.start)
        end = min(at + count, self.start + len(self.audio))
        if begin < end:
            audio = self.audio[begin - self.start : end - self.start]
            out[begin - at : end - at] = audio


def join(library: Library, recordings: Sequence[Recording]) -> Recording:
    """Publish one recording made of several whose audio is finished.

    Doing it again after a failure is safe.

    Raises:
        OSError: The disk refuses; nothing has been lost.
    """
    parts = in_order(recordings)
    whole = describe_joined(joined_id([part.id for part in parts]), parts)
    published = library.get(whole.id)
    if published is None:
        published = _publish(library, parts, whole)
    for part in parts:
        path = library.layout.partial(part.id)
        path.with_suffix(DOCUMENT_SUFFIX).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        library.layout.journal(part.id).unlink(missing_ok=True)
    return published


def joined_id(ids: Sequence[str]) -> str:
    """Return the id of what is made of these: the same at each attempt."""
    digest = hashlib.sha256(" ".join(sorted(ids)).encode()).digest()
    chance = base64.b32encode(digest).decode().lower()
    return min(ids)[:-RANDOM_LENGTH] + chance[:RANDOM_LENGTH]


def _publish(
    library: Library, parts: Sequence[Recording], whole: Recording
) -> Recording:
    target = library.layout.partial(whole.id)
    draft = target.with_suffix(JOINING_SUFFIX)
    try:
        _write(library, parts, draft)
        draft.rename(target)
        return library.publish(whole)
    except OSError:
        for path in (draft, target, target.with_suffix(DOCUMENT_SUFFIX)):
            path.unlink(missing_ok=True)
        raise


def _write(library: Library, parts: Sequence[Recording], draft: Path) -> None:
    draft.unlink(missing_ok=True)
    paths = [library.layout.partial(part.id) for part in parts]
    layout = _layout_of(paths[0])
    sources = [
        _Source(_audio(path, layout, part.samples), start)
        for path, part, start in zip(paths, parts, offsets(parts), strict=True)
    ]
    length = max(source.start + len(source.audio) for source in sources)
    whole = replace(layout, channels=len(parts), comment=comment(parts))
    with WavWriter(draft, whole) as writer:
        for at in range(0, length, _CHUNK):
            _write_chunk(writer, whole, sources, at, min(_CHUNK, length - at))


def _write_chunk(
    writer: WavWriter,
    layout: WavLayout,
    sources: Sequence[_Source],
    at: int,
    count: int,
) -> None:
    if layout.encoding is Encoding.PCM16:
        samples = np.zeros((count, len(sources)), "<i2")
        for channel, source in enumerate(sources):
            source.read(at, count, samples[:, channel])
        writer.write(at, samples)
        return
    silence = np.frombuffer(layout.silence, np.uint8)
    codes = np.tile(silence, (count, 1))
    for channel, source in enumerate(sources):
        source.read(at, count, codes[:, channel])
    writer.write(at, codes.tobytes())


def _layout_of(path: Path) -> WavLayout:
    with path.open("rb") as file:
        layout = WavLayout.parse(file.read(_HEAD_BYTES))
    if layout is None:
        raise ValueError(f"{path.name} is not a file of ours")
    return layout


def _audio(path: Path, layout: WavLayout, samples: int) -> npt.NDArray[np.generic]:
    kind = "<i2" if layout.encoding is Encoding.PCM16 else np.uint8
    if not samples:
        return np.zeros(0, kind)
    return np.memmap(path, kind, "r", layout.audio_at, (samples,))
