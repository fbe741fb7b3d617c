"""One source gets only so many taps at a time."""

from __future__ import annotations

from server.taps.source_limit import SourceLimit


def test_a_source_is_full_until_one_of_its_taps_is_over() -> None:
    limit = SourceLimit(2)
    for control_id in "ab":
        assert not limit.is_full("192.0.2.1")
        limit.add(control_id, "192.0.2.1")
    assert limit.is_full("192.0.2.1")
    assert not limit.is_full("192.0.2.2")
    limit.discard("a")
    assert not limit.is_full("192.0.2.1")
    limit.discard("b")
    limit.discard("b")
    assert "2 taps of this source" in limit.reason


def test_what_is_not_known_is_not_counted() -> None:
    limit = SourceLimit(1)
    limit.add("a", "")
    assert not limit.is_full("")


def test_zero_is_no_limit() -> None:
    limit = SourceLimit(0)
    limit.add("a", "192.0.2.1")
    assert not limit.is_full("192.0.2.1")
