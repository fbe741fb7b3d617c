"""Ended taps name the recordings that there are."""

from __future__ import annotations

from server.recent import MAX_RECENT, RecentTaps
from tests.server.transports.http_fakes import tap


def test_the_latest_comes_first_and_the_oldest_go() -> None:
    recent = RecentTaps()
    for number in range(MAX_RECENT + 1):
        recent.add(tap(str(number)))
    ids = [status.control_id for status in recent]
    assert (ids[0], ids[-1], len(recent)) == (str(MAX_RECENT), "1", MAX_RECENT)


def test_what_is_joined_later_is_named_in_those_that_ended_before() -> None:
    recent = RecentTaps()
    recent.add(tap("a", recording_ids=("1",)))
    recent.add(tap("c", recording_ids=("3",)))
    recent.joined(["1", "2"], "12")
    shown = recent.add(tap("b", recording_ids=("2",)))
    assert shown.recording_ids == ("12",)
    assert [status.recording_ids for status in recent] == [("12",), ("3",), ("12",)]


def test_two_tracks_of_one_tap_are_one_recording() -> None:
    recent = RecentTaps()
    recent.joined(["1", "2"], "12")
    assert recent.add(tap("a", recording_ids=("1", "2"))).recording_ids == ("12",)


def test_what_is_remembered_of_joins_is_bounded() -> None:
    recent = RecentTaps()
    recent.joined(["1"], "one")
    for number in range(2 * MAX_RECENT):
        recent.joined([f"x{number}"], "other")
    assert recent.add(tap("a", recording_ids=("1",))).recording_ids == ("1",)
