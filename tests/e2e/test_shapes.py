"""The shapes in which a WebSocket may send audio, each down to its WAV.

The calls of a test run at the same time through one server.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from relay_client.simulator import (
    CallRequest,
    FormatChange,
    MediaOptions,
    SimCall,
)
from server.audio import GapCause
from server.library.recording import Recording
from tests.e2e.judging import (
    LISTEN_HZ,
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
from tests.e2e.rig import Rig, reference, rig
from tests.e2e.together import together

WS = "ws://127.0.0.1:1/tap"

Order = Literal["little", "big"]
ORDERS: tuple[Order, Order] = ("little", "big")


def a_call(media: MediaOptions, *, seconds: float = 1.6) -> CallRequest:
    return CallRequest(speak=SPEECH, listen=PROMPT, seconds=seconds, media=media)


async def record(
    here: Rig, *requests: CallRequest, tracks: int = 1
) -> list[tuple[SimCall, list[Recording]]]:
    """Place calls at once and return each with its recordings, by track."""
    calls = [here.place(request) for request in requests]
    found = await here.recordings(tracks * len(calls))
    return [
        (call, sorted(_of(found, call), key=lambda recording: recording.track))
        for call in calls
    ]


def _of(recordings: list[Recording], call: SimCall) -> list[Recording]:
    return [each for each in recordings if each.call_id == call.call_id]


async def test_l16_of_either_byte_order_is_found_out(tmp_path: Path) -> None:
    rates: tuple[Literal[8000, 16000], ...] = (8000, 16000)
    chunks: tuple[Literal["ptime", "odd", "random"], ...] = ("ptime", "odd", "random")
    media = [
        MediaOptions(codec="L16", rate=rate, byte_order=order, chunk=chunk)
        for rate, order, chunk in itertools.product(rates, ORDERS, chunks)
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            order = call.media.byte_order or "little"
            expected = l16_reference(delivered(call), order)
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.sample_rate == call.media.rate
            assert recording.codec == "L16"
            assert recording.state == "complete", recording.verdict


@together("setting", ORDERS)
async def test_l16_is_read_in_the_byte_order_that_is_set(
    tmp_path: Path, setting: Order
) -> None:
    media = [MediaOptions(codec="L16", byte_order=order) for order in ORDERS]
    async with rig(tmp_path, tap_uri=WS, l16_byte_order=setting) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            expected = l16_reference(delivered(call), setting)
            np.testing.assert_array_equal(here.audio(recording), expected)


async def test_opus_packets(tmp_path: Path) -> None:
    media = [
        MediaOptions(),
        MediaOptions(header="none"),
        MediaOptions(header="plain", ptime=10),
        MediaOptions(ptime=60),
    ]
    async with rig(tmp_path, tap_uri=WS, codec="OPUS") as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            expected = opus_reference(delivered(call))
            assert_within_a_decibel(here.audio(recording), expected)
            assert (recording.codec, recording.sample_rate) == ("OPUS", 48_000)
            assert recording.state == "complete", recording.verdict


async def test_opus_in_ogg_pages(tmp_path: Path) -> None:
    media = [
        MediaOptions(codec="OPUS", container="ogg"),
        MediaOptions(codec="OPUS", container="ogg", chunk="random"),
        MediaOptions(codec="OPUS", container="ogg", chunk=7, header="none"),
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            # RFC 7845 section 4.2: the first 312 samples only warm the decoder up.
            expected = opus_reference(delivered(call))[312:]
            assert_within_a_decibel(here.audio(recording), expected)
            assert recording.state == "complete", recording.verdict


async def test_a_wav_header_says_how_the_rest_is_read(tmp_path: Path) -> None:
    media = [
        MediaOptions(container="wav", header=header, codec="L16", rate=16000)
        for header in ("json", "none")
    ]
    media.append(MediaOptions(container="wav", header="none", codec="PCMA"))
    async with rig(tmp_path, tap_uri=WS) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            sent = delivered(call)
            if call.media.codec == "L16":
                expected = l16_reference(sent, "little")
            else:
                expected = reference(sent, "PCMA")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.codec == call.media.codec
            assert not recording.gaps


async def test_media_streams_give_a_channel_for_each_track(tmp_path: Path) -> None:
    media = [
        MediaOptions(container="media-stream"),
        MediaOptions(container="media-stream", codec="L16", rate=16000),
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            assert recording.channel_map == ("track 1", "track 2")
            assert [part.channel for part in recording.parts] == [0, 1]
            for track, (audio, hertz) in enumerate(
                zip(here.channels(recording), (SPEAK_HZ, LISTEN_HZ), strict=True)
            ):
                sent = delivered(call, track)
                if call.media.codec == "L16":
                    expected = l16_reference(sent, "little")
                else:
                    expected = reference(sent, "PCMU")
                start = begin_of(recording, track)
                np.testing.assert_array_equal(audio[start:][: len(expected)], expected)
                assert not audio[:start].any()
                assert tones(audio, recording.sample_rate) == {hertz}
            assert recording.state == "complete", recording.verdict
            assert recording.end_reason == "hangup"


def begin_of(recording: Recording, channel: int) -> int:
    """Return where in the file the audio of a channel begins, as its gaps say."""
    begun = [
        gap.length_s
        for gap in recording.gaps
        if gap.channel == channel and gap.start_s == 0
    ]
    return round(sum(begun) * recording.sample_rate)


async def test_a_format_may_change_on_the_way(tmp_path: Path) -> None:
    changes = [
        (MediaOptions(), FormatChange(at=1, codec="PCMA")),
        (MediaOptions(), FormatChange(at=1, codec="L16", rate=16000)),
        (MediaOptions(codec="L16", rate=16000), FormatChange(at=1, codec="PCMU")),
        (MediaOptions(), FormatChange(at=1, codec="OPUS")),
        (MediaOptions(), FormatChange(at=1, ptime=60)),
    ]
    media = [
        MediaOptions(codec=first.codec, rate=first.rate, change=change)
        for first, change in changes
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            audio, rate = here.audio(recording), recording.sample_rate
            assert rate == (call.media.rate or 8000)
            seconds = sum(e.samples / e.sample_rate for e in delivered(call))
            assert recording.duration_s == pytest.approx(seconds, abs=0.005)
            for second in (0, 1):
                heard = audio[int(second * rate) :][: int(0.5 * rate)]
                assert tones(heard, rate) == {SPEAK_HZ, LISTEN_HZ}
            assert recording.state == "complete", recording.verdict
            has_changed = call.media.change.codec is not None  # type: ignore[union-attr]
            assert len(recording.changes) == has_changed


async def test_a_change_of_law_is_exact(tmp_path: Path) -> None:
    media = MediaOptions(change=FormatChange(at=1, codec="PCMA"))
    async with rig(tmp_path, tap_uri=WS) as here:
        ((call, (recording,)),) = await record(here, a_call(media))
        sent = delivered(call)
        parts = (
            reference([e for e in sent if e.start < 8000], "PCMU"),
            reference([e for e in sent if e.start >= 8000], "PCMA"),
        )
        np.testing.assert_array_equal(here.audio(recording), np.concatenate(parts))
        (change,) = recording.changes
        assert change.start_s == 1


async def test_a_second_connection_goes_on_where_the_first_was(tmp_path: Path) -> None:
    media = [
        MediaOptions(second_connection=1),
        MediaOptions(second_connection=1, header="none"),
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        for call, (recording,) in await record(here, *map(a_call, media)):
            expected = reference(delivered(call), "PCMU")
            np.testing.assert_array_equal(here.audio(recording), expected)
            assert recording.state == "complete", recording.verdict
            assert [each.what for each in recording.changes] == ["connection 2"]


async def test_a_sender_that_catches_up_leaves_no_trace(tmp_path: Path) -> None:
    media = [
        MediaOptions(pace="stall", stall_at=1, stall_for=0.8),
        MediaOptions(pace="burst", burst=0.5),
        MediaOptions(pace="jitter", jitter=0.15),
        MediaOptions(speed=2),
        MediaOptions(codec="L16", rate=16000, pace="stall", stall_for=0.8),
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        requests = [a_call(each, seconds=2.5) for each in media]
        for call, (recording,) in await record(here, *requests):
            sent = delivered(call)
            if call.media.codec == "L16":
                expected = l16_reference(sent, "little")
            else:
                expected = reference(sent, "PCMU")
            audio = here.audio(recording)
            np.testing.assert_array_equal(audio[: len(expected)], expected)
            assert not audio[len(expected) :].any()
            assert recording.state == "complete", recording.verdict
            # A burst that the end of the call cut off is silence at the end.
            assert len(recording.gaps) <= (call.media.pace == "burst")


async def test_pauses_are_padded_from_the_arrival_clock(tmp_path: Path) -> None:
    """A tap that is not sent for a while is as long as one that is."""
    media = [
        MediaOptions(pace="stall", stall_at=1, stall_for=1, catch_up=False),
        MediaOptions(dtx=((0.5, 0.5), (1.5, 1.2))),
        MediaOptions(dtx=((2.0, 60.0),)),
        MediaOptions(codec="OPUS", dtx=((1.0, 1.0),)),
    ]
    async with rig(tmp_path, tap_uri=WS) as here:
        requests = [a_call(each, seconds=4) for each in media]
        for call, (recording,) in await record(here, *requests):
            rate = recording.sample_rate
            length = 4.0 if call.media.dtx[-1:] == ((2.0, 60.0),) else None
            expected_s = length or sent_samples(call) / rate
            assert recording.duration_s == pytest.approx(expected_s, abs=0.1)
            assert {gap.cause for gap in recording.gaps} == {GapCause.SILENCE}
            wanted = call.media.dtx or ((1.0, 1.0),)
            assert len(recording.gaps) == len(wanted)
            for gap, (start, seconds) in zip(recording.gaps, wanted, strict=True):
                assert gap.start_s == pytest.approx(start, abs=0.1)
                assert gap.length_s == pytest.approx(min(seconds, 2), abs=0.15)
            assert recording.state == "complete", recording.verdict
