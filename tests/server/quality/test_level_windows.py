from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import Samples
from server.quality.level_windows import Levels, LevelWindows
from server.quality.meter import MIN_DBFS


def sine(amplitude: float, length: int, channels: int = 1) -> Samples:
    wave = amplitude * 32767 * np.sin(2 * np.pi * np.arange(length) / 8)
    return np.repeat(np.rint(wave).astype(np.int16)[:, None], channels, axis=1)


def measured(start: int, samples: Samples, length: int = 800) -> list[Levels]:
    return list(LevelWindows(samples.shape[1], length).receive(start, samples))


def test_a_sine_at_full_scale_is_3_db_below_a_square_wave() -> None:
    (levels,) = measured(0, sine(1.0, 800))
    assert levels.rms_dbfs[0] == pytest.approx(-3.01, abs=0.01)
    assert levels.peak_dbfs[0] == pytest.approx(0, abs=0.01)


def test_each_channel_has_its_own_level() -> None:
    both = np.concatenate([sine(0.5, 800), np.zeros((800, 1), np.int16)], axis=1)
    (levels,) = measured(0, both)
    assert levels.rms_dbfs[0] == pytest.approx(-9.03, abs=0.01)
    assert levels.peak_dbfs[0] == pytest.approx(-6.02, abs=0.01)
    assert (levels.rms_dbfs[1], levels.peak_dbfs[1]) == (MIN_DBFS, MIN_DBFS)


def test_the_lowest_sample_is_full_scale() -> None:
    (levels,) = measured(0, np.full((800, 1), -32768, np.int16))
    assert (levels.rms_dbfs, levels.peak_dbfs) == ((0.0,), (0.0,))


def test_a_window_is_told_once_it_is_full() -> None:
    windows = LevelWindows(1, 800)
    assert list(windows.receive(0, sine(0.5, 799))) == []
    (levels,) = windows.receive(799, sine(0.5, 1))
    assert levels.start == 0


def test_a_window_that_a_gap_cuts_short_tells_of_what_was_there() -> None:
    windows = LevelWindows(1, 800)
    assert list(windows.receive(0, sine(0.5, 400))) == []
    told = list(windows.receive(2000, sine(1.0, 400)))
    assert [(each.start, round(each.rms_dbfs[0])) for each in told] == [
        (0, -9),
        (1600, -3),
    ]


def test_audio_that_begins_within_a_window_belongs_to_it() -> None:
    windows = LevelWindows(1, 800)
    told = list(windows.receive(1000, sine(0.5, 1400)))
    assert [each.start for each in told] == [800, 1600]


@given(st.lists(st.integers(0, 900), max_size=12))
def test_windows_are_the_same_whatever_lengths_the_audio_comes_in(
    cuts: list[int],
) -> None:
    samples = np.random.default_rng(7).integers(-32768, 32767, (4000, 2), np.int16)
    told: list[Levels] = []
    windows, start = LevelWindows(2, 400), 0
    for cut in [*cuts, 4000]:
        part = samples[start : start + cut]
        told += windows.receive(start, part)
        start += len(part)
    whole = measured(0, samples, 400)
    assert [each.start for each in told] == [each.start for each in whole]
    assert np.allclose(
        [each.rms_dbfs + each.peak_dbfs for each in told],
        [each.rms_dbfs + each.peak_dbfs for each in whole],
    )
