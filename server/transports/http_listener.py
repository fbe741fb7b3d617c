"""Listens for HTTP: pages, API, and the WebSockets of taps."""

from __future__ import annotations

import asyncio

from aiohttp import web

from server.addresses import ListenAddress
from server.errors import StartupError
from server.transports.http_connections import ConnectionGuard

KEEPALIVE_S = 75.0
"""Between two requests; longer than proxies commonly keep a connection for reuse."""

SHUTDOWN_TIMEOUT_S = 2.0
"""For requests that are being answered when the server stops."""


class HttpListener:
    """The HTTP port of the server."""

    def __init__(
        self, app: web.Application, listen: ListenAddress, guard: ConnectionGuard
    ) -> None:
        self._listen = listen
        self._guard = guard
        # aiohttp's access log would write the tokens of tap addresses.
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; known once open."""
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            StartupError: The address is not to be had.
        """
        await self._runner.setup()
        assert self._runner.server is not None
        listen = self._listen
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._guard.gate(self._runner.server), listen.host, listen.port
            )
        except OSError as error:
            raise StartupError(
                f"cannot listen on {listen} (http_listen): {error.strerror}"
            ) from error

    async def close(self) -> None:
        """Take no more connections, and end those there are within the deadline."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
