"""What the index keeps of a recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import GapCause
from server.library.evidence import Evidence, EvidenceKind, Quality
from server.library.layout import make_id
from server.library.recording import TimedGap
from server.library.rows import (
    MAX_LISTED_EVIDENCE,
    MAX_LISTED_GAPS,
    abridged,
    folded,
    haystack,
    id_ms,
    key_at,
    key_of,
    ms_of,
    pack,
    unpack,
)
from tests.server.library.builders import HOSTILE, NOON, recording

ID = "20261122T120000123Z-abcdefgh"
MOMENTS = st.datetimes(
    datetime(1970, 1, 1),
    datetime(2240, 1, 1),
    timezones=st.just(UTC),
)


@given(MOMENTS, MOMENTS)
def test_keys_sort_as_ids_do(one: datetime, other: datetime) -> None:
    ids = sorted([make_id(one), make_id(other)])

    first, second = map(key_of, ids)

    assert first <= second < 1 << 63


def test_ids_of_one_millisecond_are_told_apart() -> None:
    ids = sorted(make_id(NOON) for _ in range(100))

    assert [key_of(one) for one in ids] == sorted(key_of(one) for one in ids)


@given(MOMENTS)
def test_an_id_names_its_moment(moment: datetime) -> None:
    assert id_ms(make_id(moment)) == ms_of(moment)
    assert key_at(ms_of(moment)) <= key_of(make_id(moment))


@pytest.mark.parametrize(
    "recording_id",
    ["00000101T000000000Z-aaaaaaaa", "99991231T999999999Z-77777777"],
)
def test_the_strangest_ids_have_keys(recording_id: str) -> None:
    assert 0 <= key_of(recording_id) < 1 << 63


def test_what_is_packed_comes_out_again_and_is_small() -> None:
    one = recording(
        ID,
        evidence=(Evidence(0.0, 0.1, EvidenceKind.RECEIVED),),
        quality=Quality(mos_estimate=4.1),
        ended_at=NOON + timedelta(seconds=1),
        tags=("a",),
        sha256="0" * 64,
    )

    assert unpack(pack(one)) == one
    assert len(pack(one)) < 300


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_packed_as_they_are(name: str) -> None:
    one = recording(ID, call_id=name, note=name)

    assert unpack(pack(one)) == one


@pytest.mark.parametrize("packed", [b"", b"\xff" * 40, b"x"])
def test_what_was_not_packed_here_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of zlib, JSON or a field
        unpack(packed)


def test_lists_are_cut_and_the_rest_is_counted() -> None:
    one = recording(
        ID,
        gaps=tuple(TimedGap(at, 0.02, GapCause.LOST) for at in range(103)),
        gaps_omitted=4,
        evidence=tuple(Evidence(at, 0.02, EvidenceKind.LOST) for at in range(105)),
    )

    cut = abridged(one)

    assert (len(cut.gaps), cut.gaps_omitted) == (MAX_LISTED_GAPS, 7)
    assert (len(cut.evidence), cut.evidence_omitted) == (MAX_LISTED_EVIDENCE, 5)
    assert abridged(cut) == cut


def test_words_are_lines_in_one_case() -> None:
    words = haystack(recording(ID, call_id="Call", tags=("VIP",), note="Straße"))

    assert words.splitlines()[1] == "call"
    assert "vip\nstrasse\n" in words


def test_what_sqlite_cannot_take_is_searched_as_question_marks() -> None:
    assert folded("A\x00b\ud800C") == "a?b?c"
