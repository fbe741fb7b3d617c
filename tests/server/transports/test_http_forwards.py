"""Forwards over the API: what is refused, and by which name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.forwards.request import (
    RtpForwardRequest,
    WantedFormat,
    WebSocketForwardRequest,
)
from tests.server.transports.http_fakes import Deck, problem, running, tap

PATH = "/api/v1/taps/tap-1/forwards"


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path) as deck:
        deck.taps.live = [tap()]
        yield deck


async def test_a_forward_is_begun_and_shows_no_secret(deck: Deck) -> None:
    url = "wss://user:secret@stt.example.com:444/listen?key=secret"
    response = await deck.client.post(
        PATH, json={"url": url, "headers": {"Authorization": "secret"}}
    )
    text = await response.text()
    assert response.status == 201
    assert "secret" not in text
    assert "wss://stt.example.com:444/***" in text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "https://example.com"}, "url"),
        ({"url": "ws://"}, "url"),
        ({"url": "ws://example.com:99999"}, "url"),
        ({"framing": "other"}, "framing"),
        ({"policy": "wait"}, "policy"),
        ({"buffer_ms": 1}, "buffer_ms"),
        ({"format": {"codec": "G729"}}, "format.codec"),
        ({"format": {"codec": "L16", "sample_rate": 44_100}}, "format.sample_rate"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"headers": {"a": "b\r\nc: d"}}, "headers"),
        ({"subprotocol": "a b"}, "subprotocol"),
        ({"first_message": "{}"}, ""),
        (
            {"framing": "media-streams", "format": {"codec": "L16", "channels": 2}},
            "",
        ),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    deck: Deck, changes: dict[str, Any], field: str
) -> None:
    body = {"url": "ws://example.com/secret"} | changes
    response = await deck.client.post(PATH, json=body)
    assert response.status == 400
    document = await problem(response)
    assert document.get("field", "") == field
    assert "secret" not in str(document)


async def test_a_forward_over_rtp_is_begun(deck: Deck) -> None:
    body = {"type": "rtp", "host": "2001:db8::1", "port": 5004, "ptime": 40}
    response = await deck.client.post(PATH, json=body)
    document = await response.json()
    assert response.status == 201
    assert (document["type"], document["framing"]) == ("rtp", "rtp")
    assert document["url"] == "rtp://[2001:db8::1]:5004"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": "a/b"}, "host"),
        ({"port": 0}, "port"),
        ({"payload_type": 200}, "payload_type"),
        ({"format": {"codec": "G729"}}, "format.codec"),
        ({"replay_s": 2}, "replay_s"),
        ({"type": "webrtc"}, "type"),
    ],
)
async def test_what_rtp_cannot_be_is_refused_by_name(
    deck: Deck, changes: dict[str, Any], field: str
) -> None:
    body = {"type": "rtp", "host": "198.51.100.7", "port": 5004} | changes
    response = await deck.client.post(PATH, json=body)
    assert response.status == 400
    assert (await problem(response))["field"] == field


async def test_every_field_of_a_request_is_described(deck: Deck) -> None:
    document = await (await deck.client.get("/api/v1/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for name, model in (
        ("StartWebSocketForward", WebSocketForwardRequest),
        ("StartRtpForward", RtpForwardRequest),
        ("WantedFormat", WantedFormat),
    ):
        described = schemas[name]
        assert set(described["properties"]) == set(model.model_fields)
        assert set(described["required"]) == {
            field for field, each in model.model_fields.items() if each.is_required()
        }


async def test_a_body_that_is_no_json_is_refused(deck: Deck) -> None:
    response = await deck.client.post(
        PATH, data=b"{", headers={"Content-Type": "application/json"}
    )
    assert response.status == 400


async def test_what_is_not_there_is_not_found(deck: Deck) -> None:
    other = "/api/v1/taps/tap-2"
    body = {"url": "ws://example.com"}
    assert (await deck.client.post(other + "/forwards", json=body)).status == 404
    assert (await deck.client.get(other + "/audio")).status == 404
    assert (await deck.client.delete(PATH + "/other")).status == 404
    assert (await deck.client.delete(PATH + "/forward-1")).status == 204
