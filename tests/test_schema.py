"""What compares answers with their description does find what is wrong."""

from __future__ import annotations

import pytest

from tests.schema import differences

GOOD = {"state": "complete", "complete": True, "reason": ""}


def test_what_is_as_described_fits() -> None:
    assert differences("Verdict", GOOD) == []
    assert differences("Event", {"items": [], "live": 0}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"state": "complete", "complete": True},
        GOOD | {"state": "other"},
        GOOD | {"complete": 1},
        GOOD | {"colour": "red"},
    ],
)
def test_what_is_not_as_described_is_found(wrong: object) -> None:
    assert len(differences("Verdict", wrong)) == 1
    assert differences("Event", wrong) != []


def test_what_is_inside_is_compared_as_well() -> None:
    assert differences("Snapshot", {"items": [GOOD], "live": -1}) != []
    (problem,) = differences("Snapshot", {"items": [], "live": -1})
    assert problem == "Snapshot.live is -1, out of bounds"
