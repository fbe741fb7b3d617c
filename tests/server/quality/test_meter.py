"""Level, peak and clipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import Codec, Samples
from server.codecs.g711 import decode_alaw, decode_mulaw
from server.quality.meter import MIN_RUN, LevelMeter, decibels, full_scale


def receive(meter: LevelMeter, samples: Samples) -> None:
    meter.receive(samples, float(np.square(samples.astype(float)).sum()))


def column(*values: int) -> Samples:
    return np.array(values, np.int16).reshape(-1, 1)


def test_without_audio_there_is_no_level() -> None:
    meter = LevelMeter(1, 32767)
    assert (meter.level_dbfs, meter.peak_dbfs, meter.peak) == (None, None, 0)


def test_digital_silence_is_at_the_floor() -> None:
    meter = LevelMeter(1, 32767)
    receive(meter, column(0, 0, 0))
    assert (meter.level_dbfs, meter.peak_dbfs) == (-100, -100)


def test_a_sine_at_full_scale_is_at_minus_three() -> None:
    meter = LevelMeter(1, 32767)
    wave = 32767 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    receive(meter, np.rint(wave).astype(np.int16).reshape(-1, 1))
    assert meter.level_dbfs == pytest.approx(-3.01, abs=0.01)
    assert meter.peak_dbfs == pytest.approx(0, abs=0.01)


def test_the_mean_is_over_all_windows_and_channels() -> None:
    meter = LevelMeter(2, 32767)
    receive(meter, np.full((100, 2), 3000, np.int16))
    receive(meter, np.full((300, 2), -1000, np.int16))
    assert meter.level_dbfs == pytest.approx(decibels(np.sqrt(3e6)))
    assert meter.peak == 3000


def test_the_most_negative_sample_is_a_peak_and_clipped() -> None:
    meter = LevelMeter(1, 32767)
    receive(meter, column(-32768, -32768, -32768))
    assert (meter.peak, meter.clipped, meter.peak_dbfs) == (32768, 3, 0)


@given(
    values=st.lists(st.sampled_from([0, 32767, -32768, 32766]), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_runs_count_wherever_windows_end(values: list[int], cuts: list[int]) -> None:
    meter = LevelMeter(1, 32767)
    for part in np.split(np.array(values, np.int16), sorted(cuts)):
        if len(part):
            receive(meter, part.reshape(-1, 1))
    expected = run = 0
    for value in [*values, 0]:
        if value in (32767, -32768):
            run += 1
            continue
        expected += run if run >= MIN_RUN else 0
        run = 0
    assert meter.clipped == expected


def test_a_quiet_window_ends_a_run() -> None:
    meter = LevelMeter(1, 32767)
    for window in (column(32767, 32767), column(5), column(32767, 32767)):
        receive(meter, window)
    assert meter.clipped == 0


def test_each_channel_has_runs_of_its_own() -> None:
    meter = LevelMeter(2, 32767)
    left, right = [32767, 0, 32767, 0], [0, 32767, 32767, 32767]
    receive(meter, np.array([left, right], np.int16).T)
    assert meter.clipped == 3


@pytest.mark.parametrize(
    ("codec", "samples"),
    [
        (Codec.PCMU, decode_mulaw(b"\x80\x00")),
        (Codec.PCMA, decode_alaw(b"\xaa\x2a")),
        (Codec.L16, np.array([32767, -32767], np.int16)),
        (Codec.OPUS, np.array([32767, -32767], np.int16)),
    ],
)
def test_full_scale_is_where_a_codec_ends(codec: Codec, samples: Samples) -> None:
    assert set(np.abs(samples).tolist()) == {full_scale(codec)}
