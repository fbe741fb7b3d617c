"""A bare RELAY client and bare tap destinations, to look at the simulator with.

None of them decides anything: tests say what is sent and look at what comes back.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from relay_client.simulator import SimCall, SimTap, Simulator

Json = dict[str, Any]
Condition = Callable[[], bool]

TIMEOUT = 10.0


async def eventually(condition: Condition, timeout: float = TIMEOUT) -> None:
    """Poll until a condition is true."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - whatever can be asked, not only events
            await asyncio.sleep(0.005)


class Probe:
    """One connection: acknowledges events, keeps every frame."""

    def __init__(self, simulator: Simulator, path: str = "") -> None:
        self._url = simulator.url + path
        self.acks = True
        self.pongs = True
        self.frames: list[Json] = []
        self.closed = asyncio.Event()
        self._session = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._socket = await self._session.ws_connect(self._url)
        self._reader = asyncio.create_task(self._read(), name="probe reader")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._socket is not None
        assert self._reader is not None
        await self._socket.close()
        await self._session.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        assert self._socket is not None
        async for message in self._socket:
            frame = json.loads(message.data)
            self.frames.append(frame)
            method = frame.get("method")
            if (method == "signalwire.event" and self.acks) or (
                method in ("signalwire.ping", "signalwire.disconnect") and self.pongs
            ):
                await self.send({"jsonrpc": "2.0", "id": frame["id"], "result": {}})
        self.closed.set()

    async def send(self, frame: Json) -> None:
        assert self._socket is not None
        await self._socket.send_str(json.dumps(frame))

    async def request(self, method: str, params: Json) -> str:
        """Send a request and return its id."""
        frame_id = str(uuid.uuid4())
        await self.send(
            {"jsonrpc": "2.0", "id": frame_id, "method": method, "params": params}
        )
        return frame_id

    async def call(self, method: str, params: Json) -> Json:
        """Send a request and return the whole reply."""
        frame_id = await self.request(method, params)
        await eventually(lambda: any(f.get("id") == frame_id for f in self.frames))
        return next(f for f in self.frames if f.get("id") == frame_id)

    async def connect(self, *contexts: str, **more: Any) -> Json:
        """Authenticate, and return the reply."""
        params: Json = {
            "version": {"major": 2, "minor": 0, "revision": 0},
            "agent": "probe/1",
            "event_acks": True,
            "authentication": {"project": "project-1", "token": "PT-token-1"},
            **more,
        }
        if contexts:
            params["contexts"] = list(contexts)
        return await self.call("signalwire.connect", params)

    def events(self, event_type: str) -> list[Json]:
        """The inner parameters of all events of a type so far."""
        return [
            frame["params"]["params"]
            for frame in self.frames
            if frame.get("method") == "signalwire.event"
            and frame["params"]["event_type"] == event_type
        ]

    async def event(self, event_type: str, **wanted: Any) -> Json:
        """Wait for an event with these fields."""

        def found() -> list[Json]:
            return [
                params
                for params in self.events(event_type)
                if wanted.items() <= params.items()
            ]

        await eventually(lambda: bool(found()))
        return found()[0]

    async def answer(self, call: SimCall) -> None:
        """Wait for the offer of a call and answer it."""
        await self.event("calling.call.receive", call_id=call.call_id)
        reply = await self.call("calling.answer", leg(call))
        assert reply["result"]["code"] == "200"
        await self.event(
            "calling.call.state", call_id=call.call_id, call_state="answered"
        )

    async def tap(
        self,
        call: SimCall,
        device: Json,
        *,
        direction: str = "both",
        control_id: str = "tap-1",
    ) -> SimTap:
        """Start a tap that is accepted, and return it."""
        params = tap_params(call, device, direction=direction, control_id=control_id)
        reply = await self.call("calling.tap", params)
        assert reply["result"]["code"] == "200", reply
        return call.taps[control_id]


def leg(call: SimCall, **more: Any) -> Json:
    return {"node_id": call.node_id, "call_id": call.call_id, **more}


def tap_params(
    call: SimCall, device: Json, *, direction: str = "both", control_id: str = "tap-1"
) -> Json:
    tap = {"type": "audio", "params": {"direction": direction}}
    return leg(call, control_id=control_id, tap=tap, device=device)


def ws_device(uri: str, codec: str = "PCMU") -> Json:
    return {"type": "ws", "params": {"uri": uri, "codec": codec}}


def rtp_device(port: int, codec: str = "PCMU", ptime: int = 20) -> Json:
    params = {"addr": "127.0.0.1", "port": port, "codec": codec, "ptime": ptime}
    return {"type": "rtp", "params": params}


class Received:
    """What came over one WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.texts: list[str] = []
        self.binary: list[bytes] = []
        self.order: list[str | bytes] = []
        self.close_code: int | None = None
        """None if there was no close frame."""
        self.closed = asyncio.Event()

    async def wait_closed(self) -> None:
        async with asyncio.timeout(TIMEOUT):
            await self.closed.wait()

    @property
    def audio(self) -> bytes:
        return b"".join(self.binary)


class WsDestination:
    """Takes taps over WebSocket and keeps everything."""

    def __init__(self) -> None:
        self.connections: list[Received] = []
        app = web.Application()
        app.router.add_get("/tap/{token}", self._take)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for received in self.connections:
            await received.socket.close()
        await self._server.close()

    @property
    def device(self) -> Json:
        return ws_device(self.uri)

    @property
    def uri(self) -> str:
        return f"ws://127.0.0.1:{self._server.port}/tap/secret?sig=secret"

    async def _take(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.2)
        await socket.prepare(request)
        received = Received(socket)
        self.connections.append(received)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    received.texts.append(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    received.binary.append(message.data)
                received.order.append(message.data)
        finally:
            # A lost connection cancels the handler: no close frame was seen then.
            received.close_code = socket.close_code
            received.closed.set()
        return socket


class RtpDestination(asyncio.DatagramProtocol):
    """Takes RTP and keeps every datagram."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.sources: set[tuple[str, int]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._transport is not None
        self._transport.close()

    @property
    def port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.datagrams.append(data)
        self.sources.add(addr)
