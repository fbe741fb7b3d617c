"""What people may add to a recording."""

from __future__ import annotations

import pytest

from server.library.annotation import (
    MAX_NOTE_LENGTH,
    Annotation,
    parse_annotation,
)
from server.library.fields import FieldError
from server.tags import MAX_TAG_LENGTH, MAX_TAGS
from tests.server.library.builders import recording

ID = "20261122T120000123Z-abcdefgh"


def test_only_what_is_given_changes() -> None:
    before = recording(ID, tags=("a",), note="old", legal_hold=True)

    changed = parse_annotation({"note": "new"}).applied_to(before)

    assert (changed.tags, changed.note, changed.legal_hold) == (("a",), "new", True)


def test_everything_can_be_taken_away_again() -> None:
    before = recording(ID, tags=("a",), note="old", legal_hold=True)
    nothing = {"tags": [], "note": "", "legal_hold": False}

    assert parse_annotation(nothing).applied_to(before) == recording(ID)


def test_tags_are_trimmed_and_kept_once_in_their_order() -> None:
    given = parse_annotation({"tags": [" b ", "a", "b"]})

    assert given == Annotation(tags=("b", "a"))


def test_the_longest_that_is_allowed_is_taken() -> None:
    tags = [f"{n:0{MAX_TAG_LENGTH}}" for n in range(MAX_TAGS)]

    given = parse_annotation({"tags": tags, "note": "\n" * MAX_NOTE_LENGTH})

    assert given.tags == tuple(tags)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ([], ""),
        ({"tags": "a"}, "tags"),
        ({"tags": None, "note": ""}, "tags"),
        ({"tags": [1]}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"tags": [" "]}, "tags"),
        ({"tags": ["x" * (MAX_TAG_LENGTH + 1)]}, "tags"),
        ({"tags": ["a\nb"]}, "tags"),
        ({"tags": ["\ud800"]}, "tags"),
        ({"tags": [str(n) for n in range(MAX_TAGS + 1)]}, "tags"),
        ({"note": None}, "note"),
        ({"note": "x" * (MAX_NOTE_LENGTH + 1)}, "note"),
        ({"note": "\x00"}, "note"),
        ({"legal_hold": "yes"}, "legal_hold"),
        ({"legal_hold": 1}, "legal_hold"),
        ({"id": "x"}, "id"),
    ],
)
def test_what_is_wrong_is_named(raw: object, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_annotation(raw)

    assert caught.value.field == field
