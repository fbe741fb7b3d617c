from __future__ import annotations

import pytest

from server.rtp.stats import deviation, smooth


def test_packets_at_their_pace_do_not_deviate() -> None:
    assert deviation(0.02, 160, 8000) == pytest.approx(0.0)


def test_a_late_packet_deviates_by_how_late_it_is_in_timestamp_units() -> None:
    assert deviation(0.03, 160, 8000) == pytest.approx(80.0)
    assert deviation(0.01, 160, 8000) == pytest.approx(-80.0)


def test_jitter_moves_by_a_sixteenth_of_the_difference() -> None:
    assert smooth(0.0, 80.0) == 5.0
    assert smooth(16.0, 0.0) == 15.0
    assert smooth(0.0, -80.0) == 5.0


def test_constant_deviation_is_the_jitter_in_the_end() -> None:
    jitter = 0.0
    for _ in range(200):
        jitter = smooth(jitter, 40.0)
    assert jitter == pytest.approx(40.0, rel=1e-3)
