"""The drift of a sender's clock, through jitter and steps."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from server.quality.drift import DriftMeter


def observe(
    meter: DriftMeter, *, ppm: float, seconds: int, jitter: float = 0.0, start: int = 0
) -> None:
    chance = random.Random(4)
    for second in range(start, start + seconds):
        late = chance.expovariate(1 / jitter) if jitter else 0.0
        meter.observe(1000 + second + late, second * (1 + ppm / 1e6))


def test_it_takes_half_a_minute() -> None:
    meter = DriftMeter()
    assert meter.ppm is None
    observe(meter, ppm=100, seconds=30)
    assert meter.ppm is None
    observe(meter, ppm=100, seconds=15, start=30)
    assert meter.ppm == pytest.approx(100, abs=1)


@pytest.mark.parametrize("ppm", [-200, 0, 50])
def test_jitter_does_not_hide_it(ppm: float) -> None:
    meter = DriftMeter()
    observe(meter, ppm=ppm, seconds=600, jitter=0.02)
    assert meter.ppm == pytest.approx(ppm, abs=15)


def test_hours_take_no_more_room_and_are_more_exact() -> None:
    meter = DriftMeter()
    observe(meter, ppm=-30, seconds=8 * 3600, jitter=0.05)
    assert meter.ppm == pytest.approx(-30, abs=1)


def test_a_step_of_the_transit_is_no_drift() -> None:
    meter = DriftMeter()
    observe(meter, ppm=40, seconds=100)
    for second in range(100, 300):
        meter.observe(1000.3 + second, second * (1 + 40e-6))
    assert meter.ppm == pytest.approx(40, abs=3)


def test_few_windows_say_nothing_however_far_apart() -> None:
    meter = DriftMeter()
    for second in (0, 100, 200, 300):
        meter.observe(second, second)
    assert meter.ppm is None


def test_a_pause_does_no_harm() -> None:
    meter = DriftMeter()
    for first, last in pairwise((0, 40, 400, 440)):
        if last - first <= 40:
            observe(meter, ppm=80, seconds=40, start=first)
    assert meter.ppm == pytest.approx(80, abs=5)
