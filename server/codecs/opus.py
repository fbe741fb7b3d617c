"""Opus packets to samples at 48 kHz (RFC 6716), through PyAV's libopus.

However a packet is damaged, it takes exactly the time that its table of contents
says, so that a decoder error can never move the audio behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from server.audio import OPUS_RATE, Samples, opus_samples


class OpusDecoder:
    """Decodes the packets of one stream, in order.

    Args:
        channels: What to decode to, 1 or 2, whatever the packets hold (RFC 7587
            section 4.4: mono and stereo packets may alternate).
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.errors = 0
        """Packets that could not be decoded and became zeros."""
        self._context = AudioCodecContext.create("libopus", "r")
        self._context.format = av.AudioFormat("s16")
        self._context.layout = "mono" if channels == 1 else "stereo"
        self._context.sample_rate = OPUS_RATE

    def decode(self, packets: Sequence[bytes]) -> Samples:
        """Return the samples of `packets`, shape (samples, channels)."""
        total = sum(map(opus_samples, packets))
        samples = np.zeros((total, self.channels), np.int16)
        start = 0
        for packet in packets:
            length = opus_samples(packet)
            self._decode_packet(packet, samples[start : start + length])
            start += length
        return samples

    def _decode_packet(self, packet: bytes, place: Samples) -> None:
        if not len(place):
            # Besides being useless, an empty packet would put libav into draining,
            # after which it refuses every packet.
            self.errors += 1
            return
        try:
            blocks = [f.to_ndarray() for f in self._context.decode(av.Packet(packet))]
        except av.FFmpegError:
            self.errors += 1
            return
        for block in blocks:
            samples = block.reshape(-1, self.channels)[: len(place)]
            place[: len(samples)] = samples
            place = place[len(samples) :]
