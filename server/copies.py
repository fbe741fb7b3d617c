"""Further copies of finished recordings, for those who want them small.

Made one at a time, in a thread, long after anybody waits for anything. The WAV is what
counts: a copy that cannot be made is logged, and costs nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from server.library.files import give_name, sync
from server.library.recording import Recording
from server.library.store import Library

log = logging.getLogger(__name__)

MAX_WAITING = 10_000
"""Recordings that wait for their copies; what comes on top goes without."""

_BLOCK = 1 << 16
"""Samples converted at a time."""
_OPUS_RATES = frozenset({8000, 12_000, 16_000, 24_000, 48_000})
_OPUS_RATE = 48_000


@dataclass(frozen=True, slots=True)
class _Kind:
    format: str
    subtype: str


_KINDS = {"flac": _Kind("FLAC", "PCM_16"), "opus": _Kind("OGG", "OPUS")}


class CopyMaker:
    """Makes the copies of recordings as they are finished."""

    def __init__(self, library: Library, kinds: Sequence[str]) -> None:
        self._library = library
        self._kinds = kinds
        self._waiting: deque[Recording] = deque()
        self._wake = asyncio.Event()
        self._stopping = threading.Event()

    def add(self, recording: Recording) -> None:
        """Have the copies of a recording made when there is time."""
        if not self._kinds or not recording.has_audio:
            return
        if len(self._waiting) >= MAX_WAITING:
            log.warning("recording %s gets no copies: too many wait", recording.id)
            return
        self._waiting.append(recording)
        self._wake.set()

    async def run(self) -> None:
        """Make copies until cancelled; one under way is then left out."""
        try:
            while True:
                while self._waiting:
                    recording = self._waiting.popleft()
                    for kind in self._kinds:
                        await asyncio.to_thread(self._make, recording, kind)
                self._wake.clear()
                await self._wake.wait()
        finally:
            self._stopping.set()

    def _make(self, recording: Recording, kind: str) -> None:
        audio = self._library.audio_path(recording.id)
        if audio is None:
            # Deleted while it waited.
            return
        partial = self._library.partial_path(recording.id).with_suffix(f".{kind}")
        try:
            write_copy(audio, partial, kind, self._stopping.is_set)
            if not self._stopping.is_set():
                _check_length(audio, partial)
                sync(partial)
                if self._library.audio_path(recording.id) is None:
                    # Deleted meanwhile, and nobody would look for a copy.
                    return
                give_name(partial, audio.with_suffix(f".{kind}"))
        except (OSError, soundfile.SoundFileError, AssertionError) as error:
            # soundfile asserts that everything was written, which a full disk denies.
            log.warning("recording %s: no %s copy: %s", recording.id, kind, error)
        finally:
            partial.unlink(missing_ok=True)


def _check_length(audio: Path, copy: Path) -> None:
    # libsndfile does not tell of what the disk refused at the very end.
    if abs(soundfile.info(audio).duration - soundfile.info(copy).duration) > 0.03:
        raise OSError(f"{copy.name} is not as long as {audio.name}")


def write_copy(
    source: Path, target: Path, kind: str, is_stopped: Callable[[], bool]
) -> None:
    """Write the audio of a WAV in another format, as far as it is not stopped.

    Raises:
        OSError: The disk refuses.
        soundfile.LibsndfileError: It cannot be read or written.
    """
    wanted = _KINDS[kind]
    with soundfile.SoundFile(source) as wav:
        rate = wav.samplerate
        resample: Callable[..., np.ndarray] | None = None
        if wanted.subtype == "OPUS" and rate not in _OPUS_RATES:
            stream = soxr.ResampleStream(rate, _OPUS_RATE, wav.channels, "int16")
            rate, resample = _OPUS_RATE, stream.resample_chunk
        with soundfile.SoundFile(
            target,
            "w",
            rate,
            wav.channels,
            subtype=wanted.subtype,
            format=wanted.format,
        ) as copy:
            while not is_stopped():
                block = wav.read(_BLOCK, dtype="int16", always_2d=True)
                is_last = len(block) < _BLOCK
                if resample is not None:
                    block = resample(block, last=is_last)
                copy.write(block)
                if is_last:
                    return
