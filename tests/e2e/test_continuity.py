"""One recording for each tap, whatever breaks: a connection, or the server itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from relay_client.simulator import CallRequest, MediaOptions, SentAudio
from server.audio import GapCause, Outcome
from server.library.evidence import EvidenceKind
from server.library.recording import Recording
from tests.e2e.killing import killed_server
from tests.e2e.rig import Audio, reference, rig, sent_by, until
from tests.e2e.test_ends import RTP, WS, api, the_recording
from tests.e2e.together import together

RATE = 8000


def assert_both_sides(
    audio: Audio, recording: Recording, sent: list[SentAudio], broken_at: float
) -> None:
    """Compare what is before and behind the one break with what was delivered.

    Args:
        audio: The file.
        recording: Its document.
        sent: All that was sent.
        broken_at: What was sent before is before the break, monotonic seconds.
    """
    (gap,) = [g for g in recording.gaps if g.cause is GapCause.DISCONNECTED]
    start = round(gap.start_s * RATE)
    end = start + round(gap.length_s * RATE)
    assert not audio[start:end].any()
    before = [e for e in sent if e.delivered and e.sent_at <= broken_at]
    expected = reference(before, "PCMU")
    # What the server had not written when it was killed is in the gap.
    assert len(expected) - RATE < start <= len(expected)
    np.testing.assert_array_equal(audio[:start], expected[:start])
    # From some moment on there was somebody to hear it, up to the last packet.
    after = [e for e in sent if e.delivered and e.sent_at > broken_at]
    expected = reference(after, "PCMU")
    heard = len(audio) - end
    np.testing.assert_array_equal(audio[end:], expected[-heard:])
    position = sent[-1].start + sent[-1].samples - sent[0].start - heard
    assert end == pytest.approx(position, abs=0.15 * RATE)


def covers(recording: Recording) -> bool:
    """Tell whether the evidence accounts for all of the file, exactly once."""
    spans = {*EvidenceKind} - {
        EvidenceKind.LATE,
        EvidenceKind.CHANGE,
        EvidenceKind.DIGIT,
        EvidenceKind.WARNING,
    }
    at = 0.0
    for entry in recording.evidence:
        if entry.kind in spans:
            if entry.start_s != pytest.approx(at, abs=2e-6):
                return False
            at = entry.start_s + entry.length_s
    return at == pytest.approx(recording.duration_s, abs=2e-6)


async def test_a_websocket_that_breaks_and_returns_goes_on_in_its_recording(
    tmp_path: Path,
) -> None:
    media = MediaOptions(break_at=1, reconnect_after=1.5)
    async with rig(tmp_path, tap_uri=WS, reconnect_grace_s="20") as here:
        call = here.place(CallRequest(seconds=4, media=media))
        recording = await the_recording(here, call)
        sent = sent_by(call)
        broken_at = sent[0].sent_at + 1.4
        assert_both_sides(here.audio(recording), recording, sent, broken_at)
        assert recording.state is Outcome.PARTIAL
        assert "passed without a connection" in recording.verdict.reason
        assert [each.what for each in recording.changes] == ["connection 2"]
        assert covers(recording)


async def test_a_websocket_that_stays_away_ends_its_recording(tmp_path: Path) -> None:
    media = MediaOptions(break_at=1, reconnect_after=60)
    async with rig(tmp_path, tap_uri=WS, reconnect_grace_s="1") as here:
        call = here.place(CallRequest(seconds=None, media=media))
        recording = await the_recording(here, call)
        assert recording.end_reason == "closed"
        expected = reference([e for e in sent_by(call) if e.delivered], "PCMU")
        np.testing.assert_array_equal(here.audio(recording), expected)


@pytest.mark.alone
@together("transport", ["ws", "rtp"])
async def test_a_tap_outlives_its_server(tmp_path: Path, transport: str) -> None:
    """Killed and started again, the server goes on in the same recordings."""
    async with killed_server(
        tmp_path,
        TAPDECK_RECONNECT_GRACE_S="15",
        TAPDECK_SECRET="a-secret-that-signs-tokens",
        TAPDECK_IDLE_TIMEOUT_S="3",
    ) as server:
        server.relay_transport = transport
        await server.start()
        calls = [
            server.simulator.place_call(
                CallRequest(seconds=None, media=MediaOptions(reconnect_for=30))
            )
            for _ in range(2)
        ]
        await until(
            lambda: (
                all(call.taps for call in calls)
                and all(len(sent_by(call)) > 80 for call in calls)
            )
        )
        killed_at, _ = await server.kill(hang_up=False)
        await server.start()
        assert server.log.count("may go on within") == 2
        await until(lambda: server.log.count("goes on") >= 2)
        restarted = [len(sent_by(call)) for call in calls]
        await until(
            lambda: all(
                len(sent_by(call)) > count + 100
                for call, count in zip(calls, restarted, strict=True)
            )
        )
        for call in calls:
            await call.hang_up()
        await until(lambda: len(server.recordings()) == 2, 90)
        recordings = {each.call_id: each for each in server.recordings()}
        for call in calls:
            recording = recordings[call.call_id]
            audio = server.audio(recording)
            assert_both_sides(audio, recording, sent_by(call), killed_at)
            assert covers(recording)
            assert recording.state is Outcome.PARTIAL
            (gap,) = [
                e for e in recording.evidence if e.kind is EvidenceKind.DISCONNECTED
            ]
            assert gap.cause == "the server restarted"
        assert not server.leftovers()
        assert "Traceback" not in server.log


async def test_a_tap_that_does_not_come_back_is_finished_as_interrupted(
    tmp_path: Path,
) -> None:
    async with killed_server(tmp_path, TAPDECK_RECONNECT_GRACE_S="5") as server:
        await server.start()
        call = server.simulator.place_call(CallRequest(seconds=None))
        await until(lambda: bool(call.taps) and len(sent_by(call)) > 80)
        await server.kill()
        await call.hang_up()
        await server.start()
        assert "may go on within" in server.log
        assert not server.recordings()
        await until(lambda: bool(server.recordings()), 30)
        (recording,) = server.recordings()
        assert recording.end_reason == "interrupted"
        assert recording.state is Outcome.PARTIAL
        assert recording.samples > RATE // 2


@together("tap_uri", [WS, RTP])
async def test_what_is_said_in_a_pause_is_not_kept(
    tmp_path: Path, tap_uri: str
) -> None:
    media = MediaOptions(dtmf="1234", dtmf_at=1.4)
    async with rig(tmp_path, tap_uri=tap_uri) as here:
        call = here.place(CallRequest(seconds=None, media=media))
        await here.hears(call)
        (control_id,) = here.server.rendezvous.taps
        await until(lambda: len(sent_by(call)) > 55)
        status, body = await api(here, "POST", f"/api/v1/taps/{control_id}/pause")
        assert (status, json.loads(body)["paused"]) == (200, True)
        paused = len(sent_by(call))
        await until(lambda: len(sent_by(call)) > paused + 75)
        status, body = await api(here, "POST", f"/api/v1/taps/{control_id}/resume")
        assert (status, json.loads(body)["paused"]) == (200, False)
        await until(lambda: len(sent_by(call)) > paused + 150)
        await call.hang_up()
        recording = await the_recording(here, call)
        audio, expected = here.audio(recording), reference(sent_by(call), "PCMU")
        (gap,) = [g for g in recording.gaps if g.cause is GapCause.MASKED]
        start = round(gap.start_s * RATE)
        end = start + round(gap.length_s * RATE)
        assert not audio[start:end].any()
        assert 1 < gap.length_s < 3
        np.testing.assert_array_equal(audio[:start], expected[:start])
        np.testing.assert_array_equal(audio[end:], expected[end:])
        assert not recording.digits
        assert recording.state is Outcome.COMPLETE, recording.verdict
        assert "kept out on request" in recording.verdict.reason
        assert covers(recording)
