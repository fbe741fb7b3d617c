"""The WebSocket endpoint that the platform dials: `/tap/<token>`.

A connection is admitted or refused before the upgrade, so that a stranger gets an HTTP
status and nothing else. aiohttp speaks HTTP with it; from the 101 on the transport is
ours, and to aiohttp the connection is gone (docs/websocket-ingest.md says what that is
worth). Nothing is ever sent but WebSocket control frames.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Callable

from aiohttp import web

from server.taps.refusal import TapRefusedError
from server.taps.rendezvous import Rendezvous
from server.taps.tap import Tap
from server.taps.ws_frames import CloseCode
from server.taps.ws_session import WsSession
from server.transports.http_connections import network_of_peer
from server.transports.ws_connection import TapConnection

log = logging.getLogger(__name__)

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""


class TapEndpoint:
    """Every WebSocket that carries a tap."""

    def __init__(
        self,
        rendezvous: Rendezvous,
        *,
        max_message_bytes: int,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._rendezvous = rendezvous
        self._max_message_bytes = max_message_bytes
        self._now = now
        self._wall = wall
        self._live: dict[str, TapConnection] = {}
        """The newest connection of each tap."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to be added to the application."""
        return [
            web.get("/tap", self.handle),
            web.get("/tap/{token}", self.handle),
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Admit or refuse one connection."""
        if not web.WebSocketResponse(compress=False).can_prepare(request):
            return web.Response(
                status=426,
                text="This is where tapped audio is sent, over WebSocket.\n",
                headers={"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
            )
        token = request.match_info.get("token") or request.query.get("token", "")
        try:
            tap = self._rendezvous.admit(
                token,
                now=self._now(),
                wall=self._wall(),
                network=network_of_peer(request.transport),
            )
        except TapRefusedError as refusal:
            log.info("x WebSocket from %s refused: %s", request.remote, refusal)
            return web.Response(status=refusal.status, text=f"{refusal.reason}\n")
        response = _switching_protocols(request)
        await response.prepare(request)
        self._begin(request, tap)
        return response

    async def close(self) -> None:
        """Close every connection, politely and with a deadline."""
        connections = list(self._live.values())
        for connection in connections:
            connection.close(CloseCode.GOING_AWAY, "this server is stopping")
        await asyncio.gather(*(each.wait_lost() for each in connections))

    async def drop(self, tap: Tap) -> None:
        """Close the connection of a tap that is over, if it is still open."""
        if (connection := self._live.get(tap.control_id)) is not None:
            connection.close(CloseCode.GOING_AWAY, "this tap is over")
            await connection.wait_lost()

    def _begin(self, request: web.Request, tap: Tap) -> None:
        session = tap.session
        assert isinstance(session, WsSession)
        connection = TapConnection(
            tap.control_id,
            max_message_bytes=self._max_message_bytes,
            now=self._now,
            on_waiting=session.receive_waiting,
            on_lost=lambda connection: self._end(connection, tap, session),
        )
        tap.connected()
        self._replace(tap, session, connection)
        log.info("tap %s: connected from %s", tap.control_id, request.remote)
        _take_over(request, connection)

    def _replace(self, tap: Tap, session: WsSession, connection: TapConnection) -> None:
        """Let the newest connection of the tap be the one that is heard."""
        earlier = self._live.get(tap.control_id)
        self._live[tap.control_id] = connection
        session.detach()
        if earlier is not None:
            earlier.close(CloseCode.GOING_AWAY, "another connection took over")
        if session.last_media_at is not None:
            session.reconnected(self._now())
        session.attach(connection.receiver)

    def _end(self, connection: TapConnection, tap: Tap, session: WsSession) -> None:
        tap.disconnected(self._now(), connection.close_detail)
        if self._live.get(tap.control_id) is connection:
            del self._live[tap.control_id]
            session.detach()


def _switching_protocols(request: web.Request) -> web.StreamResponse:
    """Return the answer of RFC 6455 section 4.2.2; no extension, no subprotocol."""
    key = request.headers["Sec-WebSocket-Key"].encode()
    # SHA-1 as the RFC demands; it protects nothing.
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept.decode(),
    }
    # Unlike `Response`, this one sends its head as soon as it is prepared.
    return web.StreamResponse(status=101, headers=headers)


def _take_over(request: web.Request, connection: TapConnection) -> None:
    """Give the transport of an upgraded request to `connection`."""
    http = request.protocol
    transport = http.transport
    if transport is None:
        connection.connection_lost(None)
        return
    # Bytes that came before our 101, which the RFC forbids and some senders do.
    early = getattr(http, "_message_tail", b"")
    # Without its transport aiohttp has nothing to close, and lets go of the rest.
    http.transport = None
    http.connection_lost(None)
    transport.set_protocol(connection)
    connection.connection_made(transport)
    transport.resume_reading()
    if early:
        connection.data_received(early)
