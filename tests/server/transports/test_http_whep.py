"""WHEP over HTTP: what is answered, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.transports.http_whep import MAX_OFFER_BYTES
from tests.server.transports.http_fakes import TOKEN, Deck, problem, running, tap
from tests.server.webrtc.test_offer import AUDIO, sdp

PATH = "/api/v1/taps/tap-1/whep"
HEADERS = {"Content-Type": "application/sdp"}
OFFER = sdp(*AUDIO)


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path) as deck:
        deck.taps.live = [tap()]
        yield deck


@pytest.mark.parametrize(
    ("query", "layout"),
    [("", "mixed"), ("?channels=mixed", "mixed"), ("?channels=stereo", "stereo")],
)
async def test_an_offer_is_answered_with_a_resource_that_can_be_deleted(
    deck: Deck, query: str, layout: str
) -> None:
    response = await deck.client.post(PATH + query, data=OFFER, headers=HEADERS)
    assert response.status == 201
    assert response.content_type == "application/sdp"
    assert (await response.text()).startswith(layout)
    location = response.headers["Location"]
    assert location == f"{PATH}/listener-1"
    assert (await deck.client.delete(location)).status == 200


@pytest.mark.parametrize(
    ("path", "data", "media_type", "status"),
    [
        (PATH, OFFER, "application/json", 415),
        (PATH, b"v=0", "application/sdp", 400),
        (PATH, b"\xff", "application/sdp", 400),
        (PATH, OFFER + b"a" * MAX_OFFER_BYTES, "application/sdp", 413),
        (PATH + "?channels=left", OFFER, "application/sdp", 400),
        (PATH + "?rate=8000", OFFER, "application/sdp", 400),
        ("/api/v1/taps/tap-2/whep", OFFER, "application/sdp", 404),
    ],
)
async def test_what_cannot_be_is_refused(
    deck: Deck, path: str, data: bytes, media_type: str, status: int
) -> None:
    headers = {"Content-Type": media_type}
    response = await deck.client.post(path, data=data, headers=headers)
    assert response.status == status
    await problem(response)


async def test_what_may_be_posted_is_told(deck: Deck) -> None:
    response = await deck.client.options(PATH)
    assert response.status == 204
    assert response.headers["Accept-Post"] == "application/sdp"


async def test_nothing_is_trickled_and_nothing_got(deck: Deck) -> None:
    for method in ("PATCH", "GET", "PUT"):
        for path in (PATH, PATH + "/listener-1"):
            response = await deck.client.request(method, path)
            assert response.status == 405
            assert response.headers["Allow"]


async def test_a_listener_that_is_not_there_is_not_found(deck: Deck) -> None:
    assert (await deck.client.delete(PATH + "/other")).status == 404


async def test_without_the_token_nobody_listens(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        deck.taps.live = [tap()]
        response = await deck.client.post(PATH, data=OFFER, headers=HEADERS)
        assert response.status == 401
        signed = {**HEADERS, "Authorization": f"Bearer {TOKEN}"}
        response = await deck.client.post(PATH, data=OFFER, headers=signed)
        assert response.status == 201
