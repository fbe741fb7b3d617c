"""The shapes in which RTP may bring audio, and the directions of a tap.

The calls of a test run at the same time through one server.
"""

from __future__ import annotations

import contextlib
import socket
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from relay_client.simulator import (
    CallRequest,
    FaultOptions,
    FormatChange,
    MediaOptions,
    SimCall,
)
from server.audio import GapCause
from server.library.recording import Recording
from tests.e2e.judging import (
    LISTEN_HZ,
    OPUS_RATE,
    PROMPT,
    SPEAK_HZ,
    SPEECH,
    assert_within_a_decibel,
    delivered,
    l16_reference,
    opus_reference,
    sent_samples,
    tones,
)
from tests.e2e.rig import Rig, reference, rig, sent_by
from tests.e2e.test_shapes import begin_of, record
from tests.e2e.together import together

RTP = "rtp://127.0.0.1:1"
WS = "ws://127.0.0.1:1/tap"


def a_call(media: MediaOptions, *, seconds: float = 1.6) -> CallRequest:
    return CallRequest(speak=SPEECH, listen=PROMPT, seconds=seconds, media=media)


async def test_ptime_may_change_on_the_way(tmp_path: Path) -> None:
    media = [
        MediaOptions(ptime=before, change=FormatChange(at=0.6, ptime=after))
        for before, after in ((20, 60), (120, 10), (30, 20))
    ]
    async with rig(tmp_path, tap_uri=RTP) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.state == "complete", recording.verdict


async def test_the_law_may_change_on_the_way(tmp_path: Path) -> None:
    media = MediaOptions(change=FormatChange(at=1, codec="PCMA"))
    async with rig(tmp_path, tap_uri=RTP) as here:
        ((call, (recording,)),) = await record(here, a_call(media))
        sent = delivered(call)
        parts = (
            reference([e for e in sent if e.start < 8000], "PCMU"),
            reference([e for e in sent if e.start >= 8000], "PCMA"),
        )
        np.testing.assert_array_equal(here.audio(recording), np.concatenate(parts))
        assert len(recording.changes) == 1


async def test_silence_that_is_not_sent_is_as_long_as_it_was(tmp_path: Path) -> None:
    pauses = ((0.5, 0.5), (1.4, 0.8))
    media = [
        MediaOptions(dtx=pauses),
        MediaOptions(dtx=pauses, comfort_noise=True),
    ]
    async with rig(tmp_path, tap_uri=RTP) as here:
        requests = [a_call(each, seconds=3) for each in media]
        for call, (recording,) in await record(here, *requests):
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.state == "complete", recording.verdict
            assert [
                (gap.start_s, round(gap.length_s, 6), gap.cause)
                for gap in recording.gaps
            ] == [(*pause, GapCause.SILENCE) for pause in pauses]


async def test_silence_until_the_end_of_the_tap_is_part_of_it(tmp_path: Path) -> None:
    media = [
        MediaOptions(dtx=((1, 60),)),
        MediaOptions(dtx=((1, 60),), comfort_noise=True),
    ]
    async with rig(tmp_path, tap_uri=RTP) as here:
        for _, (recording,) in await record(here, *map(a_call, media)):
            assert recording.duration_s == pytest.approx(1.6, abs=0.15)
            (gap,) = recording.gaps
            assert (gap.start_s, gap.cause) == (1, GapCause.SILENCE)


async def test_digits_beside_the_audio_are_in_the_document(tmp_path: Path) -> None:
    media = [
        MediaOptions(dtmf="19*#D", dtmf_at=0.4),
        MediaOptions(dtmf="07", dtmf_at=0.4, loss=10),
    ]
    async with rig(tmp_path, tap_uri=RTP) as here:
        clean, lossy = await record(here, *map(a_call, media))
        call, (recording,) = clean
        expected = reference(sent_by(call), "PCMU")
        np.testing.assert_array_equal(here.audio(recording), expected)
        assert "".join(each.digit for each in recording.digits) == "19*#D"
        for number, digit in enumerate(recording.digits):
            assert digit.start_s == pytest.approx(0.4 + 0.2 * number, abs=0.021)
            assert digit.length_s == pytest.approx(0.1, abs=0.001)
        assert recording.state == "complete", recording.verdict
        # Lost reports cost no digit: each is repeated.
        assert "".join(each.digit for each in lossy[1][0].digits) == "07"


async def test_two_sources_at_once_are_two_channels_of_one_recording(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, tap_uri=RTP) as here:
        request = a_call(MediaOptions(ssrcs="two"))
        ((call, (recording,)),) = await record(here, request)
        heard = []
        for channel, audio in enumerate(here.channels(recording)):
            (hertz,) = tones(audio, 8000)
            heard.append(hertz)
            track = (SPEAK_HZ, LISTEN_HZ).index(hertz)
            expected = reference(delivered(call, track), "PCMU")
            start = begin_of(recording, channel)
            np.testing.assert_array_equal(audio[start:][: len(expected)], expected)
            assert not audio[:start].any()
        assert set(heard) == {SPEAK_HZ, LISTEN_HZ}
        assert recording.channel_map == ("track 1", "track 2")
        assert recording.state == "complete", recording.verdict


async def test_a_source_that_changes_goes_on_in_the_same_recording(
    tmp_path: Path,
) -> None:
    media = [
        MediaOptions(ssrcs="changing"),
        MediaOptions(ssrcs="changing", rtcp="same", rtcp_interval=0.3, bye=True),
    ]
    async with rig(tmp_path, tap_uri=RTP) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            audio = here.audio(recording)
            expected = reference(sent_by(call), "PCMU")
            # Another source has another clock: its place is told by its arrival.
            assert abs(len(audio) - len(expected)) <= 0.1 * 8000
            np.testing.assert_array_equal(audio[:8000], expected[:8000])
            np.testing.assert_array_equal(audio[-4000:], expected[-4000:])
            assert [each.what[:4] for each in recording.changes] == ["SSRC"]
            assert recording.packets.lost == 0


async def test_opus_under_a_dynamic_payload_type(tmp_path: Path) -> None:
    media = [
        MediaOptions(),
        MediaOptions(payload_type=97),
        MediaOptions(ptime=60),
        MediaOptions(sequence=65_530, timestamp=2**32 - 9600),
        MediaOptions(dtx=((0.6, 0.6),)),
    ]
    async with rig(tmp_path, tap_uri=RTP, codec="OPUS") as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            audio = here.audio(recording)
            assert (recording.codec, recording.sample_rate) == ("OPUS", OPUS_RATE)
            assert recording.state == "complete", recording.verdict
            if call.media.dtx:
                assert len(audio) == sent_samples(call)
                assert not audio[int(0.6 * OPUS_RATE) : int(1.2 * OPUS_RATE)].any()
            else:
                assert_within_a_decibel(audio, opus_reference(delivered(call)))


async def test_the_platform_says_what_a_dynamic_payload_type_is(
    tmp_path: Path,
) -> None:
    """It may send another format than it was asked for, and names it in its reply."""
    media = [
        MediaOptions(codec="L16"),
        MediaOptions(codec="L16", rate=16000, payload_type=120),
        MediaOptions(codec="L16", rate=44100, ptime=10),
        MediaOptions(codec="OPUS"),
    ]
    async with rig(tmp_path, tap_uri=RTP) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            sent, audio = delivered(call), here.audio(recording)
            assert recording.codec == call.media.codec
            assert recording.state == "complete", recording.verdict
            if call.media.codec == "OPUS":
                assert_within_a_decibel(audio, opus_reference(sent))
            else:
                assert recording.sample_rate == (call.media.rate or 8000)
                np.testing.assert_array_equal(audio, l16_reference(sent, "big"))


async def test_lost_opus_packets_leave_exactly_their_time(tmp_path: Path) -> None:
    requests = [
        CallRequest(media=MediaOptions(loss=5, reorder=5), seconds=3, seed=seed)
        for seed in range(3)
    ]
    async with rig(tmp_path, tap_uri=RTP, codec="OPUS") as here:
        for call, (recording,) in await record(here, *requests):
            sent = delivered(call)
            length = sent[-1].start + sent[-1].samples - sent[0].start
            assert 0 <= recording.samples - length <= 2 * 960
            assert recording.state == "partial"
            lost = length // 960 - len(sent)
            assert recording.packets.lost == lost > 0


HALVES = {
    "speak": [{SPEAK_HZ}],
    "listen": [{LISTEN_HZ}],
    "both": [{SPEAK_HZ, LISTEN_HZ}],
    "stereo": [{SPEAK_HZ}, {LISTEN_HZ}],
}


@together("tap_uri", [WS, RTP])
@together("direction", list(HALVES))
async def test_a_direction_has_its_half_of_the_call(
    tmp_path: Path, tap_uri: str, direction: str
) -> None:
    async with rig(tmp_path, tap_uri=tap_uri, direction=direction) as here:
        request = a_call(MediaOptions(), seconds=1)
        ((_, (recording,)),) = await record(here, request)
        assert recording.direction == direction
        heard = [tones(each, 8000) for each in here.channels(recording)]
        assert heard == HALVES[direction]


async def test_rtcp_is_no_audio_and_a_bye_is_an_end(tmp_path: Path) -> None:
    """A BYE says that it is over where nobody else does."""
    media = [
        MediaOptions(rtcp="same", rtcp_interval=0.1, bye=True, seconds=1),
        MediaOptions(rtcp="next", rtcp_interval=0.1, bye=True, seconds=1),
    ]
    listen = f"127.0.0.1:{_free_pair()}"
    async with rig(tmp_path, tap_uri=RTP, rtp_listen=listen) as here:
        for call, (recording,) in await _record_unfinished(here, media):
            expected = reference(sent_by(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.end_reason == "bye"
            assert recording.state == "complete", recording.verdict


async def _record_unfinished(
    here: Rig, media: list[MediaOptions]
) -> list[tuple[SimCall, list[Recording]]]:
    """Record calls whose platform never says that the tap is finished."""
    faults = FaultOptions(no_finished=True)
    requests = [CallRequest(media=each, faults=faults, seconds=None) for each in media]
    return await record(here, *requests)


def _free_pair() -> int:
    """Return a port that is free together with the one above it."""
    for _ in range(100):
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab")
        with closing(first), closing(second), contextlib.suppress(OSError):
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            second.bind(("127.0.0.1", port + 1))
            return port
    raise AssertionError("no two neighbouring ports are free")
