"""What may be asked for, and what each kind of forward takes where nothing is said."""

from __future__ import annotations

from typing import Any

import pytest

from server.audio import AudioFormat, Codec
from server.forwards.request import (
    ForwardRequestError,
    RtpForwardRequest,
    WantedFormat,
    WebSocketForwardRequest,
    parse_request,
)

RTP: dict[str, Any] = {"type": "rtp", "host": "198.51.100.7", "port": 5004}


def test_without_a_type_it_is_a_websocket() -> None:
    url = "wss://example.com/a"
    assert parse_request({"url": url}) == parse_request(
        {"url": url, "type": "websocket"}
    )
    assert isinstance(parse_request({"url": url}), WebSocketForwardRequest)


def test_one_that_was_read_can_be_read_again() -> None:
    request = parse_request(RTP)
    assert parse_request(request) is request


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("198.51.100.7", "rtp://198.51.100.7:5004"),
        ("2001:db8::1", "rtp://[2001:db8::1]:5004"),
        ("media.example.com", "rtp://media.example.com:5004"),
    ],
)
def test_an_rtp_address_is_shown_as_a_whole(host: str, shown: str) -> None:
    request = parse_request(RTP | {"host": host})
    assert isinstance(request, RtpForwardRequest)
    assert (request.shown_url, request.framing, request.host) == (shown, "rtp", host)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "webrtc"}, "type"),
        ({"type": ["rtp"]}, "type"),
        ({"host": "a b"}, "host"),
        ({"host": "rtp://example.com"}, "host"),
        ({"host": ""}, "host"),
        ({"host": "-a"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"payload_type": 128}, "payload_type"),
        ({"payload_type": 72}, ""),
        ({"ptime": 25}, "ptime"),
        ({"ptime": 30, "format": {"codec": "OPUS"}}, ""),
        ({"rtcp": "next_port", "port": 65_535}, ""),
        ({"rtcp": "on"}, "rtcp"),
        ({"format": {"codec": "G722"}}, "format.codec"),
        ({"format": {"codec": "OPUS", "sample_rate": 44_100}}, "format.sample_rate"),
        ({"replay_s": 1}, "replay_s"),
        ({"url": "wss://example.com"}, "url"),
    ],
)
def test_what_cannot_be_sent_to_is_refused_by_name(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(ForwardRequestError) as refused:
        parse_request(RTP | changes)
    assert refused.value.field == field
    assert refused.value.sentence


@pytest.mark.parametrize("document", [None, [], "rtp", 7])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(ForwardRequestError):
        parse_request(document)


@pytest.mark.parametrize(
    ("wanted", "over_websocket", "over_rtp", "encoded_rate"),
    [
        ({"codec": "PCMU"}, *[AudioFormat(Codec.PCMU)] * 2, 8000),
        (
            {"codec": "L16"},
            AudioFormat(Codec.L16, 8000, 1, "little"),
            AudioFormat(Codec.L16, 8000, 1, "big"),
            8000,
        ),
        (
            {"codec": "L16", "byte_order": "little", "sample_rate": 24_000},
            *[AudioFormat(Codec.L16, 24_000, 1, "little")] * 2,
            24_000,
        ),
        ({"codec": "OPUS"}, *[AudioFormat(Codec.OPUS, 48_000)] * 2, 48_000),
        (
            {"codec": "OPUS", "sample_rate": 16_000, "channels": 2},
            *[AudioFormat(Codec.OPUS, 48_000, 2)] * 2,
            16_000,
        ),
    ],
)
def test_formats_are_those_that_each_destination_expects(
    wanted: dict[str, Any],
    over_websocket: AudioFormat,
    over_rtp: AudioFormat,
    encoded_rate: int,
) -> None:
    wanted_format = WantedFormat.model_validate(wanted)
    assert wanted_format.audio_format() == over_websocket
    assert wanted_format.audio_format("big") == over_rtp
    assert wanted_format.encoded_rate == encoded_rate
