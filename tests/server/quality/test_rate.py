"""The pace at which audio comes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from server.quality.rate import Pace, PaceMeter


def run(media: Callable[[float], float], seconds: int) -> list[Pace]:
    """Look once a second, beginning where the audio does."""
    meter = PaceMeter()
    paces = [meter.observe(second, media(second)) for second in range(seconds)]
    return [pace for pace in paces if pace is not None]


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.5, 6.0, 1 / 6])
def test_a_pace_that_is_far_off_is_known_after_two_seconds(factor: float) -> None:
    (pace,) = run(lambda second: factor * second, 3)
    assert pace.factor == pytest.approx(factor)
    assert pace.since_s == 0
    assert not pace.is_right


@pytest.mark.parametrize("factor", [48 / 44.1, 44.1 / 48])
def test_a_pace_that_is_near_takes_longer(factor: float) -> None:
    assert not run(lambda second: factor * second, 5)
    (pace,) = run(lambda second: factor * second, 6)
    assert pace.factor == pytest.approx(factor)


def test_the_right_pace_is_right() -> None:
    paces = run(lambda second: second * 1.0001, 10)
    assert paces
    assert all(pace.is_right for pace in paces)


def test_a_backlog_at_the_beginning_is_no_pace() -> None:
    paces = run(lambda second: second + 3 * (second >= 1), 10)
    assert paces
    assert all(pace.is_right for pace in paces)


def test_a_stall_that_is_caught_up_with_is_no_pace() -> None:
    def media(second: float) -> float:
        return 5 if 5 <= second < 7 else second

    assert all(pace.is_right for pace in run(media, 20))


def test_jitter_is_no_pace() -> None:
    chance = random.Random(3)
    paces = run(lambda second: second + chance.uniform(-0.15, 0.15), 2000)
    assert all(pace.is_right for pace in paces)


def test_a_drifting_clock_is_no_pace() -> None:
    assert all(pace.is_right for pace in run(lambda second: second * 1.03, 100))


def test_looks_that_follow_at_once_are_left_out() -> None:
    meter = PaceMeter()
    for moment in (0, 0.1, 1, 1.2):
        assert meter.observe(moment, 2 * moment) is None
    pace = meter.observe(2, 4)
    assert pace is not None
    assert pace.factor == 2


def test_seconds_that_are_slightly_off_are_no_pace() -> None:
    assert run(lambda second: second * 1.03, 20) == []


def test_an_uneven_pace_is_none() -> None:
    assert run(lambda second: 1.7 * second + 0.4 * (second % 2), 20) == []


def test_a_long_pause_begins_anew() -> None:
    meter = PaceMeter()
    meter.observe(0, 0)
    meter.observe(1, 2)
    assert meter.observe(10, 12) is None
    assert meter.observe(11, 14) is None
    pace = meter.observe(12, 16)
    assert pace is not None
    assert pace.since_s == 12
