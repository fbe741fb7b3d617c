"""Events of a tap become blocks in every sink and evidence about the track."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from server.audio import (
    PCMA_8000,
    PCMU_8000,
    AudioBlock,
    AudioFormat,
    Codec,
    Counted,
    Digit,
    Gap,
    GapCause,
    Outcome,
    PacketCounts,
    Run,
    Samples,
    SourceChange,
    StreamInfo,
    TrackEvent,
    TrackNote,
    opus_samples,
)
from server.library.interrupted import Interrupted
from server.library.journal import JournalFacts
from server.sinks.base import AudioSink, StreamSummary
from server.sinks.recorder import describe
from server.streams import Clock, TapStream
from server.taps.limits import TapLimits
from server.taps.media_session import MediaSession
from server.taps.tap import (
    EndReason,
    Tap,
    TapDirection,
    TapOrigin,
    Transport,
)
from server.taps.ws_session import WsSession
from server.track import MAX_BACKLOG_S, MAX_DECODERS
from tests.server.codecs.opus_sender import DAMAGED, opus_packets
from tests.server.sinks.test_runner import INFO
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
        self.sender_started: float | None = None

    def sender_started_at(self, track: int) -> float | None:
        return self.sender_started

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


def a_stream(
    session: MediaSession,
    *sinks: KeepingSink,
    encoding: str = "pcm16",
    limits: TapLimits | None = None,
    interrupted: Sequence[Interrupted] = (),
    is_masked: bool = False,
) -> TapStream:
    tap = Tap(
        control_id="c",
        transport=Transport.WS,
        direction=TapDirection.BOTH,
        origin=TapOrigin.RELAY,
        session=session,
        created_at=0.0,
        limits=limits or TapLimits(),
    )
    remaining = iter(sinks)

    def next_sink(_: StreamInfo, _resume: bool) -> list[AudioSink]:
        return [next(remaining)]

    return TapStream(
        tap,
        clock=Clock(1_000_000.0),
        new_recording_id=lambda at: f"id-{at.timestamp():.0f}",
        sinks=next_sink,
        encoding=encoding,
        interrupted=interrupted,
        is_masked=is_masked,
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


class BreakingDecoder:
    """Fails at its first run, whatever decoders come after it do not."""

    is_heavy = True
    errors = 0
    has_failed = False

    def decode(self, run: Run) -> Samples:
        if not BreakingDecoder.has_failed:
            BreakingDecoder.has_failed = True
            raise RuntimeError("a mistake in a decoder")
        return np.full((run.length, 1), 100, np.int16)


@pytest.mark.parametrize("is_heavy", [True, False])
async def test_a_decoder_that_fails_costs_one_run_and_no_other(
    is_heavy: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(BreakingDecoder, "is_heavy", is_heavy)
    monkeypatch.setattr(BreakingDecoder, "has_failed", False)
    monkeypatch.setattr("server.track.decoder_for", lambda *_: BreakingDecoder())
    sink = KeepingSink()
    session = ScriptedSession(*(a_run(160 * n, b"\x00" * 160) for n in range(3)))
    session.lost = 0
    stream = a_stream(session, sink)
    stream.pump(0.1)
    stream.tap.end(EndReason.STOPPED, 1.0)
    async with asyncio.timeout(10):
        await stream.close(1.0)
    assert [block.start for block in sink.blocks] == [160, 320]
    assert sink.summary is not None
    assert sink.summary.gaps == [Gap(0, 160, GapCause.DROPPED, "decoding failed")]
    assert sink.summary.outcome is Outcome.PARTIAL
    assert caplog.text.count("RuntimeError: a mistake in a decoder") == 1


async def test_failed_runs_free_their_room_in_the_backlog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BreakingDecoder, "has_failed", False)
    monkeypatch.setattr("server.track.decoder_for", lambda *_: BreakingDecoder())
    sink = KeepingSink()
    whole = int(MAX_BACKLOG_S * 8000) + 1
    session = ScriptedSession(a_run(0, b"\x00" * whole))
    stream = a_stream(session, sink)
    stream.pump(0.1)
    async with asyncio.timeout(10):
        await stream.tracks[0].settle()
        session.events = [(0, a_run(whole, b"\x00" * 160))]
        stream.pump(0.2)
        stream.tap.end(EndReason.STOPPED, 1.0)
        await stream.close(1.0)
    assert [block.start for block in sink.blocks] == [whole]


async def test_packets_that_cannot_be_decoded_make_a_track_partial() -> None:
    sink = KeepingSink()
    packets = opus_packets(0.2)
    packets[3] = packets[7] = DAMAGED
    session = ScriptedSession(
        Run(0, sum(map(opus_samples, packets)), packets, OPUS),
        # A sender that changes its format makes new decoders, and more than are kept.
        *(
            Run(20_000 + n, 1, [b"\x00"], replace(PCMU_8000, sample_rate=1000 + n))
            for n in range(MAX_DECODERS)
        ),
    )
    session.format = OPUS
    session.lost = 0
    stream = a_stream(session, sink)
    stream.pump(0.1)
    stream.tap.end(EndReason.STOPPED, 1.0)
    async with asyncio.timeout(10):
        await stream.close(1.0)
    assert sink.summary is not None
    assert sink.summary.undecodable == 2
    assert sink.summary.outcome is Outcome.PARTIAL
    assert "2 packets could not be decoded." in sink.summary.reason
    assert describe(INFO, sink.summary).to_json()["undecodable"] == 2


async def test_what_a_media_stream_says_of_its_call_is_told_of_its_track() -> None:
    sink = KeepingSink()
    session = WsSession(PCMU_8000)
    start = {"callSid": "CALL-42", "customParameters": {"agent": "7"}}
    media = {"payload": base64.b64encode(b"\x00" * 800).decode()}
    for message in (
        {"event": "start", "start": start},
        {"event": "media", "media": media},
    ):
        session.receive_text(json.dumps(message), 0.5)
    stream = a_stream(session, sink)
    stream.pump(0.6)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert sink.info is not None
    assert sink.info.call_id == "CALL-42"
    assert sink.summary is not None
    document = describe(sink.info, sink.summary)
    assert document.call_id == "CALL-42"
    assert document.custom_parameters == {"agent": "7"}


async def test_a_change_to_a_format_that_is_unknown_here_makes_a_track_partial() -> (
    None
):
    sink = KeepingSink()
    session = WsSession(PCMU_8000)
    session.receive_bytes(b"\x00" * 800, 0.5)
    session.receive_text('{"content-type": "audio/g729"}', 0.6)
    session.receive_bytes(b"1234567890", 0.6)
    stream = a_stream(session, sink)
    stream.tap.end(EndReason.STOPPED, 0.7)
    await stream.close(0.7)
    assert sink.summary is not None
    assert "1 packet could not be decoded." in sink.summary.reason


class RefusingSink(KeepingSink):
    """Could not keep the second half of what it was given, and is told the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[TrackNote] = []
        self.refused = [Gap(160, 160, GapCause.DROPPED, "disk full")]

    def note(self, event: TrackNote) -> None:
        self.notes.append(event)

    async def settle(self) -> Sequence[Gap]:
        refused, self.refused = self.refused, []
        return refused


async def test_what_a_sink_could_not_keep_is_in_the_verdict_once() -> None:
    sink = RefusingSink()
    lost = Gap(320, 160, GapCause.LOST)
    digit, change = Digit(400, "7", 80), SourceChange(480, "SSRC 2")
    session = ScriptedSession(a_run(0, b"\x00" * 320), lost, digit, change)
    session.lost = 0
    stream = a_stream(session, sink)
    stream.pump(0.5)
    stream.keep_counts()
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    # At the end of the gap, which is the last position there is.
    counted = Counted(480, PacketCounts(received=3))
    assert sink.notes == [lost, digit, change, counted]
    assert sink.summary is not None
    assert sink.summary.gaps == [Gap(160, 160, GapCause.DROPPED, "disk full"), lost]
    assert sink.summary.outcome is Outcome.PARTIAL
    assert "0.02 s arrived and could not be kept (disk full)" in sink.summary.reason


async def test_native_audio_reaches_the_sink_as_it_came() -> None:
    sink = KeepingSink()
    alaw = Run(160, 160, [b"\x55" * 160], PCMA_8000)
    stream = a_stream(
        ScriptedSession(a_run(0, b"\x7f" * 160), alaw), sink, encoding="native"
    )
    stream.pump(0.5)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert sink.info is not None
    assert sink.info.encoding == "native"
    # The second run is in another law: -8 is nearest to the zero of the first.
    assert [block.encoded for block in sink.blocks] == [b"\x7f" * 160, b"\x7e" * 160]


async def test_a_recording_that_is_large_enough_ends_its_tap() -> None:
    stream = a_stream(
        ScriptedSession(a_run(0, b"\x00" * 160)),
        KeepingSink(),
        limits=TapLimits(recording_bytes=320),
    )
    stream.pump(0.5)
    assert stream.tap.end_reason is EndReason.LIMIT
    assert stream.tap.end_detail == "320 bytes"
    await stream.close(1.0)


def a_past_recording(*, samples: int, masked_until: int = 0) -> Interrupted:
    info = replace(
        INFO,
        recording_id="past",
        call_id="",
        direction="both",
        transport="ws",
        started_at=1_000_000.0 - 10,
        origin="relay",
    )
    gaps = [Gap(100, 50, GapCause.LOST)]
    if masked_until:
        gaps.append(Gap(samples, masked_until - samples, GapCause.MASKED))
    facts = JournalFacts(gaps=gaps, digits=[Digit(300, "5", 80)])
    return Interrupted(
        recording_id="past",
        info=info,
        samples=samples,
        facts=facts,
        last_write_at=0.0,
        is_journaled=True,
    )


async def test_a_recording_from_before_a_restart_goes_on_where_its_time_is() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    past = a_past_recording(samples=8000)
    stream = a_stream(session, sink, interrupted=[past])
    stream.pump(0.0)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert sink.info == past.info
    # The audio came ten seconds after the recording had begun.
    assert [block.start for block in sink.blocks] == [80_000]
    assert sink.summary is not None
    assert list(sink.summary.gaps) == [
        Gap(100, 50, GapCause.LOST),
        Gap(8000, 72_000, GapCause.DISCONNECTED, "the server restarted"),
    ]
    assert list(sink.summary.digits) == [Digit(300, "5", 80)]
    assert sink.summary.length == 80_160
    assert sink.summary.outcome is Outcome.PARTIAL
    assert not stream.interrupted


async def test_audio_of_another_rate_is_a_recording_of_its_own() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    past = a_past_recording(samples=8000)
    past = replace(past, info=replace(past.info, sample_rate=16_000))
    stream = a_stream(session, sink, interrupted=[past])
    stream.pump(0.0)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert sink.info is not None
    assert sink.info.recording_id != "past"
    assert list(stream.interrupted.values()) == [past]


async def test_nothing_that_is_heard_in_a_pause_is_kept() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    session.lost = 0
    stream = a_stream(session, sink)
    stream.mask(0.0, is_on=True)
    assert stream.is_masked
    session.events = [
        (0, a_run(160, b"\x01" * 160)),
        (0, Gap(320, 160, GapCause.SILENCE)),
        (0, Digit(330, "4", 80)),
    ]
    stream.mask(480 / 8000, is_on=False)
    session.events = [(0, a_run(480, b"\x02" * 160))]
    stream.pump(2.0)
    stream.tap.end(EndReason.STOPPED, 3.0)
    await stream.close(3.0)
    assert [block.start for block in sink.blocks] == [0, 480]
    assert sink.summary is not None
    assert list(sink.summary.gaps) == [Gap(160, 320, GapCause.MASKED)]
    assert not sink.summary.digits
    assert sink.summary.outcome is Outcome.COMPLETE
    assert sink.summary.reason.endswith("0.04 s were kept out on request.")


@pytest.mark.parametrize("told", ["whole", "in packets"])
async def test_what_was_heard_in_a_pause_and_is_told_later_is_not_kept(
    told: str,
) -> None:
    """As behind a hole that is still waited for when the pause is over."""
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    stream = a_stream(session, sink)
    stream.mask(0.02, is_on=True)
    stream.mask(0.05, is_on=False)
    late = [a_run(240, b"\x01" * 160 + b"\x02" * 80)]
    if told == "in packets":
        late = [a_run(240, b"\x01" * 100), a_run(340, b"\x01" * 60 + b"\x02" * 80)]
    session.events = [(0, Gap(160, 80, GapCause.LOST))]
    session.events += [(0, each) for each in late]
    session.events += [(0, Digit(399, "4", 80)), (0, Digit(400, "5", 80))]
    stream.pump(2.0)
    stream.tap.end(EndReason.STOPPED, 3.0)
    await stream.close(3.0)
    assert [block.start for block in sink.blocks] == [0, 400]
    kept = np.concatenate([block.samples for block in sink.blocks[1:]])
    assert len(kept) == 80
    assert len(set(kept.ravel())) == 1
    assert sink.summary is not None
    assert list(sink.summary.gaps) == [Gap(160, 240, GapCause.MASKED)]
    assert list(sink.summary.digits) == [Digit(400, "5", 80)]


async def test_a_gap_that_goes_on_behind_a_pause_is_told_from_there() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    stream = a_stream(session, sink)
    stream.mask(0.02, is_on=True)
    stream.mask(0.05, is_on=False)
    session.events = [(0, Gap(160, 800, GapCause.SILENCE))]
    stream.tap.end(EndReason.STOPPED, 3.0)
    await stream.close(3.0)
    assert sink.summary is not None
    assert list(sink.summary.gaps) == [
        Gap(160, 240, GapCause.MASKED),
        Gap(400, 560, GapCause.SILENCE),
    ]


async def test_what_has_no_place_to_cut_is_kept_out_as_a_whole() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    stream = a_stream(session, sink)
    stream.mask(0.02, is_on=True)
    stream.mask(0.03, is_on=False)
    packets = opus_packets(2)
    length = sum(opus_samples(each) for each in packets) // 6
    session.events = [(0, Run(160, length, packets, OPUS))]
    stream.tap.end(EndReason.STOPPED, 3.0)
    await stream.close(3.0)
    assert sink.summary is not None
    assert list(sink.summary.gaps) == [Gap(160, length, GapCause.MASKED)]


async def test_a_track_that_begins_in_a_pause_begins_with_what_is_masked() -> None:
    sink = KeepingSink()
    session = ScriptedSession()
    stream = a_stream(session, sink)
    stream.mask(0.0, is_on=True)
    stream.mask(0.05, is_on=False)
    session.events = [(0, a_run(0, b"\x01" * 400 + b"\x02" * 80))]
    stream.pump(2.0)
    stream.tap.end(EndReason.STOPPED, 3.0)
    await stream.close(3.0)
    assert [block.start for block in sink.blocks] == [400]


async def test_the_sender_s_clock_tells_when_the_file_began_before_a_restart() -> None:
    sink = KeepingSink()
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    stream = a_stream(session, sink, interrupted=[a_past_recording(samples=8000)])
    session.sender_started = 5000.0
    stream.pump(0.0)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert sink.summary is not None
    # The session began 80,000 samples into the file.
    assert sink.summary.sender_started_at == 4990.0


async def test_a_pause_outlives_the_server() -> None:
    sink = RefusingSink()
    sink.refused = []
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    past = a_past_recording(samples=8000, masked_until=40_000)
    stream = a_stream(session, sink, interrupted=[past], is_masked=True)
    assert stream.is_masked
    stream.pump(0.0)
    stream.keep_counts()
    stream.mask(0.02, is_on=False)
    session.events = [(0, a_run(160, b"\x01" * 160))]
    stream.pump(1.0)
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    assert [block.start for block in sink.blocks] == [80_160]
    behind = [
        Gap(8000, 32_000, GapCause.MASKED),
        Gap(40_000, 40_000, GapCause.DISCONNECTED, "the server restarted"),
        Gap(80_000, 160, GapCause.MASKED),
    ]
    assert sink.summary is not None
    assert list(sink.summary.gaps) == [Gap(100, 50, GapCause.LOST), *behind]
    # What is behind the file's end the journal has to be told again.
    assert sink.notes == [*behind, Counted(80_160, PacketCounts(3, lost=1))]


async def test_packets_are_noted_at_the_start_and_now_and_then() -> None:
    sink = RefusingSink()
    sink.refused = []
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    stream = a_stream(session, sink)
    stream.pump(0.0)
    stream.keep_counts()
    second = b"\x00" * 8000
    for at in range(25):
        session.events = [(0, a_run(160 + at * 8000, second))]
        stream.pump(at + 1.0)
        stream.keep_counts()
    stream.tap.end(EndReason.STOPPED, 25.0)
    await stream.close(25.0)
    counted = [each.start for each in sink.notes if isinstance(each, Counted)]
    assert counted == [160, 80_160, 160_160]


async def test_packets_from_before_a_restart_count() -> None:
    sink = RefusingSink()
    sink.refused = []
    session = ScriptedSession(a_run(0, b"\x00" * 160))
    past = a_past_recording(samples=8000)
    past.facts.counted = Counted(8000, PacketCounts(50, 2, 3, 4, 5, jitter_ms=9.0))
    stream = a_stream(session, sink, interrupted=[past])
    stream.pump(0.0)
    stream.keep_counts()
    stream.tap.end(EndReason.STOPPED, 1.0)
    await stream.close(1.0)
    total = PacketCounts(53, 3, 3, 4, 5)
    assert sink.notes[-1] == Counted(80_160, total)
    assert sink.summary is not None
    assert sink.summary.counts == total
    assert "3 packets (0.01 s) lost" in sink.summary.reason
