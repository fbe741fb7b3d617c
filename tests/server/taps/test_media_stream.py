import base64
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import PCMU_8000, AudioFormat, Codec
from server.taps.media_stream import (
    MediaStream,
    StreamAudio,
    StreamDigit,
    StreamMessage,
    StreamStart,
    StreamStop,
)

START = {
    "streamSid": "s-1",
    "callSid": "c-1",
    "tracks": ["inbound", "outbound"],
    "customParameters": {"session": "abc", "number": 3},
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
}


class Stream:
    def __init__(self) -> None:
        self.drops: Counter[str] = Counter()
        self.machine = MediaStream(PCMU_8000, self.drops)

    def receive(self, event: object, **fields: object) -> StreamMessage | None:
        return self.machine.receive(json.dumps({"event": event, **fields}))

    def media(
        self, data: bytes, *, number: object = None, track: str | None = None
    ) -> StreamMessage | None:
        media: dict[str, object] = {"payload": base64.b64encode(data).decode()}
        if track is not None:
            media["track"] = track
        return self.receive("media", sequenceNumber=number, media=media)


def lost(message: StreamMessage | None) -> int:
    assert isinstance(message, StreamAudio)
    return message.lost


def test_start_names_the_call_and_the_format() -> None:
    message = Stream().receive("start", sequenceNumber="1", start=START)
    assert message == StreamStart(
        "c-1", {"session": "abc", "number": "3"}, PCMU_8000, "audio/x-mulaw"
    )


@pytest.mark.parametrize(
    ("stated", "format"),
    [
        (
            {"encoding": "audio/x-L16", "sampleRate": "16000", "channels": "1"},
            AudioFormat(Codec.L16, 16000),
        ),
        ({"encoding": "audio/x-alaw"}, AudioFormat(Codec.PCMA)),
        ({"encoding": "opus", "sampleRate": 8000}, AudioFormat(Codec.OPUS, 48000)),
        ({}, PCMU_8000),
        ("nonsense", PCMU_8000),
        (None, PCMU_8000),
        ({"encoding": "audio/g722"}, None),
        ({"encoding": 7}, None),
        ({"encoding": "audio/x-mulaw", "sampleRate": "fast"}, None),
        ({"encoding": "audio/x-mulaw", "channels": -1}, None),
        ({"encoding": "audio/x-mulaw", "sampleRate": None}, None),
        ({"encoding": "audio/x-mulaw", "sampleRate": "9" * 5000}, None),
    ],
)
def test_formats(stated: object, format: AudioFormat | None) -> None:
    message = Stream().receive("start", start={"mediaFormat": stated})
    assert isinstance(message, StreamStart)
    assert message.format == format


def test_a_start_that_says_nothing_is_a_start() -> None:
    assert Stream().receive("start") == StreamStart(None, {}, PCMU_8000, "")


def test_text_from_the_wire_is_short_and_printable() -> None:
    hostile = "c\x1b[2J\n" + "x" * 9999
    parameters = {f"{hostile}{at}": hostile for at in range(100)}
    start = {"callSid": hostile, "customParameters": parameters}
    message = Stream().receive("start", start=start)
    assert isinstance(message, StreamStart)
    assert message.call_id is not None
    texts = [message.call_id, *message.custom_parameters.values()]
    assert all(len(text) <= 256 and text.isprintable() for text in texts)


def test_media_is_decoded_and_tracks_count_in_order_of_appearance() -> None:
    stream = Stream()
    assert stream.media(b"\xff\xfe") == StreamAudio(0, b"\xff\xfe", 0)
    assert stream.media(b"b", track="outbound") == StreamAudio(1, b"b", 0)
    assert stream.media(b"c", track="inbound") == StreamAudio(0, b"c", 0)
    assert stream.media(b"d", track="third") is None
    assert stream.drops == {"media_unknown_track": 1}


@pytest.mark.parametrize(
    ("media", "reason"),
    [
        ({"payload": "not base64!"}, "media_bad_base64"),
        ({"payload": "ä"}, "media_bad_base64"),
        ({"payload": 3}, "media_without_payload"),
        ({}, "media_without_payload"),
        (None, "media_without_payload"),
    ],
)
def test_media_that_cannot_be_used_is_counted(media: object, reason: str) -> None:
    stream = Stream()
    assert stream.receive("media", media=media) is None
    assert stream.drops == {reason: 1}


def test_sequence_numbers_tell_what_is_missing() -> None:
    stream = Stream()
    stream.receive("start", sequenceNumber="1", start=START)
    assert lost(stream.media(b"a", number="2")) == 0
    assert lost(stream.media(b"b", number=3)) == 0
    stream.receive("dtmf", sequenceNumber="5", dtmf={"digit": "1"})
    assert lost(stream.media(b"c", number="7")) == 2
    assert lost(stream.media(b"d", number="8")) == 0


def test_a_restart_of_the_numbers_is_no_loss() -> None:
    stream = Stream()
    stream.receive("start", sequenceNumber="1")
    assert lost(stream.media(b"a", number="1")) == 0
    assert lost(stream.media(b"b", number="9000")) == 0
    assert lost(stream.media(b"c", number="5")) == 0
    assert lost(stream.media(b"d")) == 0
    stream.machine.reconnected()
    assert lost(stream.media(b"e", number="50")) == 0


def test_a_digit_has_a_length() -> None:
    stream = Stream()
    message = stream.receive("dtmf", dtmf={"digit": "d", "duration": "200"})
    assert message == StreamDigit("D", 200)


@pytest.mark.parametrize("duration", [None, "long", -5, True])
def test_a_digit_of_unknown_length_is_still_a_digit(duration: object) -> None:
    message = Stream().receive("dtmf", dtmf={"digit": 5, "duration": duration})
    assert isinstance(message, StreamDigit)
    assert message.digit == "5"
    assert message.duration_ms <= 1


@pytest.mark.parametrize("dtmf", [None, {}, {"digit": "12"}, {"digit": "x"}])
def test_a_digit_that_is_none_is_counted(dtmf: object) -> None:
    stream = Stream()
    assert stream.receive("dtmf", dtmf=dtmf) is None
    assert stream.drops == {"dtmf_malformed": 1}


def test_stop_is_a_stop() -> None:
    assert Stream().receive("stop", sequenceNumber="999") == StreamStop()


def test_other_messages_are_used_or_counted() -> None:
    stream = Stream()
    stream.receive("connected", protocol="Call", version="0.2.0")
    stream.receive("mark", mark={"name": "m1"})
    stream.receive("clear")
    stream.receive(["media"])
    stream.machine.receive("audio/mulaw")
    assert stream.drops == {
        "mark_ignored": 1,
        "media_event_ignored": 2,
        "media_not_json": 1,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "event",
                    "media",
                    "start",
                    "payload",
                    "track",
                    "mediaFormat",
                    "encoding",
                    "sampleRate",
                    "customParameters",
                    "callSid",
                    "sequenceNumber",
                    "dtmf",
                    "digit",
                    "duration",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "media", "dtmf", "stop", "mark", "x"]), JSON
        )
    )
)
def test_any_json_is_survived(messages: list[tuple[str, object]]) -> None:
    stream = Stream()
    for event, body in messages:
        before = stream.drops.total()
        result = stream.receive(event, **{event: body, "sequenceNumber": body})
        assert result is not None or stream.drops.total() == before + 1
