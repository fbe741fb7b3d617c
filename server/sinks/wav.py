"""A WAV file that is true about time: each block at its position, silence between.

Every block is written with one system call at its own place in the file. What is
between two blocks of 16-bit PCM is a hole, which reads as zeros and takes no room on
the disk; G.711 has no such luck, and its silence is written out.

The file never ends in the middle of a sample, nor with anything but audio or silence,
whatever the disk refuses: what a write left half done is cut off again.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from server.audio import Samples
from server.library.wav_layout import Encoding, WavLayout

_FILL_BYTES = 1 << 16
"""Of silence in one write."""


class WavWriter:
    """Writes one file. Blocking: not for the event loop."""

    def __init__(self, path: Path, layout: WavLayout, *, resume: bool = False) -> None:
        self._layout = layout
        flags = os.O_RDWR | os.O_CLOEXEC
        if not resume:
            flags |= os.O_CREAT | os.O_EXCL
        self._fd = os.open(path, flags, 0o666)
        # A writer that is given up must not keep its file open.
        self._close = weakref.finalize(self, os.close, self._fd)
        self.position = 0
        """Samples in the file, audio and silence."""
        try:
            if resume:
                # By what its header still tells.
                self._find_end()
            self._write_at(layout.header(None), 0)
        except OSError:
            self._close()
            if not resume:
                # Or it would be in the way of the next attempt.
                path.unlink(missing_ok=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, start: int, audio: Samples | bytes) -> None:
        """Put audio at `start`, which is not before the end.

        Args:
            start: Position of its first sample.
            audio: Samples of shape (n, channels), or bytes in the file's own encoding.

        Raises:
            OSError: The file system refuses; up to `position` all is as it should be.
            ValueError: The position is already taken.
        """
        if start < self.position:
            raise ValueError(f"position {start} is already written")
        if isinstance(audio, bytes):
            data = memoryview(audio)
        else:
            data = audio.astype("<i2", copy=False).data.cast("B")
        if self._layout.encoding is not Encoding.PCM16:
            self.pad_to(start)
        self._append(data, self._offset(start))

    def pad_to(self, position: int) -> None:
        """Have silence up to `position`.

        Raises:
            OSError: The file system refuses; up to `position` all is as it should be.
        """
        if self._layout.encoding is Encoding.PCM16:
            if position > self.position:
                os.ftruncate(self._fd, self._offset(position))
                self.position = position
            return
        step = self._layout.step
        while (missing := position - self.position) > 0:
            count = min(missing, _FILL_BYTES // step)
            fill = memoryview(self._layout.silence * count)
            self._append(fill, self._offset(self.position))

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Complete the header and close the file."""
        if self._close.alive:
            size = self._layout.file_size(self.position)
            trailer = self._layout.trailer
            if size != self._offset(self.position):
                os.ftruncate(self._fd, size)
                self._write_at(trailer, size - len(trailer))
            self._write_at(self._layout.header(self.position), 0)
            self._close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._close()

    def _offset(self, position: int) -> int:
        return self._layout.audio_at + position * self._layout.step

    def _find_end(self) -> None:
        self.position = self._layout.samples_in(os.fstat(self._fd).st_size)
        told = WavLayout.samples_told(os.pread(self._fd, self._layout.audio_at, 0))
        if told is not None:
            # It was complete: what is behind its audio is the byte that pads it.
            self.position = min(self.position, told)
        os.ftruncate(self._fd, self._offset(self.position))

    def _append(self, data: memoryview, offset: int) -> None:
        try:
            self._write_at(data, offset)
        except OSError:
            self._keep_whole_samples(offset)
            raise
        self.position = (offset + len(data) - self._layout.audio_at) // (
            self._layout.step
        )

    def _keep_whole_samples(self, offset: int) -> None:
        # A disk that refuses this as well is asked again by the recovery at the next
        # start, which cuts in the same way.
        with contextlib.suppress(OSError):
            size = os.fstat(self._fd).st_size
            if size > offset:
                self.position = self._layout.samples_in(size)
            os.ftruncate(self._fd, self._offset(self.position))

    def _write_at(self, data: bytes | memoryview, offset: int) -> None:
        # The rest of a write that was cut short is refused with a reason, usually.
        while data:
            written = os.pwrite(self._fd, data, offset)
            data, offset = data[written:], offset + written
