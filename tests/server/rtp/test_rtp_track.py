from __future__ import annotations

from server.audio import (
    OPUS_RATE,
    PCMU_8000,
    AudioFormat,
    Codec,
    Digit,
    Gap,
    GapCause,
    Run,
    SourceChange,
)
from server.rtp.track import MAX_BACKLOG, Track


def track() -> Track:
    return Track(PCMU_8000, 10.0)


def test_runs_and_gaps_follow_each_other() -> None:
    target = track()
    target.append(160, [bytes(160)], PCMU_8000)
    target.skip(80, GapCause.LOST)
    target.append(400, [bytes(160)], PCMU_8000)
    assert target.drain() == [
        Run(0, 160, [bytes(160)], PCMU_8000),
        Gap(160, 80, GapCause.LOST),
        Run(240, 160, [bytes(160)], PCMU_8000),
    ]
    assert target.position == 400
    assert target.counts.received == 2
    assert target.drain() == []


def test_gaps_of_one_cause_become_one() -> None:
    target = track()
    target.skip(80, GapCause.LOST)
    target.skip(0, GapCause.SILENCE)
    target.skip(80, GapCause.LOST)
    target.skip(80, GapCause.SILENCE)
    assert target.drain() == [
        Gap(0, 160, GapCause.LOST),
        Gap(160, 80, GapCause.SILENCE),
    ]


def test_a_digit_comes_out_at_its_start() -> None:
    target = track()
    target.append(160, [bytes(160)], PCMU_8000)
    target.append(320, [bytes(160)], PCMU_8000)
    target.note(Digit(100, "5", 80))
    assert [type(e) for e in target.drain()] == [Run, Digit, Run]


def test_what_is_not_taken_has_a_bound() -> None:
    target = track()
    for _ in range(MAX_BACKLOG + 10):
        target.note(SourceChange(0, "format PCMA 8000 Hz"))
    assert len(target.drain()) == MAX_BACKLOG
    target.note(SourceChange(0, "format PCMA 8000 Hz"))
    assert len(target.drain()) == 1


def test_opus_is_counted_at_48_khz() -> None:
    assert Track(AudioFormat(Codec.OPUS, 16_000), 0.0).sample_rate == OPUS_RATE


def test_audio_of_less_than_a_sample_is_counted_and_leaves_no_run() -> None:
    target = track()
    target.append(0, [b"\x00\x00"], PCMU_8000)
    assert target.drain() == []
    assert target.counts.received == 1
