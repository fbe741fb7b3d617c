import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import AudioFormat, Codec
from server.taps.ws_format import (
    Preamble,
    PreambleKind,
    format_named,
    load_object,
    parse_preamble,
    printable,
)


def format_in(text: str) -> AudioFormat | None:
    preamble = parse_preamble(text)
    assert preamble is not None
    assert preamble.kind is PreambleKind.CODEC
    return preamble.format


@pytest.mark.parametrize(
    "text",
    [
        '{"content-type":"audio/mulaw;rate=8000"}',
        '{"contentType": "audio/mulaw; rate=8000"}',
        '{"Content-Type":"audio/x-mulaw;rate=8000"}',
        '{"format":"audio/mulaw"}',
        '{"format":"mulaw"}',
        '  {"v": 1, "content-type":"AUDIO/MULAW"}\r\n',
        "content-type:audio/mulaw;rate=8000",
        "Content-Type: audio/mulaw; rate = 8000",
        "CONTENT-TYPE=audio/mulaw",
        "content-type: pcmu",
        "audio/mulaw;rate=8000",
        "audio/mulaw",
    ],
)
def test_every_way_to_announce_mulaw(text: str) -> None:
    assert format_in(text) == AudioFormat(Codec.PCMU, 8000)


@pytest.mark.parametrize(
    ("names", "codec"),
    [
        ("mulaw x-mulaw basic pcmu PCMU ulaw g711u", Codec.PCMU),
        ("alaw x-alaw pcma", Codec.PCMA),
        ("l16 x-l16 L16 pcm raw", Codec.L16),
    ],
)
def test_every_name_of_a_codec(names: str, codec: Codec) -> None:
    formats = {format_in(f"audio/{name};rate=16000") for name in names.split()}
    assert formats == {AudioFormat(codec, 16000)}


def test_channels_are_taken_from_the_media_type() -> None:
    announced = format_in("audio/l16;rate=44100;channels=2")
    assert announced == AudioFormat(Codec.L16, 44100, 2)


def test_opus_is_48_khz_whatever_is_said() -> None:
    assert format_in("audio/opus;rate=8000") == AudioFormat(Codec.OPUS, 48000)


def test_ogg_is_a_stream_of_opus() -> None:
    preamble = parse_preamble("audio/ogg")
    opus = AudioFormat(Codec.OPUS, 48000)
    assert preamble == Preamble(PreambleKind.OGG, opus, "audio/ogg")


def test_json_with_an_event_begins_a_media_stream() -> None:
    preamble = parse_preamble('{"event":"connected","format":"mulaw"}')
    assert preamble == Preamble(PreambleKind.MEDIA_STREAM)


@pytest.mark.parametrize(
    "text",
    [
        "audio/g722",
        "audio/l16;rate=1",
        "audio/l16;rate=999999999",
        "audio/l16;rate=8000;channels=9",
        "audio/l16;channels=0",
        '{"format":"G729"}',
    ],
)
def test_audio_that_cannot_be_decoded_is_named_and_not_guessed(text: str) -> None:
    preamble = parse_preamble(text)
    assert preamble is not None
    assert preamble.kind is PreambleKind.UNSUPPORTED
    assert preamble.stated in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "mulaw",
        "content-type: ",
        "{}",
        "{",
        '{"content-type": 3}',
        '{"event": 3}',
        '{"other": "audio/mulaw"}',
        "[1]",
        '{"a":' * 100_000,
    ],
)
def test_anything_else_announces_nothing(text: str) -> None:
    assert parse_preamble(text) is None


def test_a_rate_with_more_digits_than_any_rate_is_not_read() -> None:
    assert format_in("audio/mulaw;rate=" + "8" * 5000) == AudioFormat(Codec.PCMU, 8000)


@given(st.text(max_size=100))
def test_any_text_is_survived(text: str) -> None:
    for candidate in (text, f"content-type:{text}", json.dumps({"format": text})):
        preamble = parse_preamble(candidate)
        assert preamble is None or preamble.stated.isprintable()


def test_an_unknown_name_has_no_format() -> None:
    assert format_named("g722", 8000, 1) is None


def test_only_objects_are_loaded() -> None:
    assert load_object('{"a": 1}') == {"a": 1}
    assert load_object("[]") is None


def test_what_a_sender_says_is_made_printable() -> None:
    assert printable("a\x1b[31m\n\ud800b" + "c" * 99, 10) == "a[31mbc"
