"""A WAV file that is true about time: each block at its position, silence between."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from server.audio import Samples

_SILENCE_CHUNK = 65_536
"""Samples of silence written at once, which bounds the memory for a long gap."""


class WavWriter:
    """Writes 16-bit PCM through libsndfile. Blocking: not for the event loop."""

    def __init__(self, path: Path, *, sample_rate: int, channels: int) -> None:
        self._channels = channels
        self._file = soundfile.SoundFile(
            path,
            mode="x",
            samplerate=sample_rate,
            channels=channels,
            format="WAV",
            subtype="PCM_16",
        )
        self.position = 0
        """Samples in the file, audio and silence."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, start: int, samples: Samples) -> None:
        """Put `samples`, shape (n, channels), at `start`, which is not before the end.

        Raises:
            soundfile.LibsndfileError: The file system refuses.
            ValueError: The position is already taken.
        """
        if start < self.position:
            raise ValueError(f"position {start} is already written")
        self.pad_to(start)
        self._file.write(samples)
        self.position += len(samples)

    def pad_to(self, position: int) -> None:
        """Write silence up to `position`."""
        while (missing := position - self.position) > 0:
            count = min(missing, _SILENCE_CHUNK)
            self._file.write(np.zeros((count, self._channels), dtype=np.int16))
            self.position += count

    def close(self) -> None:
        """Complete the header and close the file."""
        self._file.close()
