"""Packets of one length, and all of the sound in them."""

from __future__ import annotations

import numpy as np
import pytest

from server.audio import opus_samples
from server.codecs.opus import OpusDecoder
from server.codecs.opus_encoder import OpusEncoder
from tests.server.codecs.opus_sender import tone

RATES = [8000, 12_000, 16_000, 24_000, 48_000]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("ptime", [10, 20, 40, 60])
def test_every_packet_has_its_length(rate: int, channels: int, ptime: int) -> None:
    encoder = OpusEncoder(rate, channels, ptime)
    samples = np.repeat(tone(0.5, rate=rate)[:, None], channels, axis=1)
    packets = encoder.encode(samples) + encoder.encode_silence(encoder.samples_to_flush)
    assert {opus_samples(packet) for packet in packets} == {48 * ptime}
    decoded = OpusDecoder(channels).decode(packets)
    assert len(decoded) >= 24_000 + 312


def test_a_packet_waits_until_it_is_whole() -> None:
    encoder = OpusEncoder(16_000, 1)
    assert encoder.encode(np.zeros((319, 1), np.int16)) == []
    assert len(encoder.encode(np.zeros((1, 1), np.int16))) == 1
    assert len(encoder.encode(np.zeros((1000, 1), np.int16))) == 3


@pytest.mark.parametrize("held", [0, 1, 7, 8, 9, 159])
def test_silence_brings_out_the_end_in_whole_packets(held: int) -> None:
    encoder = OpusEncoder(8000, 1)
    encoder.encode(np.zeros((held, 1), np.int16))
    length = encoder.samples_to_flush
    assert encoder.lookahead == 52
    assert 52 <= length < 52 + 160
    assert (held + length) % 160 == 0
    encoder.encode_silence(length)
    assert encoder.encode_silence(159) == []


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_comes_out_after_the_lookahead(rate: int) -> None:
    encoder = OpusEncoder(rate, 1)
    sent = tone(1.0, rate=rate)
    packets = encoder.encode(sent[:, None])
    packets += encoder.encode_silence(encoder.samples_to_flush)
    heard = OpusDecoder(1).decode(packets)[312:, 0].astype(float)
    likeness = np.corrcoef(heard[4800:43_000], tone(1.0)[4800:43_000])
    assert likeness[0, 1] > 0.99
