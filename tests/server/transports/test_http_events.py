"""The event stream over HTTP: what is refused, how it ends, who is cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse

from server.events.hub import MAX_LISTENERS
from server.events.wanted import Wanted
from server.transports import http_events
from tests.e2e.rig import until
from tests.server.transports.http_fakes import TOKEN, Deck, problem, running

PATH = "/api/v1/events"


@pytest.fixture
async def deck(tmp_path: Path) -> AsyncIterator[Deck]:
    async with running(tmp_path) as deck:
        yield deck


async def blocks(response: ClientResponse, count: int) -> list[bytes]:
    """Return the next blocks of a stream."""
    async with asyncio.timeout(20):
        return [await response.content.readuntil(b"\n\n") for _ in range(count)]


async def test_it_begins_with_a_snapshot_and_goes_on(deck: Deck) -> None:
    response = await deck.client.get(PATH)
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    retry, snapshot = await blocks(response, 2)
    assert retry == b"retry: 2000\n\n"
    assert snapshot.startswith(b"id: run-0\nevent: snapshot\ndata: {")
    deck.events.publish("tap.began", "a", '{"a": 1}')
    assert await blocks(response, 1) == [
        b'id: run-1\nevent: tap.began\ndata: {"a": 1}\n\n'
    ]


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?last_event_id=run-1", {}),
        ("", {"Last-Event-ID": "run-1"}),
        ("?last_event_id=run-0", {"Last-Event-ID": "run-1"}),
    ],
)
async def test_it_goes_on_behind_an_event_that_is_named(
    deck: Deck, query: str, headers: dict[str, str]
) -> None:
    deck.events.publish("tap.began", "a", "1")
    deck.events.publish("tap.began", "a", "2")
    response = await deck.client.get(PATH + query, headers=headers)
    _, second = await blocks(response, 2)
    assert second == b"id: run-2\nevent: tap.began\ndata: 2\n\n"


async def test_only_what_is_asked_for_is_told(deck: Deck) -> None:
    query = "?types=recording,tap.ended&control_id=a,b&levels=1"
    response = await deck.client.get(PATH + query)
    await blocks(response, 2)
    deck.events.publish("tap.began", "a", "1")
    deck.events.publish("tap.ended", "c", "2")
    deck.events.pass_by("tap.progress", "a", "3")
    deck.events.pass_by("levels", "b", "4")
    deck.events.publish("recording.began", "b", "5")
    told = b"".join(await blocks(response, 2))
    assert b"data: 4\n" in told
    assert b"data: 5\n" in told
    assert told.count(b"data") == 2


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("types=tapes", "types"),
        ("types=tap,", "types"),
        ("types=levels", "types"),
        ("levels=yes", "levels"),
        ("progress=2", "progress"),
        ("control_id=a,,b", "control_id"),
        ("control_id=" + ",".join(map(str, range(101))), "control_id"),
        ("control_id=" + "x" * 300, "control_id"),
        ("control_id=a&control_id=b", "control_id"),
        ("colour=red", "colour"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    deck: Deck, query: str, field: str
) -> None:
    response = await deck.client.get(f"{PATH}?{query}")
    assert response.status == 400
    assert (await problem(response))["field"] == field


async def test_asking_for_the_head_alone_is_no_listening(deck: Deck) -> None:
    assert (await deck.client.head(PATH)).status == 405
    assert deck.events.listeners == 0


async def test_only_those_with_the_token_listen(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as deck:
        refused = await deck.client.get(PATH)
        assert refused.status == 401
        assert deck.events.listeners == 0
        headers = {"Authorization": f"Bearer {TOKEN}"}
        taken = await deck.client.get(PATH, headers=headers)
        await blocks(taken, 2)
        assert deck.events.listeners == 1


async def test_there_is_room_for_so_many(deck: Deck) -> None:
    for _ in range(MAX_LISTENERS):
        deck.events.join(Wanted(), "", lambda: None)
    response = await deck.client.get(PATH)
    assert response.status == 503
    assert str(MAX_LISTENERS) in (await problem(response))["detail"]


async def test_one_that_goes_is_let_go(deck: Deck) -> None:
    response = await deck.client.get(PATH)
    await blocks(response, 2)
    assert deck.events.listeners == 1
    response.close()
    await until(lambda: deck.events.listeners == 0)


async def test_it_ends_in_order_when_the_server_does(deck: Deck) -> None:
    response = await deck.client.get(PATH)
    await blocks(response, 2)
    deck.events.publish("tap.ended", "a", "{}")
    deck.events.close()
    async with asyncio.timeout(20):
        # A stream that was only cut would be an error.
        rest = await response.content.read()
    assert rest == b"id: run-1\nevent: tap.ended\ndata: {}\n\n"


async def test_an_idle_stream_is_kept_alive(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_events, "KEEPALIVE_S", 0.1)
    monkeypatch.setattr(http_events, "LOOK_S", 0.05)
    response = await deck.client.get(PATH + "?types=recording")
    await blocks(response, 2)
    deck.events.publish("tap.began", "a", "{}")
    async with asyncio.timeout(20):
        while (await blocks(response, 1)) != [b": alive\nid: run-1\n\n"]:
            pass


async def test_one_that_does_not_read_is_cut(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_events, "WRITE_TIMEOUT_S", 0.2)
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(link, ("127.0.0.1", deck.client.port))
        request = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await loop.sock_sendall(link, request.encode())
        await until(lambda: deck.events.listeners == 1)
        for _ in range(300):
            deck.events.publish("forward.reply", "a", "x" * 20_000)
        await until(lambda: deck.events.listeners == 0)
        received = b""
        async with asyncio.timeout(20):
            while data := await loop.sock_recv(link, 1 << 20):
                received += data
    assert len(received) < 300 * 20_000
    # The last chunk, which says that it is complete, is not there.
    assert not received.endswith(b"0\r\n\r\n")
