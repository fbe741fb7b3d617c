"""Whether the audio of a recording is what its document says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile

from server.library.recording import Recording

_TOLERANCE_S = 0.001
"""`duration_s` may be rounded to the millisecond."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What looking at one recording showed."""

    id: str
    ok: bool
    problem: str = ""
    """Empty if it is as it should be."""


@dataclass(frozen=True, slots=True)
class _Header:
    samples: int
    sample_rate: int
    channels: int


def verify_one(recording: Recording, audio: Path) -> Finding:
    """Compare one recording with its audio."""
    problem = "; ".join(_problems(recording, audio))
    return Finding(recording.id, not problem, problem)


def _problems(recording: Recording, audio: Path) -> Iterator[str]:
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
        return
    yield from _differences(recording, header)


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


def _header(audio: Path) -> _Header:
    info = soundfile.info(str(audio))
    return _Header(int(info.frames), int(info.samplerate), int(info.channels))
