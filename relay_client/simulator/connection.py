"""One client's WebSocket: frames in and out, pings, and ways to go wrong."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from aiohttp import WSMsgType, web

from relay_client.simulator.ids import IdMaker
from relay_client.simulator.journal import Journal
from relay_client.simulator.options import ConnectionFaults
from relay_client.simulator.session import RelaySession
from relay_client.simulator.wire import (
    Json,
    Request,
    Response,
    make_error,
    make_request,
    make_result,
    parse_frame,
)

_MAX_WAITING = 10_000
"""Frames for a client that does not read; beyond that the connection is cut."""


class ConnectionOwner(Protocol):
    """What a connection needs of the platform."""

    ids: IdMaker
    journal: Journal
    counts: Counter[str]
    connection_faults: ConnectionFaults

    def receive(self, connection: Connection, request: Request) -> None:
        """Handle a request of the client's."""
        ...


class Connection:
    """A RELAY client as long as its socket lives."""

    def __init__(
        self,
        number: int,
        socket: web.WebSocketResponse,
        owner: ConnectionOwner,
        *,
        abort: Callable[[], None],
        ping_interval: float,
    ) -> None:
        self.number = number
        self.session: RelaySession | None = None
        self._socket = socket
        self._owner = owner
        self._abort = abort
        self._ping_interval = ping_interval
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(_MAX_WAITING)
        self._ping_id: str | None = None
        self._gone = asyncio.Event()

    async def serve(self) -> None:
        """Read until the client goes away."""
        helpers = [
            asyncio.create_task(work, name=f"relay connection {self.number} {name}")
            for work, name in ((self._write(), "writer"), (self._ping(), "ping"))
        ]
        try:
            async for message in self._socket:
                if self._owner.connection_faults.half_open:
                    await self._gone.wait()
                elif message.type is WSMsgType.TEXT:
                    self._receive(message.data)
        finally:
            self._gone.set()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    def send(self, frame: Json) -> None:
        """Send a frame, or drop it if the connection is gone or plays dead."""
        faults = self._owner.connection_faults
        if self._gone.is_set() or faults.silent or faults.half_open:
            return
        self._journal("platform", frame)
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self._owner.counts["overflows"] += 1
            self.cut()

    def reply(self, request: Request, result: Json) -> None:
        """Answer a request."""
        self.send(make_result(request.id, result))

    def refuse(self, request: Request, code: int, message: str) -> None:
        """Answer a request with a JSON-RPC error."""
        self.send(make_error(request.id, code, message))

    def cut(self) -> None:
        """Close the TCP connection with no close frame."""
        self._gone.set()
        self._abort()

    async def close(self) -> None:
        """Send what is waiting and close in order."""
        if not self._gone.is_set():
            await self._drained()
            await self._socket.close()
        self._gone.set()

    async def drop(self) -> None:
        """Send what is waiting and close with no close frame."""
        await self._drained()
        self.cut()

    async def close_soon(self, delay: float) -> None:
        """Close in order after a while."""
        await asyncio.sleep(delay)
        await self.close()

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._waiting.join()
        except TimeoutError:
            self.cut()

    def _receive(self, text: str) -> None:
        parsed = parse_frame(text)
        if parsed is None:
            self._owner.counts["unreadable"] += 1
            return
        frame, found = parsed
        if isinstance(found, Request):
            self._note_secrets(found)
        self._journal("client", frame)
        if isinstance(found, Request):
            self._owner.receive(self, found)
        else:
            self._match(found)

    def _match(self, response: Response) -> None:
        """Find out what a reply of the client's belongs to."""
        if response.id == self._ping_id and self._ping_id is not None:
            self._ping_id = None
            self._owner.counts["pongs"] += 1
        elif self.session is not None and self.session.acknowledge(str(response.id)):
            self._owner.counts["acks"] += 1
        else:
            self._owner.counts["other_replies"] += 1

    def _note_secrets(self, request: Request) -> None:
        found = request.params.get("authentication")
        if isinstance(found, dict):
            for key in ("project", "token", "jwt_token"):
                if isinstance(found.get(key), str):
                    self._owner.journal.add_secret(found[key])

    def _journal(self, sender: str, frame: Json) -> None:
        self._owner.journal.add(
            at=asyncio.get_running_loop().time(),
            connection=self.number,
            sender="client" if sender == "client" else "platform",
            frame=frame,
        )

    async def _write(self) -> None:
        while True:
            frame = await self._waiting.get()
            try:
                await self._socket.send_str(json.dumps(frame))
            except OSError:
                self._gone.set()
                return
            finally:
                self._waiting.task_done()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._ping_interval)
            if self.session is None or self._owner.connection_faults.stop_pings:
                continue
            if self._ping_id is not None:
                self._owner.counts["missing_pongs"] += 1
            self._ping_id = self._owner.ids.uuid()
            self._owner.counts["pings"] += 1
            params = {"timestamp": round(time.time(), 4)}
            self.send(make_request(self._ping_id, "signalwire.ping", params))
