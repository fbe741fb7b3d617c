"""Events of a tap become blocks in every sink and evidence about the track."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from server.audio import (
    PCMU_8000,
    AudioBlock,
    AudioFormat,
    Codec,
    Digit,
    Gap,
    GapCause,
    Outcome,
    PacketCounts,
    Run,
    SourceChange,
    StreamInfo,
    TrackEvent,
)
from server.sinks.base import AudioSink, StreamSummary
from server.streams import Clock, TapStream
from server.taps.tap import (
    EndReason,
    Tap,
    TapDirection,
    TapLimits,
    TapOrigin,
    Transport,
)
from tests.server.taps.test_tap import SilentSession

OPUS = AudioFormat(Codec.OPUS, 48_000)


class ScriptedSession(SilentSession):
    """A media session whose events the test writes down beforehand."""

    def __init__(self, *events: TrackEvent, track: int = 0) -> None:
        super().__init__()
        self.events = [(track, event) for event in events]
        self.trailing: list[tuple[int, TrackEvent]] = []
        self.track_count = track + 1
        self.padded: bool | None = None
        self.format = PCMU_8000
        self.lost = 1

    def take(self, now: float) -> list[tuple[int, TrackEvent]]:
        events, self.events = self.events, []
        return events

    def finish(self, now: float, *, pad: bool) -> None:
        self.padded = pad
        self.events += self.trailing

    def track_format(self, track: int) -> AudioFormat:
        return self.format

    def counts(self, track: int) -> PacketCounts:
        return PacketCounts(received=3, lost=self.lost)


class KeepingSink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.info: StreamInfo | None = None
        self.blocks: list[AudioBlock] = []
        self.summary: StreamSummary | None = None

    async def open(self, info: StreamInfo) -> None:
        self.info = info

    async def write(self, block: AudioBlock) -> None:
        self.blocks.append(block)

    async def close(self, summary: StreamSummary) -> None:
        self.summary = summary


def a_stream(session: SilentSession, *sinks: KeepingSink) -> TapStream:
    tap = Tap(
        control_id="c",
        transport=Transport.WS,
        direction=TapDirection.BOTH,
        origin=TapOrigin.RELAY,
        session=session,
        created_at=0.0,
        limits=TapLimits(),
    )
    remaining = iter(sinks)

    def next_sink(_: StreamInfo) -> list[AudioSink]:
        return [next(remaining)]

    return TapStream(
        tap,
        clock=Clock(1_000_000.0),
        new_recording_id=lambda at: f"id-{at.timestamp():.0f}",
        sinks=next_sink,
    )


def a_run(start: int, payload: bytes) -> Run:
    return Run(start, len(payload), [payload], PCMU_8000)


async def test_runs_are_decoded_and_gaps_are_evidence() -> None:
    sink = KeepingSink()
    stream = a_stream(
        ScriptedSession(
            a_run(0, b"\x00" * 160),
            Gap(160, 160, GapCause.LOST),
            Gap(320, 160, GapCause.LOST),
            a_run(480, b"\xff" * 160),
            Digit(500, "7", 800),
            SourceChange(480, "SSRC 2"),
        ),
        sink,
    )
    stream.tap.end(EndReason.STOPPED, 1.0)
    stream.pump(0.5)
    await stream.close(1.0)

    assert [block.start for block in sink.blocks] == [0, 480]
    assert sink.blocks[0].samples.shape == (160, 1)
    assert set(sink.blocks[0].samples.ravel()) == {-32124}
    assert not sink.blocks[1].samples.any()
    assert sink.summary is not None
    assert sink.summary.length == 640
    assert sink.summary.gaps == [Gap(160, 320, GapCause.LOST)]
    assert sink.summary.digits == [Digit(500, "7", 800)]
    assert sink.summary.changes == [SourceChange(480, "SSRC 2")]
    assert sink.summary.outcome is Outcome.PARTIAL
    assert "1 packet (0.04 s) lost" in sink.summary.reason
    assert sink.summary.ended_at == datetime.fromtimestamp(1_000_001, UTC)


async def test_each_track_gets_sinks_of_its_own() -> None:
    sinks = KeepingSink(), KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00"), track=1)
    stream = a_stream(session, *sinks)
    stream.pump(0.5)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert [sink.info.track for sink in sinks if sink.info] == [0, 1]
    assert not sinks[0].blocks
    assert len(sinks[1].blocks) == 1


async def test_what_is_held_until_the_end_is_in_the_file() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 10))
    session.trailing = [
        (0, a_run(10, b"\x00" * 10)),
        (0, Gap(20, 80, GapCause.SILENCE)),
    ]
    stream = a_stream(session, sink)
    stream.pump(0.1)
    stream.tap.end(EndReason.HANGUP, 1.0)
    await stream.close(1.0)
    assert session.padded is True
    assert [block.start for block in sink.blocks] == [0, 10]
    assert sink.summary is not None
    assert sink.summary.length == 100


async def test_heavy_decoding_is_not_waited_for_and_keeps_the_order() -> None:
    sink = KeepingSink()
    # TOC 0xF8 0xFF 0xFE: 20 ms of CELT silence (RFC 6716 section 3.1).
    packet = bytes([0xF8, 0xFF, 0xFE])
    session = ScriptedSession(
        *(Run(960 * n, 960, [packet], OPUS) for n in range(5)),
        Run(4800, 160, [b"\xff" * 160], PCMU_8000),
    )
    session.format = OPUS
    stream = a_stream(session, sink)
    stream.pump(0.1)
    assert not sink.blocks
    stream.tap.end(EndReason.STOPPED, 1.0)
    async with asyncio.timeout(10):
        await stream.close(1.0)
    assert [block.start for block in sink.blocks] == [960 * n for n in range(6)]


async def test_abandoning_leaves_the_sink_unfinished() -> None:
    sink = KeepingSink()
    stream = a_stream(ScriptedSession(a_run(0, b"\x00")), sink)
    stream.pump(0.1)
    await stream.abandon()
    assert sink.summary is None


def test_the_clock_turns_monotonic_seconds_into_utc() -> None:
    assert Clock(100.0).at(5.0) == datetime.fromtimestamp(105, UTC)


async def test_audio_without_a_sound_in_it_is_silent() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\xff" * 800))
    session.lost = 0
    stream = a_stream(session, sink)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert sink.summary is not None
    assert sink.summary.outcome is Outcome.SILENT
