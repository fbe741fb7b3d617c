"""What still comes for a tap that has ended, and what does not."""

from __future__ import annotations

import pytest

from server.rtp.ended import MAX_FORMER, PAUSE, EndedSources, PortPast

A = ("198.51.100.1", 4000)
B = ("198.51.100.2", 4000)


def ended(heard_at: dict[int, float], now: float = 100.0) -> EndedSources:
    sources = EndedSources()
    sources.add(A, heard_at, now, now + 10.0)
    return sources


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_straggler_has_the_source_and_ssrc_of_the_tap(is_wanted: bool) -> None:
    sources = ended({1: 99.9})
    assert sources.is_straggler(A, 1, 100.1, is_wanted=is_wanted)
    assert not sources.is_straggler(A, 2, 100.1, is_wanted=is_wanted)
    assert not sources.is_straggler(B, 1, 100.1, is_wanted=is_wanted)


def test_what_resumes_after_a_pause_is_new() -> None:
    sources = ended({1: 99.9})
    assert sources.is_straggler(A, 1, 100.1, is_wanted=False)
    assert not sources.is_straggler(A, 1, 100.2 + PAUSE, is_wanted=False)
    assert not sources.is_straggler(A, 1, 100.3 + PAUSE, is_wanted=False)


def test_what_goes_on_is_new_in_time_to_whoever_wants_it() -> None:
    wanted, unwanted = ended({1: 100.0}), ended({1: 100.0})
    for tenths in range(1, 100):
        now = 100 + tenths / 10
        assert wanted.is_straggler(A, 1, now, is_wanted=True)
        assert unwanted.is_straggler(A, 1, now, is_wanted=False)
    assert not wanted.is_straggler(A, 1, 110.0, is_wanted=True)
    assert unwanted.is_straggler(A, 1, 110.0, is_wanted=False)


def test_sources_are_forgotten_once_they_are_silent() -> None:
    sources = ended({1: 99.9})
    assert sources.get_timer() == 110.0
    for tenths in range(1, 120):
        sources.is_straggler(A, 1, 100 + tenths / 10, is_wanted=False)
    sources.handle_timer(112.0)
    assert A in sources
    assert sources.get_timer() == pytest.approx(111.9 + PAUSE)
    sources.handle_timer(112.0 + PAUSE)
    assert A not in sources
    assert sources.get_timer() is None


def test_taps_one_after_another_do_not_add_up() -> None:
    sources = EndedSources()
    for number in range(1000):
        sources.add(A, {number: float(number)}, float(number), number + 10.0)
    assert not sources.is_straggler(A, 996, 999.0, is_wanted=False)
    assert sources.is_straggler(A, 998, 999.0, is_wanted=False)


def test_a_source_that_is_named_again_is_remembered_for_less() -> None:
    sources = ended({1: 100.0})
    sources.shorten(A, 101.0)
    sources.shorten(B, 101.0)
    assert sources.is_straggler(A, 1, 100.9, is_wanted=True)
    assert not sources.is_straggler(A, 1, 101.0, is_wanted=True)


def test_a_port_remembers_the_latest_of_its_sources() -> None:
    past = PortPast()
    past.add(A, range(MAX_FORMER + 1))
    assert not past.is_former(A, 0)
    assert past.is_former(A, 1)
    assert past.is_former(A, MAX_FORMER)
    assert not past.is_former(B, 1)
