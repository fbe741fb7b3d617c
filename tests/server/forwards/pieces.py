"""Builds pieces of a track for the tests of forwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from server.audio import OPUS_RATE, PCMU_8000, AudioFormat, Codec, Run, Samples
from server.codecs.g711 import decode_mulaw
from server.forwards.buffer import Piece
from tests.server.sinks.test_runner import INFO


def g711_piece(data: bytes, start: int) -> Piece:
    """Return µ-law at 8 kHz, with what it decodes to."""
    run = Run(start, len(data), [data], PCMU_8000)
    return Piece(INFO, run, decode_mulaw(data)[:, None])


def piece_of(
    samples: Samples, start: int, rate: int, audio_format: AudioFormat | None = None
) -> Piece:
    """Return decoded audio whose bytes do not matter."""
    info = replace(INFO, sample_rate=rate, channels=samples.shape[1])
    run = Run(start, len(samples), [b""], audio_format or AudioFormat(PCMU_8000.codec))
    return Piece(info, run, samples)


def opus_piece(packets: Sequence[bytes], start: int, samples: Samples) -> Piece:
    """Return Opus packets with the samples that they are to stand for."""
    opus = AudioFormat(Codec.OPUS, OPUS_RATE)
    info = replace(INFO, codec=Codec.OPUS, sample_rate=OPUS_RATE)
    return Piece(info, Run(start, len(samples), packets, opus), samples)


def tone_at(start: int, length: int, rate: int, hertz: float = 440.0) -> Samples:
    """Return part of a tone that began at position 0."""
    time = (start + np.arange(length)) / rate
    wave: Samples = np.rint(8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    return wave[:, None]
