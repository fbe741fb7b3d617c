from __future__ import annotations

from collections import Counter

import pytest

from server.events.history import History
from server.events.hub import (
    MAX_LISTENERS,
    SNAPSHOT_AGE_S,
    EventHub,
    TooManyListenersError,
)
from server.events.wanted import Wanted

ALL = Wanted()


class Office:
    """A hub that counts what is asked of it."""

    def __init__(self, max_events: int = 100) -> None:
        self.asked: list[frozenset[str]] = []
        self.woken: Counter[str] = Counter()
        self.hub = EventHub(History("run", max_events=max_events), self._live)

    def _live(self, control_ids: frozenset[str]) -> str:
        self.asked.append(control_ids)
        return f'"live {len(self.asked)}"'

    def join(self, name: str, wanted: Wanted = ALL, last_id: str = "") -> bytes:
        """Let somebody listen, and return what it is told first, at 100 s."""
        listener = self.hub.join(wanted, last_id, lambda: self.woken.update([name]))
        return listener.take(100.0)


def test_events_reach_all_who_want_them() -> None:
    office = Office()
    office.join("one")
    office.join("two", Wanted(types=frozenset({"recording"})))
    office.hub.publish("tap.began", "a", "{}")
    assert office.woken == {"one": 1}
    office.hub.publish("recording.began", "a", "{}")
    assert office.woken == {"one": 2, "two": 1}


def test_what_passes_reaches_those_who_ask_and_is_not_kept() -> None:
    office = Office()
    office.join("one")
    office.join("two", Wanted(passing=frozenset({"levels"})))
    office.hub.pass_by("levels", "a", "{}")
    assert office.woken == {"two": 1}
    assert b"levels" not in office.join("three", last_id="run-0")


def test_what_somebody_wants_measured_is_known() -> None:
    office = Office()
    office.join("one")
    office.join("two", Wanted(passing=frozenset({"levels"})))
    named = Wanted(passing=frozenset({"levels"}), control_ids=frozenset({"a"}))
    office.join("three", named)
    assert list(office.hub.choices("levels")) == [frozenset(), frozenset({"a"})]
    assert list(office.hub.choices("tap.progress")) == []


def test_one_that_has_left_is_told_nothing() -> None:
    office = Office()
    listener = office.hub.join(ALL, "", lambda: office.woken.update(["one"]))
    assert office.hub.listeners == 1
    office.hub.leave(listener)
    office.hub.publish("tap.began", "a", "{}")
    assert (office.hub.listeners, office.woken) == (0, {})


def test_there_is_room_for_so_many() -> None:
    office = Office()
    for _ in range(MAX_LISTENERS):
        office.hub.join(ALL, "", lambda: None)
    with pytest.raises(TooManyListenersError):
        office.hub.join(ALL, "", lambda: None)
    assert office.hub.drops == {"event_listener_refused": 1}


def test_all_who_come_at_a_time_share_a_snapshot_and_get_what_followed() -> None:
    office = Office()
    assert b"live 1" in office.join("one")
    office.hub.publish("tap.began", "a", "{}")
    told = office.join("two")
    assert b"live 1" in told
    assert b"id: run-0\nevent: snapshot" in told
    assert b"id: run-1\nevent: tap.began" in told
    assert len(office.asked) == 1


def test_a_snapshot_gets_old() -> None:
    office = Office()
    office.join("one")
    listener = office.hub.join(ALL, "", lambda: None)
    assert b"live 2" in listener.take(100.0 + SNAPSHOT_AGE_S)


def test_a_snapshot_behind_which_events_are_missing_is_made_anew() -> None:
    office = Office(max_events=2)
    office.join("one")
    for _ in range(3):
        office.hub.publish("tap.began", "a", "{}")
    told = office.join("two")
    assert b"id: run-3\nevent: snapshot" in told
    assert b"live 2" in told


def test_a_snapshot_of_some_taps_is_their_own() -> None:
    office = Office()
    office.join("one")
    office.join("two", Wanted(control_ids=frozenset({"a"})))
    assert office.asked == [frozenset(), frozenset({"a"})]


def test_closing_wakes_everybody() -> None:
    office = Office()
    office.join("one")
    office.join("two")
    office.hub.close()
    assert office.hub.is_closed
    assert office.woken == {"one": 1, "two": 1}


def test_a_hub_with_nothing_behind_it_has_nothing_live() -> None:
    hub = EventHub(History("run"))
    assert b"data: {}" in hub.join(ALL, "", lambda: None).take(0)
