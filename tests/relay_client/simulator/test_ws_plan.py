"""What a WebSocket tap plans to send, without a socket."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_client.simulator import FormatChange, MediaOptions
from relay_client.simulator.feed import AudioFeed
from relay_client.simulator.formats import AskedFormat, choose_format
from relay_client.simulator.g711 import encode_ulaw
from relay_client.simulator.ogg import crc32
from relay_client.simulator.opus import PRE_SKIP
from relay_client.simulator.stream_plan import StreamPlan
from relay_client.simulator.ws_plan import Message, WsPlan

FEED = AudioFeed("tone:440", "tone:880")


def plan(options: MediaOptions, seed: int = 1, codec: str = "PCMU") -> WsPlan:
    asked = AskedFormat(codec=codec)
    media_format = choose_format(options, asked, over_rtp=False)
    return WsPlan(FEED, "both", media_format, options, seed=seed)


def audio(messages: list[Message]) -> bytes:
    return b"".join(m.data for m in messages if isinstance(m.data, bytes))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("json", ['{"content-type": "audio/mulaw;rate=8000"}']),
        ("plain", ["content-type:audio/mulaw;rate=8000"]),
        ("none", []),
    ],
)
def test_the_header_is_one_of_three(header: Any, expected: list[str]) -> None:
    assert plan(MediaOptions(header=header)).preamble() == expected


@given(
    chunk=st.one_of(st.integers(1, 700), st.sampled_from(["ptime", "random", "odd"])),
    codec=st.sampled_from(["PCMU", "PCMA", "L16"]),
    rate=st.sampled_from([8000, 16000, 48000]),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_any_chunks_hold_the_same_bytes_at_known_positions(
    chunk: Any, codec: Any, rate: Any, seed: int
) -> None:
    options = MediaOptions(chunk=chunk, codec=codec, rate=rate, seconds=0.2)
    media_format = choose_format(options, AskedFormat(), over_rtp=False)
    messages = list(plan(options, seed).messages())
    spans = [message.span for message in messages]

    samples = sum(span.samples for span in spans if span)
    expected = FEED.read("both", media_format.sample_rate, 0, samples)
    assert audio(messages) == media_format.make_encoder()(expected)
    assert samples >= 0.2 * media_format.sample_rate
    position = 0
    for span in spans:
        assert span is not None
        assert span.start == position
        position += span.samples


def test_odd_chunks_are_odd() -> None:
    mulaw = list(plan(MediaOptions(chunk="odd", seconds=0.2)).messages())
    linear = list(plan(MediaOptions(chunk="odd", seconds=0.2, codec="L16")).messages())

    assert all(len(message.data) % 2 for message in mulaw)
    assert all(len(message.data) % 2 for message in linear[:-1])


@pytest.mark.parametrize("codec", ["PCMU", "L16"])
def test_silence_leaves_no_half_sample_behind(codec: Any) -> None:
    options = MediaOptions(chunk="odd", codec=codec, seconds=0.6, dtx=((0.2, 0.2),))
    messages = list(plan(options).messages())
    width = 2 if codec == "L16" else 1

    total = sum(message.span.samples for message in messages if message.span)
    assert len(audio(messages)) == width * total
    starts = [message.span.start for message in messages if message.span]
    assert not [start for start in starts if 1760 < start < 3100]


def test_a_wav_header_goes_before_the_first_bytes_only() -> None:
    options = MediaOptions(container="wav", codec="L16", rate=16000, seconds=0.1)
    messages = list(plan(options).messages())
    data = audio(messages)

    assert data.startswith(b"RIFF")
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=False)
    assert rate == 16000
    assert np.array_equal(samples, FEED.read("both", 16000, 0, 1600))
    assert messages[0].span is not None
    assert data == data[:44] + b"".join(m.span.payload for m in messages if m.span)


@pytest.mark.parametrize("chunk", ["ptime", "random", 33])
def test_ogg_pages_are_a_file_that_others_can_read(chunk: Any) -> None:
    options = MediaOptions(container="ogg", seconds=1.0, chunk=chunk)
    messages = list(plan(options).messages())
    with av.open(io.BytesIO(audio(messages)), "r") as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]

    decoded = np.concatenate(frames, axis=1)[0]
    assert abs(len(decoded) - (48_000 - PRE_SKIP)) <= 960
    assert int(np.argmax(np.abs(np.fft.rfft(decoded[:48_000])))) in range(400, 920)
    spans = [message.span for message in messages if message.span]
    assert [span.start for span in spans] == list(range(0, 48_000, 960))


def test_the_page_checksum_is_that_of_rfc_3533() -> None:
    first = next(plan(MediaOptions(container="ogg")).messages()).data
    assert isinstance(first, bytes)
    page = bytearray(first)
    found = int.from_bytes(page[22:26], "little")
    page[22:26] = bytes(4)

    assert crc32(bytes(page)) == found
    # The check value of this polynomial with no reflection and a start of 0.
    assert crc32(b"123456789") == 0x89A1897F


def test_opus_packets_decode_to_their_length() -> None:
    options = MediaOptions(seconds=0.4, ptime=40)
    messages = list(plan(options, codec="OPUS").messages())
    context = av.CodecContext.create("libopus", "r")
    assert isinstance(context, av.AudioCodecContext)
    decoded = [
        sum(frame.samples for frame in context.decode(av.Packet(message.data)))
        for message in messages
        if isinstance(message.data, bytes)
    ]

    assert len(decoded) == 10
    assert set(decoded) == {1920}


@pytest.mark.parametrize(
    ("first", "then"), [("PCMU", "OPUS"), ("OPUS", "PCMU"), ("L16", "PCMA")]
)
def test_any_format_can_follow_any_other(first: Any, then: Any) -> None:
    options = MediaOptions(
        codec=first, seconds=0.4, chunk="odd", change=FormatChange(at=0.2, codec=then)
    )
    messages = list(plan(options).messages())
    (place,) = (n for n, m in enumerate(messages) if isinstance(m.data, str))
    spans = [message.span for message in messages if message.span]

    assert all(m.span for m in messages if isinstance(m.data, bytes))
    assert place > 3
    seconds = sum(span.samples / span.sample_rate for span in spans)
    assert seconds == pytest.approx(0.4, abs=0.03)


def test_a_media_stream_counts_its_messages() -> None:
    options = MediaOptions(seconds=0.1)
    media_format = choose_format(options, AskedFormat(), over_rtp=False)
    made = StreamPlan(
        FEED, "speak", media_format, options, seed=1, call_id="c", project="p"
    )
    start = json.loads(made.preamble()[1])
    media = [json.loads(message.data) for message in made.messages()]
    stop = json.loads(made.farewell()[0])

    assert start["start"]["tracks"] == ["inbound"]
    assert start["start"]["mediaFormat"]["encoding"] == "audio/x-mulaw"
    assert [found["sequenceNumber"] for found in media] == list("23456")
    assert [found["media"]["chunk"] for found in media] == list("12345")
    assert [found["media"]["timestamp"] for found in media] == [
        "0",
        "20",
        "40",
        "60",
        "80",
    ]
    assert stop == {"event": "stop", "sequenceNumber": "7"}


def test_only_delivered_bytes_are_mu_law_of_the_sources() -> None:
    messages = list(plan(MediaOptions(seconds=0.1)).messages())

    assert audio(messages) == encode_ulaw(FEED.read("both", 8000, 0, 800))


@pytest.mark.parametrize(
    "options",
    [
        MediaOptions(dtx=((0, 3600),)),
        MediaOptions(dtx=((0, 3600),), codec="OPUS"),
    ],
)
def test_a_long_silence_is_waited_for_and_not_skipped(options: MediaOptions) -> None:
    messages = list(itertools.islice(plan(options).messages(), 5))

    assert [message.at for message in messages] == pytest.approx([1, 2, 3, 4, 5])
    assert not any(message.data or message.span for message in messages)
