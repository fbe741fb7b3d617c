"""Messages of each framing: what is announced, and every sample of what follows."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from server.audio import OPUS_RATE, AudioFormat, Codec, opus_samples
from server.codecs.l16 import decode_l16
from server.codecs.opus import OpusDecoder
from server.forwards.buffer import Piece
from server.forwards.framing import Framing, Message
from server.forwards.request import WebSocketForwardRequest
from tests.server.codecs.opus_sender import opus_packets
from tests.server.forwards.pieces import g711_piece, opus_piece, piece_of, tone_at


def framing(**fields: Any) -> Framing:
    return Framing(
        WebSocketForwardRequest.model_validate({"url": "ws://example.com"} | fields)
    )


def messages(machine: Framing, pieces: Iterable[Piece]) -> list[Message]:
    sent = machine.opening()
    for piece in pieces:
        sent += machine.messages(piece)
    return [*sent, *machine.closing()]


def audio(sent: Iterable[Message]) -> list[bytes]:
    return [each for each in sent if isinstance(each, bytes)]


def media(sent: Iterable[Message]) -> list[dict[str, Any]]:
    found = [json.loads(each) for each in sent if isinstance(each, str)]
    return [each["media"] for each in found if each["event"] == "media"]


def test_as_a_tap_payloads_are_passed_on_and_a_gap_is_silence() -> None:
    pieces = [g711_piece(b"a" * 160, 0), g711_piece(b"b" * 160, 160 + 100)]
    announced, *sent = messages(framing(), pieces)
    assert announced == '{"content-type": "audio/mulaw;rate=8000"}'
    assert audio(sent) == [b"a" * 160, b"\xff" * 100, b"b" * 160]


def test_silence_has_the_length_that_it_has_at_the_other_rate() -> None:
    l16 = AudioFormat(Codec.L16, 16_000, 1, "little")
    first = piece_of(tone_at(0, 160, 8000), 0, 8000, l16)
    second = piece_of(tone_at(0, 160, 8000), 320, 8000, l16)
    sent = audio(messages(framing(), [first, second]))
    assert sent[1:2] == [bytes(2 * 320)]


def test_what_comes_in_another_format_becomes_what_was_announced() -> None:
    pieces = [g711_piece(b"a" * 160, 0)]
    pieces.append(piece_of(tone_at(160, 160, 8000), 160, 8000, AudioFormat(Codec.PCMA)))
    sent = messages(framing(framing="media-streams"), pieces)
    assert [len(base64.b64decode(each["payload"])) for each in media(sent)] == [160] * 2


def test_a_tap_announces_another_format_anew() -> None:
    pieces = [g711_piece(b"a" * 160, 0)]
    pieces.append(piece_of(tone_at(160, 160, 8000), 160, 8000, AudioFormat(Codec.PCMA)))
    sent = messages(framing(), pieces)
    assert [each for each in sent if isinstance(each, str)] == [
        '{"content-type": "audio/mulaw;rate=8000"}',
        '{"content-type": "audio/alaw;rate=8000"}',
    ]


@pytest.mark.parametrize("kind", ["tap", "raw", "media-streams"])
@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
def test_opus_is_a_packet_in_each_message(kind: str, rate: int) -> None:
    chance, at, pieces = random.Random(rate), 0, []
    while at < 16_000:
        size = chance.randint(1, 700)
        # Of what is lost nothing may be missing in a stream without timestamps.
        if not 6000 < at < 8000:
            pieces.append(piece_of(tone_at(at, size, 8000), at, 8000))
        at += size
    machine = framing(framing=kind, format={"codec": "OPUS", "sample_rate": rate})
    assert machine.is_heavy
    sent = messages(machine, pieces)
    packets = audio(sent)
    if kind == "media-streams":
        packets = [base64.b64decode(each["payload"]) for each in media(sent)]
        assert [each["timestamp"] for each in media(sent)] == [
            str(20 * n) for n in range(len(packets))
        ]
    assert {opus_samples(packet) for packet in packets} == {960}
    heard = OpusDecoder(1).decode(packets)[312:, 0].astype(float)
    assert 6 * at <= len(heard) < 6 * at + 2 * 960
    expected = tone_at(0, 6 * 16_000, OPUS_RATE)[:, 0]
    for inside in (slice(4800, 6 * 5000), slice(6 * 9500, 6 * 15_500)):
        assert np.corrcoef(heard[inside], expected[inside])[0, 1] > 0.98


def test_opus_is_announced_at_its_own_rate() -> None:
    wanted = {"codec": "OPUS", "sample_rate": 8000, "channels": 2}
    machine = framing(format=wanted)
    first, *_ = messages(machine, [piece_of(tone_at(0, 800, 8000), 0, 8000)])
    assert first == '{"content-type": "audio/opus;rate=48000;channels=2"}'


def test_opus_as_received_is_passed_on_packet_by_packet() -> None:
    packets = opus_packets(0.1)
    piece = opus_piece(packets, 0, np.zeros((960 * len(packets), 1), np.int16))
    machine = framing(framing="raw")
    assert not machine.is_heavy
    assert audio(messages(machine, [piece])) == packets


def test_opus_and_then_something_else_is_opus_to_the_end() -> None:
    packets = opus_packets(0.04)
    pieces = [opus_piece(packets[:2], 0, np.zeros((1920, 1), np.int16))]
    pieces.append(piece_of(tone_at(1920, 4800, OPUS_RATE), 1920, OPUS_RATE))
    sent = audio(messages(framing(framing="raw"), pieces))
    assert sent[:2] == packets[:2]
    assert sum(map(opus_samples, sent)) >= 1920 + 4800
    assert np.abs(OpusDecoder(1).decode(sent[2:])).max() > 4000


def test_blocks_of_any_size_give_messages_of_20_ms() -> None:
    wanted = {"codec": "L16", "sample_rate": 16_000}
    pieces = [piece_of(tone_at(at, 777, 8000), at, 8000) for at in range(0, 7770, 777)]
    sent = audio(messages(framing(framing="raw", format=wanted), pieces))
    assert max(map(len, sent)) == 640
    heard = decode_l16(b"".join(sent), "little")
    expected = tone_at(0, 2 * 7770, 16_000)[:, 0].astype(int)
    assert len(heard) == len(expected)
    assert np.abs(heard[200:-200] - expected[200:-200]).max() < 20
