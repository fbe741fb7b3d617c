"""The simulator as a server: RELAY on any path, the control API under `/simulator/`."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from relay_client.simulator.authentication import connect
from relay_client.simulator.call_commands import CALL_HANDLERS
from relay_client.simulator.calls import SimCall
from relay_client.simulator.commands import Command, Handler, carry_out
from relay_client.simulator.connection import Connection
from relay_client.simulator.control_api import MAX_BODY_BYTES, ControlApi
from relay_client.simulator.dialing import DIAL_HANDLERS
from relay_client.simulator.journal import JournalEntry
from relay_client.simulator.options import (
    CallRequest,
    ConnectionFaults,
    SimulatorOptions,
)
from relay_client.simulator.platform import Platform
from relay_client.simulator.wire import Request
from relay_client.simulator.ws_sender import make_ssl_context

_MAX_MESSAGE_BYTES = 10 * 1024 * 1024
"""What the official SDKs accept from the platform."""
_SHUTDOWN_TIMEOUT = 2.0

_HANDLERS: dict[str, Handler] = {**CALL_HANDLERS, **DIAL_HANDLERS}


class Simulator:
    """The platform in miniature.

    An asynchronous context manager: it listens inside the block, and at its end hangs
    up all calls and closes all connections.
    """

    def __init__(self, options: SimulatorOptions | None = None) -> None:
        self.options = options or SimulatorOptions()
        self.platform = Platform(
            self.options, make_ssl_context(self.options.tap_ca_file)
        )
        self.platform.on_request = self._receive
        self._runner: web.AppRunner | None = None
        self._host = ""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The port is taken, or the certificate cannot be read.
        """
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        ControlApi(self.platform).add_routes(app.router)
        app.router.add_get("/{path:.*}", self._serve_relay)
        runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await runner.setup()
        self._runner = runner
        site = web.TCPSite(
            runner,
            self.options.host,
            self.options.port,
            ssl_context=_server_ssl_context(self.options),
        )
        await site.start()
        host, port = runner.addresses[0][:2]
        self._host = f"{host}:{port}"

    async def close(self) -> None:
        """Hang up everything and stop listening."""
        await self.platform.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def host(self) -> str:
        """Where it listens, as `ADDRESS:PORT`."""
        return self._host

    @property
    def url(self) -> str:
        """The address of the RELAY WebSocket."""
        return f"{'wss' if self.options.tls_cert else 'ws'}://{self._host}"

    @property
    def control_url(self) -> str:
        """The address of the control API."""
        scheme = "https" if self.options.tls_cert else "http"
        return f"{scheme}://{self._host}/simulator"

    @property
    def calls(self) -> Mapping[str, SimCall]:
        """The legs by their id, oldest first."""
        return self.platform.calls

    @property
    def journal(self) -> list[JournalEntry]:
        """Every RELAY frame, oldest first, with the secrets masked."""
        return self.platform.journal.entries

    @property
    def counts(self) -> Mapping[str, int]:
        """Counters such as pings, pongs, missing_pongs, acks and rejected."""
        return self.platform.counts

    @property
    def unacked_events(self) -> int:
        """Events that no client has acknowledged so far."""
        return sum(session.unacked for session in self.platform.sessions.values())

    def place_call(self, request: CallRequest | None = None) -> SimCall:
        """Place an inbound call into a context.

        Raises:
            OptionsError: Its audio cannot be made.
            NoSubscriberError: Nobody receives the context and it may not wait.
        """
        return self.platform.place_call(request or CallRequest())

    def set_connection_faults(self, faults: ConnectionFaults) -> None:
        """Change what goes wrong on connections from now on."""
        self.platform.connection_faults = faults

    def disconnect_clients(self, *, restart: bool) -> None:
        """Send `signalwire.disconnect` and close soon after (section 2.5)."""
        self.platform.disconnect_clients(restart=restart)

    def drop_connections(self) -> None:
        """Cut every RELAY connection without a word."""
        self.platform.drop_connections()

    async def _serve_relay(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            max_msg_size=_MAX_MESSAGE_BYTES, compress=False, timeout=1.0
        )
        if not socket.can_prepare(request).ok:
            raise web.HTTPUpgradeRequired(text="RELAY is a WebSocket\n")
        await socket.prepare(request)

        def abort() -> None:
            if request.transport is not None:
                request.transport.abort()

        connection = self.platform.add_connection(socket, abort)
        try:
            await connection.serve()
        finally:
            self.platform.remove_connection(connection)
        return socket

    def _receive(self, connection: Connection, request: Request) -> None:
        """Handle one request of a client's, in the order of arrival."""
        if request.method == "signalwire.connect":
            connect(self.platform, connection, request)
        elif connection.session is None:
            code = self.platform.connection_faults.reject_code
            connection.refuse(request, code, "Not authenticated")
        elif request.method == "signalwire.ping":
            timestamp = request.params.get("timestamp")
            connection.reply(
                request, {} if timestamp is None else {"timestamp": timestamp}
            )
        else:
            command = Command(self.platform, connection, connection.session, request)
            self.platform.tasks.spawn(carry_out(command, _HANDLERS), request.method)


def _server_ssl_context(options: SimulatorOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    return context
