"""A tap over WebSocket, from the first message to the last."""

import base64
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio import (
    PCMA_8000,
    PCMU_8000,
    AudioFormat,
    Codec,
    Digit,
    Gap,
    GapCause,
    Run,
    SourceChange,
    TrackEvent,
)
from server.codecs.registry import decoder_for
from server.taps.rate_budget import TrackLimits
from server.taps.ws_session import WsSession
from tests.server.codecs.opus_sender import ogg_opus, opus_packets, tone
from tests.server.taps.test_wav_header import fmt, wav

OPUS = AudioFormat(Codec.OPUS, 48000)
L16_LITTLE = AudioFormat(Codec.L16, 8000, 1, "little")


class Tap:
    """A session whose messages come every 20 ms."""

    def __init__(self, expected: AudioFormat | None = None) -> None:
        self.session = WsSession(expected)
        self.now = 50.0

    def text(self, text: str) -> None:
        self.session.receive_text(text, self.now)

    def event(self, event: str, **fields: object) -> None:
        self.text(json.dumps({"event": event, **fields}))

    def media(self, data: bytes, track: str = "inbound", number: int = 0) -> None:
        payload = base64.b64encode(data).decode()
        media = {"track": track, "payload": payload}
        self.now += 0.02
        self.event(
            "media", media=media, **({"sequenceNumber": number} if number else {})
        )

    def send(self, *messages: bytes, every: float = 0.02) -> None:
        for message in messages:
            self.now += every
            self.session.receive_bytes(message, self.now)

    def take(self) -> list[tuple[int, TrackEvent]]:
        return self.session.take(self.now)

    def finish(self, *, pad: bool = False) -> list[tuple[int, TrackEvent]]:
        self.session.finish(self.now, pad=pad)
        return self.take()


def runs(events: Sequence[tuple[int, TrackEvent]], track: int = 0) -> list[Run]:
    return [e for number, e in events if number == track and isinstance(e, Run)]


def audio(events: Sequence[tuple[int, TrackEvent]], track: int = 0) -> bytes:
    return b"".join(p for run in runs(events, track) for p in run.payloads)


def formats(events: Sequence[tuple[int, TrackEvent]]) -> list[AudioFormat]:
    return [run.format for run in runs(events)]


@pytest.mark.parametrize(
    ("expected", "format"),
    [(None, PCMU_8000), (PCMA_8000, PCMA_8000), (OPUS, OPUS)],
)
def test_without_an_announcement_it_is_what_was_asked_for(
    expected: AudioFormat | None, format: AudioFormat
) -> None:
    tap = Tap(expected)
    packet = opus_packets(0.02)[0] if format is OPUS else b"\xff" * 160
    tap.send(packet, packet)
    assert formats(tap.take()) == [format]
    assert tap.session.track_count == 1
    assert tap.session.track_format(0) == format
    assert tap.session.track_started_at(0) == pytest.approx(50.0)
    assert tap.session.last_media_at == tap.now
    assert tap.session.counts(0).received == 2


@pytest.mark.parametrize(
    "text", ['{"content-type":"audio/alaw;rate=16000"}', "audio/pcma;rate=16000"]
)
def test_the_announcement_is_believed(text: str) -> None:
    tap = Tap(PCMU_8000)
    tap.text(text)
    tap.send(b"\xd5" * 320)
    assert formats(tap.take()) == [AudioFormat(Codec.PCMA, 16000)]
    assert not tap.session.drops


def test_text_that_announces_nothing_is_counted_and_waited_over() -> None:
    tap = Tap()
    tap.text("hello")
    tap.text("content-type:audio/alaw")
    tap.send(b"\xd5" * 160)
    assert formats(tap.take()) == [PCMA_8000]
    assert tap.session.drops == {"text_ignored": 1}


def test_audio_that_cannot_be_decoded_is_named_and_not_recorded() -> None:
    tap = Tap()
    tap.text("audio/g722;rate=16000")
    tap.send(bytes(160))
    assert tap.finish() == []
    assert tap.session.unsupported == "audio/g722;rate=16000"
    assert tap.session.drops == {"unsupported_format": 1}
    assert tap.session.track_count == 0


def test_audio_that_describes_itself_needs_no_announcement_that_is_understood() -> None:
    tap = Tap()
    tap.text("audio/wav")
    tap.send(wav(fmt(7, 1, 8000, 8)) + b"audio")
    assert audio(tap.take()) == b"audio"
    assert tap.session.unsupported is None


@pytest.mark.parametrize("text", [None, "audio/ogg"])
def test_ogg_is_recognized_or_announced(text: str | None) -> None:
    tap = Tap()
    if text:
        tap.text(text)
    packets = opus_packets(0.4)
    stream = ogg_opus(packets)
    tap.send(*(stream[at : at + 500] for at in range(0, len(stream), 500)))
    taken = runs(tap.finish())
    assert [p for run in taken for p in run.payloads] == packets
    assert sum(run.length for run in taken) == 960 * len(packets) - 312


def test_ogg_decodes_to_the_tone_without_its_warm_up() -> None:
    tap = Tap()
    tap.send(ogg_opus(opus_packets(1.0)))
    (run,) = runs(tap.take())
    samples = decoder_for(run.format, 48000, 1).decode(run)[:, 0].astype(float)
    sent = tone(1.0)[: len(samples)].astype(float)
    assert np.corrcoef(samples[4800:40000], sent[4800:40000])[0, 1] > 0.99


def test_a_wav_header_before_live_audio_is_stripped() -> None:
    tap = Tap()
    tap.send(wav(fmt(1, 1, 8000, 16)), b"\x01\x00\x02", b"\x00")
    events = tap.take()
    assert audio(events) == b"\x01\x00\x02\x00"
    assert formats(events) == [L16_LITTLE]


def test_l16_is_held_until_its_byte_order_is_known_and_loses_no_time() -> None:
    tap = Tap()
    tap.text("audio/l16;rate=8000")
    data = tone(2.0, rate=8000).astype(">i2").tobytes()
    tap.send(data[:8000], every=0.5)
    assert tap.session.track_count == 0
    assert tap.session.last_media_at == tap.now
    tap.send(data[8000:16000], every=3.0)
    tap.send(*(data[at : at + 320] for at in range(16000, 32000, 320)))
    tap.now += 1.0
    events = tap.take()
    assert {format.byte_order for format in formats(events)} == {"big"}
    assert Gap(4000, 20000, GapCause.SILENCE) in [event for _, event in events]
    assert audio(events) == data


def test_a_later_announcement_changes_the_format_and_keeps_the_track() -> None:
    tap = Tap()
    tap.send(b"\xff" * 160)
    tap.text("content-type:audio/l16;rate=16000")
    tap.send(bytes([1, 0]) * 320)
    tap.text("content-type:audio/mulaw")
    tap.send(b"\xff" * 160)
    assert tap.finish() == [
        (0, Run(0, 160, [b"\xff" * 160], PCMU_8000)),
        (0, SourceChange(160, "format L16 16000 Hz")),
        (
            0,
            Run(
                160,
                160,
                [bytes([1, 0]) * 320],
                AudioFormat(Codec.L16, 16000, 1, "little"),
            ),
        ),
        (0, SourceChange(320, "format PCMU 8000 Hz")),
        (0, Run(320, 160, [b"\xff" * 160], PCMU_8000)),
    ]
    assert tap.session.track_format(0) == PCMU_8000


def test_an_announcement_said_twice_changes_nothing() -> None:
    tap = Tap()
    for _ in range(2):
        tap.text("audio/l16;rate=8000")
        tap.send(b"\x01")
    assert tap.finish()
    assert not tap.session.drops


def test_text_behind_audio_that_is_no_announcement_is_ignored() -> None:
    tap = Tap()
    tap.send(b"\xff" * 160)
    tap.event("media", media={"payload": ""})
    tap.text("hello")
    assert tap.session.drops == {"text_ignored": 2}


def test_half_a_sample_at_a_format_change_is_counted() -> None:
    tap = Tap(AudioFormat(Codec.L16, 8000))
    tap.send(b"\x01\x02\x03")
    tap.text("audio/mulaw")
    assert tap.session.drops == {"odd_tail_bytes": 1}


def test_an_empty_message_is_counted() -> None:
    tap = Tap()
    tap.send(b"")
    assert tap.session.drops == {"empty_message": 1}


def test_a_byte_that_could_begin_json_is_audio() -> None:
    tap = Tap()
    tap.send(b'{"event"', b'{"event": "media"}')
    assert audio(tap.take()) == b'{"event"{"event": "media"}'


def test_a_media_stream_has_its_call_and_two_tracks() -> None:
    tap = Tap()
    tap.event("connected", protocol="Call")
    start = {"callSid": "c-1", "customParameters": {"session": "abc"}}
    tap.event("start", start=start)
    tap.media(b"\xff" * 160)
    tap.media(b"\x7f" * 160, "outbound")
    tap.event("dtmf", dtmf={"digit": "5", "duration": 200})
    tap.event("stop")
    tap.media(b"\xff" * 160)
    events = tap.finish()
    assert events == [
        (0, Run(0, 160, [b"\xff" * 160], PCMU_8000)),
        (0, Digit(160, "5", 1600)),
        (1, Run(0, 160, [b"\x7f" * 160], PCMU_8000)),
    ]
    assert tap.session.call_id == "c-1"
    assert tap.session.custom_parameters == {"session": "abc"}
    assert tap.session.ended == "stop"
    assert tap.session.ended_at == tap.now - 0.02
    assert tap.session.drops == {"after_stop": 1}
    assert tap.session.track_count == 2


def test_a_media_stream_may_come_in_binary_messages() -> None:
    tap = Tap()
    tap.send(b'{"event": "connected"}')
    payload = base64.b64encode(b"\xff" * 160).decode()
    tap.send(json.dumps({"event": "media", "media": {"payload": payload}}).encode())
    tap.send(b"\xff\xfe")
    assert audio(tap.take()) == b"\xff" * 160
    assert tap.session.drops == {"media_not_json": 1}


def test_a_media_stream_keeps_the_format_that_it_states() -> None:
    tap = Tap()
    stated = {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1}
    tap.event("start", start={"mediaFormat": stated})
    tap.media(b"\xd5" * 160)
    assert formats(tap.take()) == [PCMA_8000]


def test_a_media_stream_that_cannot_be_decoded_is_named() -> None:
    tap = Tap()
    tap.event("start", start={"mediaFormat": {"encoding": "audio/g722"}})
    tap.media(bytes(160))
    assert tap.finish() == []
    assert tap.session.unsupported == "audio/g722"
    assert tap.session.drops == {"unsupported_format": 1}


def test_messages_missing_from_a_media_stream_are_counted() -> None:
    tap = Tap()
    tap.event("start", start={"mediaFormat": {"encoding": "audio/x-L16"}})
    tap.media(b"\x01", number=1)
    tap.media(b"\x02", number=4)
    tap.finish()
    assert tap.session.counts(0).lost == 2


def test_a_digit_before_any_audio_has_no_place() -> None:
    tap = Tap()
    tap.event("dtmf", dtmf={"digit": "5"})
    assert tap.session.drops == {"dtmf_before_audio": 1}


def test_a_track_without_usable_audio_is_no_track() -> None:
    tap = Tap()
    tap.event("connected")
    tap.media(b"", "inbound")
    tap.media(b"\xff" * 160, "outbound")
    assert tap.session.track_count == 1
    assert audio(tap.take()) == b"\xff" * 160


def test_a_second_connection_continues_the_track_behind_a_gap() -> None:
    tap = Tap(PCMA_8000)
    tap.text("audio/mulaw")
    tap.send(*[b"\xff" * 160] * 5)
    tap.now += 3.0
    tap.session.reconnected(tap.now)
    tap.text("audio/mulaw")
    tap.send(*[b"\xfe" * 160] * 5)
    tap.now += 1.0
    assert tap.take() == [
        (0, Run(0, 800, [b"\xff" * 160] * 5, PCMU_8000)),
        (0, SourceChange(800, "connection 2")),
        (0, Gap(800, 24000, GapCause.DISCONNECTED)),
        (0, Run(24800, 800, [b"\xfe" * 160] * 5, PCMU_8000)),
    ]


def test_a_second_connection_begins_with_a_new_announcement_or_none() -> None:
    tap = Tap(PCMA_8000)
    tap.text("audio/mulaw")
    tap.send(b"\xff" * 160)
    tap.session.reconnected(tap.now)
    tap.send(b"\xd5" * 160)
    assert formats(tap.take()) == [PCMU_8000, PCMA_8000]


def test_half_a_sample_of_the_old_connection_does_not_meet_the_new() -> None:
    tap = Tap(AudioFormat(Codec.L16, 8000))
    tap.send(b"\x01\x00\x02")
    tap.session.reconnected(tap.now)
    tap.send(b"\x03\x00")
    assert audio(tap.finish()) == b"\x01\x00\x03\x00"
    assert tap.session.drops == {"odd_tail_bytes": 1}


def test_a_media_stream_that_stopped_may_come_back() -> None:
    tap = Tap()
    tap.event("connected")
    tap.media(b"\xff" * 160, "inbound")
    tap.media(b"\xff" * 160, "outbound")
    tap.event("stop")
    tap.session.reconnected(tap.now)
    tap.event("connected")
    tap.media(b"\xfe" * 160, "outbound")
    assert (tap.session.ended, tap.session.ended_at) == (None, None)
    assert audio(tap.take(), 1) == b"\xff" * 160 + b"\xfe" * 160


def test_the_timer_is_that_of_the_pause_to_be_decided_first() -> None:
    tap = Tap()
    tap.event("connected")
    assert tap.session.get_timer() is None
    tap.media(b"\xff" * 160)
    tap.media(b"\xff" * 160, "outbound")
    assert tap.session.get_timer() is None
    tap.now += 2.0
    tap.media(b"\xff" * 160)
    due = tap.session.get_timer()
    assert due == pytest.approx(tap.now + 1.0)
    assert due is not None
    tap.media(b"\xff" * 160, "outbound")
    assert tap.session.get_timer() == due
    tap.session.handle_timer(due)
    assert tap.session.get_timer() == pytest.approx(due + 0.02)


def test_the_end_may_be_padded_and_comes_once() -> None:
    tap = Tap()
    tap.send(b"\xff" * 160)
    tap.now += 2.0
    assert tap.finish(pad=True)[-1] == (0, Gap(160, 16000, GapCause.SILENCE))
    tap.session.finish(tap.now + 9.0, pad=True)
    tap.send(b"\xff" * 160)
    tap.text("audio/mulaw")
    assert tap.take() == []
    assert tap.session.drops == {"after_finish": 2}


def test_limits_are_those_given() -> None:
    session = WsSession(None, limits=TrackLimits(burst_s=0.01))
    session.receive_bytes(bytes(160), 1.0)
    assert session.drops == {"rate_exceeded": 1}


def test_a_configured_byte_order_needs_no_audio_to_be_known() -> None:
    session = WsSession(AudioFormat(Codec.L16, 8000), l16_byte_order="big")
    session.receive_bytes(b"\x01\x02", 1.0)
    assert formats(session.take(1.0)) == [AudioFormat(Codec.L16, 8000)]


TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "audio/mulaw",
            "audio/l16;rate=16000",
            "content-type:audio/opus",
            "audio/ogg",
            "audio/g722",
            '{"event":"connected"}',
            '{"event":"start","start":{"mediaFormat":{"encoding":"audio/x-l16"}}}',
            '{"event":"media","media":{"payload":"//7+/w=="}}',
            '{"event":"media","media":{"track":"outbound","payload":"AAEC"}}',
            '{"event":"dtmf","dtmf":{"digit":"1","duration":100}}',
            '{"event":"stop"}',
        ]
    ),
)
MESSAGES = st.one_of(
    TEXTS,
    st.binary(max_size=400),
    st.sampled_from(
        [
            b"\xff" * 160,
            bytes(3200),
            ogg_opus([b"\xf8", b"\xf8"]),
            wav(fmt(1, 2, 16000, 16)),
            b"OggS",
            b"RIFF",
            b'{"event":"connected"}',
        ]
    ),
    st.none(),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(MESSAGES, st.floats(0.0, 2.0)), max_size=30),
    st.sampled_from([None, PCMA_8000, OPUS, AudioFormat(Codec.L16, 16000, 2)]),
    st.booleans(),
)
def test_whatever_comes_positions_follow_each_other_from_zero(
    messages: list[tuple[str | bytes | None, float]],
    expected: AudioFormat | None,
    pad: bool,
) -> None:
    """None stands for a new connection."""
    tap = Tap(expected)
    events: list[tuple[int, TrackEvent]] = []
    for message, elapsed in messages:
        tap.now += elapsed
        if message is None:
            tap.session.reconnected(tap.now)
        elif isinstance(message, str):
            tap.text(message)
        else:
            tap.send(message)
        events += tap.take()
    events += tap.finish(pad=pad)
    for track in range(tap.session.track_count):
        position = 0
        for number, event in events:
            if number != track:
                continue
            assert event.start == position
            if isinstance(event, Run | Gap):
                assert event.length > 0
                position += event.length
    assert {number for number, _ in events} <= set(range(tap.session.track_count))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=30))
def test_every_byte_of_g711_is_kept_in_order(messages: list[bytes]) -> None:
    tap = Tap()
    tap.text("audio/mulaw")
    tap.send(b"\xff" * 16, *messages)
    assert audio(tap.finish()) == b"\xff" * 16 + b"".join(messages)


@settings(max_examples=100, deadline=None)
@given(MESSAGES.filter(lambda message: message is not None))
def test_a_first_message_is_used_or_counted(message: str | bytes) -> None:
    tap = Tap()
    if isinstance(message, str):
        tap.text(message)
        tap.send(b"\xff" * 16)
    else:
        tap.send(message, b"{}")
    tap.session.finish(tap.now, pad=False)
    assert tap.take() or tap.session.drops or tap.session.ended
