"""Several recordings of one call as one document."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from server.audio import GapCause, Outcome
from server.library.evidence import Evidence, EvidenceKind, Quality
from server.library.joined import (
    are_sides,
    channel_map,
    comment,
    describe_joined,
    fit_together,
    in_order,
    offsets,
)
from server.library.recording import (
    Packets,
    Recording,
    TimedChange,
    TimedDigit,
    TimedGap,
    Verdict,
)
from tests.server.library.builders import NOON, recording

RECEIVED = EvidenceKind.RECEIVED


def side(direction: str, *, late_s: float = 0.0, **changes: Any) -> Recording:
    made = recording(
        f"20261122T120000123Z-{direction[:3]}aaaaa",
        direction=direction,
        control_id=f"tap-{direction}",
        started_at=NOON + timedelta(seconds=late_s),
        samples=8000,
        duration_s=1.0,
        evidence=(Evidence(0.0, 1.0, RECEIVED),),
    )
    return replace(made, **changes)


SPEAK, LISTEN = side("speak"), side("listen", late_s=0.25)


def test_speak_is_first_whatever_came_first() -> None:
    early = side("listen", late_s=-5)
    assert in_order([early, SPEAK]) == [SPEAK, early]


def test_tracks_of_one_tap_are_in_their_order() -> None:
    second, first = side("both", track=1), side("both", track=0)
    assert in_order([second, first]) == [first, second]
    assert channel_map([first, second]) == ("track 1", "track 2")
    assert describe_joined("id", [first, second]).direction == "both"


def test_the_document_covers_both() -> None:
    whole = describe_joined("id", [SPEAK, LISTEN])
    assert (whole.id, whole.direction, whole.channels) == ("id", "stereo", 2)
    assert (whole.samples, whole.duration_s) == (10_000, 1.25)
    assert whole.started_at == NOON
    assert whole.channel_map == ("speak", "listen")
    assert whole.gaps == (
        TimedGap(0.0, 0.25, GapCause.SILENCE, 1),
        TimedGap(1.0, 0.25, GapCause.SILENCE, 0),
    )
    assert whole.evidence == (
        Evidence(0.0, 1.0, RECEIVED, "", 0),
        Evidence(0.0, 0.25, EvidenceKind.SILENCE, "this tap had not begun", 1),
        Evidence(0.25, 1.0, RECEIVED, "", 1),
        Evidence(1.0, 0.25, EvidenceKind.SILENCE, "this tap was over", 0),
    )
    assert [part.control_id for part in whole.parts] == ["tap-speak", "tap-listen"]
    assert comment([SPEAK, LISTEN]) == "channel 1: speak, channel 2: listen"
    assert Recording.from_json(whole.to_json()) == whole


def test_what_happened_on_one_side_is_told_of_its_channel() -> None:
    listen = replace(
        LISTEN,
        gaps=(TimedGap(0.5, 0.1, GapCause.LOST),),
        digits=(TimedDigit(0.2, "5", 0.1),),
        changes=(TimedChange(0.3, "connection 2"),),
    )
    whole = describe_joined("id", [SPEAK, listen])
    assert TimedGap(0.75, 0.1, GapCause.LOST, 1) in whole.gaps
    assert whole.digits == (TimedDigit(0.45, "5", 0.1),)
    assert whole.changes == (TimedChange(0.55, "connection 2"),)


def test_the_verdict_is_that_of_the_worse_side() -> None:
    listen = replace(
        LISTEN,
        state=Outcome.PARTIAL,
        verdict=Verdict(False, "1 packet lost."),
        packets=Packets(49, 1, 0, 0, 0),
        warnings=("law",),
    )
    whole = describe_joined("id", [replace(SPEAK, warnings=("law", "noise")), listen])
    assert whole.state is Outcome.PARTIAL
    assert whole.verdict == Verdict(
        False, "Speak: every packet arrived Listen: 1 packet lost."
    )
    assert whole.packets.lost == 1
    assert whole.warnings == ("law", "noise")
    same = describe_joined("id", [SPEAK, LISTEN])
    assert same.verdict == SPEAK.verdict


def test_the_quality_is_the_worse_of_each_figure() -> None:
    good = Quality(loss_percent=0, mos_estimate=4.4, peak_dbfs=-20, level_dbfs=-30)
    bad = Quality(loss_percent=5, mos_estimate=3.1, peak_dbfs=-3, clipped_samples=9)
    whole = describe_joined(
        "id", [replace(SPEAK, quality=good), replace(LISTEN, quality=bad)]
    )
    assert whole.quality == Quality(
        loss_percent=5,
        mos_estimate=3.1,
        peak_dbfs=-3,
        level_dbfs=-30,
        clipped_samples=9,
    )
    assert describe_joined("id", [SPEAK, LISTEN]).quality is None


def test_the_clocks_of_the_senders_decide_if_both_told_one() -> None:
    one = replace(SPEAK, sender_clock_s=1000.0)
    other = replace(LISTEN, sender_clock_s=1000.260125)
    assert offsets([one, other]) == [0, 2081]
    assert offsets([one, LISTEN]) == [0, 2000]


def test_clocks_that_cannot_be_one_clock_do_not() -> None:
    one = replace(SPEAK, sender_clock_s=1000.0)
    other = replace(LISTEN, sender_clock_s=5000.0)
    assert offsets([one, other]) == [0, 2000]


def test_many_arrivals_are_better_than_the_first() -> None:
    at = LISTEN.started_at.timestamp()
    assert offsets([SPEAK, replace(LISTEN, arrival_clock_s=at - 0.05)]) == [0, 1600]


@pytest.mark.parametrize(
    "other",
    [
        replace(LISTEN, sample_rate=16_000),
        replace(LISTEN, channels=2),
        replace(LISTEN, has_audio=False),
        replace(LISTEN, encoding="native"),
    ],
)
def test_what_has_another_shape_is_not_joined(other: Recording) -> None:
    assert not fit_together([SPEAK, other])
    assert not are_sides(SPEAK, other)


def test_native_bytes_of_two_laws_are_not_joined() -> None:
    one = replace(SPEAK, encoding="native")
    assert not fit_together([one, replace(LISTEN, encoding="native", codec="PCMA")])
    assert fit_together([one, replace(LISTEN, encoding="native")])
    assert fit_together([SPEAK, replace(LISTEN, codec="PCMA")])
    assert not fit_together([SPEAK])


def test_two_sides_of_one_call_belong_together_if_they_overlap() -> None:
    assert are_sides(SPEAK, LISTEN)
    assert are_sides(LISTEN, SPEAK)
    assert not are_sides(SPEAK, side("listen", late_s=1.5))
    assert not are_sides(SPEAK, side("speak", control_id="other"))
    tracks = side("both"), side("both", track=1)
    assert are_sides(*tracks)
    assert not are_sides(tracks[0], tracks[0])
