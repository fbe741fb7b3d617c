from __future__ import annotations

import pytest

from server.events.wanted import Wanted


@pytest.mark.parametrize(
    ("types", "kind", "is_wanted"),
    [
        ([], "tap.began", True),
        (["tap"], "tap.began", True),
        (["tap"], "recording.began", False),
        (["tap.ended"], "tap.ended", True),
        (["tap.ended"], "tap.began", False),
        (["tap.ended", "forward"], "forward.reply", True),
    ],
)
def test_types_are_kinds_and_families(
    types: list[str], kind: str, is_wanted: bool
) -> None:
    assert Wanted(types=frozenset(types)).admits(kind, "a") is is_wanted


def test_only_taps_that_are_named_are_told_of() -> None:
    wanted = Wanted(
        control_ids=frozenset({"a"}), passing=frozenset({"levels", "tap.progress"})
    )
    assert wanted.admits("tap.began", "a")
    assert not wanted.admits("tap.began", "b")
    assert wanted.admits_passing("levels", "a")
    assert not wanted.admits_passing("levels", "b")


def test_what_passes_is_told_only_to_those_who_ask() -> None:
    assert not Wanted().admits_passing("levels", "a")
    wanted = Wanted(passing=frozenset({"levels"}))
    assert wanted.admits_passing("levels", "a")
    assert not wanted.admits_passing("tap.progress", "a")
