"""What samples have to do with their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.quality.correlation import contrast, correlation, measure
from tests.voices import noise, square, to_int16, tones


@given(
    length=st.integers(4, 30_000),
    offset=st.integers(-3000, 3000),
    seed=st.integers(0, 50),
)
def test_it_is_what_the_definition_says(length: int, offset: int, seed: int) -> None:
    smooth = np.convolve(noise(4, 8000, 3000, seed), [0.5, 0.3, 0.2])[:length]
    samples = to_int16(smooth + offset)
    shape = measure(samples)

    centred = samples - samples.mean()
    power = float(np.square(centred).sum())
    assert shape.squares == pytest.approx(np.square(samples.astype(float)).sum(), 1e-4)
    assert shape.deviation == pytest.approx(centred.std(), rel=1e-2, abs=1)
    # At the borders of chunks, and of the run, some products are left out.
    loose = 0.01 + 8 / length
    if length > 1000:
        for lag, rho in ((1, shape.rho_1), (2, shape.rho_2)):
            expected = float((centred[lag:] * centred[:-lag]).sum()) / power
            assert rho == pytest.approx(expected, abs=loose)


@pytest.mark.parametrize("hertz", [200, 1000, 2500])
def test_a_tone_can_be_foretold(hertz: int) -> None:
    shape = measure(to_int16(tones(1, 8000, hertz)))
    assert shape.unpredictability < 0.001
    assert shape.rho_1 == pytest.approx(np.cos(2 * np.pi * hertz / 8000), abs=0.001)


def test_noise_cannot_be_foretold() -> None:
    assert measure(to_int16(noise(1, 8000, 1000))).unpredictability > 0.99


@pytest.mark.parametrize("level", [0, 848, -32768])
def test_what_is_constant_has_no_shape(level: int) -> None:
    shape = measure(np.full(8000, level, np.int16))
    assert (shape.deviation, shape.rho_1, shape.rho_2) == (0, 0, 0)
    assert shape.unpredictability == 1


def test_channels_are_compared_with_themselves() -> None:
    left, right = tones(1, 8000, 200), tones(1, 8000, 3000)
    together = np.stack([left, right], axis=1).reshape(-1)
    shape = measure(to_int16(together), channels=2)
    average = (np.cos(2 * np.pi * 200 / 8000) + np.cos(2 * np.pi * 3000 / 8000)) / 2
    assert shape.rho_1 == pytest.approx(average, abs=0.001)


def test_a_single_lag() -> None:
    assert correlation(np.zeros(100, np.int16), 3) == 0
    assert correlation(to_int16(square(1, 8000, 2000)), 4) == pytest.approx(1, abs=0.01)


def test_contrast() -> None:
    samples = to_int16(noise(1, 8000, 1000))
    assert 1 < contrast(samples) < 2
    samples[4000:] //= 4
    assert 10 < contrast(samples) < 20
    assert contrast(np.zeros(100, np.int16)) == 0
