"""Samples at 48 kHz to Opus packets (RFC 6716), through PyAV's libopus."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from server.audio import OPUS_RATE, Samples

FRAME_SAMPLES = OPUS_RATE // 50
"""In one packet: 20 ms."""


class OpusStereoEncoder:
    """Encodes one stream of stereo, a packet for each 20 ms, in order.

    Args:
        bit_rate: Bits a second, of both channels.
    """

    def __init__(self, bit_rate: int = 64_000) -> None:
        self._context = AudioCodecContext.create("libopus", "w")
        self._context.format = av.AudioFormat("s16")
        self._context.layout = "stereo"
        self._context.sample_rate = OPUS_RATE
        self._context.bit_rate = bit_rate
        self._context.time_base = Fraction(1, OPUS_RATE)
        # `audio` keeps the channels apart, where `voip` would make one of them at a
        # low rate. Past 5, complexity costs more than a phone call gains by it.
        self._context.options = {"application": "audio", "compression_level": "5"}

    def encode(self, samples: Samples) -> bytes:
        """Return the packet of `FRAME_SAMPLES` samples, shape (samples, 2)."""
        row = np.ascontiguousarray(samples, np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(row, format="s16", layout="stereo")
        frame.sample_rate = OPUS_RATE
        (packet,) = self._context.encode(frame)
        return bytes(packet)
