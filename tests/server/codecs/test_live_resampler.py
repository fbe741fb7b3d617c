from __future__ import annotations

import numpy as np
import pytest

from server.audio import Samples
from server.codecs.live_resampler import DELAY_S, LiveResampler


def tone(frequency: float, rate: int, delay_s: float = 0.0) -> Samples:
    time = np.arange(2 * rate) / rate - delay_s
    return (8000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_a_tone_in_blocks_is_the_tone_and_no_edge_is_heard(
    rate: int, frequency: int
) -> None:
    resampler = LiveResampler(rate, 48_000, 2)
    given = np.stack([tone(frequency, rate), np.zeros(2 * rate, np.int16)], axis=1)
    block = rate // 50
    found = np.concatenate(
        [
            resampler.convert(given[at : at + block], 960)
            for at in range(0, len(given), block)
        ]
    )

    held_s = round(DELAY_S * rate) / rate
    wanted = tone(frequency, 48_000, held_s).astype(float)
    noise = (found[:, 0] - wanted)[4800:]
    assert 10 * np.log10(np.mean(wanted**2) / np.mean(noise**2)) > 50
    assert not found[:, 1].any()


def test_nothing_overflows_at_full_scale() -> None:
    square = np.where(np.arange(1600) % 40 < 20, 32767, -32768).astype(np.int16)
    found = LiveResampler(8000, 48_000, 1).convert(square[:, None], 9600)
    assert found.shape == (9600, 1)
    ahead = found[960:, 0].astype(int)
    assert np.abs(np.diff(ahead)).max() < 40_000
