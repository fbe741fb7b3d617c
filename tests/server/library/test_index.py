"""Searching and paging."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import GapCause
from server.library.errors import InvalidCursor
from server.library.index import (
    MAX_LISTED_GAPS,
    RecordingIndex,
    RecordingPage,
    RecordingQuery,
)
from server.library.layout import make_id
from server.library.recording import Recording, TimedGap
from server.library.rows import Entry
from tests.server.library.builders import HOSTILE, NOON, recording


def at_minute(minute: int, **changes: object) -> Recording:
    started_at = NOON + timedelta(minutes=minute)
    return recording(make_id(started_at), started_at=started_at, **changes)


def indexed(*recordings: Recording) -> RecordingIndex:
    index = RecordingIndex.temporary()
    for one in recordings:
        index.add(Entry(one))
    return index


def calls(page: RecordingPage) -> list[str]:
    return [one.call_id for one in page.items]


def test_the_newest_comes_first_whatever_the_order_of_arrival() -> None:
    index = indexed(
        at_minute(1, call_id="b"), at_minute(2, call_id="c"), at_minute(0, call_id="a")
    )

    assert calls(index.page(RecordingQuery())) == ["c", "b", "a"]


@given(st.integers(0, 12), st.integers(1, 5))
def test_pages_together_hold_everything_once(total: int, limit: int) -> None:
    index = indexed(*(at_minute(minute) for minute in range(total)))
    seen: list[Recording] = []
    cursor = None
    while True:
        page = index.page(RecordingQuery(limit=limit, cursor=cursor))
        assert len(page.items) <= limit
        seen.extend(page.items)
        cursor = page.next_cursor
        if cursor is None:
            break

    assert [one.id for one in seen] == sorted((one.id for one in seen), reverse=True)
    assert len(seen) == total


def test_a_page_is_not_moved_by_what_comes_and_goes_meanwhile() -> None:
    recordings = [at_minute(minute, call_id=str(minute)) for minute in range(4)]
    index = indexed(*recordings)
    first = index.page(RecordingQuery(limit=2))
    index.add(Entry(at_minute(9, call_id="new")))
    index.discard(recordings[2].id)

    second = index.page(RecordingQuery(limit=2, cursor=first.next_cursor))

    assert calls(first) + calls(second) == ["3", "2", "1", "0"]


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "Li4vLi4vZXRjL3Bhc3N3ZA", "é", *HOSTILE]
)
def test_a_cursor_that_no_page_carried_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor, match="not a cursor"):
        indexed(at_minute(0)).page(RecordingQuery(cursor=cursor))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("5550100", True),
        ("CALL-7", True),
        ("node-1", True),
        ("Tap-1", True),
        ("20261122T12", True),
        ("5550100+1555", False),
        ("nobody", False),
    ],
)
def test_text_is_searched_in_ids_and_numbers(text: str, found: bool) -> None:
    index = indexed(at_minute(0, call_id="Call-7"))

    assert bool(index.page(RecordingQuery(text=text)).items) is found


def test_times_include_their_start_and_exclude_their_end() -> None:
    index = indexed(*(at_minute(minute, call_id=str(minute)) for minute in range(5)))

    page = index.page(
        RecordingQuery(
            started_from=NOON + timedelta(minutes=1),
            started_before=NOON + timedelta(minutes=3),
        )
    )

    assert calls(page) == ["2", "1"]


def test_direction_and_call_are_matched_whole() -> None:
    index = indexed(
        at_minute(0, call_id="a", direction="speak"),
        at_minute(1, call_id="a", direction="listen"),
        at_minute(2, call_id="aa", direction="speak"),
    )

    page = index.page(RecordingQuery(call_id="a", direction="speak"))

    assert [one.direction for one in page.items] == ["speak"]
    assert calls(page) == ["a"]


def test_a_list_shows_the_first_gaps_and_counts_the_others() -> None:
    gaps = tuple(TimedGap(at, 0.02, GapCause.LOST) for at in range(130))
    index = indexed(at_minute(0, gaps=gaps, gaps_omitted=4))

    (listed,) = index.page(RecordingQuery()).items

    assert listed.gaps == gaps[:MAX_LISTED_GAPS]
    assert listed.gaps_omitted == 34


def test_news_of_a_recording_replace_what_was_known() -> None:
    old = at_minute(0)
    index = indexed(old, replace(old, end_reason="hangup"))

    assert [one.end_reason for one in index.page(RecordingQuery()).items] == ["hangup"]
    assert len(index) == 1


def test_forgetting_twice_is_harmless() -> None:
    one, other = at_minute(0), at_minute(1)
    index = indexed(one, other)

    index.discard(one.id)
    index.discard(one.id)

    assert [kept.id for kept in index.page(RecordingQuery()).items] == [other.id]
    assert one.id not in index
