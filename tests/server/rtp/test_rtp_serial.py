from hypothesis import given
from hypothesis import strategies as st

from server.rtp.serial import (
    add_to_sequence,
    add_to_timestamp,
    sequence_difference,
    timestamp_difference,
)


def test_sequence_differences_cross_the_wrap() -> None:
    assert sequence_difference(1, 0xFFFF) == 2
    assert sequence_difference(0xFFFF, 1) == -2
    assert sequence_difference(65_536, 0) == 0


def test_timestamp_differences_cross_the_wrap() -> None:
    assert timestamp_difference(100, 0xFFFFFFFF) == 101
    assert timestamp_difference(0xFFFFFFFF, 100) == -101


@given(st.integers(0, 0xFFFF), st.integers(-0x8000, 0x7FFF))
def test_a_sequence_number_moved_on_is_that_far_away(start: int, count: int) -> None:
    assert sequence_difference(add_to_sequence(start, count), start) == count


@given(st.integers(0, 0xFFFFFFFF), st.integers(-(2**31), 2**31 - 1))
def test_a_timestamp_moved_on_is_that_far_away(start: int, ticks: int) -> None:
    assert timestamp_difference(add_to_timestamp(start, ticks), start) == ticks
