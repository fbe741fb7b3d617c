"""The WebSocket endpoint that the platform dials: `/tap/<token>`.

A connection is admitted or refused before the upgrade, so that a stranger gets an HTTP
status and nothing else. Nothing is ever sent but WebSocket control frames.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from server.taps.refusal import TapRefusedError
from server.taps.rendezvous import Rendezvous
from server.taps.tap import Tap
from server.taps.ws_session import WsSession

log = logging.getLogger(__name__)


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
        self._live: dict[str, web.WebSocketResponse] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to be added to the application."""
        return [
            web.get("/tap", self.handle),
            web.get("/tap/{token}", self.handle),
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection until either side closes it."""
        ws = web.WebSocketResponse(compress=False, max_msg_size=self._max_message_bytes)
        if not ws.can_prepare(request):
            return web.Response(
                status=426,
                text="This is where tapped audio is sent, over WebSocket.\n",
                headers={"Upgrade": "websocket"},
            )
        token = request.match_info.get("token") or request.query.get("token", "")
        try:
            tap = self._rendezvous.admit(token, now=self._now(), wall=self._wall())
        except TapRefusedError as refusal:
            log.info("x WebSocket from %s refused: %s", request.remote, refusal)
            return web.Response(status=refusal.status, text=f"{refusal.reason}\n")
        await self._serve(request, ws, tap)
        return ws

    async def close(self) -> None:
        """Close every connection, politely and with a deadline each."""
        await asyncio.gather(
            *(_close(ws, b"this server is stopping") for ws in self._live.values())
        )

    async def drop(self, tap: Tap) -> None:
        """Close the connection of a tap that is over, if it is still open."""
        if (ws := self._live.get(tap.control_id)) is not None:
            await _close(ws, b"this tap is over")

    async def _serve(
        self, request: web.Request, ws: web.WebSocketResponse, tap: Tap
    ) -> None:
        session = tap.session
        assert isinstance(session, WsSession)
        tap.connected()
        try:
            await ws.prepare(request)
            await self._replace(tap, ws)
            if session.last_media_at is not None:
                session.reconnected(self._now())
            log.info("tap %s: connected from %s", tap.control_id, request.remote)
            await self._receive(ws, session)
        finally:
            if self._live.get(tap.control_id) is ws:
                del self._live[tap.control_id]
            tap.disconnected(self._now(), _close_detail(ws))

    async def _replace(self, tap: Tap, ws: web.WebSocketResponse) -> None:
        earlier = self._live.get(tap.control_id)
        self._live[tap.control_id] = ws
        if earlier is not None:
            await _close(earlier, b"another connection took over")

    async def _receive(self, ws: web.WebSocketResponse, session: WsSession) -> None:
        now = self._now
        async for message in ws:
            if message.type is WSMsgType.BINARY:
                session.receive_bytes(message.data, now())
            elif message.type is WSMsgType.TEXT:
                session.receive_text(message.data, now())


async def _close(ws: web.WebSocketResponse, why: bytes) -> None:
    try:
        async with asyncio.timeout(2):
            await ws.close(code=WSCloseCode.GOING_AWAY, message=why)
    except TimeoutError:
        log.debug("! a WebSocket did not answer its close")


def _close_detail(ws: web.WebSocketResponse) -> str:
    code = ws.close_code
    if code in (None, WSCloseCode.OK, WSCloseCode.GOING_AWAY):
        return ""
    return f"WebSocket close code {int(code or 0)}"
