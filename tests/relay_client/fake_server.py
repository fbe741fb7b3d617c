"""A RELAY server of a few lines, scripted by the test that uses it.

It authenticates everybody, replies 200 to everything and keeps a journal. A test
changes this with a `Script` for a method: a function of the request's parameters that
returns what to reply instead.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web

from relay_client import RelayClient, Timing

Json = dict[str, Any]

FAST = Timing(
    backoff_min=0.01,
    backoff_max=0.05,
    stop_grace=0.1,
    answer_grace=0.2,
    open_timeout=5.0,
    shutdown_timeout=2.0,
)

PHONE: Json = {
    "type": "phone",
    "params": {"from_number": "+15551110000", "to_number": "+15552220000"},
}
WS_DEVICE: Json = {"type": "ws", "params": {"uri": "wss://example.com/tap"}}
TAP_BOTH: Json = {"type": "audio", "params": {"direction": "both"}}


@dataclass
class Received:
    """One frame that the client sent."""

    connection: int
    frame: Json

    @property
    def method(self) -> str:
        return str(self.frame.get("method", ""))

    @property
    def params(self) -> Json:
        params: Json = self.frame["params"]
        return params


Script = Callable[[Json], Json | None]
"""Takes the parameters; returns the reply's `result` or `error`, None for silence."""


@dataclass
class FakeServer:
    """The server's side: what came in, what to answer, and a way to push."""

    port: int = 0
    journal: list[Received] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    protocol: str = "signalwire_sig_1_PROJECT"
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    def client(self, **kwargs: Any) -> RelayClient:
        """Return a client of this server."""
        settings: Json = {
            "project": "PROJECT",
            "token": "TOKEN",
            "host": f"127.0.0.1:{self.port}",
            "scheme": "ws",
            "contexts": ["office"],
            "timing": FAST,
        }
        return RelayClient(**(settings | kwargs))

    def sent(self, method: str) -> list[Received]:
        """Return the requests of this method so far."""
        return [entry for entry in self.journal if entry.method == method]

    async def wait_sent(self, method: str, count: int = 1) -> Received:
        """Wait for the request of this method, or for the n-th of them."""
        await self.until(lambda: len(self.sent(method)) >= count)
        return self.sent(method)[count - 1]

    async def wait_reply(self, message_id: str) -> Json:
        """Wait for the client's reply to a message of ours."""

        def replies() -> list[Json]:
            frames = (entry.frame for entry in self.journal)
            return [
                f for f in frames if f.get("id") == message_id and "method" not in f
            ]

        await self.until(lambda: bool(replies()))
        return replies()[0]

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until the journal fulfils `predicate`."""
        async with asyncio.timeout(5), self._grown:
            await self._grown.wait_for(predicate)

    async def push(self, method: str, params: Json | None = None) -> str:
        """Send a request to the newest connection and return its id."""
        message_id = str(uuid.uuid4())
        message: Json = {"jsonrpc": "2.0", "id": message_id, "method": method}
        if params is not None:
            message["params"] = params
        await self.push_text(json.dumps(message))
        return message_id

    async def push_json(self, message: Json) -> None:
        """Send any message to the newest connection."""
        await self.push_text(json.dumps({"jsonrpc": "2.0", **message}))

    async def push_text(self, text: str) -> None:
        """Send any text to the newest connection."""
        await self.sockets[-1].send_str(text)

    async def event(self, event_type: str, **params: Any) -> str:
        """Send an event to the newest connection and return its id."""
        payload = {"event_type": event_type, "params": params}
        return await self.push("signalwire.event", payload)

    async def call_state(self, call_id: str, state: str, **params: Any) -> str:
        """Send a call state event."""
        members = {"call_id": call_id, "node_id": "n-1", "call_state": state}
        return await self.event("calling.call.state", **members, **params)

    async def incoming(self, call_id: str = "c-1") -> str:
        """Send an inbound call."""
        return await self.event(
            "calling.call.receive",
            call_id=call_id,
            node_id="n-1",
            context="office",
            direction="inbound",
            call_state="created",
            device=PHONE,
        )

    async def tap_state(self, control_id: str, state: str, call_id: str = "c-1") -> str:
        """Send a tap event."""
        return await self.event(
            "calling.call.tap",
            call_id=call_id,
            node_id="n-1",
            control_id=control_id,
            state=state,
            tap=TAP_BOTH,
            device=WS_DEVICE,
        )

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        connection = len(self.sockets)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            frame = json.loads(message.data)
            async with self._grown:
                self.journal.append(Received(connection, frame))
                self._grown.notify_all()
            if "method" in frame:
                await self._reply(socket, frame)
        return socket

    async def _reply(self, socket: web.WebSocketResponse, frame: Json) -> None:
        script = self.scripts.get(frame["method"])
        outcome = script(frame["params"]) if script else self._default(frame)
        if outcome is not None and not socket.closed:
            reply = {"jsonrpc": "2.0", "id": frame["id"], **outcome}
            await socket.send_str(json.dumps(reply))

    def _default(self, frame: Json) -> Json:
        if frame["method"] == "signalwire.connect":
            return {"result": {"protocol": self.protocol, "identity": "i"}}
        return {"result": {"code": "200", "message": "OK"}}

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for socket in self.sockets:
            if not socket.closed:
                await socket.close()
        await self._runner.cleanup()


def result(code: str = "200", **members: Any) -> Json:
    """Return a calling result."""
    return {"result": {"code": code, "message": "as scripted", **members}}


def error(code: int, message: str = "as scripted") -> Json:
    """Return a JSON-RPC error."""
    return {"error": {"code": code, "message": message}}


@asynccontextmanager
async def connected(**kwargs: Any) -> AsyncIterator[tuple[FakeServer, RelayClient]]:
    """Give a server and a client connected to it."""
    async with FakeServer() as server, server.client(**kwargs) as client:
        yield server, client
