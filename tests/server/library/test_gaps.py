"""The list of gaps in a recording."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import Gap, GapCause
from server.library.gaps import MAX_GAPS, GapLog
from server.library.recording import TimedGap

LOST, SILENCE = GapCause.LOST, GapCause.SILENCE


def logged(*gaps: Gap, limit: int = MAX_GAPS) -> GapLog:
    log = GapLog(8000, limit)
    for gap in gaps:
        log.add(gap)
    return log


def test_positions_become_seconds() -> None:
    assert logged(Gap(8000, 160, LOST)).gaps == (TimedGap(1.0, 0.02, LOST),)


def test_neighbours_of_one_cause_become_one() -> None:
    log = logged(Gap(0, 80, LOST), Gap(80, 80, LOST), Gap(160, 80, LOST))

    assert log.gaps == (TimedGap(0.0, 0.03, LOST),)


def test_another_cause_or_a_distance_keeps_them_apart() -> None:
    log = logged(Gap(0, 80, LOST), Gap(80, 80, SILENCE), Gap(240, 80, SILENCE))

    assert len(log.gaps) == 3


def test_what_is_too_much_is_counted() -> None:
    log = logged(*(Gap(at * 200, 80, LOST) for at in range(5)), limit=2)

    assert log.gaps == (TimedGap(0.0, 0.01, LOST), TimedGap(0.025, 0.01, LOST))
    assert log.omitted == 3


def test_neighbours_beyond_the_limit_count_once() -> None:
    log = logged(Gap(0, 80, LOST), Gap(200, 80, LOST), Gap(280, 80, LOST), limit=1)

    assert log.omitted == 1


def test_the_length_of_one_cause_is_told() -> None:
    log = logged(Gap(0, 80, LOST), Gap(80, 800, SILENCE), Gap(8000, 80, LOST))

    assert log.length_s(LOST) == pytest.approx(0.02)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.sampled_from(GapCause))),
    st.integers(0, 5),
)
def test_no_gap_goes_uncounted(
    steps: list[tuple[bool, int, GapCause]], limit: int
) -> None:
    gaps: list[Gap] = []
    at = merged = 0
    for apart, length, cause in steps:
        at += apart
        merged += bool(gaps) and not apart and gaps[-1].cause is cause
        gaps.append(Gap(at, length, cause))
        at += length

    log = logged(*gaps, limit=limit)

    assert len(log.gaps) + log.omitted == len(gaps) - merged
    assert len(log.gaps) <= limit
