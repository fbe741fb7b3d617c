"""Who says nothing, or comes too often and shows nothing, is not kept waiting for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiohttp import web

from server.addresses import ListenAddress
from server.errors import StartupError
from server.transports import http_connections
from server.transports.http_connections import ConnectionGuard
from server.transports.http_listener import HttpListener
from tests.e2e.rig import until

REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
TRUSTED = b"GET /trusted HTTP/1.1\r\nHost: localhost\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def listening(guard: ConnectionGuard) -> AsyncIterator[HttpListener]:
    async def hello(request: web.Request) -> web.Response:
        if request.path == "/trusted":
            guard.trust(request)
        return web.Response(text="hello")

    app = web.Application(middlewares=[guard.note])
    app.add_routes([web.get("/hello", hello), web.get("/trusted", hello)])
    listener = HttpListener(app, ListenAddress("127.0.0.1", 0), guard)
    await listener.open()
    try:
        async with asyncio.timeout(20):
            yield listener
    finally:
        await listener.close()


async def connect(listener: HttpListener, said: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(said)
    return reader, writer


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(len("hello"))
    return head.splitlines()[0]


async def is_cut(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionResetError:
        return True


def pretend_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connections, "network_of_peer", lambda _: "192.0.2.1")


@pytest.mark.parametrize("said", [b"", b"GET /tap/x HTTP/1.1\r\nHost: a\r\n"])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_without_a_request_is_cut_in_time(
    run: object, said: bytes
) -> None:
    async def body() -> None:
        guard = ConnectionGuard(head_timeout=0.1)
        async with listening(guard) as listener:
            reader, writer = await connect(listener, said)
            assert await is_cut(reader)
            writer.close()
        assert guard.drops == {"http_no_request": 1}
        assert guard.strangers == 0

    assert callable(run)
    run(body())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_who_has_asked_may_stay_for_the_next_request(run: object) -> None:
    async def body() -> None:
        guard = ConnectionGuard(head_timeout=0.05)
        async with listening(guard) as listener:
            reader, writer = await connect(listener, REQUEST)
            assert b"200" in await answer(reader)
            other, second = await connect(listener)
            assert await is_cut(other)
            writer.write(REQUEST)
            assert b"200" in await answer(reader)
            writer.close()
            second.close()
            await until(lambda: guard.strangers == 0)
        assert guard.drops == {"http_no_request": 1}

    assert callable(run)
    run(body())


async def test_one_address_may_have_only_so_many_connections_that_show_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_elsewhere(monkeypatch)
    guard = ConnectionGuard(max_strangers=2)
    async with listening(guard) as listener:
        kept = [await connect(listener, REQUEST) for _ in range(2)]
        for reader, _ in kept:
            assert b"200" in await answer(reader)
        refused, refused_writer = await connect(listener, REQUEST)
        assert await is_cut(refused)
        assert guard.drops == {"http_too_many_connections": 1}

        kept[0][1].write(TRUSTED)
        await answer(kept[0][0])
        more = await connect(listener, REQUEST)
        assert b"200" in await answer(more[0])
        for writer in (refused_writer, more[1], kept[0][1], kept[1][1]):
            writer.close()


async def test_a_connection_that_is_gone_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_elsewhere(monkeypatch)
    guard = ConnectionGuard(max_strangers=1)
    async with listening(guard) as listener:
        for _ in range(5):
            reader, writer = await connect(
                listener, REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            assert b"200" in await answer(reader)
            assert await is_cut(reader)
            writer.close()
    assert not guard.drops


async def test_this_machine_may_have_any_number() -> None:
    guard = ConnectionGuard(max_strangers=1)
    async with listening(guard) as listener:
        all_of_them = [await connect(listener, REQUEST) for _ in range(4)]
        for reader, writer in all_of_them:
            assert b"200" in await answer(reader)
            writer.close()


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        (("192.0.2.7", 5), "192.0.2.7"),
        (("127.0.0.1", 5), ""),
        (("::1", 5, 0, 0), ""),
        (("::ffff:127.0.0.1", 5, 0, 0), ""),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7"),
        (("2001:db8::7", 5, 0, 0), "2001:db8::/64"),
        (("fe80::1%eth0", 5, 0, 3), "fe80::/64"),
        (None, ""),
        ("", ""),
    ],
)
def test_addresses_of_one_network_count_together(peer: object, network: str) -> None:
    transport = asyncio.BaseTransport(extra={"peername": peer})
    assert http_connections.network_of_peer(transport) == network


async def test_an_address_that_is_taken_is_named() -> None:
    async with listening(ConnectionGuard()) as listener:
        taken = ListenAddress("127.0.0.1", listener.port)
        second = HttpListener(web.Application(), taken, ConnectionGuard())
        with pytest.raises(StartupError, match="cannot listen on 127"):
            await second.open()
        await second.close()
