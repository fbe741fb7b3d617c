"""The servers that are compared, one a process.

`python -m tests.bench.ws_servers NAME` prints its port and serves until its standard
input ends. What they do with the audio:

    floor, aiohttp, picows     throw the bytes away
    aiohttp-events, events     make a tap's events of them, and throw those away
    tapdeck                    everything: WAV files, documents, metrics
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import uvloop
from aiohttp import WSMsgType, web

from server.app import TapServer
from server.audio import PCMU_8000
from server.config import load_settings
from server.log import setup_logging
from server.rtp.demux import RtpDemux
from server.taps.announcement import RendezvousOptions
from server.taps.limits import TapLimits
from server.taps.media_session import MediaSession
from server.taps.rendezvous import Rendezvous
from server.taps.tokens import TokenSigner
from server.taps.ws_session import WsSession
from server.transports.ws_tap import TapEndpoint

MAX_TAPS = 20_000
"""Half of which may be taps that nobody announced, as those of a benchmark are."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
)
_CLOSE = b"\x88\x02\x03\xe8"


class FloorProtocol(asyncio.Protocol):
    """The least that can be called a WebSocket server: headers read, bytes thrown away.

    It knows one size of message and the close frame, nothing else.
    """

    def __init__(self) -> None:
        self.messages = 0
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._is_upgraded:
            self._upgrade(data)
            return
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while at + 4 <= end:
            if data[at] == 0x88:
                self._transport.write(_CLOSE)
                self._transport.close()
                return
            length = data[at + 1] & 0x7F
            size = 6 + length
            if length == 126:
                size = 8 + (data[at + 2] << 8 | data[at + 3])
            if at + size > end:
                break
            at += size
            self.messages += 1
        self._rest = data[at:]

    def _upgrade(self, data: bytes) -> None:
        assert self._transport is not None
        key = data.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324
        self._transport.write(_ACCEPT % accept)
        self._is_upgraded = True


@asynccontextmanager
async def floor() -> AsyncIterator[int]:
    """Serve with `FloorProtocol`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(FloorProtocol, "127.0.0.1", 0, backlog=4096)
    async with server:
        yield server.sockets[0].getsockname()[1]


def aiohttp_server() -> AbstractAsyncContextManager[int]:
    """Serve with aiohttp's WebSocketResponse, read message by message."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        async for message in ws:
            if message.type is not WSMsgType.BINARY:
                break
        return ws

    return _serve_routes([web.get("/tap/{token}", handle)])


@asynccontextmanager
async def aiohttp_events() -> AsyncIterator[int]:
    """Serve with aiohttp's WebSocketResponse and the session of a tap behind it."""
    sessions: set[WsSession] = set()

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        session = WsSession(None)
        sessions.add(session)
        async for message in ws:
            if message.type is WSMsgType.BINARY:
                session.receive_bytes(message.data, time.monotonic())
        sessions.remove(session)
        return ws

    routes = [web.get("/tap/{token}", handle)]
    async with _serve_routes(routes) as port, _taking(lambda: sessions):
        yield port


@asynccontextmanager
async def events() -> AsyncIterator[int]:
    """Serve with Tapdeck's endpoint, up to the events of each tap."""
    options = RendezvousOptions(accept_any=True, expected=PCMU_8000, max_taps=MAX_TAPS)
    numbers = itertools.count()
    rendezvous = Rendezvous(
        signer=TokenSigner(b"of a benchmark"),
        demux=RtpDemux(accept_unknown=False),
        limits=TapLimits(),
        options=options,
        new_id=lambda: str(next(numbers)),
    )
    endpoint = TapEndpoint(
        rendezvous, max_message_bytes=1 << 20, now=time.monotonic, wall=time.time
    )

    def sessions() -> list[MediaSession]:
        return [tap.session for tap in rendezvous.taps.values()]

    async with _serve_routes(endpoint.routes()) as port, _taking(sessions):
        yield port


@asynccontextmanager
async def _taking(
    sessions: Callable[[], Iterable[MediaSession]],
) -> AsyncIterator[None]:
    """Ask every session for its events twice a second, as the server does."""

    async def take() -> None:
        while True:
            await asyncio.sleep(0.5)
            for session in list(sessions()):
                session.take(time.monotonic())

    task = asyncio.create_task(take(), name="take")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _serve_routes(routes: Iterable[web.RouteDef]) -> AsyncIterator[int]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def picows_server() -> AsyncIterator[int]:
    """Serve with picows, which needs a port of its own."""
    # Not a dependency: measured where somebody has installed it.
    picows: Any = importlib.import_module("picows")

    class Listener(picows.WSListener):  # type: ignore[misc]  # a class from Any
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(picows.WSCloseCode.OK)
                transport.disconnect()
            else:
                frame.get_payload_as_bytes()

    server = await picows.ws_create_server(
        lambda _request: Listener(), "127.0.0.1", 0, backlog=4096
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def tapdeck(recordings: Path) -> AsyncIterator[int]:
    """Serve with everything on, recording to WAV."""
    flags = {
        "accept": "any",
        "http_listen": "127.0.0.1:0",
        "rtp_listen": "127.0.0.1:0",
        "recordings_dir": str(recordings),
        "max_taps": str(MAX_TAPS),
    }
    settings = load_settings(file=None, environ={}, flags=flags)
    setup_logging(level="warning", log_format="human")
    async with TapServer(settings) as server:
        yield server.http_port


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[int]]] = {
    "floor": floor,
    "aiohttp": aiohttp_server,
    "aiohttp-events": aiohttp_events,
    "events": events,
    "picows": picows_server,
    "tapdeck": lambda: tapdeck(Path(sys.argv[2])),
}


async def _serve(name: str) -> None:
    async with SERVERS[name]() as port:
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
