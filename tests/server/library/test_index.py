"""Searching and paging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.audio import GapCause, Outcome
from server.library import reading
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


def test_tags_and_notes_are_searched_and_tags_matched_whole() -> None:
    index = indexed(
        at_minute(0, call_id="a", tags=("Billing", "vip"), note="Asked for\nMs Ünal"),
        at_minute(1, call_id="b", tags=("billing-2",)),
    )

    assert calls(index.page(RecordingQuery(text="BILL"))) == ["b", "a"]
    assert calls(index.page(RecordingQuery(text="ünal"))) == ["a"]
    assert calls(index.page(RecordingQuery(text="for\nms"))) == ["a"]
    assert calls(index.page(RecordingQuery(tag="Billing"))) == ["a"]
    assert calls(index.page(RecordingQuery(tag="billing"))) == []
    assert calls(index.page(RecordingQuery(tag="vip", text="ünal"))) == ["a"]
    assert calls(index.page(RecordingQuery(tag="vip", text="nobody"))) == []


def test_states_are_matched() -> None:
    index = indexed(
        at_minute(0, call_id="a", state=Outcome.FAILED),
        at_minute(1, call_id="b", state=Outcome.COMPLETE),
    )

    assert calls(index.page(RecordingQuery(state="failed"))) == ["a"]
    assert calls(index.page(RecordingQuery(state="failed", direction="both"))) == ["a"]
    assert calls(index.page(RecordingQuery(state="silent"))) == []


def test_what_was_taken_away_is_no_longer_found() -> None:
    old = at_minute(0, tags=("vip",), note="angry")
    index = indexed(old, replace(old, tags=(), note="calm"))

    assert not index.page(RecordingQuery(text="angry")).items
    assert not index.page(RecordingQuery(tag="vip")).items
    assert index.page(RecordingQuery(text="calm")).items


def test_a_start_that_is_far_from_what_the_id_names_is_still_found() -> None:
    """A document may say anything; the order of ids only makes looking quick."""
    odd = replace(at_minute(0, call_id="odd"), started_at=NOON - timedelta(days=400))
    later = replace(at_minute(1, call_id="later"), started_at=NOON + timedelta(days=9))
    index = indexed(odd, later, at_minute(2, call_id="usual"))
    day = timedelta(days=1)

    def between(start: datetime, end: datetime) -> list[str]:
        query = RecordingQuery(started_from=start, started_before=end)
        return calls(index.page(query))

    assert between(NOON - 401 * day, NOON - 399 * day) == ["odd"]
    assert between(NOON + 8 * day, NOON + 10 * day) == ["later"]
    assert between(NOON, NOON + day) == ["usual"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_only_searched_for(name: str) -> None:
    index = indexed(at_minute(0, call_id=name, tags=(name,), direction=name))

    assert len(index.page(RecordingQuery(text=name)).items) == 1
    assert len(index.page(RecordingQuery(call_id=name)).items) == 1
    assert len(index.page(RecordingQuery(tag=name, direction=name)).items) == 1
    assert not index.page(RecordingQuery(text=name + '" OR *')).items
    assert name not in index
    assert index.get(name) is None
    assert not index.discard(name)


ALPHABET = "ab1\u00df\u0130%_\"'*\n"


@settings(max_examples=150, deadline=None)
@example(notes=["_"], text="_\n", direction=None, tag=None, few=0, newest=0, limit=1)
@given(
    notes=st.lists(st.text(ALPHABET, max_size=8), min_size=1, max_size=12),
    text=st.text(ALPHABET, min_size=1, max_size=4),
    direction=st.none() | st.sampled_from(["speak", "listen"]),
    tag=st.none() | st.just("t"),
    few=st.integers(0, 3),
    newest=st.integers(0, 3),
    limit=st.integers(1, 4),
)
def test_every_way_of_searching_finds_the_same(
    notes: list[str],
    text: str,
    direction: str | None,
    tag: str | None,
    few: int,
    newest: int,
    limit: int,
) -> None:
    every = [
        at_minute(
            at,
            note=note,
            direction=("speak", "listen")[at % 2],
            tags=("t",) if at % 3 else (),
        )
        for at, note in enumerate(notes)
    ]
    index = indexed(*every)
    words = text.casefold().replace("\n", " ")
    expected = [
        one.id
        for one in reversed(every)
        if words in _words(one)
        and direction in (None, one.direction)
        and (tag is None or tag in one.tags)
    ]
    found: list[str] = []
    query = RecordingQuery(text=text, direction=direction, tag=tag, limit=limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "FEW", few)
        patch.setattr(reading, "NEWEST", newest)
        while True:
            page = index.page(query)
            found += [one.id for one in page.items]
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)
    index.close()

    assert found == expected


def _words(one: Recording) -> str:
    """Return what is searched: a line for each name and note."""
    numbers = (one.from_number, one.to_number)
    ids = (one.id, one.call_id, one.node_id, one.control_id)
    lines = (*ids, *numbers, *one.tags, one.note)
    return "\n".join(line.casefold().replace("\n", " ") for line in lines)


def test_many_at_once_are_all_taken_or_none() -> None:
    index = indexed(at_minute(0))

    def failing() -> Iterator[Entry]:
        yield Entry(at_minute(1))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        index.add_many(failing())

    assert len(index) == 1
    index.add(Entry(at_minute(2)))
    assert len(index) == 2


def test_how_common_trigrams_are_is_learnt_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.library.index.COUNTS_GOOD_FOR", 2)
    index = indexed(at_minute(0, note="first"))
    assert index.page(RecordingQuery(text="first")).items
    for minute in range(1, 5):
        index.add(Entry(at_minute(minute, note="other")))
        assert len(index.page(RecordingQuery(text="other")).items) == minute
