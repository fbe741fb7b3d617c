"""Listening over HTTP: a WAV that begins now and has no end yet."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable

import numpy as np

from server.audio import Run, Samples, StreamInfo
from server.forwards.buffer import LiveBuffer, Piece

BUFFER_MS = 2000
LOOK_S = 0.5
"""How often a listener looks whether its tap is over."""
MAX_SILENCE_S = 30
UNKNOWN_LENGTH = 0xFFFFFFFF
"""What ffmpeg and sox write, and understand, in a WAV that cannot be gone back in."""


class PullListener:
    """Takes one track of one tap and gives it as the bytes of a WAV.

    Args:
        is_live: Tells whether the tap still goes on.
    """

    def __init__(self, is_live: Callable[[], bool]) -> None:
        self._is_live = is_live
        # A listener that was away hears what is now, not what it missed.
        self._buffer = LiveBuffer(BUFFER_MS, "drop_oldest")
        self._wake = asyncio.Event()

    def receive(self, info: StreamInfo, run: Run, samples: Samples) -> None:
        """Keep a run until it is asked for."""
        self._buffer.put(Piece(info, run, samples))
        self._wake.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield a header, then audio as it comes; ends with the tap."""
        position: int | None = None
        while (piece := await self._next()) is not None:
            rate = piece.info.sample_rate
            if position is None:
                yield wav_header(rate, piece.info.channels)
                position = piece.run.start
            gap = min(piece.run.start - position, MAX_SILENCE_S * rate)
            if gap > 0:
                yield bytes(2 * gap * piece.info.channels)
            yield np.ascontiguousarray(piece.samples, "<i2").tobytes()
            position = piece.run.start + piece.run.length

    async def _next(self) -> Piece | None:
        while (piece := self._buffer.take()) is None:
            if not self._is_live():
                return None
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
        return piece


def wav_header(sample_rate: int, channels: int) -> bytes:
    """Return the 44 bytes before 16-bit samples whose number is not known."""
    size = 2 * channels
    form = (1, channels, sample_rate, sample_rate * size, size, 16)
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", UNKNOWN_LENGTH, b"WAVE", b"fmt ", 16, *form
    )
    return head + struct.pack("<4sI", b"data", UNKNOWN_LENGTH)
