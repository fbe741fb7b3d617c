from __future__ import annotations

import numpy as np

from server.audio import Samples, opus_samples
from server.codecs.opus import OpusDecoder
from server.codecs.opus_encoder import FRAME_SAMPLES, OpusStereoEncoder

RATE = 48_000


def tone(frequency: float, seconds: float = 1.0) -> Samples:
    time = np.arange(round(RATE * seconds)) / RATE
    return (8000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def amplitude(samples: Samples, frequency: float) -> float:
    time = np.arange(len(samples)) / RATE
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * frequency * time))))


def test_each_frame_is_a_packet_of_20_ms_and_the_sides_stay_apart() -> None:
    stereo = np.stack([tone(440), tone(880)], axis=1)
    encoder = OpusStereoEncoder()
    packets = [
        encoder.encode(stereo[at : at + FRAME_SAMPLES])
        for at in range(0, len(stereo), FRAME_SAMPLES)
    ]

    assert {opus_samples(packet) for packet in packets} == {FRAME_SAMPLES}
    decoded = OpusDecoder(2).decode(packets)[RATE // 2 :]
    for side, (present, absent) in enumerate([(440, 880), (880, 440)]):
        assert abs(amplitude(decoded[:, side], present) - 8000) < 200
        assert amplitude(decoded[:, side], absent) < 80


def test_a_packet_stays_within_the_rate_that_was_asked_for() -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, (RATE, 2)).astype(np.int16)
    encoder = OpusStereoEncoder(bit_rate=32_000)
    packets = [
        encoder.encode(noise[at : at + FRAME_SAMPLES])
        for at in range(0, RATE, FRAME_SAMPLES)
    ]
    assert sum(map(len, packets)) * 8 < 48_000
