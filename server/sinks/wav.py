"""A WAV file that is true about time: each block at its position, silence between.

16-bit PCM behind the 44 bytes of the canonical header. Every block is written with one
system call at its own place in the file; what is between two blocks is a hole, which
reads as zeros and takes no room on the disk.
"""

from __future__ import annotations

import os
import struct
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from server.audio import Samples

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_MAX_DATA_BYTES = 0xFFFFFFFF - _HEADER.size
_UNFINISHED = 0xFFFFFFFF
"""Size of a file being written: readers then go by the length of the file."""

_PCM = 1
_BYTES_PER_SAMPLE = 2


class WavWriter:
    """Writes 16-bit PCM. Blocking: not for the event loop."""

    def __init__(self, path: Path, *, sample_rate: int, channels: int) -> None:
        self._sample_rate = sample_rate
        self._channels = channels
        self._step = channels * _BYTES_PER_SAMPLE
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o666)
        # A writer that is given up must not keep its file open.
        self._close = weakref.finalize(self, os.close, self._fd)
        self._write_at(self._header(_UNFINISHED), 0)
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
            OSError: The file system refuses.
            ValueError: The position is already taken, or beyond what a WAV can hold.
        """
        if start < self.position:
            raise ValueError(f"position {start} is already written")
        self._check_size(start + len(samples))
        data = samples.astype("<i2", copy=False)
        self._write_at(data.data.cast("B"), _HEADER.size + start * self._step)
        self.position = start + len(samples)

    def pad_to(self, position: int) -> None:
        """Have silence up to `position`."""
        if position > self.position:
            self._check_size(position)
            os.ftruncate(self._fd, _HEADER.size + position * self._step)
            self.position = position

    def close(self) -> None:
        """Complete the header and close the file."""
        if self._close.alive:
            self._write_at(self._header(self.position * self._step), 0)
            self._close()

    def _check_size(self, position: int) -> None:
        if position * self._step > _MAX_DATA_BYTES:
            raise ValueError("a WAV file holds 4 GiB, and this one is full")

    def _write_at(self, data: bytes | memoryview, offset: int) -> None:
        # The rest of a write that was cut short is refused with a reason, usually.
        while data:
            written = os.pwrite(self._fd, data, offset)
            data, offset = data[written:], offset + written

    def _header(self, data_bytes: int) -> bytes:
        riff_bytes = min(data_bytes + _HEADER.size - 8, _UNFINISHED)
        return _HEADER.pack(
            b"RIFF",
            riff_bytes,
            b"WAVE",
            b"fmt ",
            16,
            _PCM,
            self._channels,
            self._sample_rate,
            self._sample_rate * self._step,
            self._step,
            8 * _BYTES_PER_SAMPLE,
            b"data",
            data_bytes,
        )
