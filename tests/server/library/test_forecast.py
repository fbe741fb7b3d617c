"""When room runs out."""

from __future__ import annotations

import pytest

from server.library.forecast import HORIZON_DAYS, Growth

TODAY = 20_000


def steady(days: int, bytes_a_day: int = 10) -> Growth:
    return Growth({TODAY - ago: bytes_a_day for ago in range(1, days + 1)}, TODAY)


def test_the_rate_is_that_of_the_last_seven_whole_days() -> None:
    past = {TODAY: 1000, TODAY - 1: 70, TODAY - 7: 7, TODAY - 8: 5000}

    assert Growth(past, TODAY).bytes_per_day == 11


def test_a_young_library_is_judged_by_the_days_that_it_has() -> None:
    assert Growth({TODAY - 2: 30, TODAY - 1: 10, TODAY: 5}, TODAY).bytes_per_day == 20
    assert Growth({TODAY: 5}, TODAY).bytes_per_day == 5
    assert Growth({}, TODAY).bytes_per_day == 0


@pytest.mark.parametrize(("room", "days"), [(95, 10), (100, 11), (-1, 1)])
def test_what_comes_fills_the_room(room: int, days: int) -> None:
    assert steady(7).days_until_full(room, None) == days


def test_nothing_comes_nothing_fills() -> None:
    assert Growth({}, TODAY).days_until_full(0, None) is None


def test_once_as_much_goes_as_comes_nothing_fills() -> None:
    assert steady(40).days_until_full(5, 30) is None
    assert steady(7).days_until_full(300, 30) is None


def test_until_the_first_go_it_may_fill_all_the_same() -> None:
    assert steady(7).days_until_full(100, 30) == 11


def test_nobody_looks_beyond_ten_years() -> None:
    assert steady(7, 1).days_until_full(HORIZON_DAYS - 1, None) == HORIZON_DAYS
    assert steady(7, 1).days_until_full(HORIZON_DAYS, None) is None
