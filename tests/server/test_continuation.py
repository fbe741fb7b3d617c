"""What a server that ended has left waits for its audio, or is finished."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from server import continuation
from server.audio import StreamInfo
from server.continuation import Continuation
from server.library.interrupted import Interrupted
from server.library.journal import JournalFacts
from server.library.store import Library
from server.recovery import Recovery
from server.taps.announcement import PastTap
from server.taps.tap import Tap
from tests.server.sinks.test_runner import INFO
from tests.server.taps.test_rendezvous import OPTIONS, a_rendezvous

WALL = 1000.0
RTP = replace(
    INFO,
    control_id="tap-1",
    transport="rtp",
    direction="both",
    origin="relay",
    source="203.0.113.7:4000",
)
WS = replace(RTP, transport="ws", source="", is_returning=True)


class FoundRecovery(Recovery):
    """Finds what a test says, and notes what it is asked to finish."""

    def __init__(self, directory: Path, *found: Interrupted) -> None:
        library = Library(directory)
        library.open()
        super().__init__(library)
        self._found = list(found)
        self.taken: list[str] = []
        self.finished: list[str] = []

    def scan(self) -> list[Interrupted]:
        return self._found

    def take(self, interrupted: Interrupted) -> None:
        self.taken.append(interrupted.recording_id)

    def put_back(self, interrupted: Interrupted) -> None:
        self.finished.append(interrupted.recording_id)


def left(info: StreamInfo, *, last_write_at: float = WALL - 5) -> Interrupted:
    return Interrupted(
        recording_id=info.recording_id,
        info=info,
        samples=8000,
        facts=JournalFacts(),
        last_write_at=last_write_at,
        is_journaled=True,
    )


def continuing(
    recovery: Recovery, *ports: int
) -> tuple[Continuation, dict[str, float | None]]:
    """Return one that has looked and expects, and until when each tap waits."""
    meeting, _ = a_rendezvous(replace(OPTIONS, ports=ports))
    made = Continuation(
        recovery, meeting, grace_s=15, now=lambda: 100.0, wall=lambda: WALL
    )
    made.scan()
    made.expect()
    return made, {name: tap.resume_by for name, tap in meeting.taps.items()}


@pytest.mark.parametrize("info", [RTP, WS])
def test_a_tap_waits_for_what_is_left_of_the_grace_time(
    tmp_path: Path, info: StreamInfo
) -> None:
    recovery = FoundRecovery(tmp_path, left(info))
    made, waiting = continuing(recovery)
    assert waiting == {"tap-1": 110.0}
    assert recovery.taken == [INFO.recording_id]
    assert [each.info for each in made.take("tap-1")] == [info]
    assert made.take("tap-1") == ()


def test_two_tracks_of_a_tap_wait_together(tmp_path: Path) -> None:
    second = replace(RTP, recording_id="second", track=1)
    recovery = FoundRecovery(tmp_path, left(RTP, last_write_at=WALL - 60), left(second))
    made, waiting = continuing(recovery)
    assert waiting == {"tap-1": 110.0}
    assert len(made.take("tap-1")) == 2


@pytest.mark.parametrize(
    "lost",
    [
        left(RTP, last_write_at=WALL - 15),
        left(replace(RTP, source="")),
        left(replace(RTP, control_id="")),
        left(replace(RTP, direction="sideways")),
        left(replace(WS, is_returning=False)),
        left(replace(RTP, source="a:b:4000", origin="foreign")),
    ],
    ids=["too old", "no source", "no control id", "from afar", "no token", "no host"],
)
def test_what_cannot_come_back_is_left_to_recovery(
    tmp_path: Path, lost: Interrupted
) -> None:
    recovery = FoundRecovery(tmp_path, lost)
    made, waiting = continuing(recovery)
    assert not waiting
    assert not recovery.taken
    assert made.take("tap-1") == ()


@pytest.mark.parametrize("ports", [(0, 0), (16_384, 16_386)], ids=["shared", "own"])
def test_two_taps_of_one_source_wait_only_on_ports_of_their_own(
    tmp_path: Path, ports: tuple[int, int]
) -> None:
    """On a shared port, the one that comes first would take the other's audio."""
    first, second = ports
    mine = replace(RTP, port=first)
    other = replace(mine, recording_id="other", control_id="tap-2", port=second)
    recovery = FoundRecovery(tmp_path, left(mine), left(other))
    _, waiting = continuing(recovery, *filter(None, ports))
    assert len(waiting) == (2 if first else 0)


def test_a_clock_that_was_set_back_makes_nothing_wait_longer(tmp_path: Path) -> None:
    recovery = FoundRecovery(tmp_path, left(RTP, last_write_at=WALL + 3600))
    _, waiting = continuing(recovery)
    assert waiting == {"tap-1": 115.0}


def restored(tmp_path: Path, info: StreamInfo, wall: float = WALL) -> PastTap:
    """Return what the rendezvous is told of a tap."""
    meeting, _ = a_rendezvous()
    told: list[PastTap] = []
    restore = meeting.restore

    def note(past: PastTap, *, now: float, resume_by: float) -> Tap | None:
        told.append(past)
        return restore(past, now=now, resume_by=resume_by)

    meeting.restore = note  # type: ignore[method-assign]  # it is looked at only
    made = Continuation(
        FoundRecovery(tmp_path, left(info, last_write_at=wall)),
        meeting,
        grace_s=15,
        now=lambda: 100.0,
        wall=lambda: wall,
    )
    made.scan()
    made.expect()
    return told[0]


@pytest.mark.parametrize(
    ("origin", "source", "network"),
    [
        ("foreign", "203.0.113.7:4000", "203.0.113.7"),
        ("foreign", "2001:db8::7:4000", "20010db800000000::/64"),
        ("relay", "203.0.113.7:4000", ""),
    ],
)
def test_a_tap_counts_for_the_network_that_it_comes_from(
    tmp_path: Path, origin: str, source: str, network: str
) -> None:
    past = restored(tmp_path, replace(RTP, origin=origin, source=source))
    assert past.network == network


@pytest.mark.parametrize(("started_at", "seconds"), [(WALL - 70, 70), (WALL + 70, 0)])
def test_a_tap_is_recorded_since_before_the_restart(
    tmp_path: Path, started_at: float, seconds: float
) -> None:
    past = restored(tmp_path, replace(WS, started_at=started_at))
    assert past.recorded_s == seconds


async def test_what_nothing_went_on_with_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuation, "GATHER_S", 0.0)
    runs: list[int] = []

    class CountingRecovery(FoundRecovery):
        async def run(self) -> None:
            runs.append(len(self.finished))

    recovery = CountingRecovery(tmp_path)
    made, _ = continuing(recovery)
    running = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    made.put_back(left(RTP))
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert runs == [0, 1]
