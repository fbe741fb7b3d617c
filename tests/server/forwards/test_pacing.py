"""Packets go in real time, and no faster than twice that when there is much to send."""

from __future__ import annotations

import itertools
import random

import pytest

from server.forwards.pacing import Pacer

PTIME_S = 0.02


def send_all(pacer: Pacer, arrivals: list[float], late_s: float = 0.0) -> list[float]:
    """Return when packets go that arrive so; the timer rings up to `late_s` late."""
    chance, now, times = random.Random(1), 0.0, []
    for arrival in arrivals:
        now = max(now, arrival)
        if wait_s := pacer.wait_s(now):
            now += wait_s + chance.random() * late_s
        pacer.sent(PTIME_S, now)
        times.append(now)
    return times


def test_what_comes_in_real_time_goes_at_once() -> None:
    arrivals = [100 + PTIME_S * n for n in range(500)]
    assert send_all(Pacer(), arrivals) == arrivals


def test_a_second_at_once_takes_half_a_second() -> None:
    times = send_all(Pacer(), [100.0] * 50)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert times[0] == 100.0
    assert min(gaps) == pytest.approx(PTIME_S / 2)
    assert times[-1] == pytest.approx(100 + 49 * PTIME_S / 2)


@pytest.mark.parametrize("late_s", [0.0, 0.002, 0.008])
def test_after_a_stall_it_catches_up_and_stays_so(late_s: float) -> None:
    """Two seconds held back, then everything that was late, then real time again."""
    due = [PTIME_S * n for n in range(1000)]
    arrivals = [max(at, 7.0) if at >= 5.0 else at for at in due]
    times = send_all(Pacer(), arrivals, late_s)
    lags = [time - at for time, at in zip(times, arrivals, strict=True)]
    assert max(lags) == pytest.approx(1.0, abs=0.1)
    # It takes as long as the stall was, whatever the timers do.
    assert max(lags[500:]) < 0.02
    assert all(b - a > 0 for a, b in itertools.pairwise(times))


def test_a_sender_that_is_early_for_ever_is_not_followed_into_a_burst() -> None:
    times = send_all(Pacer(), [PTIME_S * n / 3 for n in range(300)])
    assert times[-1] == pytest.approx(299 * PTIME_S / 2)
