"""Which tags there may be."""

from __future__ import annotations

import pytest

from server.tags import MAX_TAG_LENGTH, MAX_TAGS, heard_tags, tidy_tags


def test_each_is_there_once_without_blanks_around_it() -> None:
    assert tidy_tags([" a b ", "c", "a b"]) == ("a b", "c")


@pytest.mark.parametrize(
    ("tags", "rule"),
    [
        (["a", " "], "1 to 64 characters"),
        (["x" * (MAX_TAG_LENGTH + 1)], "1 to 64 characters"),
        (["a\x00b"], "printable"),
        ([str(n) for n in range(MAX_TAGS + 1)], "at most 32"),
    ],
)
def test_what_may_not_be_is_refused(tags: list[str], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        tidy_tags(tags)


def test_those_of_others_are_between_commas() -> None:
    assert heard_tags("stt, billing,,stt") == ("stt", "billing")
    assert heard_tags("") == ()


def test_of_others_either_all_may_be_or_none_is() -> None:
    assert heard_tags(f"a,{'x' * 65}") == ()
