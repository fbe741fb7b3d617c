"""Which recordings go, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.library.index import DAY_MS, Candidate
from server.library.retention import (
    GB,
    Ages,
    Cause,
    DiskFacts,
    RetentionRules,
    parse_tag_days,
    plan,
    size_text,
)

NOW = 20_000 * DAY_MS
ROOMY = DiskFacts(0, 1000 * GB)


def aged(days: float, **changes: Any) -> Candidate:
    """Return a recording of one GB that started so many days ago."""
    fields: dict[str, Any] = {
        "id": f"{days:g} days",
        "key": NOW - int(days * DAY_MS),
        "started_ms": NOW - int(days * DAY_MS),
        "disk_bytes": GB,
        "legal_hold": False,
    }
    return Candidate(**(fields | changes))


def going(
    rules: RetentionRules, *candidates: Candidate, disk: DiskFacts = ROOMY
) -> list[tuple[str, Cause]]:
    return [(one.id, one.cause) for one in plan(lambda: candidates, rules, disk, NOW)]


def test_without_rules_everything_stays() -> None:
    assert RetentionRules().are_none
    assert going(RetentionRules(), aged(30_000)) == []


def test_what_is_of_age_goes_to_the_millisecond() -> None:
    rules = RetentionRules(days=30)
    just = aged(30, id="just", started_ms=NOW - 30 * DAY_MS)
    not_yet = aged(30, id="not yet", started_ms=NOW - 30 * DAY_MS + 1)

    assert going(rules, aged(31), just, not_yet) == [
        ("31 days", Cause.AGE),
        ("just", Cause.AGE),
    ]


def test_a_tag_shortens_or_lengthens_the_age() -> None:
    rules = RetentionRules(
        days=30, tag_days={"debug": 7, "billing": 365, "evidence": None}
    )

    assert going(
        rules,
        aged(5000, tags=("evidence",)),
        aged(400, tags=("billing",)),
        aged(100, tags=("billing",)),
        aged(40),
        aged(10, tags=("debug",)),
        aged(5, tags=("debug",)),
    ) == [("400 days", Cause.AGE), ("40 days", Cause.AGE), ("10 days", Cause.AGE)]


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ((), (30, "")),
        (("other",), (30, "")),
        (("debug", "other"), (7, "debug")),
        (("debug", "billing"), (365, "billing")),
        (("billing", "evidence"), (None, "evidence")),
    ],
)
def test_of_several_tags_the_longest_age_counts(
    tags: tuple[str, ...], age: tuple[int | None, str]
) -> None:
    rules = RetentionRules(
        days=30, tag_days={"debug": 7, "billing": 365, "evidence": None}
    )

    assert rules.age_of(tags) == age


def test_a_tag_alone_is_a_rule() -> None:
    rules = RetentionRules(tag_days={"debug": 7})

    assert not rules.are_none
    assert going(rules, aged(1000), aged(8, tags=("debug",))) == [("8 days", Cause.AGE)]


def test_of_too_much_the_oldest_go_until_it_fits() -> None:
    disk = DiskFacts(used_bytes=5 * GB, free_bytes=1000 * GB)

    assert going(
        RetentionRules(max_bytes=3 * GB), *map(aged, (5, 4, 3, 2, 1)), disk=disk
    ) == [("5 days", Cause.SIZE), ("4 days", Cause.SIZE)]


def test_a_full_disk_takes_the_oldest_whatever_their_tags() -> None:
    rules = RetentionRules(min_free_bytes=2 * GB, tag_days={"evidence": None})
    disk = DiskFacts(used_bytes=5 * GB, free_bytes=GB // 2)

    assert going(rules, aged(5, tags=("evidence",)), aged(4), aged(3), disk=disk) == [
        ("5 days", Cause.SPACE),
        ("4 days", Cause.SPACE),
    ]


def test_what_goes_for_its_age_makes_room_as_well() -> None:
    rules = RetentionRules(days=30, max_bytes=4 * GB, min_free_bytes=GB)
    disk = DiskFacts(used_bytes=5 * GB, free_bytes=GB)

    assert going(rules, aged(40), aged(20), disk=disk) == [("40 days", Cause.AGE)]


def test_nothing_overrides_a_legal_hold() -> None:
    rules = RetentionRules(days=1, max_bytes=1, min_free_bytes=1000 * GB)
    disk = DiskFacts(used_bytes=5 * GB, free_bytes=0)

    assert going(
        rules, aged(9, legal_hold=True), aged(8), aged(7, legal_hold=True), disk=disk
    ) == [("8 days", Cause.AGE)]


def test_reasons_are_sentences_that_name_the_rule() -> None:
    rules = RetentionRules(
        days=30, tag_days={"debug": 7}, max_bytes=2 * GB, min_free_bytes=3 * GB
    )
    disk = DiskFacts(used_bytes=5 * GB, free_bytes=GB // 2)
    candidates = [aged(40), aged(20, tags=("debug",)), aged(6), aged(5)]

    reasons = [one.reason for one in plan(lambda: candidates, rules, disk, NOW)]

    assert reasons == [
        "older than 30 days",
        "older than 7 days, the age for its tag debug",
        "oldest of more than 2 GB of recordings",
    ]
    reasons = [
        one.reason
        for one in plan(
            lambda: [aged(1)], RetentionRules(min_free_bytes=3 * GB), disk, NOW
        )
    ]
    assert reasons == ["oldest while less than 3 GB of the disk is free"]


def test_looking_ends_where_nothing_more_can_go() -> None:
    ages = Ages(RetentionRules(days=30, tag_days={"debug": 7}), NOW)

    assert not ages.are_over_at(aged(8))
    assert ages.are_over_at(aged(6))
    assert Ages(RetentionRules(max_bytes=GB), NOW).are_over_at(aged(9999))


def test_with_no_need_for_room_recordings_are_gone_through_once() -> None:
    asked = []

    def oldest_first() -> list[Candidate]:
        asked.append(1)
        return [aged(40)]

    assert plan(oldest_first, RetentionRules(days=30, max_bytes=GB), ROOMY, NOW)
    assert len(asked) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 100),
            st.booleans(),
            st.lists(st.sampled_from("abc"), max_size=2),
        ),
        max_size=30,
    ),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(1, 90),
)
def test_no_more_goes_than_has_to(
    raw: list[tuple[int, bool, list[str]]],
    most: int | None,
    least: int | None,
    days: int | None,
) -> None:
    ordered = sorted(raw, key=lambda one: -one[0])
    candidates = [
        aged(age, id=str(at), legal_hold=hold, tags=tuple(tags))
        for at, (age, hold, tags) in enumerate(ordered)
    ]
    rules = RetentionRules(
        days=days,
        tag_days={"a": 10, "b": None},
        max_bytes=None if most is None else most * GB,
        min_free_bytes=None if least is None else least * GB,
    )
    disk = DiskFacts(len(candidates) * GB, 5 * GB)

    gone = {one.id: one for one in plan(lambda: candidates, rules, disk, NOW)}

    by_age = {one.id for one in gone.values() if one.cause is Cause.AGE}
    for candidate in candidates:
        age, _ = rules.age_of(candidate.tags)
        is_old = age is not None and NOW - candidate.started_ms >= age * DAY_MS
        assert (candidate.id in by_age) == (is_old and not candidate.legal_hold)
    if gone.keys() - by_age:
        left = len(candidates) - len(gone) + 1
        is_too_much = most is not None and left > most
        is_too_full = least is not None and 5 + len(gone) - 1 < least
        assert is_too_much or is_too_full
    elif most is not None and len(candidates) - len(gone) > most:
        assert all(one.legal_hold for one in candidates if one.id not in gone)


def test_ages_of_tags_are_read() -> None:
    given = ["billing=365", "a=b=7", "evidence=keep"]

    assert parse_tag_days(given) == {"billing": 365, "a=b": 7, "evidence": None}


@pytest.mark.parametrize("text", ["", "billing", "=7", "billing=", "billing=-1", "a=٣"])
def test_what_is_no_age_of_a_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an age of a tag"):
        parse_tag_days([text])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1644, "1.64 kB"),
        (999_999, "1 MB"),
        (500 * GB, "500 GB"),
        (1500 * GB, "1.5 TB"),
    ],
)
def test_sizes_are_for_people(number: int, text: str) -> None:
    assert size_text(number) == text
