"""Makes Opus packets and Ogg pages for the tests."""

import struct
from collections.abc import Sequence

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from server.audio import OPUS_RATE, Samples
from server.codecs.ogg import checksum

DAMAGED = b"\xfa\xfc\xff"
"""Says two frames of 20 ms; the first is said to be longer than the packet."""


def tone(seconds: float, *, hz: float = 440.0, rate: int = OPUS_RATE) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    samples: Samples = (8000 * np.sin(2 * np.pi * hz * time)).astype(np.int16)
    return samples


def opus_packets(seconds: float, *, channels: int = 1) -> list[bytes]:
    """Return a tone as Opus packets of 20 ms."""
    layout = "mono" if channels == 1 else "stereo"
    encoder = AudioCodecContext.create("libopus", "w")
    encoder.format = av.AudioFormat("s16")
    encoder.layout = layout
    encoder.sample_rate = OPUS_RATE
    samples = np.repeat(tone(seconds), channels)
    packets: list[bytes] = []
    for at in range(0, len(samples), 960 * channels):
        piece = samples[at : at + 960 * channels].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
        frame.sample_rate = OPUS_RATE
        frame.pts = at // channels
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def ogg_page(
    sequence: int,
    segments: Sequence[bytes],
    *,
    flags: int = 0,
    serial: int = 7,
) -> bytes:
    """Return one page whose lacing is given: a segment of 255 bytes goes on."""
    lacing = bytes(map(len, segments))
    fields = (b"OggS", 0, flags, 0, serial, sequence, 0, len(lacing))
    page = struct.pack("<4sBBqIIIB", *fields) + lacing + b"".join(segments)
    return page[:22] + struct.pack("<I", checksum(page)) + page[26:]


def lace(packet: bytes) -> list[bytes]:
    """Return the segments of one packet."""
    whole = len(packet) // 255
    segments = [packet[at * 255 : at * 255 + 255] for at in range(whole)]
    return [*segments, packet[whole * 255 :]]


def opus_head(*, channels: int = 1, pre_skip: int = 312, family: int = 0) -> bytes:
    return struct.pack(
        "<8sBBHIhB", b"OpusHead", 1, channels, pre_skip, 48000, 0, family
    )


def ogg_opus(packets: Sequence[bytes], *, pre_skip: int = 312) -> bytes:
    """Return a whole Ogg Opus stream, one packet a page."""
    pages = [
        ogg_page(0, [opus_head(pre_skip=pre_skip)], flags=2),
        ogg_page(1, [b"OpusTags" + bytes(8)]),
    ]
    pages += [ogg_page(2 + at, lace(packet)) for at, packet in enumerate(packets)]
    return b"".join(pages)
