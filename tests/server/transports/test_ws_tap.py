"""The endpoint for taps, spoken to over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
import uvloop
from aiohttp import web

from server.audio import PCMU_8000, Run
from server.rtp.demux import RtpDemux
from server.taps.announcement import Announcement, RendezvousOptions
from server.taps.limits import TapLimits
from server.taps.rendezvous import Rendezvous
from server.taps.tap import (
    EndReason,
    Tap,
    TapDirection,
    TapOrigin,
    Transport,
)
from server.taps.tokens import TokenSigner
from server.taps.ws_session import WsSession
from server.transports.ws_connection import BURST, BYTES_PER_S, TapConnection
from server.transports.ws_tap import TapEndpoint
from tests.server.taps.ws_client import closing, masked

MAX_MESSAGE = 100_000


class Peer:
    """The platform's side of one connection, byte by byte."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))
        async with asyncio.timeout(10):
            await self.writer.drain()

    async def receive(self, size: int) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.readexactly(size)

    async def receive_rest(self) -> bytes:
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        async with asyncio.timeout(10):
            await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


@dataclass
class Endpoint:
    """A listening endpoint and the taps that it serves."""

    rendezvous: Rendezvous
    endpoint: TapEndpoint
    port: int

    def announce(self) -> Tap:
        announcement = Announcement(
            transport=Transport.WS,
            direction=TapDirection.BOTH,
            origin=TapOrigin.RELAY,
            expected=PCMU_8000,
        )
        return self.rendezvous.announce(announcement, now=now(), wall=1000.0)

    async def connect(self, tap: Tap, *, early: bytes = b"") -> Peer:
        """Open a connection for `tap`; `early` goes out before the answer is there."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            f"GET /tap/{tap.token} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            + early
        )
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        # RFC 6455 section 1.3 gives the answer to this key.
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert b"extensions" not in head.lower()
        return Peer(reader, writer)


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def serving() -> AsyncIterator[Endpoint]:
    numbers = itertools.count()
    rendezvous = Rendezvous(
        signer=TokenSigner(b"secret of a test"),
        demux=RtpDemux(accept_unknown=False),
        limits=TapLimits(),
        options=RendezvousOptions(expected=PCMU_8000),
        new_id=lambda: f"tap-{next(numbers)}",
    )
    endpoint = TapEndpoint(
        rendezvous, max_message_bytes=MAX_MESSAGE, now=now, wall=lambda: 1000.0
    )
    app = web.Application()
    app.add_routes(endpoint.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Endpoint(rendezvous, endpoint, runner.addresses[0][1])
    finally:
        await endpoint.close()
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        for _ in itertools.count():
            if condition():
                return
            await asyncio.sleep(0.005)


def session_of(tap: Tap) -> WsSession:
    assert isinstance(tap.session, WsSession)
    return tap.session


def audio(tap: Tap) -> bytes:
    return b"".join(
        payload
        for _, event in tap.session.take(now())
        if isinstance(event, Run)
        for payload in event.payloads
    )


async def audio_of(tap: Tap, length: int) -> bytes:
    """Wait until so many bytes of audio have come, and return them."""
    found = bytearray()

    def is_there() -> bool:
        found.extend(audio(tap))
        return len(found) >= length

    await until(is_there)
    return bytes(found)


async def test_audio_reaches_the_session_of_its_tap() -> None:
    async with serving() as here:
        tap, other = here.announce(), here.announce()
        peer = await here.connect(tap)
        await peer.send(*(masked(bytes([n]) * 160) for n in range(5)))
        sent = b"".join(bytes([n]) * 160 for n in range(5))
        assert await audio_of(tap, len(sent)) == sent
        assert tap.connections == 1
        assert other.connections == 0
        assert other.session.track_count == 0
        await peer.close()


async def test_bytes_that_come_before_the_answer_are_not_lost() -> None:
    async with serving() as here:
        tap = here.announce()
        early = masked(b"\x01" * 160) + masked(b"\x02" * 160)[:50]
        peer = await here.connect(tap, early=early)
        await peer.send(masked(b"\x02" * 160)[50:])
        assert await audio_of(tap, 320) == b"\x01" * 160 + b"\x02" * 160
        await peer.close()


async def test_a_library_s_client_gets_on_with_it() -> None:
    async with serving() as here, aiohttp.ClientSession() as client:
        tap = here.announce()
        url = f"ws://127.0.0.1:{here.port}/tap/{tap.token}"
        async with client.ws_connect(url) as ws:
            await ws.send_str("audio/pcma;rate=16000")
            await ws.send_bytes(bytes(70_000))
            await ws.send_bytes(bytes(320))
            assert len(await audio_of(tap, 70_320)) == 70_320
        assert ws.close_code == 1000
        assert tap.session.track_format(0).sample_rate == 16000
        await until(lambda: tap.connections == 0)
        assert tap.end_reason is EndReason.CLOSED
        assert tap.end_detail == ""


@pytest.mark.parametrize("path", ["/tap/wrong", "/tap?token=wrong", "/tap"])
async def test_a_stranger_gets_a_status_and_no_upgrade(path: str) -> None:
    async with serving() as here, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await client.ws_connect(f"http://127.0.0.1:{here.port}{path}")
        assert refusal.value.status == 403
        assert here.rendezvous.taps == {}


async def test_a_request_without_an_upgrade_is_told_what_this_is() -> None:
    async with serving() as here, aiohttp.ClientSession() as client:
        async with client.get(f"http://127.0.0.1:{here.port}/tap/x") as answer:
            assert answer.status == 426
            assert answer.headers["Upgrade"] == "websocket"
            assert answer.headers["Sec-WebSocket-Version"] == "13"
        # The connection is still HTTP, and goes on being it.
        async with client.get(f"http://127.0.0.1:{here.port}/tap/x") as answer:
            assert answer.status == 426


async def test_the_newest_connection_of_a_tap_is_the_one_heard() -> None:
    async with serving() as here:
        tap = here.announce()
        first = await here.connect(tap)
        await first.send(masked(b"\x01" * 160))
        await audio_of(tap, 160)
        await first.send(masked(b"\x02" * 160), masked(b"sync", 0x9))
        await first.receive(6)
        second = await here.connect(tap)
        taken_over = b"\x88\x1e\x03\xe9another connection took over"
        assert await first.receive(len(taken_over)) == taken_over
        await first.send(masked(b"\x03" * 160), closing(1001))
        await second.send(masked(b"\x04" * 160))
        assert await audio_of(tap, 320) == b"\x02" * 160 + b"\x04" * 160
        await first.close()
        await until(lambda: tap.connections == 1)
        assert tap.end_reason is None
        await second.close()
        await until(lambda: tap.connections == 0)


async def test_a_ping_is_answered() -> None:
    async with serving() as here:
        peer = await here.connect(here.announce())
        await peer.send(masked(b"are you there", 0x9))
        assert await peer.receive(15) == b"\x8a\x0dare you there"
        await peer.close()


@pytest.mark.parametrize(
    ("last", "detail"),
    [
        (closing(1000), ""),
        (closing(1001), ""),
        (masked(b"", 0x8), ""),
        (closing(1011), "WebSocket close code 1011"),
        (closing(4999), "WebSocket close code 4999"),
        (masked(bytes(MAX_MESSAGE + 1)), "WebSocket close code 1009"),
        (b"\x82\x05Hello", "WebSocket close code 1002"),
        (b"", "WebSocket close code 1006"),
    ],
)
async def test_every_end_is_the_end_of_the_stream(last: bytes, detail: str) -> None:
    async with serving() as here:
        tap = here.announce()
        peer = await here.connect(tap)
        await peer.send(masked(b"\x01" * 160), last)
        if last:
            answer = await peer.receive_rest()
            assert answer[:1] == b"\x88"
        await peer.close()
        await until(lambda: tap.connections == 0)
        assert audio(tap) == b"\x01" * 160
        assert tap.end_reason is EndReason.CLOSED
        assert tap.end_detail == detail


async def test_a_reset_is_the_end_of_the_stream() -> None:
    async with serving() as here:
        tap = here.announce()
        peer = await here.connect(tap)
        await peer.send(masked(b"\x01" * 160))
        await until(lambda: tap.session.track_count == 1 or bool(audio(tap)))
        peer.writer.transport.abort()
        await until(lambda: tap.connections == 0)
        assert tap.end_detail == "WebSocket close code 1006"


async def test_a_tap_that_is_over_is_closed_and_nothing_put_aside_is_lost() -> None:
    async with serving() as here:
        tap = here.announce()
        peer = await here.connect(tap)
        await peer.send(masked(b"\x01" * 160))
        await peer.send(masked(b"ping", 0x9))
        await peer.receive(6)
        dropping = asyncio.create_task(here.endpoint.drop(tap), name="drop")
        assert await peer.receive(20) == b"\x88\x12\x03\xe9this tap is over"
        await peer.send(masked(b"late"), closing(1001))
        await dropping
        assert audio(tap) == b"\x01" * 160
        assert tap.end_detail == ""
        await here.endpoint.drop(tap)
        await peer.close()


async def test_a_peer_that_does_not_answer_a_close_is_cut_off() -> None:
    async with serving() as here:
        tap = here.announce()
        peer = await here.connect(tap)
        async with asyncio.timeout(10):
            await here.endpoint.close()
        assert tap.connections == 0
        await peer.close()


async def test_an_error_in_one_connection_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as here:
        sound, broken = here.announce(), here.announce()
        peers = [await here.connect(sound), await here.connect(broken)]
        # Our own class, broken from outside: no input is known that breaks it.
        session_of(broken).drops = None  # type: ignore[assignment]
        for peer in peers:
            await peer.send(masked(b"\x01" * 160), masked(b"no format", 0x1))
        assert await audio_of(sound, 160) == b"\x01" * 160
        assert (await peers[1].receive(4))[2:] == (1011).to_bytes(2, "big")
        assert [each.levelname for each in caplog.records].count("ERROR") == 1
        await peers[1].close()
        await peers[0].send(masked(b"\x02" * 160))
        assert await audio_of(sound, 160) == b"\x02" * 160
        await peers[0].close()


async def test_no_token_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as here, aiohttp.ClientSession() as client:
        tap = here.announce()
        peer = await here.connect(tap)
        await peer.close()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.ws_connect(f"http://127.0.0.1:{here.port}/tap/guessed")
        await until(lambda: tap.connections == 0)
    assert tap.control_id in caplog.text
    assert tap.token not in caplog.text
    assert "guessed" not in caplog.text


async def test_a_flood_is_held_back_and_loses_nothing() -> None:
    """The sender has to wait; another tap meanwhile gets through at once."""
    async with serving() as here:
        flooded, sound = here.announce(), here.announce()
        flooder, peer = await here.connect(flooded), await here.connect(sound)
        started_at = now()
        messages = [masked(bytes([n % 127]) * 160) for n in range(4 * BURST // 160)]
        flood = asyncio.create_task(flooder.send(*messages), name="flood")
        heard, lags = 0, []
        while heard < len(messages):
            before = now()
            await peer.send(masked(b"beat", 0x9))
            await peer.receive(6)
            lags.append(now() - before)
            audio(flooded)
            if flooded.session.track_count:
                heard = flooded.session.counts(0).received
            assert now() - started_at < 30
        await flood
        # Three bursts were too much, and came no faster than the rate.
        assert now() - started_at > 2 * BURST / BYTES_PER_S
        assert sorted(lags)[len(lags) // 2] < 0.1
        await flooder.close()
        await peer.close()


async def test_a_peer_that_vanishes_is_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel probes silent peers and so finds those that are half open."""
    made: list[socket.socket] = []
    connection_made = TapConnection.connection_made

    def note(connection: TapConnection, transport: asyncio.BaseTransport) -> None:
        made.append(transport.get_extra_info("socket"))
        connection_made(connection, transport)

    monkeypatch.setattr(TapConnection, "connection_made", note)
    async with serving() as here:
        peer = await here.connect(here.announce())
        await until(lambda: bool(made))
        (each,) = made
        assert each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            probes = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
            idle_s = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            every_s = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            assert idle_s + probes * every_s <= 90
        await peer.close()


async def test_what_aiohttp_knew_of_a_connection_is_let_go() -> None:
    """After the upgrade no task and no request of aiohttp is kept for it."""
    async with serving() as here:
        before = len(asyncio.all_tasks())
        peers = [await here.connect(here.announce()) for _ in range(5)]
        await until(lambda: len(asyncio.all_tasks()) == before)
        for peer in peers:
            await peer.close()


@pytest.mark.parametrize(
    "story",
    [
        test_audio_reaches_the_session_of_its_tap,
        test_bytes_that_come_before_the_answer_are_not_lost,
        test_a_library_s_client_gets_on_with_it,
        test_the_newest_connection_of_a_tap_is_the_one_heard,
        test_a_reset_is_the_end_of_the_stream,
        test_a_tap_that_is_over_is_closed_and_nothing_put_aside_is_lost,
        test_a_peer_that_does_not_answer_a_close_is_cut_off,
        test_a_flood_is_held_back_and_loses_nothing,
    ],
)
def test_the_server_s_own_loop_does_the_same(
    story: Callable[[], Coroutine[None, None, None]],
) -> None:
    """The server runs on uvloop, whose transports are written apart from asyncio's."""
    uvloop.run(story())
