from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from server.events.frames import frame
from server.events.history import History
from server.events.listener import MAX_BATCH_BYTES, MAX_PASSING, Listener, Snapshot
from server.events.wanted import Wanted


@dataclass
class Desk:
    """A history and those who listen to it."""

    history: History = field(default_factory=lambda: History("run", max_events=5))
    drops: Counter[str] = field(default_factory=Counter)
    woken: int = 0

    def listener(self, last_id: str = "", wanted: Wanted | None = None) -> Listener:
        return Listener(
            self.history,
            wanted or Wanted(),
            last_id,
            snapshot=lambda _wanted, _now: Snapshot(self.history.last, "{}"),
            wake=self._wake,
            drops=self.drops,
        )

    def _wake(self) -> None:
        self.woken += 1

    def happen(self, count: int = 1, control_id: str = "a") -> None:
        for _ in range(count):
            self.history.add("tap.state", control_id, f'"{self.history.last + 1}"')


def names(sent: bytes) -> list[str]:
    """Return what was sent: `snapshot@id`, `missed`, and the data of each event."""
    told = []
    for block in sent.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if fields["event"] == "snapshot":
            told.append(f"snapshot@{fields['id']}")
        elif fields["event"] == "tap.state":
            told.append(fields["data"].strip('"'))
        else:
            told.append(fields["event"])
    return told


def test_a_new_listener_gets_a_snapshot_and_what_follows() -> None:
    desk = Desk()
    desk.happen(2)
    listener = desk.listener()
    assert names(listener.take(0)) == ["snapshot@run-2"]
    assert listener.take(0) == b""
    desk.happen(2)
    assert names(listener.take(0)) == ["3", "4"]
    assert desk.drops == {}


def test_one_that_comes_back_gets_what_it_missed_once() -> None:
    desk = Desk()
    desk.happen(4)
    assert names(desk.listener("run-2").take(0)) == ["3", "4"]
    assert desk.listener("run-4").take(0) == b""


def test_one_that_comes_back_too_late_is_told_so() -> None:
    desk = Desk()
    desk.happen(7)
    assert names(desk.listener("run-1").take(0)) == ["missed", "snapshot@run-7"]
    assert names(desk.listener("run-2").take(0)) == ["3", "4", "5", "6", "7"]
    assert desk.drops == {"event_listener_missed": 1}


def test_an_id_of_another_run_or_of_none_is_too_late() -> None:
    desk = Desk()
    desk.happen(2)
    for last_id in ("other-1", "run-3", "anything"):
        assert names(desk.listener(last_id).take(0)) == ["missed", "snapshot@run-2"]


def test_one_that_reads_too_slowly_is_told_so_and_goes_on() -> None:
    desk = Desk()
    listener = desk.listener()
    listener.take(0)
    desk.happen(6)
    assert names(listener.take(0)) == ["missed", "snapshot@run-6"]
    desk.happen()
    assert names(listener.take(0)) == ["7"]


def test_what_is_not_wanted_is_passed_over_and_wakes_nobody() -> None:
    desk = Desk()
    listener = desk.listener(wanted=Wanted(control_ids=frozenset({"a"})))
    listener.take(0)
    desk.happen(1, "b")
    listener.told("tap.state", "b")
    assert desk.woken == 0
    desk.happen(1, "a")
    listener.told("tap.state", "a")
    assert desk.woken == 1
    assert names(listener.take(0)) == ["2"]


def test_a_place_moves_on_past_what_is_not_wanted() -> None:
    """Otherwise a client that wants little would be late without having missed it."""
    desk = Desk()
    listener = desk.listener(wanted=Wanted(control_ids=frozenset({"a"})))
    listener.take(0)
    for _ in range(10):
        desk.happen(1, "b")
        assert listener.take(0) == b""
    assert listener.keepalive() == b": alive\nid: run-10\n\n"


def test_before_the_first_event_the_place_is_the_beginning() -> None:
    assert Desk().listener().keepalive() == b": alive\nid: run-0\n\n"


def test_a_batch_is_bounded() -> None:
    desk = Desk(History("run"))
    listener = desk.listener()
    listener.take(0)
    for _ in range(10):
        desk.history.add("forward.reply", "a", "x" * 30_000)
    sizes = []
    while sent := listener.take(0):
        sizes.append(len(sent))
    assert sum(sizes) > 300_000
    assert max(sizes) < MAX_BATCH_BYTES + 31_000


def test_what_passes_comes_after_the_snapshot_and_is_not_told_again() -> None:
    desk = Desk()
    listener = desk.listener(wanted=Wanted(passing=frozenset({"levels"})))
    listener.pass_by("levels", "a", frame("levels", "{}"))
    listener.pass_by("tap.progress", "a", frame("tap.progress", "{}"))
    assert desk.woken == 1
    assert names(listener.take(0)) == ["snapshot@run-0", "levels"]
    assert listener.take(0) == b""


def test_of_what_passes_the_oldest_goes_when_too_much_waits() -> None:
    desk = Desk()
    listener = desk.listener(wanted=Wanted(passing=frozenset({"levels"})))
    for number in range(MAX_PASSING + 3):
        listener.pass_by("levels", "a", b"%d;" % number)
    taken = listener.take(0).rpartition(b"\n\n")[2].split(b";")[:-1]
    assert len(taken) == MAX_PASSING
    assert (taken[0], taken[-1]) == (b"3", b"%d" % (MAX_PASSING + 2))
    assert desk.drops == {"event_levels_not_taken": 3}


@given(st.lists(st.sampled_from(["event", "take", "cut"]), max_size=60))
def test_nothing_is_lost_or_told_twice_however_often_it_is_cut(
    steps: list[str],
) -> None:
    """Of a client that comes back in time: a snapshot, then every number in order."""
    desk = Desk(History("run", max_events=1000))
    listener = desk.listener()
    told = names(listener.take(0))
    for step in steps:
        if step == "event":
            desk.happen()
        elif step == "take":
            told += names(listener.take(0))
        else:
            place = len(told) - 1
            listener = desk.listener(f"run-{place}")
    told += names(listener.take(0))
    assert told == [
        "snapshot@run-0",
        *(str(number) for number in range(1, desk.history.last + 1)),
    ]
