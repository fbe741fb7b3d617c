"""From what is wanted to SQL."""

from __future__ import annotations

from datetime import timedelta

from server.library.rows import key_at, ms_of
from server.library.search import (
    RecordingQuery,
    filters,
    match_any,
    match_of,
    trigrams,
)
from tests.server.library.builders import NOON


def test_nothing_wanted_is_no_condition() -> None:
    found = filters(RecordingQuery(text="x"), (0, 0))

    assert found.are_none
    assert found.walk() == ("FROM recordings AS r WHERE 1", [])


def test_times_bound_the_keys_by_as_much_as_ids_may_differ() -> None:
    query = RecordingQuery(started_from=NOON, started_before=NOON + timedelta(hours=1))
    start = ms_of(NOON)

    found = filters(query, (-2000, 500))

    end = start + 3_600_000
    assert found.values == [start, key_at(start - 500), end, key_at(end + 2000)]


def test_a_time_between_milliseconds_is_that_of_the_next() -> None:
    between = NOON + timedelta(microseconds=1)
    found = filters(RecordingQuery(started_from=between), (0, 0))

    assert found.values[0] == ms_of(NOON) + 1


def test_a_tag_is_walked_by_itself_and_checked_from_elsewhere() -> None:
    found = filters(RecordingQuery(tag="vip", direction="both"), (0, 0))

    walk, values = found.walk()
    assert walk.startswith("FROM tags AS t ")
    assert values == [b"vip", b"both"]
    check, values = found.check("s.rowid")
    assert "s.rowid" in check
    assert values == [b"vip", b"both"]


def test_the_rarest_trigrams_are_searched_by() -> None:
    counts = {"+15": 500, "155": 500, "555": 400, "550": 90, "507": 1}

    assert match_of("+15550", counts) == '"550" AND "555" AND "+15"'


def test_quotes_end_no_term() -> None:
    assert match_of('a"b', {}) == '"a""b"'
    assert match_any(['"""', "abc"]) == '"""""""" OR "abc"'


def test_trigrams_are_every_three_characters() -> None:
    assert trigrams("abcd") == {"abc", "bcd"}
    assert trigrams("ab") == set()
