"""Samples to Opus packets (RFC 6716), through PyAV's libopus.

An encoder is behind by its lookahead: what a decoder gives is as much later, and the
last of a sound comes out with the silence behind it.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from server.audio import Samples

BITS_PER_SECOND = 32_000
"""Of each channel: enough for speech at any rate, and half of what G.711 takes."""
COMPLEXITY = 5
"""Of 10: half the work at 48 kHz, and no difference that is heard."""
_LOOKAHEAD_MS = 6.5


class OpusEncoder:
    """Encodes one stream, in blocks of any size.

    Args:
        sample_rate: 8000, 12000, 16000, 24000 or 48000.
        channels: 1 or 2.
        ptime: Milliseconds in a packet: 10, 20, 40 or 60.
    """

    def __init__(self, sample_rate: int, channels: int, ptime: int = 20) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.samples_per_packet = sample_rate * ptime // 1000
        self.lookahead = round(sample_rate * _LOOKAHEAD_MS / 1000)
        """Samples by which the decoded sound is later."""
        self._pending = np.zeros((0, channels), np.int16)
        self._encoded = 0
        self._layout = "mono" if channels == 1 else "stereo"
        context = av.AudioCodecContext.create("libopus", "w")
        context.sample_rate = sample_rate
        context.layout = self._layout
        context.format = av.AudioFormat("s16")
        context.bit_rate = BITS_PER_SECOND * channels
        context.time_base = Fraction(1, sample_rate)
        context.options = {
            "frame_duration": str(ptime),
            "application": "audio",
            "compression_level": str(COMPLEXITY),
        }
        self._context = context

    def encode(self, samples: Samples) -> list[bytes]:
        """Return the packets that are complete by now; the rest waits.

        Args:
            samples: Shape (n, channels).
        """
        size = self.samples_per_packet
        held = np.concatenate([self._pending, samples])
        whole = len(held) - len(held) % size
        self._pending = held[whole:]
        return [self._packet(held[at : at + size]) for at in range(0, whole, size)]

    @property
    def samples_to_flush(self) -> int:
        """How much silence brings out all that was given, in whole packets."""
        held = len(self._pending) + self.lookahead
        return self.lookahead + -held % self.samples_per_packet

    def encode_silence(self, length: int) -> list[bytes]:
        """Return the packets that `length` samples of silence complete."""
        return self.encode(np.zeros((length, self.channels), np.int16))

    def _packet(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), "s16", self._layout
        )
        frame.sample_rate = self.sample_rate
        frame.pts = self._encoded
        self._encoded += len(samples)
        # libopus gives one packet for each frame that has its length.
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
