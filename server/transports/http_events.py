"""The event stream: server-sent events (HTML Living Standard, section 9.2).

Each connection writes what its listener gives it, as fast as the other end reads. One
that does not read is cut, one that reads too slowly is told that it missed something.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from aiohttp import hdrs, web

from server.events.frames import RETRY
from server.events.hub import MAX_LISTENERS, TooManyListenersError
from server.events.listener import Listener
from server.events.wanted import Wanted
from server.transports.http_problem import ProblemError
from server.transports.http_query import parse_event_query

PATH = "/api/v1/events"

WRITE_TIMEOUT_S = 10.0
"""For which an end that does not read is waited for."""
KEEPALIVE_S = 15.0
"""Proxies commonly give up a connection on which nothing is sent for a minute."""
LOOK_S = 1.0
"""How often an idle connection is looked at, to see whether it is closed."""
SEND_BUFFER_BYTES = 128 * 1024
"""Of the kernel: what it holds for an end that is behind is old when it is read."""
UNANSWERED_MS = 30_000
"""After which an end that acknowledges nothing is gone (TCP_USER_TIMEOUT, RFC 5482)."""


class EventService(Protocol):
    """What the API needs of whoever owns the events."""

    @property
    def is_closed(self) -> bool:
        """Whether listeners are to go once they have taken what there is."""
        ...

    def listen(
        self, wanted: Wanted, last_id: str, wake: Callable[[], None]
    ) -> AbstractContextManager[Listener]:
        """Let somebody listen.

        Raises:
            TooManyListenersError: There is no room.
        """
        ...

    def close(self) -> None:
        """Let everybody go."""
        ...


class HttpEvents:
    """The route of the event stream."""

    def __init__(self, events: EventService) -> None:
        self._events = events

    def add_to(self, app: web.Application) -> None:
        """Add the route; listeners go when the application shuts down."""
        app.router.add_get(PATH, self._get, allow_head=False)
        app.on_shutdown.append(self._close)

    async def _close(self, _: web.Application) -> None:
        self._events.close()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        wanted, last_id = parse_event_query(request)
        wake = asyncio.Event()
        try:
            with self._events.listen(wanted, last_id, wake.set) as listener:
                return await self._stream(request, listener, wake)
        except TooManyListenersError:
            raise ProblemError(503, f"{MAX_LISTENERS} listen already.") from None

    async def _stream(
        self, request: web.Request, listener: Listener, wake: asyncio.Event
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "text/event-stream",
                hdrs.CACHE_CONTROL: "no-store",
                # nginx would hold events back until it has a page of them.
                "X-Accel-Buffering": "no",
            }
        )
        _bound_socket(request)
        await response.prepare(request)
        try:
            await _write(response, RETRY)
            await self._write_all(request, response, listener, wake)
        except (TimeoutError, ConnectionError):
            # Gone, or not reading: either way there is nobody to tell.
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _write_all(
        self,
        request: web.Request,
        response: web.StreamResponse,
        listener: Listener,
        wake: asyncio.Event,
    ) -> None:
        now = asyncio.get_running_loop().time
        written_at = now()
        while not _is_gone(request):
            wake.clear()
            data = listener.take(now())
            if not data and self._events.is_closed:
                return
            if not data and now() - written_at >= KEEPALIVE_S:
                data = listener.keepalive()
            if data:
                await _write(response, data)
                written_at = now()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await wake.wait()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(data)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _bound_socket(request: web.Request) -> None:
    """Let the kernel hold little, and find out when nobody is there any more."""
    link = request.get_extra_info("socket")
    if link is None or link.family not in (socket.AF_INET, socket.AF_INET6):
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
